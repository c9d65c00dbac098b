"""What all commands share: the application, where it prints, and how it fails."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The routing game between an LLM provider and its user (Mahmood 2026, arXiv:2602.09902): solve it exactly, "
    "train both players, and compare what they learned with the Stackelberg equilibrium.",
)

GameArgument = Annotated[
    str, typer.Argument(metavar="GAME", help="A packaged name (see 'stackroute games') or the path of a .yaml file.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Fixes everything; the same seed gives the same result.")]

console = Console(markup=False)


def require(extras: str, *names: str) -> None:
    """End with an error that names the extras if a package is missing."""
    missing = [name for name in names if not importlib.util.find_spec(name)]
    if missing:
        fail(f"this command needs {', '.join(missing)}: pip install 'stackroute[{extras}]'")


def fail(message: Any, code: int = 2) -> NoReturn:
    """End with one line on standard error."""
    print(f"error: {message}" if code == 2 else message, file=sys.stderr)
    raise SystemExit(code)
