"""A run on measured tasks: a provider and users trained, evaluated and kept in a folder, as `runs` for games."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Ladders, solve_traffic
from stackroute.configs.games import DisplayUnits
from stackroute.configs.shadow_price import ShadowPriceSettings
from stackroute.training.learn.evaluation import RIGHT
from stackroute.training.learn.runs import (
    CURVES,
    LADDERS,
    REPORT,
    TRAFFIC,
    intact,
    read_json,
    session_of,
    specification,
    write_times,
)
from stackroute.training.learn.shadow_price import (
    STAGE,
    before_learning,
    best_single_model,
    judged,
    learn,
    regrets_by_chance,
)
from stackroute.training.learn.traffic_files import hash_of, read_traffic, write_traffic
from stackroute.training.output import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.analytic import Traffic
    from stackroute.configs.measured import MeasuredGame
    from stackroute.training.learn.session import OnProgress
    from stackroute.training.learn.shadow_price import LearnedTraffic


@dataclass(frozen=True)
class TrafficRunSpec:
    """All that determines a run's result, as `run.json` keeps it beside the tasks themselves, `traffic.npz`.

    Attributes:
        tasks: What they are called.
        models: Their labels.
        contexts: The labels of what the provider sees.
        money: What costs are counted in; "" for units of the game.
        second_price: What a second of waiting costs users; None where latency is its cost.
        traffic: A hash of the tasks.
        settings: How to train.
        seed: Fixes everything.
    """

    tasks: str
    models: list[str]
    contexts: list[str]
    money: str
    second_price: float | None
    traffic: str
    settings: ShadowPriceSettings
    seed: int

    @classmethod
    def of(cls, game: MeasuredGame, traffic: Traffic, settings: ShadowPriceSettings, seed: int) -> TrafficRunSpec:
        """That of a run on tasks of a game."""
        return cls(
            game.name,
            list(game.labels),
            list(traffic.contexts),
            game.unit.money,
            game.second_price,
            hash_of(traffic),
            settings,
            seed,
        )

    @property
    def unit(self) -> DisplayUnits:
        """The units of its numbers."""
        price = self.second_price
        return DisplayUnits(self.money) if price is None else DisplayUnits(self.money, self.money, "s", price)


def read_traffic_spec(folder: Path) -> TrafficRunSpec:
    """As `stackroute.training.learn.runs.read_spec`, of a run on measured tasks."""
    return specification(folder, TrafficRunSpec)


def run_traffic(
    spec: TrafficRunSpec,
    folder: Path,
    traffic: Traffic | None = None,
    *,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train on tasks and write the tasks, the report, the curve, the ladders and the times to a folder.

    Args:
        spec: What determines the result.
        folder: The run's folder, made if it does not exist.
        traffic: The tasks; of a run that goes on those that it holds.
        resume: As of `stackroute.training.learn.runs.run_game`.
        on_progress: As there.

    Returns:
        The report.

    Raises:
        RunError: As there, or the folder holds other tasks.
        OutputError: As there.
    """
    with session_of(spec, folder, resume=resume, on_progress=on_progress) as session:
        if traffic is not None:
            write_traffic(traffic, folder / TRAFFIC)
        # As they are read, so that a run that goes on learns from the very same.
        tasks = read_traffic(folder / TRAFFIC, spec.traffic)
        learned = learn(tasks, spec.settings, seed=spec.seed, session=session)
        write_times(session, folder)
        untrained = before_learning(tasks, spec.settings, seed=spec.seed, session=session)
        write_json(folder / CURVES, {STAGE: asdict(learned.curve)})
        write_json(folder / LADDERS, _ladders(spec, learned))
        found = report(spec, tasks, learned) | {"untrained_regret": untrained.provider_regret}
        write_json(folder / REPORT, found)
        return found


def report(spec: TrafficRunSpec, traffic: Traffic, learned: LearnedTraffic) -> dict[str, Any]:
    """A run as JSON: what was learned beside the optimum, the best single model and random ladders."""
    best = learned.equilibrium
    model, alone = best_single_model(traffic, best)
    by_chance = regrets_by_chance(traffic, best)
    stops = {"learned": learned.stop, "exact": learned.exact_stop, "optimum": best.stop}
    costs = {"learned": learned.provider_cost, "optimum": best.provider_cost}
    return {
        "tasks": spec.tasks,
        "models": spec.models,
        "seed": spec.seed,
        "scheme": spec.settings.scheme,
        "provider_regret": learned.provider_regret,
        "user_regret": learned.user_regret,
        "stop": {name: stop.tolist() for name, stop in stops.items()},
        "provider_cost": {name: float(traffic.group_weight @ cost) for name, cost in costs.items()},
        "single_model": spec.models[model],
        "single_model_regret": alone,
        "random_regret": float(np.median(by_chance)),
        "random_right": float((by_chance <= RIGHT).mean()),
    }


def evaluate_traffic_run(folder: Path) -> tuple[TrafficRunSpec, LearnedTraffic, dict[str, Any]]:
    """The ladders and the stops that a run holds, judged exactly again; its specification, these and the report.

    Raises:
        RunError: The folder holds no finished run.
    """
    spec = read_traffic_spec(folder)
    traffic, kept = read_traffic(folder / TRAFFIC, spec.traffic), read_json(folder / LADDERS)
    with intact(folder):
        untrained = read_json(folder / REPORT)["untrained_regret"]
        models = [[spec.models.index(label) for label in ladder] for ladder in kept["ladders"]]
        policy = Ladders(models, [[kept["shares"][context] for context in spec.contexts]])
        learned = judged(traffic, policy, np.array(kept["stop"]), solve_traffic(traffic, spec.settings.horizon))
        return spec, learned, report(spec, traffic, learned) | {"untrained_regret": float(untrained)}


def _ladders(spec: TrafficRunSpec, learned: LearnedTraffic) -> dict[str, Any]:
    """What the provider commits to, by the labels of models and contexts, and when users stop."""
    policy = learned.policy
    return {
        "ladders": [[spec.models[k] for k in ladder] for ladder in policy.models.tolist()],
        "shares": dict(zip(spec.contexts, policy.probability[0].tolist(), strict=True)),
        "stop": learned.stop.tolist(),
    }
