"""Measured tasks in the benchmark: what learns to route them pass by pass, beside what knows them or does not learn."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stackroute.analytic import Ladders, solve_traffic
from stackroute.configs import ConfigError
from stackroute.configs.shadow_price import load_shadow_price_settings
from stackroute.configs.traffic import load_traffic_settings
from stackroute.envs import tasks as engine
from stackroute.training.benchmark.running import Unit
from stackroute.training.learn.evaluation import RIGHT
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.traffic_files import hash_of
from stackroute.training.output import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stackroute.analytic import Traffic
    from stackroute.configs.benchmarks import Suite
    from stackroute.configs.shadow_price import ShadowPriceSettings
    from stackroute.training.learn.shadow_price import LearnedTraffic

_SUMMARIES = {
    "exact": "The optimum over all mixtures of ladders.",
    "step_0": "The ladders of an untrained network of shadow_price, with the same choice by sampled play.",
    "best_static": "The single model that costs least.",
    "random": "A random ladder for each context.",
}
_LEARNS = "One network learns ladders for all prices of patience, and sampled play chooses among them."
_MILLION = 1e6
_PRELOAD = ("stackroute.training.learn.shadow_price", "torch._dynamo")


@dataclass(frozen=True, eq=False)
class TrafficEntrant:
    """What enters: with settings a provider that learns, also that of step 0; without them by its name."""

    name: str
    summary: str
    settings: ShadowPriceSettings | None


@dataclass(frozen=True, eq=False)
class TrafficTask:
    """Measured tasks."""

    name: str
    traffic: Traffic
    penalty_ratio: float | None = None

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    @functools.cached_property
    def content(self) -> str:
        """A hash of the tasks."""
        return hash_of(self.traffic)


@dataclass(frozen=True)
class TrafficUnit(Unit):
    """An entrant, measured tasks, a seed, and the most attempts at a task."""

    entrant: TrafficEntrant
    task: TrafficTask

    @property
    def content(self) -> Any:
        """Tasks and settings."""
        settings = self.entrant.settings
        return self.task.name, self.task.content, self.entrant.name, settings and settings.model_dump()

    @property
    def preload(self) -> tuple[str, ...]:
        """What all of them import."""
        return _PRELOAD

    def measured(self) -> dict[str, Any]:
        """The entrant learns here."""
        from stackroute.training.learn.shadow_price import regrets_by_chance

        played, begun = engine.tasks_played, time.process_time()
        found = self._found()
        totals = {"tasks": float(engine.tasks_played - played), "seconds": time.process_time() - begun}
        by_chance = regrets_by_chance(self.task.traffic, found.equilibrium)
        metrics = {
            "provider_regret": max(found.provider_regret, 0.0),
            "user_regret": found.user_regret,
            "random_regret": float(np.median(by_chance)),
            "random_right": float((by_chance <= RIGHT).mean()),
        }
        stops = {"learned": found.stop, "exact": found.exact_stop, "optimal": found.equilibrium.stop}
        metrics |= {f"{name}_stop": float(stop.mean()) for name, stop in stops.items()}
        return {"groups": {self.task.name: metrics}, "totals": totals}

    def _found(self) -> LearnedTraffic:
        from stackroute.training.learn.shadow_price import (
            before_learning,
            best_single_model,
            judged,
            learn,
            random_ladders,
        )

        traffic, seed = self.task.traffic, derived_seed(self.seed, self.task.name)
        if self.entrant.settings is not None:
            settings = self.entrant.settings.model_copy(update={"horizon": self.horizon})
            return (before_learning if self.entrant.name == "step_0" else learn)(traffic, settings, seed=self.seed)
        best = solve_traffic(traffic, self.horizon)
        policy = best.policy
        if self.entrant.name == "best_static":
            policy = Ladders.static(best_single_model(traffic, best)[0])
        elif self.entrant.name == "random":
            policy = random_ladders(traffic, self.horizon, np.random.default_rng(seed))
        found = judged(traffic, policy, best.stop, best)
        # Users who know the policy answer it best.
        return judged(traffic, policy, found.exact_stop, best)


def traffic_units(suite: Suite) -> list[TrafficUnit]:
    """All units of a suite of measured tasks.

    Raises:
        ConfigError: Tasks or settings do not exist.
    """
    enter = [_entrant(name) for name in suite.algorithms]
    tasks = [_task(name) for name in suite.traffic or ()]
    return [
        TrafficUnit(entrant, task, seed, suite.horizon) for seed in suite.seeds for task in tasks for entrant in enter
    ]


def entrants() -> dict[str, str]:
    """All that can enter by name, and what each is."""
    return {"shadow_price": _LEARNS, **_SUMMARIES}


def _entrant(name: str) -> TrafficEntrant:
    if name in _SUMMARIES:
        return TrafficEntrant(name, _SUMMARIES[name], load_shadow_price_settings() if name == "step_0" else None)
    try:
        return TrafficEntrant(name, _LEARNS, load_shadow_price_settings(name))
    except ConfigError as error:
        raise ConfigError(f"algorithms: {error}; or one of {', '.join(_SUMMARIES)}") from None


def _task(name: str) -> TrafficTask:
    return TrafficTask(name, load_traffic_settings(name).traffic())


def by_tasks(table: pd.DataFrame, percent: Callable[[float], str]) -> pd.DataFrame:
    """A row for each task and entrant: regret of every seed, when users stop, what they lose, and what it took."""
    rows = []
    for (task, name), runs in table.groupby(["task", "algorithm"], sort=False):
        each = zip(*(runs[f"{which}_stop"] for which in ("learned", "exact", "optimal")), strict=True)
        stops = (" / ".join(f"{failures:g}" for failures in one) for one in each)
        played = runs["tasks"].median() / _MILLION
        rows.append(
            {
                "tasks": task,
                "algorithm": name,
                "regret by seed, %": _listed(map(percent, runs["provider_regret"])),
                "users stop after: learned, exact, optimal": _listed(stops),
                "user's regret, %": _listed(map(percent, runs["user_regret"])),
                "tasks played, millions": number(played, ".3g") if played else "none",
                "processor seconds": _listed(f"{seconds:.0f}" for seconds in runs["seconds"]),
            }
        )
    return pd.DataFrame(rows)


def _listed(texts: Iterable[str]) -> str:
    """Those of all seeds, or what they have in common."""
    found = list(texts)
    return found[0] if len(set(found)) == 1 else ", ".join(found)
