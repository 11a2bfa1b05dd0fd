"""Reading lists and tables that people made, with whatever editor."""

from pathlib import Path

from lacewing.errors import DataError

UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(file: Path, *, lenient: bool = False) -> str:
    """A text file in UTF-8, with or without a byte-order mark, or in UTF-16 with one.

    Raises DataError if it can't be read or is something else, naming the line. If
    `lenient`, what is no text is read as something or other.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror}.") from None
    encoding = "utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig"
    try:
        text = content.decode(encoding, "replace" if lenient else "strict")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: this is not UTF-8 text; save it as UTF-8.") from None
    if "\0" in text and not lenient:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{file}, line {line}: a zero byte stands there; this is no text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(file: Path, *, lenient: bool = False) -> list[str]:
    """The lines of a text file, without their ends; see `read_text`."""
    return read_text(file, lenient=lenient).split("\n")
