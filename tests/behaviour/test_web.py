"""The pages in a real browser: the server's, and the exported one without a network."""

import csv
import functools
import http.server
import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lacewing
from lacewing.data.sample import draw_sample
from lacewing.deploy.export.carry_out import export_run
from lacewing.deploy.predict import load_predictor
from lacewing.deploy.web.runtime import runtime_folder
from lacewing.errors import LacewingError
from lacewing.hardware.machine import Limit

uvicorn = pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from lacewing.deploy.serve.app import make_app  # noqa: E402

expect = playwright.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look with"),
]
PATIENCE_MS = 60_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """`visit(address, **device)`: the page, ready; its errors are collected in `page.said`."""
    contexts = []

    def open_page(address, ready=True, **device):
        context = browser.new_context(**(device or DESK))
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.said = []
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(address)
        if ready:
            page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def predictor(finished_run, monkeypatch):
    monkeypatch.setattr(
        "lacewing.deploy.predict.usable_cores", lambda: Limit(value=1, source="the test")
    )
    return load_predictor(finished_run.folder, "cpu")


@pytest.fixture
def serve(predictor):
    """`serve(token=...)`: the address of the application behind uvicorn, in a thread."""
    running = []

    def start(served=predictor, name="test_resnet", accuracy=0.9, **fields):
        app = make_app(served, name=name, accuracy=accuracy, **fields)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture
def photos(tinted, tmp_path):
    """`photos(3)`: files of as many pictures, the classes in turn."""

    def make(count):
        made = []
        for number in range(count):
            name = ("aphid", "beetle", "moth")[number % 3]
            made.append(tmp_path / f"{name} {number}.png")
            tinted(name, 500 + number).save(made[-1])
        return made

    return make


def answered(page):
    """Wait until every card has its answer, and return the cards."""
    expect(page.locator(".waiting")).to_have_count(0, timeout=PATIENCE_MS)
    return page.locator(".card")


def shares(card):
    """Class and percentage of each bar."""
    names = card.locator(".bars .name").all_inner_texts()
    texts = card.locator(".bars .share").all_inner_texts()
    return dict(zip(names, (float(text.strip("< %")) for text in texts), strict=True))


def test_a_picture_is_named_and_explained(serve, visit, photos, predictor):
    page = visit(serve())
    expect(page.locator("#about")).to_have_text(
        "test_resnet, 3 classes, right in 90.0 % of its tests"
    )
    (photo,) = photos(1)
    page.set_input_files("#files", photo)
    card = answered(page).first
    expect(card.locator("h2")).to_have_text("aphid")
    (expected,) = predictor.predict([photo])
    wanted = dict(zip(expected.classes, (100 * share for share in expected.probabilities),
                      strict=True))  # fmt: skip
    assert shares(card) == pytest.approx(wanted, abs=0.051)
    expect(card.locator(".heat")).to_be_hidden()
    card.get_by_role("button", name="Show where it looked").click()
    expect(card.locator(".heat")).to_be_visible()
    assert card.locator(".heat").evaluate("image => image.naturalWidth") == 64
    card.get_by_role("button", name="Show the picture").click()
    expect(card.locator(".heat")).to_be_hidden()
    assert page.said == []


def test_twenty_at_once_and_a_table_of_them(serve, visit, photos, tmp_path):
    page = visit(serve())
    files = photos(20)
    page.set_input_files("#files", files)
    assert answered(page).count() == 20
    expect(page.locator("#count")).to_have_text("20 pictures")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as CSV").click()
    saving.value.save_as(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [path.name for path in files]
    assert [row["class"] for row in rows] == [path.name.split()[0] for path in files]
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".card")).to_have_count(0)


def test_wrong_files_get_a_sentence_each(serve, visit, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "huge.jpg").write_bytes(bytes(50_000_000))
    page = visit(serve())
    page.set_input_files("#files", tmp_path / "notes.txt")
    page.set_input_files("#files", tmp_path / "huge.jpg")
    texts = answered(page).locator("h2").all_inner_texts()
    assert texts == [
        "This is no picture: send a JPEG, PNG or WebP file.",
        "This file has 50 MB, and 20 MB is the limit.",
    ]
    expect(page.locator("#count")).to_have_text("2 pictures, 2 not read")


def test_pictures_can_be_dropped(serve, visit, photos):
    page = visit(serve())
    content = list(photos(3)[2].read_bytes())
    transfer = page.evaluate_handle(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "m.png", { type: "image/png" }));
          return transfer;
        }""",
        content,
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(answered(page).first.locator("h2")).to_have_text("moth")


def test_a_phone_offers_its_camera_and_a_desk_does_not(serve, visit, photos):
    address = serve()
    desk = visit(address)
    expect(desk.locator(".photograph")).to_be_hidden()
    phone = visit(address, **PHONE)
    expect(phone.locator(".photograph")).to_be_visible()
    assert phone.locator("#camera").get_attribute("capture") == "environment"
    phone.set_input_files("#camera", photos(1))
    expect(answered(phone).first.locator("h2")).to_have_text("aphid")
    for page in (desk, phone):
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_day_and_by_night(serve, visit, photos, scheme):
    page = visit(serve(), **DESK, color_scheme=scheme)
    page.set_input_files("#files", photos(1))
    card = answered(page).first

    def colour(locator, name):
        text = locator.evaluate(f"element => getComputedStyle(element).{name}")
        return [int(part) for part in re.findall(r"\d+", text)[:3]]

    card_colour = colour(card, "backgroundColor")
    assert (luminance(card_colour) < 0.5) == (scheme == "dark")
    for part in ("h2", ".file", ".share"):
        assert contrast(colour(card.locator(part).first, "color"), card_colour) >= 4.5


def luminance(colour):
    """Relative luminance of sRGB, WCAG 2.1."""
    parts = np.array(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Contrast ratio, WCAG 2.1."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_token_is_asked_for_or_taken_from_the_address(serve, visit, photos):
    address = serve(token="s3cret")
    page = visit(address, ready=False)
    page.locator("#token").fill("wrong")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#access")).to_be_visible()
    page.locator("#token").fill("s3cret")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("#access")).to_be_hidden()
    page.set_input_files("#files", photos(1))
    expect(answered(page).first.locator("h2")).to_have_text("aphid")
    visit(address + "#token=s3cret")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def plain_server(folder):
    """A plain file server's address, for as long as the block lasts."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def exported(finished_run, predictor, tmp_path):
    try:
        runtime_folder()
    except LacewingError as error:
        pytest.skip(f"no runtime for the browser: {error}")
    return export_run(finished_run.folder, "web", tmp_path / "web").folder


def odd_pictures(folder, tinted):
    """Pictures whose shape, size, orientation or transparency is special."""
    tinted("moth", 1, width=300, height=90).save(folder / "wide.png")
    tinted("aphid", 2, width=40, height=30).save(folder / "small.png")
    turned = tinted("beetle", 3, width=200, height=150)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(folder / "turned.png", exif=exif)
    clear = tinted("moth", 4).convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 48, 72))
    clear.save(folder / "clear.png")
    return sorted(folder.glob("*.png"))


def test_the_exported_page_works_without_a_network(exported, visit, tinted, predictor, tmp_path):
    (tmp_path / "odd").mkdir()
    files = odd_pictures(tmp_path / "odd", tinted)
    with plain_server(exported) as address:
        page = visit(address, **PHONE)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_function("navigator.serviceWorker.controller !== null")
    # neither a network nor a server is left
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#files", files)
    cards = answered(page)
    for number, expected in enumerate(predictor.predict(files)):
        found = shares(cards.nth(number))
        assert next(iter(found)) == expected.classes[0], expected.path
        wanted = [100 * share for share in expected.probabilities]
        assert list(found.values()) == pytest.approx(wanted, abs=0.06), expected.path
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


@pytest.fixture
def insects(tmp_path, monkeypatch):
    """A folder of drawn insects, and what a network says that saw others of them."""
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setattr("lacewing.training.trial.is_wanted", lambda config: False)
    draw_sample(tmp_path / "insects", classes=4, images_per_class=30)
    run = lacewing.train(
        data=str(tmp_path / "insects"), recipe="features", output=tmp_path / "runs"
    )
    return tmp_path / "insects" / "test", load_predictor(run.folder, "cpu"), run.accuracy


def test_the_pictures_of_the_documentation(insects, serve, visit, tmp_path):
    """With LACEWING_SCREENSHOTS=docs/pictures they are kept there."""
    kept = Path(os.environ.get("LACEWING_SCREENSHOTS", tmp_path)).resolve()
    folder, predictor, accuracy = insects
    files = [sorted(one.iterdir())[0] for one in sorted(folder.iterdir())]
    address = serve(predictor, name="efficientnet_lite0", accuracy=accuracy)
    for name, device, shown in (("desk", DESK, files), ("phone", PHONE, files[2:3])):
        page = visit(address, **device)
        page.set_input_files("#files", shown)
        cards = answered(page)
        cards.first.get_by_role("button", name="Show where it looked").click()
        expect(cards.first.locator(".heat")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        page.screenshot(path=kept / f"serve-{name}.png", full_page=True)
        with Image.open(kept / f"serve-{name}.png") as drawn:
            assert drawn.width == device["viewport"]["width"]
            assert len(drawn.getcolors(maxcolors=1 << 24)) > 1000  # a photo under its heat map
        assert page.said == []
