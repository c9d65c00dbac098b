"""Which router to use: all of them on one's own outcomes, beside the best single model and what serves today."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from stackroute.agents.routers import ExtendingRouter, UserAware
from stackroute.agents.routers.provider import reprompting
from stackroute.agents.routers.saving import SavedRouter
from stackroute.analytic import Game, Ladders, Traffic, traffic_payoffs
from stackroute.configs import ConfigError
from stackroute.configs.text import some_of
from stackroute.training.routers.comparison import Answered, answered, fit_router, judge
from stackroute.training.routers.workload import divided, measured_workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.measured import MeasuredGame
    from stackroute.training.routers.comparison import Fitted, Judged
    from stackroute.training.routers.workload import Parts, Workload


class Rival(NamedTuple):
    """What the best router is compared with on the tasks that it has not seen.

    Attributes:
        name: What it is.
        models: Who serves the first, second ... attempt, the last one all that follow; empty where tasks differ in it.
        validation_cost: The provider's expected cost of a task on the part on which the best is chosen, money.
        answer: How users answer it.
        saved: By how much the best router costs less a task, money; negative: more.
        error: The standard error of that over the tasks, as users answer now; None for a single task.
    """

    name: str
    models: tuple[str, ...]
    validation_cost: float
    answer: Answered
    saved: float
    error: float | None

    @property
    def share(self) -> float | None:
        """What is saved as a share of what it costs; None where that is nothing."""
        return self.saved / self.answer.provider_cost if self.answer.provider_cost > 0.0 else None


@dataclass(frozen=True, eq=False)
class Advice:
    """Which router to use.

    Attributes:
        best: The way to route that costs least on the part on which knobs are chosen.
        judged: All ways, of every router its own rule and, where it predicts, the user-aware rule.
        saved: The best one, to serve new tasks.
        served: Which share of the first, second ... attempts that users make each model serves, or what the router
            makes of models, shape (n, M).
        single: The best single model, chosen on the same part.
        fixed: The best ladder that is the same for all tasks, learned and chosen where routers are.
        current: What serves today; None: not known.
        parts: The tasks on which routers learned, knobs were chosen, and all is compared.
    """

    best: Judged
    judged: list[Judged]
    saved: SavedRouter
    served: FloatArray
    single: Rival
    fixed: Rival
    current: Rival | None
    parts: Parts


def advise(
    game: MeasuredGame,
    routers: Sequence[str],
    current: str | None = None,
    seed: int = 0,
    assuming: bool = True,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Advice:
    """Fit routers to measured outcomes, choose one, and compare it on tasks that no choice has seen.

    Args:
        game: The outcomes, in an economy.
        routers: Some of `stackroute.agents.routers.ROUTERS`.
        current: The feature that names the model that serves each task today; routers do not see it.
        seed: Of the random numbers.
        assuming: Whether a router may be the best that serves by more than the models of the outcomes: what it makes of
            them is assumed, not measured.
        progress: Is told how many routers are done, of how many, and which is next.

    Raises:
        ConfigError: There are fewer than 5 tasks or 2 models, or `current` does not name one of the models.
        InvalidGameError: A number is not one that a game may have.
    """
    if len(game.labels) < 2:
        raise ConfigError(f"models: {', '.join(game.labels)} is not allowed; expected at least 2 to route between")
    workload, serving = _without_current(measured_workload(game, seed=seed), current)
    parts = divided(workload, np.random.default_rng(seed))
    found: list[tuple[Fitted, Judged]] = []
    for done, name in enumerate(routers):
        progress(done, len(routers), name)
        with warnings.catch_warnings():
            # Routers may expect the same of many tasks; there are then fewer groups of them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = fit_router(name, parts, seed)
            found += [(fitted, one) for one in judge(fitted, parts, seed, game.horizon, for_use=True)]
    progress(len(routers), len(routers), "")
    measured = [one for one in found if not isinstance(one[0].router, ExtendingRouter)]
    fitted, best = min(found if assuming or not measured else measured, key=lambda one: one[1].validation_cost)
    saved = SavedRouter(
        best.name,
        fitted.router,
        parts.encoder,
        game.labels,
        best.knob,
        best.reprompt,
        tuple(parts.train.extended(fitted.router).order),
        best.aware,
    )
    policy, extended = saved.policy_by_features(parts.features[2]), parts.test.extended(fitted.router)
    own = _cost_by_task(extended, policy, best.answer.stop, game.horizon)

    def rival(name: str, validation: Ladders, test: Ladders, models: tuple[str, ...] = ()) -> Rival:
        chosen = answered(parts.validation.traffic, validation, game.horizon).provider_cost
        answer = answered(parts.test.traffic, test, game.horizon)
        less = _cost_by_task(parts.test, test, answer.stop, game.horizon) - own
        error = float(less.std(ddof=1) / np.sqrt(len(less))) if len(less) > 1 else None
        return Rival(name, models, chosen, answer, answer.provider_cost - best.answer.provider_cost, error)

    def alike(name: str, ladder: Ladders) -> Rival:
        return rival(name, ladder, ladder, tuple(game.labels[model] for model in ladder.models[0]))

    single = _best_single(parts, game.horizon)
    return Advice(
        best,
        [one for _, one in found],
        saved,
        _served(extended, policy, best.answer.stop),
        alike(game.labels[single], Ladders.static(single)),
        alike("best fixed ladder", _best_fixed(parts, game.horizon, seed)),
        None if serving is None else rival("today", _today(serving, parts.validation), _today(serving, parts.test)),
        parts,
    )


def _today(serving: pd.Series, part: Workload) -> Ladders:
    """The model of today for each task of a part, which serves re-prompts too."""
    assert part.features is not None
    rows = serving.loc[part.features.index].to_numpy()[:, None] == np.arange(len(part.labels))
    policy = reprompting(rows.astype(np.float64), "stick")
    assert isinstance(policy, Ladders)
    return policy


def _without_current(workload: Workload, current: str | None) -> tuple[Workload, pd.Series | None]:
    """A workload without the feature that names the model of today, and the number of that model for each task."""
    if current is None:
        return workload, None
    columns = [] if workload.features is None else list(workload.features)
    if workload.features is None or current not in columns:
        known = f"one of {some_of(columns)}" if columns else "features with such a column"
        raise ConfigError(f"current: {current!r} is not a column of the features; expected {known}")
    names = workload.features[current].astype(str)
    unknown = names[~names.isin(workload.labels)]
    if len(unknown):
        expected = f"expected one of {some_of(workload.labels)}"
        raise ConfigError(f"current: {current} of task {unknown.index[0]}: {unknown.iloc[0]!r} is no model; {expected}")
    serving = names.map(workload.labels.index)
    return replace(workload, features=workload.features.drop(columns=current)), serving


def _best_single(parts: Parts, horizon: int) -> int:
    """The model that costs least alone, where knobs are chosen."""
    alone = [
        answered(parts.validation.traffic, Ladders.static(model), horizon).provider_cost
        for model in range(parts.validation.traffic.models)
    ]
    return int(np.argmin(alone))


def _best_fixed(parts: Parts, horizon: int, seed: int) -> Ladders:
    """The ladder that costs least if all tasks look alike: by the user-aware rule, which then knows nothing of them."""
    alike = np.broadcast_to(parts.train.truth.success.mean(axis=0), parts.train.quality.shape)
    rule = UserAware(contexts=1, neighbours=len(parts.train), horizon=horizon)
    rule.fit(alike, parts.train.traffic, np.random.default_rng(seed)).tune(alike[:1], parts.validation.traffic)
    ladder = rule.policy(alike[:1])
    assert isinstance(ladder, Ladders)
    return Ladders(ladder.models)


def _served(workload: Workload, policy: Ladders | Commitment, stop: int) -> FloatArray:
    """Which share of the first, second ... attempts each model serves, shape (n, M): as costs that count its passes."""
    traffic, games, passes = workload.traffic, workload.traffic.games, []
    for counted in np.eye(traffic.models):
        counting = Game(games.success, np.broadcast_to(counted, games.success.shape), games.latency, games.value, 0.0)
        priced = Traffic(counting, traffic.weight, traffic.context)
        passes.append(traffic_payoffs(priced, policy, stop).provider_cost[0])
    made = np.diff(passes, prepend=0.0).T
    share: FloatArray = made / np.maximum(made.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return share


def _cost_by_task(workload: Workload, policy: Ladders | Commitment, stop: int, horizon: int) -> FloatArray:
    """What each task costs where users stop after so many failures, money, shape (N,)."""
    traffic = workload.traffic
    each = Traffic(traffic.games, traffic.weight, traffic.context, traffic.context)
    cost: FloatArray = traffic_payoffs(each, policy, horizon).provider_cost[:, stop - 1]
    return cost
