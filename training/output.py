"""Output folders and files: checked before the work begins, and never half-written."""

from __future__ import annotations

import html
import json
import os
import platform
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd


class OutputError(Exception):
    """An output folder or file cannot be written; the message is one line that names it."""


class RunError(Exception):
    """A folder holds no run that can be used so; the message is one line that names it."""


def output_folder(path: Path) -> Path:
    """Make an output folder, its parents too, and check that files can be written to it; gives the folder.

    Raises:
        OutputError: It cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"{path}: not a folder that can be written to ({error.strerror})") from None
    return path


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
    # Processes of several machines may share a folder.
    unfinished = path.with_name(f".{platform.node()}-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs to read, as `write_text`."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; OutputError where it cannot be written."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


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
