"""Data sets that are lists, tables and archives: broken, odd and hostile ones."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from .sets import Case, Expected, png, put


def table(root: Path, content: bytes | str, name: str = "list.csv", images: int = 4) -> Path:
    """A CSV beside pictures 0.png, 1.png and so on."""
    for number in range(images):
        put(root / f"{number}.png", number)
    file = root / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


ROWS = "path,label\n0.png,ants\n1.png,ants\n2.png,bees\n3.png,bees\n"


def class_missing_from_a_list(root: Path) -> Case:
    for number in range(6):
        put(root / "images" / f"{number}.png", number)
    (root / "train.txt").write_text("0.png 0\n1.png 0\n2.png 1\n3.png 1\n")
    (root / "test.txt").write_text("4.png 7\n5.png 0\n")
    return Case(root, Expected(6, said="1 class has no training image"))


def one_image_in_two_splits(root: Path) -> Case:
    for number in range(5):
        put(root / "images" / f"{number}.png", number)
    (root / "train.txt").write_text("0.png 0\n1.png 0\n2.png 1\n3.png 1\n")
    (root / "test.txt").write_text("4.png 0\n0.png 0\n")
    return Case(root, Expected(5, {"0.png": "named a second time with another class or split"}))


def list_with_windows_habits(root: Path) -> Case:
    for number in range(4):
        put(root / "images" / f"{number}.png", number)
    lines = ["0.png 0", "1.png 0", ".\\2.png 1", '"3.png" 1', "", ""]
    (root / "train.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    return Case(root, Expected(4))


def list_in_utf16(root: Path) -> Case:
    for number in range(4):
        put(root / "images" / f"{number}.png", number)
    (root / "train.txt").write_bytes("0.png 0\n1.png 0\n2.png 1\n3.png 1\n".encode("utf-16"))
    return Case(root, Expected(4))


def list_with_zero_bytes(root: Path) -> Case:
    put(root / "images" / "0.png", 0)
    (root / "train.txt").write_bytes(b"0.png 0\n\0\0\0 1\n")
    return Case(root, Expected(said="train.txt"))


def list_with_a_huge_number(root: Path) -> Case:
    put(root / "images" / "0.png", 0)
    (root / "train.txt").write_text("0.png 0\n0.png " + "9" * 5000 + "\n")
    return Case(root, Expected(said="line 2: a line must be"))


def list_of_images_elsewhere(root: Path) -> Case:
    put(root.parent / "elsewhere" / "a.png", 9)
    for number in range(3):
        put(root / "images" / f"{number}.png", number)
    (root / "train.txt").write_text(
        f"0.png 0\n1.png 0\n2.png 1\n../../elsewhere/a.png 1\n{root.parent}/elsewhere/a.png 1\n"
    )
    return Case(root, Expected(5, said="2 of the images lie outside"))


def list_that_leads_to_system_files(root: Path) -> Case:
    for number in range(4):
        put(root / "images" / f"{number}.png", number)
    (root / "train.txt").write_text(
        "0.png 0\n1.png 0\n2.png 1\n3.png 1\n/etc/passwd 1\n../../../../etc/hostname 1\n"
        "/dev/stdin 0\n/proc/self/mem 0\n"
    )
    refused = ("/etc/passwd", "../../../../etc/hostname", "/dev/stdin", "/proc/self/mem")
    return Case(root, Expected(4, dict.fromkeys(refused, ""), said="4 of the images lie outside"))


def csv_with_windows_habits(root: Path) -> Case:
    content = (
        b"\xef\xbb\xbf" + ROWS.replace("\n", "\r\n").replace("bees", '"bees, ""wild"""').encode()
    )
    return Case(table(root, content), Expected(4))


def csv_with_semicolons(root: Path) -> Case:
    return Case(table(root, ROWS.replace(",", ";")), Expected(4))


def csv_with_line_breaks_in_quotes(root: Path) -> Case:
    return Case(table(root, ROWS.replace("bees", '"be\nes"')), Expected(4))


def csv_with_an_open_quote(root: Path) -> Case:
    return Case(table(root, ROWS.replace("bees", '"bees', 1)), Expected(said="list.csv"))


def csv_of_one_endless_field(root: Path) -> Case:
    return Case(table(root, ROWS + "0.png," + "x" * 200_000), Expected(said="list.csv, line 6"))


def csv_without_labels(root: Path) -> Case:
    return Case(table(root, "path\n0.png\n1.png\n"), Expected(said="list.csv"))


def csv_with_an_unknown_split(root: Path) -> Case:
    content = ROWS.replace("label\n", "label,split\n").replace("ants\n", "ants,train\n")
    content = content.replace("bees\n", "bees,holdout\n")
    return Case(table(root, content), Expected(said="the split must be train, val or test"))


def csv_that_is_empty(root: Path) -> Case:
    return Case(table(root, ""), Expected(said="is empty"))


def csv_that_is_a_program(root: Path) -> Case:
    return Case(table(root, b"\x7fELF" + bytes(range(256))), Expected(said="list.csv"))


def csv_of_urls(root: Path) -> Case:
    rows = "path,label\nhttps://example.org/a.jpg,ants\nfile:///etc/passwd,bees\n"
    return Case(table(root, rows), Expected(said="say where they lie with --images"))


def archive(file: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    """A tar file; a TarInfo is written as it is, without content."""
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


SOUND = {f"set/{name}/{number}.png": png(number + 10 * (name == "bees"))
         for name in ("ants", "bees") for number in range(3)}  # fmt: skip


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    """A member that is a link or a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tar_that_climbs_out(root: Path) -> Case:
    file = archive(root / "climb.tar", SOUND | {"set/../../../out.png": png(9)})
    return Case(file, Expected(said="would be written outside"))


def tar_with_an_absolute_name(root: Path) -> Case:
    file = archive(root / "root.tar", SOUND | {"/tmp/lacewing-out.png": png(9)})
    return Case(file, Expected(said="would be written outside"))


def tar_with_links_out(root: Path) -> Case:
    members = {
        "l": link("set/ants/passwd.png", "/etc/passwd", tarfile.SYMTYPE),
        "h": link("set/ants/hard.png", "../../../etc/passwd", tarfile.LNKTYPE),
        "d": link("set/ants/null.png", "", tarfile.CHRTYPE),
        "f": link("set/ants/pipe.png", "", tarfile.FIFOTYPE),
        "s": link("set/bees2", "/tmp", tarfile.SYMTYPE),
    }
    return Case(archive(root / "links.tar", SOUND | members), Expected(6))


def tar_that_is_cut_off(root: Path) -> Case:
    file = archive(root / "whole.tar", SOUND)
    content = file.read_bytes()
    (root / "cut.tar").write_bytes(content[: len(content) // 3 - 100])
    return Case(root / "cut.tar", Expected(said="is damaged"))


def tar_that_says_it_is_huge(root: Path) -> Case:
    info = tarfile.TarInfo("set/ants/huge.png")
    info.size = 2**60
    file = archive(root / "huge.tar", SOUND | {"huge": info})
    return Case(file, Expected(said="huge.tar"))


def tar_that_is_none(root: Path) -> Case:
    root.mkdir(exist_ok=True)
    (root / "no.tar").write_bytes(b"nothing of the kind" * 99)
    return Case(root / "no.tar", Expected(said="is damaged"))


LISTED: tuple[Callable[[Path], Case], ...] = (
    class_missing_from_a_list, one_image_in_two_splits, list_with_windows_habits, list_in_utf16,
    list_with_zero_bytes, list_with_a_huge_number, list_of_images_elsewhere,
    list_that_leads_to_system_files, csv_with_windows_habits, csv_with_semicolons,
    csv_with_line_breaks_in_quotes, csv_with_an_open_quote, csv_of_one_endless_field,
    csv_without_labels, csv_with_an_unknown_split, csv_that_is_empty, csv_that_is_a_program,
    csv_of_urls, tar_that_climbs_out, tar_with_an_absolute_name, tar_with_links_out,
    tar_that_is_cut_off, tar_that_says_it_is_huge, tar_that_is_none,
)  # fmt: skip
