"""Gradual unfreezing: which layers learn in which epoch.

Howard and Ruder 2018, "Universal language model fine-tuning for text classification"
(arXiv:1801.06146), section 3.3: the last layer first, as it holds the least that is general. There
each epoch frees one more; here the layers are spread over the first half of the epochs, so that a
short run too ends with all of them. It depends on nothing but the epoch, so a resumed run frees
what a whole one does.
"""

from lacewing.config import TrainConfig


def some_rest(config: TrainConfig, epoch: int) -> bool:
    """Whether there are layers that don't learn in an epoch, counted from 0."""
    return config.gradual_unfreezing and epoch < config.epochs // 2


def learning_layers(epoch: int, epochs: int, layers: int) -> int:
    """How many layers before the head learn in an epoch, counted from 0, of so many in all."""
    partly = epochs // 2
    if epoch >= partly:
        return layers
    return -(-layers * (epoch + 1) // (partly + 1))
