"""What stands after --data, taken apart without asking anybody."""

from pathlib import Path

import pytest

from lacewing.data.remote.address import (
    expanded,
    file_names,
    is_address,
    remote_name,
    shards_at,
    shown,
)
from lacewing.data.shards import split_of
from lacewing.errors import DataError


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a", ["a"]),
        ("a-{08..10}", ["a-08", "a-09", "a-10"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
        ("a-{train-{0..1},val-0}", ["a-train-0", "a-train-1", "a-val-0"]),
        ("a{,-b}", ["a", "a-b"]),
        ("a}b{c", ["a}b{c"]),
        ("{3..1}", []),
    ],
)
def test_braces_stand_for_several(pattern, names):
    assert expanded(pattern) == names


def test_too_many_shards_are_refused_before_they_are_counted():
    for address in ("http://h/{0..99999999999}.tar", "http://h/{0..9999}{0..9999}.tar"):
        with pytest.raises(DataError, match="more than 100,000 shards"):
            shards_at(address)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://h/pests.zip", r"http://h/pests\.zip is no tar shard"),
        ("http://h/a.tar/", "is no tar shard"),
        ("https://[abc/a.tar", "is no tar shard"),
        ("http://a..b/x.tar", "is no tar shard"),
        (f"http://{'a' * 70}.org/x.tar", "is no tar shard"),
        ("http://h:port/x.tar", "is no tar shard"),
        ("http://h/{3..1}.tar", "stands for no shard"),
        ("https://user:secret@h/a.tar", r"put it into ~/\.netrc"),
        ("https://h/a.zip?sig=secret", r"^https://h/a\.zip is no tar shard"),
    ],
)
def test_what_is_no_shard_is_refused_without_its_secrets(address, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        shards_at(address)
    assert "secret" not in str(caught.value)


def test_what_is_an_address_and_how_it_is_shown():
    assert is_address("https://host/a.tar") and is_address("HTTP://host")
    assert not is_address("data/a.tar") and not is_address("hub:owner/name")
    assert shown("https://me:pw@h/a.tar?sig=1#x") == "https://h/a.tar"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://host/x/pests-{train,val}-{0..3}.tar", "pests"),
        ("https://host/pests-train-{0..3}.tar?sig=1", "pests-train"),
        ("https://host/{0..3}.tar", "data"),
        ("https://host/pests.tar", "pests"),
    ],
)
def test_a_data_set_has_a_name(address, name):
    assert remote_name(address) == name


def test_each_shard_has_a_name_of_its_own_that_says_its_split():
    urls = [
        *shards_at("https://host/a/{train/t,val/v}-{0..1}.tar"),
        *shards_at("https://host/dev/pests-test-0.TAR"),
        *shards_at("https://{a,b}.host/x.tar?n={0..1}"),
    ]
    names = file_names(urls)
    assert len(set(names)) == len(urls) == 9
    assert all(name.endswith(".tar") for name in names)
    splits = [split_of(Path(name)) for name in names[:5]]
    assert splits == ["train", "train", "val", "val", "test"]
