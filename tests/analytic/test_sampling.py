from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from stackroute.analytic import (
    Game,
    InvalidGameError,
    Regime,
    Route,
    Stratum,
    random_games,
    sampling,
    strata,
    stratified_games,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FIELDS = ("success", "cost", "latency", "value", "churn_penalty")
CASCADES = (Stratum.ONLY_REASONING_WORTH_CASCADE, Stratum.ONLY_STANDARD_WORTH_CASCADE)


def same(first: Game, second: Game) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


@pytest.mark.parametrize("count", [0, 1, 500])
def test_games_are_in_the_ranges_and_in_order(count: int) -> None:
    ranges = {"success": (0.2, 0.4), "cost": (3, 5), "latency": (0, 2), "value": (7, 7), "churn_penalty": (1, 9)}
    for game in (random_games(count, seed=1), random_games(count, seed=1, **ranges)):
        assert game.shape == (count,)
        game.check_orders()
    for name, (low, high) in ranges.items():
        array = getattr(game, name)
        assert ((array >= low) & (array <= high)).all()


def test_pairs_are_uniform_and_sorted() -> None:
    game = random_games(100_000, seed=2)
    for name, (low, high) in {"success": (0.1, 0.95), "cost": (0.01, 1), "latency": (0.01, 1)}.items():
        shares = (getattr(game, name) - low) / (high - low)
        # The least and the greatest of two uniform numbers.
        np.testing.assert_allclose(shares.mean(axis=0), [1 / 3, 2 / 3], atol=4 * np.sqrt(1 / 18 / 100_000))
        np.testing.assert_allclose((shares[:, 0] > 0.5).mean(), 0.25, atol=0.006)
    np.testing.assert_allclose([game.value.mean(), game.churn_penalty.mean()], [1.6, 2], atol=0.015)
    columns = np.column_stack([game.success[:, 0], game.cost[:, 0], game.latency[:, 0], game.value, game.churn_penalty])
    assert np.abs(np.corrcoef(columns.T) - np.eye(5)).max() < 0.015


def test_equal_numbers_are_drawn_again() -> None:
    game = random_games(200_000, seed=3, cost=(1, 1 + 2e-12))
    assert np.unique(game.cost).size < 10_000, "numbers do repeat in so small a range"
    assert (game.cost[:, 0] < game.cost[:, 1]).all()


def test_same_seed_same_games() -> None:
    for draw in (random_games, stratified_games):
        assert same(draw(50, 7), draw(50, 7))
        assert not same(draw(50, 7), draw(50, 8))
        assert same(draw(50, 7, value=(1, 2)), draw(50, 7, value=(1, 2)))


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (60, list(Stratum), [10] * 6),
        (20, list(Stratum), [4, 4, 3, 3, 3, 3]),
        (4, list(Stratum), [1, 1, 1, 1, 0, 0]),
        (0, list(Stratum), [0] * 6),
        (15, [Stratum.ONLY_STANDARD_WORTH_CASCADE, Stratum.BOTH_WORTH], [7, 0, 0, 0, 0, 8]),
        (5, (3,), [0, 0, 0, 5, 0, 0]),
    ],
)
def test_strata_are_as_equal_as_possible(count: int, wanted: Any, expected: list[int]) -> None:
    game = stratified_games(count, 11, strata=wanted)
    assert game.shape == (count,)
    assert np.bincount(strata(game), minlength=6).tolist() == expected


def test_order_is_shuffled() -> None:
    codes = strata(stratified_games(600, 12))
    assert np.mean(codes[1:] == codes[:-1]) < 0.25
    assert all(np.unique(part).size == 6 for part in np.split(codes, 6))


def test_ranges_hold_in_strata() -> None:
    game = stratified_games(120, 13, churn_penalty=(2, 2), success=(0.3, 0.6))
    assert (game.churn_penalty == 2).all()
    assert ((game.success >= 0.3) & (game.success <= 0.6)).all()


def static_cost(game: Game) -> Array:
    """The least cost of a route on which only one model is served, the user answering by the sign of V p - t."""
    stays = game.value[:, None] * game.success > game.latency
    leaving = game.cost + game.churn_penalty[:, None] * (1 - game.success)
    costs = np.where(stays, game.cost / game.success, leaving)
    threat = np.where(stays[:, 1], np.inf, leaving[:, 0])
    return np.minimum(costs.min(axis=-1), threat)


@pytest.mark.parametrize("stratum", list(Stratum), ids=lambda stratum: stratum.name.lower())
def test_strata_are_what_a_search_finds(stratum: Stratum, least_cost: Callable[[Game], Array]) -> None:
    game = stratified_games(100, 14, strata=[stratum])
    first, second = (game.value[:, None] * game.success - game.latency > 0).T
    worth = {"BOTH": first & second, "NEITHER": ~first & ~second}
    worth |= {"ONLY_REASONING": ~first & second, "ONLY_STANDARD": first & ~second}
    assert worth[stratum.name.partition("_WORTH")[0]].all()
    ratio = least_cost(game) / static_cost(game)
    if stratum in CASCADES:
        assert (ratio < 1).all()
    else:
        assert ratio.min() > 1 - 1e-7


@pytest.mark.parametrize("stratum", list(Stratum), ids=lambda stratum: stratum.name.lower())
def test_games_of_a_stratum_are_distributed_as_among_all(stratum: Stratum) -> None:
    chosen, every = stratified_games(1500, 15, strata=[stratum]), random_games(100_000, seed=16)
    among_all = every[strata(every) == stratum]
    for name in FIELDS:
        ours, theirs = (getattr(game, name).reshape(game.shape[0], -1) for game in (chosen, among_all))
        assert (ks_2samp(ours, theirs).pvalue > 1e-4).all(), name


def test_strata_of_one_game_and_of_none() -> None:
    game = random_games(6, seed=17)
    assert strata(game[0]).shape == ()
    assert strata(game.reshape(2, 3)).shape == (2, 3)
    assert strata(game[:0]).shape == (0,)


def test_labels_differ() -> None:
    for words in (Stratum, Regime, Route):
        assert len({one.label for one in words}) == len(words)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"success": (0, 0.5)}, "success: (0, 0.5) is not allowed; expected 0 < low < high < 1"),
        ({"success": (0.5, 1)}, "success: (0.5, 1) is not allowed; expected 0 < low < high < 1"),
        ({"cost": (0.5, 0.5)}, "cost: (0.5, 0.5) is not allowed; expected 0 <= low < high, finite"),
        ({"cost": (0.5, 0.5 * (1 + 1e-15))}, "expected 0 <= low < high"),
        ({"latency": (-1, 1)}, "latency: (-1, 1) is not allowed; expected 0 <= low < high, finite"),
        ({"value": (0, 1)}, "value: (0, 1) is not allowed; expected 0 < low <= high, finite"),
        ({"value": (2, 1)}, "expected 0 < low <= high"),
        ({"churn_penalty": (0, np.inf)}, "churn_penalty: (0, inf) is not allowed; expected 0 <= low <= high, finite"),
        ({"churn_penalty": (0, np.nan)}, "expected 0 <= low <= high"),
        ({"value": 3}, "value: 3 is not allowed; expected a range of two numbers, (low, high)"),
        ({"value": (1, 2, 3)}, "expected a range of two numbers"),
        ({"value": ("a", "b")}, "expected a range of two numbers"),
        ({"prize": (0, 1)}, "prize: (0, 1) is not allowed; expected one of success, cost, latency, value"),
    ],
)
def test_bad_range(ranges: Any, message: str) -> None:
    for draw in (random_games, stratified_games):
        with pytest.raises(InvalidGameError, match=re.escape(message)):
            draw(1, 0, **ranges)


def test_bad_count_and_strata() -> None:
    for draw in (random_games, stratified_games):
        with pytest.raises(InvalidGameError, match="count: -1 is not allowed"):
            draw(-1, 0)
    for wanted in ([], [Stratum.BOTH_WORTH, Stratum.BOTH_WORTH], [6]):
        with pytest.raises(InvalidGameError, match=r"strata: .* expected at least one Stratum, all different"):
            stratified_games(1, 0, strata=wanted)


def test_stratum_that_the_ranges_exclude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TRIES", 30_000)
    slow = {"value": (0.1, 0.2), "latency": (0.5, 1)}
    assert stratified_games(3, 0, strata=[Stratum.NEITHER_WORTH], **slow).shape == (3,)
    with pytest.raises(InvalidGameError, match=r"strata: BOTH_WORTH .* a stratum met within 30,000 draws"):
        stratified_games(6, 0, **slow)
