"""Classes that may be one, misspelt: found as by comparing each with each, but faster."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacewing.data.audit import twins
from lacewing.data.audit.twins import misspelt_twins


@pytest.mark.parametrize(
    "names",
    [("Weevil", "weevils"), ("catterpillar", "caterpillar"), ("ants", "Ant"),
     ("rice_leaf roller", "Rice leafroller"), ("fly", "FLY"), ("12-grasshoper", "12-grasshopper")],
)  # fmt: skip
def test_misspelt_twins(names):
    assert misspelt_twins(("moth", *names)) == [names]


@pytest.mark.parametrize(
    "names",
    [("ant", "bat"), ("class1", "class2"), ("brown plant hopper", "small brown plant hopper"),
     ("rice leafhopper", "rice leaf roller"), ("black cutworm", "yellow cutworm"), ("蚂蚁", "蜜蜂"),
     ("army worm", "beet army worm"), ("grass", "gras"), ("!", "?")],
)  # fmt: skip
def test_different_names_are_no_twins(names):
    assert misspelt_twins(names) == []


slips = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcs1_ ")), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text("abcs1_ ", max_size=24), slips, slips), max_size=8), st.data())
def test_twins_are_those_of_comparing_each_with_each(bases, data):
    names = []
    for base, changed, added in bases:
        letters = list(base)
        for position, letter in changed:
            letters[position : position + 1] = [letter]
        slipped = list(base)
        for position, letter in added:
            slipped.insert(position, letter)
        names += [base, "".join(letters), "".join(slipped)]
    names = data.draw(st.permutations(names))
    plain = list(map(twins.normalised, names))
    slow = [(a, b) for (a, x), (b, y) in combinations(zip(names, plain, strict=True), 2)
            if twins.alike(x, y)]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twins, "PAIRS_AT_ONCE", data.draw(st.sampled_from([1, 20, 2**20])))
        assert misspelt_twins(names) == slow


def test_of_thousands_of_names_few_are_looked_at():
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(random.choice(letters, size)) for size in random.integers(8, 20, 3000)]
    found = list(twins.candidates([*names, names[5] + "x"]))
    assert (5, 3000) in found
    assert len(found) < 1000
    assert list(twins.candidates([f"class{number:04}" for number in range(3000)])) == []
