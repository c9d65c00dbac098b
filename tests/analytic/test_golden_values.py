"""The canonical games, and Theorems 3 to 5 (Mahmood 2026) on random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute.analytic import (
    Game,
    Regime,
    Route,
    cascade_thresholds,
    misalignment,
    regime,
    solve,
)
from stackroute.configs import load_game

if TYPE_CHECKING:
    from collections.abc import Callable

GAMES = {name: load_game(name).game for name in ("g1", "g2", "g3", "g4", "g4b", "g5", "g5b", "g6", "g7", "g8")}


def cascade_cost(game: Game, s: float) -> float:
    """J of (1, s) with a user that never leaves."""
    (p1, p2), (c1, c2) = game.success, game.cost
    return (c1 + c2 * (1 - p1) * s / p2) / (p1 + (1 - p1) * s)


@pytest.mark.parametrize(
    ("name", "rule", "model", "cascade", "patience", "cost"),
    [
        ("g1", Regime.BOTH_WORTH, 0, 0, 1, 0.2 / 0.5),
        ("g2", Regime.BOTH_WORTH, 1, None, 1, 0.5 / 0.9),
        ("g3", Regime.NEITHER_WORTH, 1, None, 0, 0.6 + 2 * 0.3),
        ("g4", Regime.ONLY_REASONING_WORTH, 0, 0.22448, 1, None),
        ("g4b", Regime.ONLY_REASONING_WORTH, 0, 0.30769, 1, None),
        ("g5", Regime.ONLY_STANDARD_WORTH, 0, 0.47589, 1, None),
        ("g5b", Regime.ONLY_STANDARD_WORTH, 0, 0.65330, 1, None),
        ("g6", Regime.ONLY_STANDARD_WORTH, 0, 1, 0, 0.42 + 0.62 * 0.79),
        ("g7", Regime.BOTH_WORTH, 0, 0, 1, 0.3 / 0.5),
        ("g8", Regime.BOTH_WORTH, 0, 0, 1, 0.3 / 0.5),
    ],
)
def test_canonical_game(
    name: str, rule: Regime, model: int, cascade: float | None, patience: float, cost: float | None
) -> None:
    game = GAMES[name]
    found = solve(game)
    assert regime(game) == found.regime == rule
    assert found.commitment.first_model == model
    if cascade is not None:
        assert found.commitment.cascade_probability[..., 0] == pytest.approx(cascade, abs=5e-6)
    assert found.patience == patience
    if cost is None:
        cost = cascade_cost(game, float(found.commitment.cascade_probability[..., 0]))
    assert found.provider_cost == pytest.approx(cost, rel=1e-12)


def test_g7_is_throttled_by_the_threat_alone() -> None:
    found = solve(GAMES["g7"], throttling=True)
    assert found.provider_cost == pytest.approx(0.3 + 0.4 * 0.5, rel=1e-12)
    assert found.patience == 0
    assert found.commitment.first_model == 0
    assert found.route == Route.LEAVE_BY_THREAT
    assert found.commitment.delay[0] == 0
    assert found.commitment.delay[1] == pytest.approx(2 * 0.8 - 0.2)
    assert found.user_utility == pytest.approx(2 * 0.5 - 0.1)


@pytest.mark.parametrize("name", sorted(set(GAMES) - {"g7"}))
def test_other_canonical_games_are_not_throttled(name: str) -> None:
    found = solve(GAMES[name], throttling=True)
    assert found.provider_cost == solve(GAMES[name]).provider_cost
    assert not found.commitment.delay.any()


def test_misalignment_of_the_canonical_games() -> None:
    both_agree, they_differ = misalignment(GAMES["g1"]), misalignment(GAMES["g2"])
    assert (both_agree.preferred_model, both_agree.gap) == (0, 0)
    # 0.1 / 0.3 = 0.3 / 0.9: the user does not care.
    assert they_differ.gap == pytest.approx(0, abs=1e-12)
    slower = Game((0.3, 0.9), (0.3, 0.5), (0.1, 0.36), 2, 3)
    assert misalignment(slower).preferred_model == 0
    assert misalignment(slower).gap == pytest.approx(0.36 / 0.9 - 0.1 / 0.3)


@pytest.mark.parametrize("rule", [Regime.BOTH_WORTH, Regime.NEITHER_WORTH])
def test_where_both_models_are_worth_it_or_neither_there_is_no_threshold(
    random_games: Callable[..., Game], rule: Regime
) -> None:
    thresholds = cascade_thresholds(random_games(rule, 50, seed=1))
    assert np.isnan([thresholds.low, thresholds.high]).all()
