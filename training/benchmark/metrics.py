"""The metrics of the benchmark: closed forms of what was chosen, never estimates from play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import best_response, misalignment, provider_cost, solve, user_utility
from stackroute.training.learn.evaluation import (
    provider_regret,
    relative_excess,
    throttled,
    unit_of_utility,
    user_regret,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Record, Solution
    from stackroute.training.benchmark.tasks import Task

METRICS = (
    *("provider_regret", "provider_regret_pessimistic", "on_path_regret", "exploitation"),
    *("user_regret", "user_utility", "user_loss", "misalignment", "misalignment_equilibrium"),
    *("regime_right", "throttling_right", "start_model_right", "cascade_error"),
)
"""What `measure` says about a solution, in order."""

CHOSEN = ("model", "cascade", "patience", "throttled", "provider_cost", "user_utility")
"""What `measure` gives of the solution ("learned_...") and of the equilibrium ("exact_..."), in order."""

TARGETS = (0.05, 0.01)
"""Regrets of which the benchmark reports when they are reached."""

_STAYS = 0.5


def measure(task: Task, solution: Solution) -> dict[str, FloatArray]:
    """Measure a solution exactly in each game of a task.

    Args:
        task: Its games have shape (n,).
        solution: What was chosen.

    Returns:
        Arrays of shape (n,):

        - "provider_regret", "provider_regret_pessimistic": the relative excess cost against the exact best response,
          an indifferent user choosing for or against the provider;
        - "on_path_regret": the same with the learned answer;
        - "exploitation": what the learned answer costs the provider more than the exact one, relative to J*; negative
          where the user's mistake is the provider's gain;
        - "user_regret": what the learned answer loses to the exact one, relative to max(|xi1|, |xi2|, V p2);
        - "user_utility": what the user gets;
        - "user_loss": what it gets less than at the equilibrium, in the unit of "user_regret";
        - "misalignment": what it gets less than under the route that it would choose itself, in the same unit; and
          "misalignment_equilibrium": the same at the equilibrium (Mahmood 2026, Proposition 1);
        - "regime_right": whether first model and exact response (stay or leave) are those of the equilibrium;
        - "throttling_right": whether it throttles exactly if the equilibrium does;
        - "start_model_right": whether the first model is that of the equilibrium;
        - "cascade_error": |s - s*|; NaN where one of the two has no effect;
        - "learned_..." and "exact_...": the values of `CHOSEN` of the solution and of the equilibrium.
    """
    game, best = task.game, solve(task.game, throttling=task.throttling)
    commitment = solution.commitment.broadcast_to(game.shape)
    patience = np.broadcast_to(np.asarray(solution.patience, dtype=np.float64), game.shape)
    learned, exact = _chosen(game, commitment, patience), _chosen(game, best.commitment, best.patience)
    regret = provider_regret(game, commitment, best.provider_cost)
    on_path = relative_excess(game, commitment, patience, best.provider_cost)
    got, unit = learned["user_utility"], unit_of_utility(game)
    preferred = best.user_utility + misalignment(game, task.throttling).gap
    stays, should = best_response(game, commitment) > _STAYS, best.patience > _STAYS
    same_start = learned["model"] == exact["model"]
    both_move = np.all([(one["model"] == 1) & (one["patience"] > 0) for one in (learned, exact)], axis=0)
    values = {
        "provider_regret": regret,
        "provider_regret_pessimistic": provider_regret(game, commitment, best.provider_cost, pessimistic=True),
        "on_path_regret": on_path,
        "exploitation": on_path - regret,
        "user_regret": user_regret(game, commitment, patience),
        "user_utility": got,
        "user_loss": (best.user_utility - got) / unit,
        "misalignment": (preferred - got) / unit,
        "misalignment_equilibrium": (preferred - best.user_utility) / unit,
        "regime_right": same_start & (stays == should),
        "throttling_right": learned["throttled"] == exact["throttled"],
        "start_model_right": same_start,
        "cascade_error": np.where(both_move, np.abs(learned["cascade"] - exact["cascade"]), np.nan),
        **{f"learned_{name}": value for name, value in learned.items()},
        **{f"exact_{name}": value for name, value in exact.items()},
    }
    return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}


def _chosen(game: Game, commitment: Commitment, patience: FloatArray) -> dict[str, npt.NDArray[Any]]:
    return {
        "model": commitment.model,
        "cascade": commitment.cascade,
        "patience": patience,
        "throttled": throttled(game, commitment),
        "provider_cost": provider_cost(game, commitment, patience),
        "user_utility": user_utility(game, commitment, patience),
    }


def reached(record: Record, target: float, against: npt.ArrayLike) -> float | None:
    """From when on the regret stayed at or below a target.

    Args:
        record: What was recorded.
        target: The regret.
        against: The tasks or seconds of the record.

    Returns:
        The tasks or seconds; None if it did not in the end.
    """
    below = np.asarray(record.regret) <= target
    if not below[-1]:
        return None
    above = np.flatnonzero(~below)
    first = 0 if len(above) == 0 else int(above[-1]) + 1
    return float(np.asarray(against)[first])


def area(record: Record, horizon: int) -> float:
    """The mean regret, cut off at 1, over the tasks up to the horizon.

    Before the first point the regret counts as 1, after the last it stays as it is.

    Args:
        record: What was recorded.
        horizon: Tasks.
    """
    tasks = np.minimum(np.array([0, *record.tasks, horizon], dtype=np.float64), horizon)
    regret = np.minimum(np.array([1.0, *record.regret]), 1.0)
    return float((np.diff(tasks) * regret).sum() / horizon)
