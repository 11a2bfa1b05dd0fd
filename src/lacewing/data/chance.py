"""Chance with an address: every draw is a function of (seed, epoch, sample, column).

No generator carries a state from one draw to the next, so neither the number of workers, nor
how a batch is split, nor where a run was interrupted changes what is drawn.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""SplitMix64's increment: 2**64 divided by the golden ratio, made odd."""
MASK = 2**64 - 1
VARIATION, TRIVIAL, ERASING, MIXING = 0, 32, 40, 64
"""First columns of what is drawn for a sample: each use has its own, so none sways another."""


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch's samples: a permutation of 0..count-1, int64 [count].

    Samples are sorted by the words of the Philox counter-based generator (Salmon et al. 2011)
    under the key (seed, epoch). The words themselves are fixed for good, unlike numpy's
    `permutation`, which may change with its version.
    """
    generator = np.random.Philox(key=np.array([seed & MASK, epoch & MASK], np.uint64))
    return np.argsort(generator.random_raw(count), kind="stable").astype(np.int64)


def uniforms(
    seed: int, epoch: int, samples: np.ndarray, count: int, first: int = VARIATION
) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 [N, count], for samples int64 [N].

    They are the columns from `first` on. (seed, epoch, sample) is hashed to the start of a
    SplitMix64 sequence (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    2014) and the column is the place in it: a number costs one hash and needs none of its
    neighbours.
    """
    starts = _hash(_hash(_hash(_words(seed)) + _words(epoch)) + samples.astype(np.uint64))
    places = np.arange(first + 1, first + count + 1, dtype=np.uint64) * GOLDEN
    words = _mix(starts[:, None] + places)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def step_seed(seed: int, step: int) -> int:
    """The seed of one optimiser step's own draws (dropout), in [0, 2**63)."""
    return int(_hash(_hash(_words(seed)) + _words(step))[0] >> np.uint64(1))


def _words(value: int) -> np.ndarray:
    # an array, not a scalar: numpy warns when a scalar wraps around, and wrapping is meant
    return np.array([value & MASK], np.uint64)


def _hash(words: np.ndarray) -> np.ndarray:
    return _mix(words + GOLDEN)


def _mix(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection in which each input bit sways each output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
