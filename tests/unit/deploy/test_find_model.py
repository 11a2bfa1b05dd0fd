"""Which file of weights a name means, and that an archive can do no harm."""

import contextlib
import pickle
import zipfile

import pytest

import lacewing
from lacewing.deploy import find_model
from lacewing.deploy.find_model import model_file
from lacewing.errors import RunError, WeightsError
from lacewing.models.sources import FetchError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def zipped(tmp_path):
    """`zipped({"a/model.safetensors": b"..."})`: an archive with these members."""

    def make(members):
        with zipfile.ZipFile(tmp_path / "shared.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return tmp_path / "shared.zip"

    return make


def test_a_run_a_file_and_a_shared_folder(copied_run):
    assert model_file(copied_run.folder) == copied_run.model
    assert model_file(copied_run.model) == copied_run.model
    copied_run.config.unlink()
    assert model_file(copied_run.folder) == copied_run.model


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path):
    with pytest.raises(RunError, match="There is no run folder or model file"):
        model_file(tmp_path / "nowhere")
    with pytest.raises(RunError, match="neither a run folder nor a shared model"):
        model_file(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(RunError, match=r"no epoch of it was finished.*goes on with it"):
        model_file(tmp_path)


def test_a_zip_is_read_once_and_names_a_photo(finished_run, zipped, tinted, tmp_path):
    archive = zipped({
        "run/model.safetensors": finished_run.model.read_bytes(),
        "run/exports/hub/model.safetensors": b"deeper",
        "run/README.md": "hello",
    })  # fmt: skip
    tinted("moth", 300).save(tmp_path / "photo.png")
    expected = lacewing.load(finished_run.folder).predict([tmp_path / "photo.png"])
    assert lacewing.load(str(archive)).predict([tmp_path / "photo.png"]) == expected
    kept = model_file(archive)
    assert kept.read_bytes() == finished_run.model.read_bytes()
    assert [path.name for path in kept.parent.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("name", ["../../out/model.safetensors", "/tmp/out/model.safetensors",
                                  "C:\\out\\..\\model.safetensors"])  # fmt: skip
def test_a_zip_writes_nowhere_but_into_the_cache(zipped, tmp_path, name):
    content = zipped({name: b"weights"})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with contextlib.suppress(WeightsError):  # a name that is not the model's is passed over
        model_file(content)
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all((tmp_path / "cache") in path.parents for path in new)


class Harm:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_a_pickle_in_a_zip_runs_nothing(zipped):
    pickled = pickle.dumps(Harm())
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors"):
        lacewing.load(zipped({"model.pt": pickled, "pytorch_model.bin": pickled}))
    with pytest.raises(RunError, match="can't be read"):
        lacewing.load(zipped({"model.safetensors": pickled}))


def test_what_is_no_zip_is_said(zipped, tmp_path):
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(WeightsError, match="is no zip that can be read"):
        model_file(tmp_path / "cut.zip")
    two = zipped({"a/model.safetensors": b"1", "b/model.safetensors": b"2"})
    with pytest.raises(WeightsError, match=r"holds 2 models, a/model\.safetensors among them"):
        model_file(two)


def test_a_zip_larger_than_the_disk_is_refused(zipped, monkeypatch):
    archive = zipped({"model.safetensors": bytes(10_000)})
    usage = type("Usage", (), {"free": 9_999})
    monkeypatch.setattr(find_model.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(WeightsError, match=r"needs 9\.8 KiB, and 9\.8 KiB are free"):
        model_file(archive)


def test_a_repository_is_asked_and_else_the_cache(finished_run, monkeypatch):
    asked = []

    def fetch(places):
        asked.append((places.hub_id, places.hub_files))
        return finished_run.model

    monkeypatch.setattr(find_model, "from_hub", fetch)
    assert lacewing.load("hub:ann/pests@v2").classes == ("aphid", "beetle", "moth")
    assert asked == [("ann/pests@v2", ("model.safetensors",))]

    def fail(places):
        raise FetchError("the network is down")

    monkeypatch.setattr(find_model, "from_hub", fail)
    monkeypatch.setattr(find_model, "hub_file", lambda places: finished_run.model)
    assert model_file(find_model.Path("hub:ann/pests")) == finished_run.model
    monkeypatch.setattr(find_model, "hub_file", lambda places: None)
    with pytest.raises(WeightsError, match=r"hub:ann/pests can't be fetched \(the network is down"):
        lacewing.load("hub:ann/pests")
    with pytest.raises(WeightsError, match="names no repository: write hub:OWNER/NAME"):
        lacewing.load("hub:pests")
