"""What all commands share: the application, its options, where it prints, and how it fails."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from stackroute._extras import install

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.text import Text

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The routing game between an LLM provider and its user (Mahmood 2026, arXiv:2602.09902): solve it exactly, "
    "train both players, and compare what they learned with the Stackelberg equilibrium.",
)

GAME = typer.Argument(metavar="GAME", help="A packaged name (see 'stackroute games') or the path of a .yaml file.")
SeedOption = Annotated[int, typer.Option(min=0, help="Fixes everything; the same seed gives the same result.")]
RoutingOption = Annotated[
    Literal["cascade", "free"] | None,
    typer.Option(
        help="What the provider may commit to: the paper's cascades, or any lottery of models for retries. "
        "Not given: cascade for one or two models, free for more."
    ),
]
ThrottlingOption = Annotated[bool, typer.Option("--throttling/--no-throttling", help="Allow delays.")]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, as in --set value=5; repeatable."),
]
FolderOption = Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


_NARROWEST = 20
_columns = os.environ.get("COLUMNS", "")
if _columns.isdecimal() and int(_columns) < _NARROWEST:
    # In so few columns rich shows nothing; without the variable it takes the terminal's.
    del os.environ["COLUMNS"]


class _Console(Console):
    """A terminal that shows what is in a text, and does nothing that the text commands."""

    def render_str(self, text: str, **options: Any) -> Text:
        from stackroute.configs.text import visible

        return super().render_str(visible(text, kept="\n\t"), **options)


console = _Console(markup=False, emoji=False)

_PACKAGES = {
    "train": ("stable_baselines3", "sb3_contrib", "tensorboard"),
    "plot": ("matplotlib",),
    "benchmark": ("cloudpickle", "cma", "pyarrow"),
    "cluster": ("ray",),
}
"""What the extras bring, as imported."""


def require(*extras: str) -> None:
    """End with an error that names the extras if one of their packages is missing."""
    missing = [name for extra in extras for name in _PACKAGES[extra] if not importlib.util.find_spec(name)]
    if missing:
        fail(f"this command needs {', '.join(missing)}: {install(*extras)}")


def fail(message: Any, code: int = 2) -> NoReturn:
    """End with one line on standard error."""
    to_errors(f"error: {message}" if code == 2 else message)
    raise SystemExit(code)


def to_errors(message: Any) -> None:
    """Print a line on standard error."""
    from stackroute.configs.text import visible

    print(visible(str(message), kept="\n"), file=sys.stderr)


@contextmanager
def whole_output() -> Iterator[None]:
    """Characters that the output does not know are escaped, and an output that cannot be written to is an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            # Python itself tries again when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            fail(f"the output cannot be written ({error.strerror})")


@contextmanager
def warnings_on_a_line() -> Iterator[None]:
    """Warnings are a line each, without the place in the code."""
    with warnings.catch_warnings():
        # Python's own signature, of which only the message is for who uses a command.
        warnings.showwarning = lambda message, *_, **__: to_errors(f"warning: {' '.join(str(message).split())}")
        yield


@contextmanager
def resumable(advice: str) -> Iterator[None]:
    """On Ctrl-C, end with a line that says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        fail(f"stopped; {advice}", code=130)


def print_json(content: Any) -> None:
    """Print JSON for programs."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_written(paths: Iterable[Path]) -> None:
    """Name the files that were written."""
    for path in paths:
        console.print(f"Wrote {path}")
