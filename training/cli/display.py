"""What the command line shows: numbers in the units of their game, tables and progress bars."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from stackroute.configs.games import DisplayUnits
from stackroute.training.learn.evaluation import NO_EVIDENCE, provider_regret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console, RenderableType
    from rich.progress import ProgressColumn, TaskID

    from stackroute.configs import GameConfig
    from stackroute.training.learn.evaluation import Evaluation, Outcome
    from stackroute.training.learn.result import HeldOut, TrainedPair
    from stackroute.training.learn.session import OnProgress

_SAME_COST = 1e-6


def percent(share: float, digits: int = 3) -> str:
    """A share or a relative regret as a percentage."""
    return f"{share:.{digits}%}"


def in_per_cent(share: float, digits: int = 0) -> str:
    """A share in per cent, and in tenths where it would look like none or all."""
    # Shares that are sums are not exact.
    share = round(share, 9)
    if share in (0.0, 1.0):
        return f"{100.0 * share:.0f} %"
    text = f"{100.0 * share:.{digits}f} %"
    if float(text.removesuffix(" %")) in (0.0, 100.0):
        return "<0.1 %" if share < 1e-3 else ">99.9 %" if share > 0.999 else f"{100.0 * share:.1f} %"
    return text


def table_of(
    columns: Iterable[str], rows: Iterable[Iterable[RenderableType]], title: str = "", *, numbers: bool = False
) -> Table:
    """A table for the terminal; where they are `numbers`, all columns but the first are aligned to the right."""
    table = Table(title=title or None, title_justify="left", caption_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and k else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def outcome_rows(config: GameConfig, outcome: Outcome) -> list[tuple[str, str]]:
    """A commitment and a patience as rows of (quantity, text), in the game's units."""
    first, last, unit = outcome.first_model, len(config.labels) - 1, DisplayUnits.of(config)
    if outcome.lottery is None:
        cascade = "no effect" if first == last else f"{outcome.cascade:.4f}"
        routed = [("cascade probability", cascade)] if last else []
        serves = [model >= first for model in range(last + 1)]
    else:
        served = zip(config.labels, outcome.lottery, strict=True)
        routed = [(f"retries by {label}", percent(share, 2)) for label, share in served]
        serves = [model == first or share > 0 for model, share in enumerate(outcome.lottery)]
    amounts = zip(serves, outcome.delay, strict=True)
    delays = [unit.in_time(amount) if does else "no effect" for does, amount in amounts]
    return [
        ("first model", config.labels[first]),
        *routed,
        *((f"delay of {label}", delay) for label, delay in zip(config.labels, delays, strict=True)),
        ("throttled", "yes" if outcome.throttled else "no"),
        ("user's patience", f"{outcome.patience:.3f}"),
        ("provider's cost of a task", unit.in_money(outcome.provider_cost)),
        ("user's utility of a task", unit.in_utility(outcome.user_utility)),
    ]


def evaluation_table(config: GameConfig, evaluation: Evaluation, title: str) -> Table:
    """What was learned beside the exact equilibrium, with the game's labels and units."""
    best = evaluation.equilibrium
    learned, equilibrium = (outcome_rows(config, one) for one in (evaluation.learned, best))
    rows = [(quantity, left, right) for (quantity, left), (_, right) in zip(learned, equilibrium, strict=True)]
    table = table_of(("", "learned", "equilibrium"), rows, title, numbers=True)
    table.add_section()
    against = float(provider_regret(config.game, best.commitment, best.provider_cost, pessimistic=True))
    for name, regret, of_equilibrium in (
        ("provider's regret", evaluation.provider_regret, "0"),
        ("the same, user's ties against it", evaluation.provider_regret_pessimistic, percent(against)),
        ("the same, as the learned user answers", evaluation.on_path_regret, "0"),
        ("user's regret", evaluation.user_regret, "0"),
        ("median regret of random commitments", evaluation.random_regret, ""),
        ("random commitments within 1 %", evaluation.random_right, ""),
    ):
        table.add_row(name, percent(regret), of_equilibrium)
    notes = []
    same_cost = abs(evaluation.provider_regret) < _SAME_COST
    if same_cost and evaluation.learned.user_utility < best.user_utility - _SAME_COST:
        notes.append("Both commitments cost the provider the same; the equilibrium shown is the kindest to the user.")
    if against > _SAME_COST:
        notes.append("It leaves the user exactly indifferent: a hair more makes the answer certain.")
    if evaluation.random_right > NO_EVIDENCE:
        notes.append("So many random commitments are as good that the choice is no evidence of learning.")
    table.caption = " ".join(notes) or None
    return table


def comparison_table(config: GameConfig, evaluations: Mapping[str, Evaluation], title: str) -> Table:
    """What several players are worth in the same game, a row for each, with the equilibrium below them."""
    unit = DisplayUnits.of(config)

    def worth(outcome: Outcome) -> tuple[str, str]:
        return unit.in_money(outcome.provider_cost), unit.in_utility(outcome.user_utility)

    rows = [
        (name, percent(one.provider_regret), percent(one.user_regret), *worth(one.learned))
        for name, one in evaluations.items()
    ]
    columns = ("", "provider's regret", "user's regret", "cost of a task", "user's utility")
    table = table_of(columns, rows, title, numbers=True)
    table.add_section()
    table.add_row("equilibrium", "0", "0", *worth(next(iter(evaluations.values())).equilibrium))
    return table


def stages_in_words(pair: TrainedPair) -> str:
    """The provider's exact regret before learning and after each part of a training, in a line."""
    stages = ", ".join(f"{name} {percent(stage.provider_regret)}" for name, stage in pair.stages.items())
    note = "; no commitment passed the certificate" if pair.certified is False else ""
    return f"Provider's regret: before learning {percent(pair.untrained_regret)}; after each stage: {stages}{note}."


def held_out_table(held_out: HeldOut) -> Table:
    """How a provider does in held-out games, by stratum."""
    table = table_of(
        ("", "games", "median", "within 1 %", "within 5 %", "95th percentile"),
        [
            (
                row["games"],
                str(row["count"]),
                *(percent(row[x], 2) for x in ("median", "within_one_percent", "within_five_percent", "p95")),
            )
            for row in held_out["regrets"]
        ],
        "Provider's exact regret in held-out games",
        numbers=True,
    )
    agreements = ", ".join(
        f"{percent(row['right'], 1)} of {row['count']} games ({row['games']})" for row in held_out["throttling"]
    )
    table.caption = f"Throttles exactly if the equilibrium does: {agreements}." if agreements else None
    return table


@contextmanager
def training_progress(console: Console, title: str) -> Iterator[OnProgress]:
    """A progress bar for each stage of a training, with the current exact regret; yields what reports to it."""
    with _bars(console, TaskProgressColumn()) as update:
        yield lambda stage, done, total, regret: update(
            f"{title}: {stage}", done, total, "" if math.isnan(regret) else f"exact regret {percent(regret)}"
        )


@contextmanager
def benchmark_progress(console: Console) -> Iterator[Callable[[dict[str, tuple[int, int]]], None]]:
    """A progress bar for each algorithm of a benchmark; yields what reports to it."""
    with _bars(console, MofNCompleteColumn()) as update:

        def show(done: dict[str, tuple[int, int]]) -> None:
            for algorithm, (finished, planned) in done.items():
                update(algorithm, finished, planned)

        yield show


@contextmanager
def router_progress(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar of routers; yields what reports how many are done, of how many, and which is next."""
    with _bars(console, MofNCompleteColumn()) as update:
        yield lambda done, total, name: update("routers", done, total, name)


@contextmanager
def _bars(console: Console, column: ProgressColumn) -> Iterator[Callable[..., None]]:
    """Bars by name, with what is done in a column, the time, and what was last."""
    description, last = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[last]}"))
    columns = (description, BarColumn(), column, TimeElapsedColumn(), last)
    # In a file, which nobody watches, nothing is printed before the results are written.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def update(name: str, done: int, total: int, last: str = "") -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total, last=last)
            progress.update(bars[name], completed=done, last=last)

        yield update
