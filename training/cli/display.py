"""What the command line shows: tables and progress bars."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from stackroute.analytic import Commitment
from stackroute.training.learn.evaluation import provider_regret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from stackroute.configs import GameConfig
    from stackroute.training.learn.evaluation import Evaluation, Outcome
    from stackroute.training.learn.result import HeldOut, TrainedPair
    from stackroute.training.learn.session import OnProgress

_SAME_COST = 1e-6
_TIME_UNITS = {"seconds": "s", "minutes": "min"}


def money(config: GameConfig, amount: float) -> str:
    """An amount of the game's money, with its unit."""
    unit = "" if config.units.money == "abstract" else f" {config.units.money}"
    return f"{amount:.4g}{unit}"


def utility(config: GameConfig, amount: float) -> str:
    """An amount of the user's utility: money where waiting is priced in money."""
    return f"{amount:.4g}" if config.waiting_cost_per_hour is None else money(config, amount)


def unit_of_latency(config: GameConfig) -> str:
    """The sign of the game's unit of latency; empty where latency is given as utility."""
    return _TIME_UNITS.get(config.units.latency, "")


def delay(config: GameConfig, amount: float) -> str:
    """A delay, in the game's unit of latency."""
    return f"{amount / config.utility_per_latency:.4g} {unit_of_latency(config)}".strip()


@contextmanager
def training_progress(console: Console, title: str) -> Iterator[OnProgress]:
    """A progress bar for each stage of a training, with the current exact regret for the eye.

    Args:
        console: Where to draw.
        title: What is being trained on.

    Yields:
        What the training calls after every update.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[regret]}"),
    )
    with Progress(*columns, console=console) as progress:
        bars = {}

        def tell(stage: str, done: int, total: int, regret: float) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(f"{title}: {stage}", total=total, regret="")
            shown = "" if math.isnan(regret) else f"exact regret {regret:.3%}"
            progress.update(bars[stage], completed=done, regret=shown)

        yield tell


def outcome_rows(config: GameConfig, outcome: Outcome) -> list[tuple[str, str]]:
    """A commitment and a patience as rows of (quantity, text), in the game's units."""
    first, second = (delay(config, amount) for amount in outcome.delay)
    from_reasoning = outcome.model == 2
    return [
        ("first model", config.labels[outcome.model - 1]),
        ("cascade probability", "no effect" if from_reasoning else f"{outcome.cascade:.4f}"),
        (f"delay of {config.labels[0]}", "no effect" if from_reasoning else first),
        (f"delay of {config.labels[1]}", second),
        ("throttled", "yes" if outcome.throttled else "no"),
        ("user's patience", f"{outcome.patience:.3f}"),
        ("provider's cost of a task", money(config, outcome.provider_cost)),
        ("user's utility of a task", utility(config, outcome.user_utility)),
    ]


def evaluation_table(config: GameConfig, evaluation: Evaluation, title: str) -> Table:
    """What was learned beside the exact equilibrium.

    Args:
        config: The game, for labels and units.
        evaluation: What was learned.
        title: The table's title.
    """
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("")
    table.add_column("learned", justify="right")
    table.add_column("equilibrium", justify="right")
    learned, equilibrium = (outcome_rows(config, o) for o in (evaluation.learned, evaluation.equilibrium))
    for (quantity, left), (_, right) in zip(learned, equilibrium, strict=True):
        table.add_row(quantity, left, right)
    table.add_section()
    table.add_row("provider's regret", f"{evaluation.provider_regret:.3%}", "0")
    best = evaluation.equilibrium
    commitment = Commitment(best.model, best.cascade, best.delay)
    equilibrium_against = float(provider_regret(config.game, commitment, best.provider_cost, pessimistic=True))
    ties_against = (evaluation.provider_regret_pessimistic, equilibrium_against)
    table.add_row("the same, user's ties against it", *(f"{regret:.3%}" for regret in ties_against))
    table.add_row("the same, as the learned user answers", f"{evaluation.on_path_regret:.3%}", "0")
    table.add_row("user's regret", f"{evaluation.user_regret:.3%}", "0")
    notes = []
    same_cost = abs(evaluation.provider_regret) < _SAME_COST
    if same_cost and evaluation.learned.user_utility < evaluation.equilibrium.user_utility - _SAME_COST:
        notes.append("Both commitments cost the provider the same; the equilibrium shown is the kindest to the user.")
    if equilibrium_against > _SAME_COST:
        notes.append("It leaves the user exactly indifferent: a hair more makes the answer certain.")
    table.caption = " ".join(notes) or None
    return table


def stages_in_words(pair: TrainedPair) -> str:
    """The provider's exact regret after each part of a training, in a line."""
    parts = ", ".join(f"{stage.name} {stage.evaluation.provider_regret:.3%}" for stage in pair.stages)
    note = {True: "", False: "; no commitment passed the certificate", None: ""}[pair.certified]
    return f"Provider's regret after each stage: {parts}{note}."


def held_out_table(held_out: HeldOut) -> Table:
    """How a provider does in held-out games, by stratum."""
    table = Table(title="Provider's exact regret in held-out games", title_justify="left", caption_justify="left")
    for column in ("", "games", "median", "within 1 %", "95th percentile"):
        table.add_column(column, justify="right" if column else "left")
    for row in held_out.regrets:
        table.add_row(row.games, str(row.count), *(f"{x:.2%}" for x in (row.median, row.within_one_percent, row.p95)))
    agreements = ", ".join(f"{row.right:.1%} of {row.count} games ({row.games})" for row in held_out.throttling)
    table.caption = f"Throttles exactly if the equilibrium does: {agreements}." if agreements else None
    return table


@contextmanager
def sweep_progress(console: Console, title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar over the runs of a sweep.

    Args:
        console: Where to draw.
        title: The sweep.

    Yields:
        What the sweep calls after every run.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(title, total=None, last="")

        def tell(done: int, total: int, last: str) -> None:
            progress.update(bar, completed=done, total=total, last=last)

        yield tell
