"""What all commands share: the application, its options, where it prints, and how it fails."""

from __future__ import annotations

import importlib.util
import io
import json
import math
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
    # Joins the lines of a paragraph, whose breaks are those of the code.
    rich_markup_mode="markdown",
    help="The routing game between an LLM provider and its user (Mahmood 2026, arXiv:2602.09902): solve it exactly, "
    "train both players, and compare what they learned with the Stackelberg equilibrium.",
)

_OUTCOMES = "Of measured outcomes by task"
_LARGEST = 1e12

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
ModelsOption = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Of measured outcomes: which models, at most 4.", rich_help_panel=_OUTCOMES),
]
ValueOption = Annotated[
    str | None,
    typer.Option(metavar="X", help="What a solved task is worth to users.", rich_help_panel=_OUTCOMES),
]
ChurnPenaltyOption = Annotated[
    str | None, typer.Option(metavar="X", help="What an abandoned task costs you.", rich_help_panel=_OUTCOMES)
]
CostOption = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y", help="What an attempt costs, by model; not given: as measured.", rich_help_panel=_OUTCOMES
    ),
]
LatencyOption = Annotated[
    str | None,
    typer.Option(
        metavar="X,Y",
        help="What waiting for an attempt costs users, by model; with --second-price seconds; not given: as measured.",
        rich_help_panel=_OUTCOMES,
    ),
]
SecondPriceOption = Annotated[
    str | None,
    typer.Option(
        metavar="X", help="What a second of waiting costs users, in the unit of value.", rich_help_panel=_OUTCOMES
    ),
]
HorizonOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=40,
        help="The most attempts at a task; not given: 12, or of a log what its tasks have (route: 12).",
        rich_help_panel=_OUTCOMES,
    ),
]
CorrelationOption = Annotated[
    str | None,
    typer.Option(
        metavar="R",
        help="Of attempts at a task, where the data do not show it; not given: .5.",
        rich_help_panel=_OUTCOMES,
    ),
]
PricesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Of a log with tokens: LiteLLM's JSON of prices, for the requests whose cost is not in the log.",
        rich_help_panel=_OUTCOMES,
    ),
]
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
    "routers": ("sklearn", "torch"),
    "explore": ("streamlit", "matplotlib"),
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


def outcome_options(**options: Any) -> dict[str, Any]:
    """The options of measured outcomes that are given, by what they are called."""
    return {name.replace("_", "-"): given for name, given in options.items() if given is not None}


def refuse_for_games(of_outcomes: dict[str, Any], game: str) -> None:
    """Raise an error that names an option of measured outcomes that was given with a game."""
    from stackroute.configs import ConfigError

    for option in of_outcomes:
        key = option.replace("-", "_")
        instead = f"; change it by --set {key}=" if option in ("value", "churn-penalty") else ""
        raise ConfigError(f"{option}: is for measured outcomes; {game!r} is a game{instead}")


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """The numbers that an option gives, separated by commas."""
    from stackroute.configs import ConfigError

    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(abs(one) <= _LARGEST for one in found):
        raise ConfigError(f"{option}: {text!r} is not allowed; expected a number, or several as in 0.1,0.3")
    return found


def number(option: str, text: str | None) -> float | None:
    """The one number that an option gives."""
    from stackroute.configs import ConfigError

    found = numbers(option, text)
    if found is not None and len(found) > 1:
        raise ConfigError(f"{option}: {text!r} is not allowed; expected one number")
    return None if found is None else found[0]


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
