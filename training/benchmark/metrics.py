"""The metrics of the benchmark: closed forms of what was chosen, never estimates from play."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import best_response, misalignment, solve
from stackroute.training.learn import evaluation

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Solution
    from stackroute.training.benchmark.tasks import Task

_STAYS = 0.5
_LEFT_OUT = ("cascade", "lottery", "delay")


def measure(task: Task, solution: Solution) -> dict[str, FloatArray]:
    """Measure a solution exactly in each game of a task.

    Args:
        task: Its games have shape (n,).
        solution: What was chosen.

    Returns:
        Arrays of shape (n,):

        - the numbers of an `stackroute.training.learn.evaluation.Evaluation` but its outcomes, "routing_error" with NaN
          for None;
        - "exploitation": what the learned answer costs the provider more than the exact one, relative to J*; negative
          where the user's mistake is the provider's gain;
        - "user_loss": what the user gets less than at the equilibrium, in the unit of "user_regret";
        - "misalignment": what it gets less than under the route that it would choose itself, in the same unit; and
          "misalignment_equilibrium": the same at the equilibrium (Mahmood 2026, Proposition 1);
        - "regime_right": whether first model and exact response (stay or leave) are those of the equilibrium;
        - "learned_..." and "exact_...", of the solution and of the equilibrium: "first_model" (from 0), "share" (of
          first re-prompts that are served by the last of the models that serve any at the equilibrium; at a true
          cascade the probability of moving on), "patience", "throttled", "provider_cost" and "user_utility".
    """
    game, best = task.game, solve(task.game, task.routing, task.throttling)
    commitment = solution.commitment.broadcast_to(game.shape)
    patience = np.broadcast_to(np.asarray(solution.patience, dtype=np.float64), game.shape)
    found = evaluation.measure(game, commitment, patience, best)
    learned, exact = found.pop("learned"), found.pop("equilibrium")
    got, unit = learned["user_utility"], evaluation.unit_of_utility(game)
    preferred = best.user_utility + misalignment(game, task.throttling, task.routing).gap
    shares = [evaluation.next_models(made) for made in (commitment, best.commitment)]
    last = game.models - 1 - (shares[1] > 0)[..., ::-1].argmax(axis=-1)[..., None]
    learned["share"], exact["share"] = (np.take_along_axis(share, last, axis=-1)[..., 0] for share in shares)
    stays, should = best_response(game, commitment) > _STAYS, best.patience > _STAYS
    values = {
        **found,
        "exploitation": found["on_path_regret"] - found["provider_regret"],
        "user_loss": (best.user_utility - got) / unit,
        "misalignment": (preferred - got) / unit,
        "misalignment_equilibrium": (preferred - best.user_utility) / unit,
        "regime_right": found["start_model_right"] & (stays == should),
        **{f"learned_{name}": value for name, value in learned.items() if name not in _LEFT_OUT},
        **{f"exact_{name}": value for name, value in exact.items() if name not in _LEFT_OUT},
    }
    return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
