"""The same batches, however they are loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

from lacewing.data import pixels, train_loader
from lacewing.data.ahead import ahead
from lacewing.data.augment import AugmentConfig
from lacewing.data.batch import Loading, normalised_squares
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore, central_square
from lacewing.data.preprocess import Preprocessing
from lacewing.data.resample import batch as resampling
from lacewing.data.train_loader import TrainLoader
from lacewing.errors import DataError
from lacewing.hardware.ranks import ALONE, Ranks

SETTINGS = Preprocessing(image_size=28, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
CPU = torch.device("cpu")
ELSEWHERE = torch.device("meta")
"""A device that is neither the CPU nor CUDA, and holds nothing."""


@pytest.fixture
def index(tmp_path, class_folders):
    class_folders(tmp_path / "photos", {"ants": 7, "bees": 6})
    return open_images(tmp_path / "photos", val_share=0.1, test_share=0, cache_dir=tmp_path / "c")


ALL = {"trivial": True, "erasing": 0.5, "mixup": 0.4, "cutmix": 1.0}


def loader(
    index,
    *,
    batch_size=4,
    seed=0,
    workers=0,
    prefetch=2,
    keep="ram",
    augment=True,
    ranks=ALONE,
    sides=(),
    device=CPU,
    augment_device=CPU,
    **varied,
):
    return TrainLoader(
        index,
        PixelStore(index, SETTINGS, keep=keep),
        AugmentConfig(enabled=augment, **varied),
        batch_size=batch_size,
        seed=seed,
        loading=Loading(
            device=device, augment_device=augment_device, workers=workers, prefetch=prefetch
        ),
        ranks=ranks,
        sides=sides,
    )


def epoch(loader, number=0, start=0):
    return list(loader.epoch(number, start))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("keep", ["ram", "disk", "device", "none"])
def test_batches_do_not_depend_on_how_they_are_loaded(index, workers, keep):
    plain = epoch(loader(index, **ALL))
    other = epoch(loader(index, workers=workers, prefetch=5, keep=keep, **ALL))
    for one, two in zip(plain, other, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.labels, two.labels)


@pytest.mark.parametrize("keep", ["ram", "device", "none"])
def test_images_of_an_epoch_have_its_side_however_they_are_loaded(index, keep):
    sides = (16, 20, 28)
    growing = loader(index, sides=sides, **ALL)
    other = loader(index, sides=sides, workers=2, keep=keep, **ALL)
    for number, side in enumerate((*sides, 28)):
        whole, rest = epoch(growing, number), epoch(other, number, 1)
        assert growing.side(number) == side
        assert all(batch.images.shape[2:] == (side, side) for batch in whole)
        for one, two in zip(whole[1:], rest, strict=True):
            assert torch.equal(one.images, two.images)
            assert torch.equal(one.labels, two.labels)
    full = zip(epoch(growing, 2), epoch(loader(index, **ALL), 2), strict=True)
    assert all(torch.equal(one.images, two.images) for one, two in full)


def test_a_smaller_image_shows_the_same_crop(index):
    (small,) = epoch(loader(index, sides=(14,), batch_size=len(index)))
    (large,) = epoch(loader(index, batch_size=len(index)))
    assert small.rows.tolist() == large.rows.tolist()
    halved = torch.nn.functional.avg_pool2d(large.images, 2)
    # of noise, whose samples differ: the same crops are alike, others are not at all
    like = torch.nn.functional.cosine_similarity(small.images.flatten(1), halved.flatten(1))
    other = torch.nn.functional.cosine_similarity(
        small.images.flatten(1), halved.roll(1, 0).flatten(1)
    )
    assert like.min() > 0.7
    assert other.max() < like.min()


def test_pixels_on_the_device_are_decoded_once(index, monkeypatch):
    """Here the device is the CPU."""
    there = loader(index, keep="device", batch_size=len(index), workers=1, **ALL)
    (expected,) = epoch(loader(index, batch_size=len(index), **ALL), 1)
    epoch(there)
    monkeypatch.setattr(pixels, "load_pixels", None)
    (found,) = epoch(there, 1)
    assert torch.equal(found.images, expected.images)


def test_a_file_that_was_replaced_does_not_enter_the_devices_pixels(index):
    path = index.paths()[0]
    Image.new("RGB", (300, 50), "red").save(path)
    one = epoch(loader(index, keep="device"))
    other = epoch(loader(index, keep="none"))
    assert all(torch.equal(a.images, b.images) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("varied", [{}, ALL])
def test_processes_share_each_batch_of_one(index, world, varied):
    plain = epoch(loader(index, **varied), number=2)
    parts = [epoch(loader(index, ranks=Ranks(r, world), **varied), 2) for r in range(world)]
    for step, whole in enumerate(plain):
        shares = [part[step] for part in parts]
        assert np.concatenate([one.rows for one in shares]).tolist() == whole.rows.tolist()
        assert torch.equal(torch.cat([one.labels for one in shares]), whole.labels)
        torch.testing.assert_close(torch.cat([one.images for one in shares]), whole.images)


@pytest.mark.parametrize("world", [2, 5, 20])
def test_processes_share_a_split_without_padding(index, world):
    store = PixelStore(index, SETTINGS, keep="none")
    loading = Loading(device=CPU, augment_device=CPU)

    def part(rank):
        return EvalLoader(index, store, batch_size=4, loading=loading, ranks=Ranks(rank, world))

    rows = [int(row) for rank in range(world) for batch in part(rank) for row in batch.rows]
    assert rows == list(range(len(index)))
    assert sum(len(batch.rows) for batch in part(0).whole()) == part(0).images == len(index)


def test_a_resumed_epoch_goes_on_with_the_same_batches(index):
    whole = epoch(loader(index, workers=2, **ALL), number=3)
    rest = epoch(loader(index, **ALL), number=3, start=1)
    assert len(rest) == len(whole) - 1
    for one, two in zip(whole[1:], rest, strict=True):
        assert torch.equal(one.images, two.images)


def test_an_image_is_varied_the_same_in_any_batch(index):
    small, large = (
        {int(row): image
         for batch in epoch(loader(index, batch_size=size, trivial=True, erasing=0.5))
         for row, image in zip(batch.rows, batch.images, strict=True)}
        for size in (3, 5)
    )  # fmt: skip
    common = small.keys() & large.keys()
    assert len(common) > 5
    assert all(torch.equal(small[row], large[row]) for row in common)


def test_mixed_labels_are_shares_of_the_batchs_own_classes(index):
    labels = torch.tensor(index.column("label"), dtype=torch.int64)
    for plain, mixed in zip(epoch(loader(index)), epoch(loader(index, mixup=0.4)), strict=True):
        assert mixed.labels.shape == (4, 2) and mixed.labels.dtype == torch.float32
        assert torch.allclose(mixed.labels.sum(1), torch.ones(4))
        own, partner = labels[plain.rows], labels[np.roll(plain.rows, 1)]
        same = own == partner
        assert (mixed.labels[same, own[same]] == 1).all()
        share = mixed.labels[~same].gather(1, own[~same, None])[:, :, None, None]
        blended = share * plain.images[~same] + (1 - share) * plain.images.roll(1, 0)[~same]
        assert torch.allclose(mixed.images[~same], blended, atol=1e-5)


def test_what_is_erased_has_the_mean_colour(index):
    batch = epoch(loader(index, batch_size=12, erasing=1.0))[0]
    assert ((batch.images == 0).all(1).sum((1, 2)) >= 0.02 * 28**2 - 28).all()


def test_nothing_is_mixed_or_erased_without_augmentation(index):
    plain, off = epoch(loader(index, augment=False)), epoch(loader(index, augment=False, **ALL))
    for one, two in zip(plain, off, strict=True):
        assert torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)


def test_epochs_and_seeds_differ(index):
    first, second = epoch(loader(index), 0), epoch(loader(index), 1)
    assert not torch.equal(first[0].images, second[0].images)
    assert not np.array_equal(first[0].rows, epoch(loader(index, seed=1))[0].rows)


def test_every_image_comes_once_and_the_odd_ones_are_left(index):
    rows = np.concatenate([batch.rows for batch in epoch(loader(index, batch_size=5))])
    assert len(set(rows.tolist())) == len(rows) == len(index) // 5 * 5


def test_a_batch_larger_than_the_split_is_the_split(index):
    assert loader(index, batch_size=500).batch_size == len(index)
    assert loader(index, batch_size=500).steps_per_epoch == 1


def test_labels_are_those_of_the_rows(index):
    labels = index.column("label")
    for batch in epoch(loader(index)):
        assert batch.labels.tolist() == labels[batch.rows].tolist()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_evaluation_takes_every_image_once_in_order(index, workers, batch_size):
    store = PixelStore(index, SETTINGS, keep="none")
    loading = Loading(device=CPU, augment_device=CPU, workers=workers)
    batches = EvalLoader(index, store, batch_size=batch_size, loading=loading)
    images = torch.cat([batch.images for batch in batches])
    assert len(list(batches)) == len(batches)
    squares = np.stack([central_square(store.get(row), 28) for row in range(len(index))])
    assert torch.equal(images, normalised_squares(squares, SETTINGS))


def test_a_large_batch_of_evaluation_is_decoded_in_pieces(index, monkeypatch):
    monkeypatch.setattr("lacewing.data.eval_loader.PIECE", 3)
    store = PixelStore(index, SETTINGS, keep="none")
    loading = Loading(device=CPU, augment_device=CPU, workers=2)
    batches = EvalLoader(index, store, batch_size=7, loading=loading)
    decoded, squares = [], batches._squares
    monkeypatch.setattr(
        batches, "_squares", lambda rows: decoded.append(len(rows)) or squares(rows)
    )
    sizes = [len(batch.images) for batch in batches]
    assert sizes[0] == 7
    assert sum(sizes) == sum(decoded) == len(index)
    assert max(decoded) == 3
    store = PixelStore(index, SETTINGS, keep="none")
    whole = np.stack([central_square(store.get(row), 28) for row in range(len(index))])
    images = torch.cat([batch.images for batch in batches])
    assert torch.equal(images, normalised_squares(whole, SETTINGS))


def test_normalisation_is_mean_and_std():
    squares = np.full((1, 2, 2, 3), 255, np.uint8)
    values = normalised_squares(squares, SETTINGS)[0, :, 0, 0]
    assert values.tolist() == pytest.approx([0.6 / 0.2, 0.5 / 0.3, 0.4 / 0.4])


def test_without_augmentation_an_image_is_its_middle(index):
    batch = epoch(loader(index, augment=False))[0]
    store = PixelStore(index, SETTINGS, keep="none")
    side = SETTINGS.resize_size
    small = central_square(store.get(int(batch.rows[0])), side).mean()
    assert float(batch.images[0].mean()) == pytest.approx(
        float(np.mean((small / 255 - np.array(SETTINGS.mean)) / np.array(SETTINGS.std))), abs=0.5
    )


def test_an_error_in_a_thread_reaches_the_caller():
    def fail(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 1"):
        list(ahead([1, 2, 3], fail, workers=2, prefetch=2))


def test_no_more_than_asked_is_prepared_ahead():
    made = []
    stream = ahead(range(100), lambda item: made.append(item) or item, workers=1, prefetch=3)
    assert next(stream) == 0
    stream.close()
    assert len(made) <= 6


def test_an_image_that_is_shown_again_is_varied_anew(index, monkeypatch):
    monkeypatch.setattr(
        train_loader, "balanced_order", lambda *_: np.array([3, 3, 3, 1, *range(9)])
    )
    batch, *_ = epoch(loader(index))
    first, second, third, _ = batch.images
    assert batch.rows.tolist() == [3, 3, 3, 1]
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_a_device_that_varies_a_batch_in_parts_gives_the_same(index, monkeypatch):
    whole = epoch(loader(index, keep="device", **ALL))
    monkeypatch.setattr(resampling, "DEVICE_PIXELS", 2 * SETTINGS.image_size**2 + 1)
    for one, two in zip(whole, epoch(loader(index, keep="device", **ALL)), strict=True):
        assert torch.equal(one.images, two.images)


class Copies(TorchFunctionMode):
    """Counts copies, and those that nobody waits for."""

    def __init__(self):
        super().__init__()
        self.made = self.unwaited = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.to, torch.Tensor.copy_):
            self.made += 1
            self.unwaited += bool((kwargs or {}).get("non_blocking"))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("keep", ["ram", "device"])
@pytest.mark.parametrize("augment_device", [CPU, ELSEWHERE])
def test_copies_to_a_device_other_than_cuda_are_waited_for(index, keep, augment_device):
    """MPS may read their source after it was freed."""
    training = loader(index, keep=keep, device=ELSEWHERE, augment_device=augment_device, **ALL)
    loading = Loading(device=ELSEWHERE, augment_device=ELSEWHERE)
    judging = EvalLoader(index, PixelStore(index, SETTINGS, keep="ram"), batch_size=4,
                         loading=loading)  # fmt: skip
    with Copies() as copies:
        batches = [*training.epoch(0), *judging]
    assert {part.device for batch in batches for part in (batch.images, batch.labels)} == {
        ELSEWHERE
    }
    assert copies.made
    assert not copies.unwaited


def test_a_class_that_is_lost_is_black_where_it_is_judged_and_ends_what_is_learnt(index):
    lost = np.flatnonzero(index.column("label") == 0)[:1]
    few = index.take(np.append(lost, np.flatnonzero(index.column("label") == 1)))
    Path(few.path(0)).unlink()

    def first(learnt):
        store = PixelStore(few, SETTINGS, keep="none")
        loading = Loading(device=CPU, augment_device=CPU)
        return next(iter(EvalLoader(few, store, batch_size=1, loading=loading, learnt=learnt)))

    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (SETTINGS.mean, SETTINGS.std))
    torch.testing.assert_close(first(False).images, (-mean / std).expand(1, 3, 28, 28))
    with pytest.raises(DataError, match="no other image of its class can"):
        first(True)
