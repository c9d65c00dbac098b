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
    from stackroute.training.benchmark.problem import Solution
    from stackroute.training.benchmark.tasks import Task

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
        - "user_loss": what the user gets less than at the equilibrium, in the unit of "user_regret";
        - "misalignment": what it gets less than under the route that it would choose itself, in the same unit; and
          "misalignment_equilibrium": the same at the equilibrium (Mahmood 2026, Proposition 1);
        - "regime_right": whether first model and exact response (stay or leave) are those of the equilibrium;
        - "throttling_right": whether it throttles exactly if the equilibrium does;
        - "start_model_right": whether the first model is that of the equilibrium;
        - "cascade_error": |s - s*|; NaN where one of the two has no effect;
        - "learned_..." and "exact_...": "first_model" (from 0), "cascade" (the probability of moving on), "patience",
          "throttled", "provider_cost" and "user_utility" of the solution and of the equilibrium.
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
    same_start = learned["first_model"] == exact["first_model"]
    both_move = np.all([(one["first_model"] == 0) & (one["patience"] > 0) for one in (learned, exact)], axis=0)
    values = {
        "provider_regret": regret,
        "provider_regret_pessimistic": provider_regret(game, commitment, best.provider_cost, pessimistic=True),
        "on_path_regret": on_path,
        "exploitation": on_path - regret,
        "user_regret": user_regret(game, commitment, patience),
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
        "first_model": commitment.first_model,
        "cascade": commitment.cascade_probability[..., 0],
        "patience": patience,
        "throttled": throttled(game, commitment),
        "provider_cost": provider_cost(game, commitment, patience),
        "user_utility": user_utility(game, commitment, patience),
    }
