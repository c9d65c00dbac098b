"""All pictures of the theory, by the names of their files: of which game each is, and what it needs of another one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from stackroute.analytic import InvalidGameError
from stackroute.configs import ConfigError, GameConfig, read_outcomes
from stackroute.configs.loading import with_changes
from stackroute.configs.measured import MeasuredGame
from stackroute.training.figures import discipline
from stackroute.training.figures.frontier import frontier_numbers, frontier_picture
from stackroute.training.figures.measured import attempts_picture, ladder_picture
from stackroute.training.figures.plane import plane_numbers, plane_picture
from stackroute.training.figures.population import population_picture
from stackroute.training.figures.routing import free_routing_picture
from stackroute.training.figures.scenario import read_game
from stackroute.training.figures.style import save, style
from stackroute.training.figures.theory import misalignment_picture, policy_picture, response_picture
from stackroute.training.figures.throttling import throttling_picture
from stackroute.training.output import output_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    Shown = GameConfig | MeasuredGame


def _anything(_: GameConfig) -> str:
    return ""


def _takes_time(config: GameConfig) -> str:
    return "" if (config.game.latency > 0).all() else "it needs models whose latency is more than 0"


def _two_models(config: GameConfig) -> str:
    try:
        config.game.check_orders()
    except InvalidGameError:
        return "it needs two models, of which the second is better, dearer and slower"
    return ""


def _none(_: GameConfig) -> str:
    return "it shows games of its own"


def _metr() -> MeasuredGame:
    labels = ("GPT-4o", "o1")
    cost, latency = (dict(zip(labels, numbers, strict=True)) for numbers in ((1.0, 5.0), (1.0, 3.0)))
    return MeasuredGame(read_outcomes("metr"), labels, 30.0, 40.0, cost, latency)


def _aider() -> GameConfig:
    return with_changes(read_game("aider"), ["waiting_cost_per_hour=24", "churn_penalty=0.02"])


class Picture(NamedTuple):
    """A picture: how it is drawn, and what keeps it from being drawn for a game, empty if nothing.

    It shows one game by default, or where none is given several of its own; `measured` ones show measured outcomes.
    The `numbers` of some are a table.
    """

    draw: Callable[..., Figure]
    refuses: Callable[[GameConfig], str]
    game: Callable[[], Shown] | None = None
    measured: bool = False
    numbers: Callable[[GameConfig], pd.DataFrame] | None = None


_CASCADE = partial(read_game, "gpt-4.1-o3-cascade")

PICTURES = {
    "idea": Picture(frontier_picture, _none, partial(read_game, "gpt-4.1-family-o3")),
    "response": Picture(response_picture, _two_models),
    "policy_plane": Picture(policy_picture, _two_models),
    "misalignment": Picture(misalignment_picture, _none),
    "throttling": Picture(throttling_picture, _none),
    "frontier": Picture(frontier_picture, _anything, partial(read_game, "aider"), numbers=frontier_numbers),
    "plane": Picture(plane_picture, _anything, partial(read_game, "aider"), numbers=plane_numbers),
    "free_routing": Picture(free_routing_picture, _two_models, _CASCADE),
    "discipline": Picture(discipline.discipline_picture, discipline.refuses, _CASCADE),
    "population": Picture(population_picture, _takes_time, _aider),
    "attempts": Picture(attempts_picture, _anything, _metr, measured=True),
    "ladder": Picture(ladder_picture, _anything, _metr, measured=True),
}
"""The pictures by the names of their files."""


def undrawable(names: Sequence[str], config: Shown | None) -> dict[str, str]:
    """Which of some pictures, or of all, cannot be drawn for a game, each with the reason in one line.

    Raises:
        ConfigError: There is no picture of a name.
    """
    for name in names:
        if name not in PICTURES:
            raise ConfigError(f"{name!r} is not a picture; expected one of {', '.join(PICTURES)}")
    if config is None:
        return {}
    missing = {name: _refusal(PICTURES[name], config) for name in names or PICTURES}
    return {
        name: f"{name}: cannot be drawn for {config.name}, of {len(config.labels)} models: {reason}"
        for name, reason in missing.items()
        if reason
    }


def _refusal(picture: Picture, config: Shown) -> str:
    """What keeps a picture from being drawn, empty if nothing."""
    if isinstance(config, MeasuredGame):
        return "" if picture.measured else "its attempts are not independent"
    return "it needs measured outcomes by task" if picture.measured else picture.refuses(config)


def draw_figures(
    folder: Path, names: Sequence[str] = (), config: Shown | None = None, numbers: bool = False
) -> Iterator[Path]:
    """Draw pictures of the theory, each as PNG and SVG.

    Args:
        folder: Where to; it is made.
        names: Which, of `PICTURES`; empty for all, or all that can be drawn for the game.
        config: The game that they show in place of their own.
        numbers: Whether to write the numbers of those that have them as CSV.

    Yields:
        Each file when it is complete.

    Raises:
        ConfigError: There is no picture of a name, or it cannot be drawn for the game.
        OutputError: The folder cannot be made, or a file not be written.
    """
    without = undrawable(names, config)
    if names and without:
        raise ConfigError(next(iter(without.values())))
    output_folder(folder)
    for name in [name for name in names or PICTURES if name not in without]:
        draw, game = PICTURES[name].draw, PICTURES[name].game
        shown = config or (game() if game else None)
        files = [folder / f"{name}{ending}" for ending in (".png", ".svg")]
        with style():
            save(draw() if shown is None else draw(shown), *files)
        yield from files
        tabulate = PICTURES[name].numbers
        if numbers and tabulate and isinstance(shown, GameConfig):
            table = folder / f"{name}.csv"
            write_text(table, str(tabulate(shown).to_csv(index=False)))
            yield table
