"""`lacewing`: finds the command, runs it, and turns every error into one sentence."""

import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence

import lacewing
from lacewing import console
from lacewing.commands import choosing, data, deploy, tools, training
from lacewing.commands.command import Command
from lacewing.errors import ConfigError, LacewingError, ToldError, UserError
from lacewing.flags import HELP, config_flags, read_words
from lacewing.flags_help import show_help
from lacewing.hardware.machine import Limit
from lacewing.hardware.process import ready_process
from lacewing.hardware.ranks import Ranks, ranks_here
from lacewing.values import GIB, MIB, format_bytes, nearest

COMMANDS: dict[str, Command] = (
    training.COMMANDS | tools.COMMANDS | choosing.COMMANDS | data.COMMANDS | deploy.COMMANDS
)

OF_THE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE)
"""Refusals of the system that can meet any file, and are no fault of lacewing."""

MEMORY_PHRASES = ("out of memory", "allocate memory", "enough memory", "bad_alloc",
                  "start new thread")  # fmt: skip
"""How RuntimeErrors of torch, its libraries and Python say that no memory is left."""
NOT_MAPPED = "failed to map segment"
"""How the system's loader says that a library does not fit the memory."""
TORCH_BYTES = 4 * GIB
"""Addresses of PyTorch's libraries at the most."""
RESIDENT_BYTES = 350 * MIB
"""RAM of PyTorch at the least: 280 MiB that can't be dropped were loaded with it, 420 with all that
trains (torch 2.14, a build for CUDA under Linux)."""
RAN_OUT = "The memory ran out"
"""How the sentence begins for an exhausted memory that nobody met where it happened."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1, 2 for what was asked, 130 for Ctrl-C.

    With LACEWING_DEBUG=1 an unexpected exception is raised instead of told.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    ready_process()
    console.say_anything()
    try:
        return run(words)
    except SystemExit as ended:  # the help was shown
        return ended.code if isinstance(ended.code, int) else 1
    except ToldError as error:
        return error.exit_code
    except LacewingError as error:
        console.error(on_one_line(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        console.warn("Interrupted.")
        return training.INTERRUPTED
    except BrokenPipeError:
        silence()
        return 1
    except Exception as error:  # whatever it is, the user gets a sentence
        if os.environ.get("LACEWING_DEBUG") == "1":
            raise
        console.error(sentence(error, words))
        return 1


def run(words: list[str]) -> int:
    """Run the command that the words name. Raises LacewingError."""
    if not words or words[0] in (*HELP, "help"):
        overview()
        return 0
    name, *rest = words
    if name in ("--version", "-V"):
        console.say(f"lacewing {lacewing.__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(unknown(name))
    command = COMMANDS[name]
    flagged = rest[: rest.index("--")] if "--" in rest else rest
    if HELP.intersection(flagged):
        show_help(command.flags(), f"lacewing {name}", command.about)
    if not command.together:
        refuse_several(name, ranks_here(os.environ))
    if not command.without_torch:
        refuse_too_little()
    return command.run(read_words(command.flags(), rest))


def refuse_several(name: str, ranks: Ranks) -> None:
    """Raise ConfigError, and ToldError in all processes but the first, where there are several."""
    if ranks.world == 1:
        return
    text = (
        f"`lacewing {name}` is work for one process, and {ranks.world} were started: run it "
        "without torchrun or srun, or unset WORLD_SIZE."
    )
    raise ConfigError(text) if ranks.rank == 0 else ToldError(text, ConfigError.exit_code)


def refuse_too_little() -> None:
    """Raise UserError where the RAM does not hold PyTorch: the kernel would end the process."""
    from lacewing.hardware.limits import usable_memory  # with psutil

    limit = usable_memory(rlimits={})  # those raise an error where they are met
    if limit.value < RESIDENT_BYTES:
        raise UserError(not_held(limit))


def overview() -> None:
    """What `lacewing` says without a command."""
    console.say("usage: lacewing COMMAND [WORDS] [FLAGS]")
    console.heading("Commands")
    console.pairs((name, command.about) for name, command in COMMANDS.items())
    console.heading("To begin")
    console.pairs(
        (
            ("lacewing demo", "try it without any data"),
            ("lacewing train --data FOLDER", "train on your own images"),
            ("lacewing train --help", "every flag of a command"),
            ("lacewing --version", "the version"),
        )
    )


def unknown(name: str) -> str:
    """The sentence for a word that is no command."""
    if name.startswith("-"):
        flags = {spelling for flag in config_flags() for spelling in (flag.long, flag.short)}
        is_flag = name.partition("=")[0] in flags
        command = "train" if is_flag else "COMMAND"
        return f"The command must stand before {name}, as in `lacewing {command} {name} ...`."
    hint = nearest(name, list(COMMANDS)) or f": use one of {', '.join(COMMANDS)}."
    return f"There is no command {name!r}{hint}"


def sentence(error: Exception, words: list[str]) -> str:
    """What to tell the user about an exception that nobody expected."""
    if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused: {error.strerror}{where}."
    if is_out_of_memory(error):
        return too_little() or (
            f"{RAN_OUT}: close other programs, or take a smaller --model, --image-size or "
            "--batch-size; a run that had begun goes on with `lacewing resume RUN`."
        )
    what = on_one_line(f"{type(error).__name__}: {error}")[:300]
    details = record(error, words)
    where = f"details in {details}" if details else "LACEWING_DEBUG=1 shows more"
    return f"This is a fault of lacewing: {what} ({where})."


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception from anywhere tells of an exhausted memory."""
    if isinstance(error, ImportError | OSError) and NOT_MAPPED in str(error):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = isinstance(error, RuntimeError) and str(error).lower()
    return isinstance(error, MemoryError) or any(p in told for p in MEMORY_PHRASES if told)


def too_little() -> str | None:
    """What to tell where the process may not even take the memory of PyTorch; else None."""
    from lacewing.hardware.limits import usable_memory  # with psutil, which else nobody needs

    limit = usable_memory()
    if "torch" in sys.modules or limit.value >= TORCH_BYTES:
        return None
    return not_held(limit)


def not_held(limit: Limit) -> str:
    """The sentence for a limit that does not hold PyTorch."""
    return (
        f"This process may take {format_bytes(limit.value)} of memory ({limit.source}), which does "
        "not hold PyTorch: its libraries need about 1 GiB, and 4 GiB where they are for CUDA. "
        "Allow it more, as by `ulimit -v unlimited` or, of a container, `docker run -m 4g`."
    )


def on_one_line(text: str) -> str:
    """The same words; the text of a library's error may have several lines."""
    return " ".join(text.split())


def record(error: Exception, words: list[str]) -> str | None:
    """Write the traceback into a new file and return its name; None if that fails too."""
    text = "".join(traceback.format_exception(error))
    system = f"lacewing {lacewing.__version__}, Python {sys.version}, {platform.platform()}"
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="lacewing-crash-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(f"{system}\nlacewing {' '.join(words)}\n\n{text}")
    except OSError:
        return None
    return file.name


def silence() -> None:
    """Nobody reads our output any more: let the interpreter flush it into nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
