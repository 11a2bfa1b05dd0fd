"""Progressive resizing on the command line."""

import json

WORDS = ("-data", "photos", "-predt", "no", "-dv", "cpu", "--threads", "1",
         "--progressive-resizing")  # fmt: skip


def test_training_images_grow_and_the_run_tells_of_it(run, photos):
    ended = run("train", *WORDS, "-mn", "test_resnet", "--image-size", "96", "-ep", "3",
                "-bz", "6", "--no-tensorboard", "--name", "one")  # fmt: skip
    assert ended.code == 0, ended.text
    assert "64 pixels in epochs 1-2, 96 from 3 on" in ended.out
    assert "training images grow from 64 to 96 pixels" in ended.out
    folder = photos.parent / "runs" / "one"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["image_size"] for row in rows] == [64, 64, 96]
    report = (folder / "report.html").read_text()
    assert "64 pixels in epochs 1-2, 96 from 3 on" in report
    assert '<td class="n">64</td>' in report


def test_a_network_of_one_size_is_refused(run, photos):
    ended = run("train", *WORDS, "-mn", "test_vit", "-ep", "2")
    assert ended.code == 2
    assert ended.error.startswith("test_vit takes images of one size only")


def test_compiling_is_refused(run, photos):
    ended = run("plan", *WORDS, "-mn", "test_resnet", "--compile", "default")
    assert ended.code == 2
    assert ended.error.startswith("--compile default makes kernels for one image size")
