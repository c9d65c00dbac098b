"""Output folders and files: checked before the work begins, and never half-written."""

from __future__ import annotations

import hashlib
import html
import json
import math
import os
import platform
import re
import tempfile
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

LOCK, HOLDER = ".lock", ".holder"
"""Files in a folder that a command works in: its lock, and who holds it."""

_UNFINISHED = f".unfinished-{platform.node()[:50]}-"
_LONGEST_NAME = 120
_CHECKSUM = "checksum"


class OutputError(Exception):
    """An output folder or file cannot be written; the message is one line that names it."""


class RunError(Exception):
    """A folder holds no run that can be used so; the message is one line that names it."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def output_folder(path: Path) -> Path:
    """Make an output folder, its parents too, and check that files can be written to it; gives the folder.

    What a process of this machine that was killed in the middle of writing has left there is removed.

    Raises:
        OutputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        for leftover in path.glob(f"{_UNFINISHED}*"):
            if not _is_alive(int(leftover.name.removeprefix(_UNFINISHED).partition("-")[0])):
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: not a folder that can be written to ({error.strerror})") from None
    return path


def _is_alive(process: int) -> bool:
    try:
        # Elsewhere the signal 0 is that of Ctrl-C.
        if os.name == "posix":
            os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make an output folder and work in it, which no other process can do meanwhile.

    Raises:
        OutputError: It cannot be made or written to, or another process works in it.
    """
    holder = output_folder(folder) / HOLDER
    lock = FileLock(folder / LOCK)
    try:
        # Time enough for another process, which began at the same instant, to say that it holds the folder.
        lock.acquire(timeout=0.5)
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise OutputError(f"{folder}: in use by {who}; wait for it to end, or choose another folder") from None
    except (OSError, NotImplementedError) as error:
        raise OutputError(f"{folder}: cannot be locked ({error})") from None
    try:
        write_text(holder, f"process {os.getpid()} on {platform.node()}, since {datetime.now():%Y-%m-%d %H:%M:%S}")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def file_name(text: str) -> str:
    """The name of a file or folder for a text, different for each and not too long for any file system."""
    name = re.sub(r"[^\w.=+,-]+", "_", text)
    if name == text and len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{name.encode()[:_LONGEST_NAME].decode(errors='ignore')}-{digest}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file beside its place and move it there when it is complete.

    Args:
        path: Where the file is to be.

    Yields:
        A path with the same ending, to write to.

    Raises:
        OutputError: The file cannot be written; what was at `path` is untouched.
    """
    if not path.name:
        raise OutputError(f"{path}: is not allowed; expected the name of a file")
    # Processes of several machines may share a folder.
    unfinished = path.with_name(f"{_UNFINISHED}{os.getpid()}-{os.urandom(4).hex()}{path.suffix}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):
            unfinished.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs to read, as `write_text`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with a checksum, without which `read_sealed` does not take it; as `write_text`."""
    write_json(path, content | {_CHECKSUM: checksum(content)})


def read_sealed(path: Path, expected: str) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Args:
        path: The file.
        expected: What the file's folder should be, for the error.

    Raises:
        RunError: There is none, it cannot be read, or it is not as it was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop(_CHECKSUM, None) != checksum(content):
            raise ValueError("damaged, or changed after it was written")
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path}: no such file; expected {expected}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be used ({getattr(error, 'strerror', None) or error})") from None
    return content


def checksum(content: Any) -> str:
    """A hash of what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; OutputError where it cannot be written."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def number(value: float, form: str) -> str:
    """A number in a table in a form, as in ".3g"; nothing where it is not known."""
    return "" if math.isnan(value) else format(value, form)


def markdown(parts: Iterable[str | pd.DataFrame]) -> str:
    """A report as Markdown: paragraphs and tables, of which empty ones are left out; cells are `escaped`."""
    texts = (
        part
        if isinstance(part, str)
        else str(part.map(lambda cell: escaped(str(cell))).to_markdown(index=False, disable_numparse=True))
        for part in parts
    )
    return "\n\n".join(text for text in texts if text) + "\n"


def escaped(text: str) -> str:
    """A text that is not ours, such as the name of a model, on one line of Markdown without effect on it."""
    safe = re.sub(r"[\\|*`]", r"\\\g<0>", html.escape(one_line(text), quote=False))
    return re.sub(r"\](?=[(\[])", r"]\\", safe)
