"""What the commands that train and look at runs do with measured tasks, in the place of games."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Ladders
from stackroute.configs.shadow_price import load_shadow_price_settings
from stackroute.configs.text import some_of
from stackroute.configs.traffic import load_traffic_settings, traffic_names
from stackroute.training.cli.console import console, fail, print_json, print_written, resumable
from stackroute.training.cli.display import percent, table_of, training_progress
from stackroute.training.cli.market import mapping
from stackroute.training.cli.measured import measured_game, outcomes_of, serving_of_ladders
from stackroute.training.cli.quantities import with_units
from stackroute.training.figures.curves import draw_tasks_learned
from stackroute.training.learn.evaluation import NO_EVIDENCE
from stackroute.training.learn.runs import REPORT, RUN, TIMES, read_json
from stackroute.training.learn.traffic_runs import (
    TrafficRunSpec,
    evaluate_traffic_run,
    read_traffic_spec,
    run_traffic,
)
from stackroute.training.output import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rich.table import Table

    from stackroute.analytic import Traffic
    from stackroute.configs.measured import MeasuredGame
    from stackroute.training.learn.shadow_price import LearnedTraffic

SETTINGS = "shadow_price"

_NOTHING_LEARNED = 1e-3


def train_on_tasks(
    name: str, given: dict[str, Any], settings: str | None, changes: Sequence[str], seed: int, out: Path | None
) -> None:
    """Train on measured outcomes, with the options of `stackroute solve` that are given; the others are packaged."""
    game, context = _game(name, given)
    # The horizon of a log is that of its tasks.
    longest = "horizon" in given or game.outcomes.most_attempts is not None
    wanted = [*([f"horizon={game.horizon}"] if longest else []), *changes]
    chosen = load_shadow_price_settings(settings or SETTINGS, wanted)
    traffic = game.traffic_by(context)
    spec = TrafficRunSpec.of(game, traffic, chosen, seed)
    unusual = [f"{option}={text}" for option, text in given.items()]
    parts = [game.name, *([] if settings is None else [Path(settings).stem]), *unusual, *changes, f"seed{seed}"]
    folder = out if out is not None else Path("runs") / file_name("-".join(parts))
    if (folder / RUN).exists():
        fail(f"{folder}: holds a run already; go on with --resume {folder}, or choose another folder by --out")
    _train(spec, folder, traffic)


def resume_on_tasks(folder: Path) -> None:
    """Go on with a run."""
    _train(read_traffic_spec(folder), folder, None)


def evaluate_on_tasks(folder: Path, as_json: bool) -> None:
    """Judge the ladders of a run exactly."""
    spec, learned, report = evaluate_traffic_run(folder)
    if as_json:
        shown = with_units(spec.unit, report)
        print_json(shown | {"units": shown["units"] | {"user_regret": "share of the value of a solved task"}})
        return
    _show(spec, learned, report, f"{spec.tasks}, {folder}")


def _show(spec: TrafficRunSpec, learned: LearnedTraffic, report: dict[str, Any], title: str) -> None:
    """Print what was learned beside the optimum, and who serves which attempts."""
    console.print(table_of_tasks(spec, report, title))
    for sentence in _serving(spec, learned):
        console.print(sentence, highlight=False)


def _serving(spec: TrafficRunSpec, learned: LearnedTraffic) -> list[str]:
    """Which models serve which attempts, by what the provider sees of a task."""
    policy = learned.policy
    rows, of_context = np.unique(policy.probability[0], axis=0, return_inverse=True)
    sentences = []
    for number, row in enumerate(rows):
        found = replace(learned.equilibrium, policy=Ladders(policy.models, row[None, None]), stop=learned.stop)
        seen = [label for label, of in zip(spec.contexts, of_context.ravel(), strict=True) if of == number]
        where = f"{some_of(seen)}: " if len(spec.contexts) > 1 else ""
        sentences.append(where + serving_of_ladders(found, spec.models, spec.unit))
    return sentences


def table_of_tasks(spec: TrafficRunSpec, report: dict[str, Any], title: str) -> Table:
    """What was learned beside the optimum, and beside what it takes no learning for."""
    stop, cost = report["stop"], report["provider_cost"]
    stops = {name: ", ".join(map(str, found)) for name, found in stop.items()}
    rows = [
        ("random ladders, median", percent(report["random_regret"]), "", ""),
        (f"best single model: {report['single_model']}", percent(report["single_model_regret"]), "", ""),
        ("step 0: the same choice by play", percent(report["untrained_regret"]), "", ""),
        ("learned", percent(report["provider_regret"]), stops["exact"], spec.unit.in_money(cost["learned"])),
        ("exact optimum", "0", stops["optimum"], spec.unit.in_money(cost["optimum"])),
    ]
    table = table_of(("", "provider's regret", "users stop after", "cost of a task"), rows, title, numbers=True)
    lost = percent(report["user_regret"])
    notes = [f"The users that learned stop after {stops['learned']} failures and lose {lost} of the value."]
    if report["untrained_regret"] <= report["provider_regret"] + _NOTHING_LEARNED:
        notes.append("The choice by play does as well with an untrained network: no evidence of learning.")
    if report["single_model_regret"] < report["provider_regret"]:
        notes.append("The best single model costs less.")
    if report["random_right"] > NO_EVIDENCE:
        notes.append("So many random ladders are as good that the choice is no evidence of learning.")
    table.caption = " ".join(notes)
    return table


def _game(name: str, given: dict[str, Any]) -> tuple[MeasuredGame, str | None]:
    """The game that options name, with what the provider sees; a packaged one where no models are given."""
    options = given if "models" in given else _packaged(name) | given
    names_of, units = mapping("columns", [options.get("columns", "")]), mapping("unit", options.get("unit", ()))
    reading = {"columns": names_of, "units": units, "decimal": options.get("decimal")}
    return measured_game(outcomes_of(name, options, reading), name, options), options.get("context")


def _packaged(name: str) -> dict[str, Any]:
    """The packaged economy of outcomes as options; none where there is none."""
    if name not in traffic_names():
        return {}
    kept = load_traffic_settings(name)
    by_model = {"cost": kept.cost, "latency": kept.latency}
    listed = {option: ",".join(str(amounts[label]) for label in kept.models) for option, amounts in by_model.items()}
    single = {"value": str(kept.value), "churn-penalty": str(kept.churn_penalty)}
    seen = {} if kept.context is None else {"context": kept.context}
    return {"models": ",".join(kept.models), **listed, **single, **seen}


def _train(spec: TrafficRunSpec, folder: Path, traffic: Traffic | None) -> None:
    with (
        resumable(f"go on with: stackroute train --resume {folder}"),
        training_progress(console, spec.tasks) as on_progress,
    ):
        run_traffic(spec, folder, traffic, resume=traffic is None, on_progress=on_progress)
    picture = draw_tasks_learned(folder, folder)
    _show(*evaluate_traffic_run(folder), f"{spec.tasks}, seed {spec.seed}")
    seconds = read_json(folder / TIMES)["cpu_seconds"]
    console.print(f"Learning took {seconds:.0f} processor seconds.", highlight=False)
    print_written([folder / REPORT, *picture])
