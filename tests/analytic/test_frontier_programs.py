"""The frontier against linear programs over all sequences of models, and its commitments as they are played."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import linprog

from stackroute.analytic import Commitment, Game, best_response, frontier, provider_cost, solve, user_utility

from .draws import draw_games, draw_ties
from .sequences import Program, Users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stackroute.analytic import Frontier

    Array = NDArray[np.float64]

LEAVE, LEAVE_LATER, STAY = 0, 1, 2
COUNTING = Users.that_stop([1, 2, np.inf])


def curves(models: int, count: int) -> Iterator[tuple[Game, bool, Frontier]]:
    for draw in (draw_games, draw_ties):
        for game in draw(models, count, seed=70 + models):
            for throttling in (False, True):
                yield game, throttling, frontier(game, throttling)


def levels(curve: Frontier) -> Array:
    """Utilities below, on and above both branches; not their ends, where rounding decides what is possible."""
    ends = np.concatenate([branch.user_utility for branch in (curve.stay, curve.leave) if branch is not None])
    span = max(np.ptp(ends), 0.1 * float(curve.game.value))
    steps: Array = ends.min() + span * np.array([-0.1, 0.17, 0.45, 0.83, 1.1])
    return steps


@pytest.mark.parametrize(("models", "count"), [(1, 3), (2, 8), (3, 5), (4, 3)])
def test_each_branch_is_that_of_all_sequences(models: int, count: int) -> None:
    for game, throttling, curve in curves(models, count):
        program = Program(game, COUNTING, throttling)
        for wanted in levels(curve):
            for target, branch in ((LEAVE, curve.leave), (STAY, curve.stay)):
                cost = np.inf if branch is None else branch.cost(wanted)
                assert program.least_cost(target, wanted) == pytest.approx(cost, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("models", [2, 3])
def test_users_who_leave_later_cost_no_less_than_a_mixture_of_the_branches(models: int) -> None:
    for game, throttling, curve in curves(models, 5):
        program = Program(game, COUNTING, throttling)
        branches = [branch for branch in (curve.stay, curve.leave) if branch is not None]
        utility = np.concatenate([branch.user_utility for branch in branches])
        cost = np.concatenate([branch.provider_cost for branch in branches])
        for wanted in levels(curve)[:-1]:
            mixture = linprog(cost, -utility[None], [-wanted], np.ones((1, len(cost))), [1.0])
            least = float(mixture.fun or 0.0) if mixture.success else np.inf
            assert program.least_cost(LEAVE_LATER, wanted) >= least * (1 - 1e-9) - 1e-9


def test_users_who_mix_can_cost_less_than_either_branch() -> None:
    game = Game([0.5, 0.5], [0.5, 0.45], [0.5, 1.5], value=2, churn_penalty=0.1)
    cascade, curve = Commitment.cascade(0, 0.35), frontier(game)
    patience = best_response(game, cascade)
    given = user_utility(game, cascade, patience)
    assert 0.5 < patience < 0.6
    assert curve.leave is not None
    assert given > curve.leave.user_utility[-1]
    assert curve.stay is not None
    assert provider_cost(game, cascade, patience) < 0.75 * curve.stay.cost(given)


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_the_least_of_the_frontier_is_the_optimum(models: int) -> None:
    for game, throttling, curve in curves(models, 40):
        least = min(branch.provider_cost[0] for branch in (curve.stay, curve.leave) if branch is not None)
        assert least == pytest.approx(solve(game, "free", throttling).provider_cost, rel=1e-12)


@pytest.mark.parametrize("models", [2, 3, 5])
def test_its_commitments_give_what_they_cost(models: int) -> None:
    for game, _, curve in curves(models, 20):
        for wanted in levels(curve):
            if not np.isfinite(curve.cost(wanted)):
                continue
            commitment = curve.commitment(wanted)
            patience = best_response(game, commitment)
            assert provider_cost(game, commitment, patience) == pytest.approx(curve.cost(wanted), rel=1e-9, abs=1e-12)
            given = user_utility(game, commitment, patience)
            slowed = commitment.delay @ commitment.start
            assert given + slowed >= wanted - 1e-12 * game.value / game.success.min()


@pytest.mark.parametrize("models", [2, 3, 5])
def test_the_hull_holds_the_models_that_no_mixture_of_others_beats(models: int) -> None:
    games = draw_games(models, 50, seed=80)
    for game, hull in zip(games, solve(games, "free").hull, strict=True):
        utility, cost = game.net_value / game.success, game.cost / game.success
        for model in range(models):
            others = np.arange(models) != model
            mixture = linprog(cost[others], -utility[None, others], [-utility[model]], np.ones((1, models - 1)), [1.0])
            assert hull[model] == (not mixture.success or mixture.fun > cost[model])
