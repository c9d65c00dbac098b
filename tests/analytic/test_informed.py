from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute.analytic import (
    Commitment,
    Game,
    Regime,
    best_response,
    informed_response,
    provider_cost,
    solve,
    solve_informed,
    user_utility,
)
from stackroute.configs import load_game

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Values = Callable[..., tuple[Array, Array]]

POLICIES = np.array(list(product([1.0, 0.0], repeat=2)))
"""The four stationary ones: re-prompt or leave after a failure on the first model, on the second."""


@pytest.fixture(scope="module", params=list(Regime), ids=lambda rule: rule.name.lower())
def games(request: pytest.FixtureRequest, random_games: Callable[..., Game]) -> Game:
    return random_games(request.param, 400, seed=900 + request.param)


def commitments(game: Game, seed: int) -> Commitment:
    rng = np.random.default_rng(seed)
    n = game.shape[0]
    delay = game.value[:, None] * rng.uniform(0, 0.5, (n, 2)) * rng.integers(0, 2, (n, 1))
    s = np.where(rng.random(n) < 0.2, rng.integers(0, 2, n), rng.random(n))
    return Commitment.cascade(rng.integers(0, 2, n), s, delay)


@pytest.fixture(scope="module")
def informed_search(brute_force: Any) -> Any:
    """The brute force with all four stationary policies of the user instead of one patience."""

    class InformedSearch(brute_force):  # type: ignore[misc]
        def all_policies(self, start: int, s: Array) -> Array:
            """U and J of the policies on a leading axis, shape (2, 4, games, tries)."""
            found = [self.payoffs(start, s, *(np.full_like(s, stays) for stays in policy)) for policy in POLICIES]
            return np.moveaxis(np.array(found), 0, 1)

        def answer(self, start: int, s: Array, rounds: int = 0) -> tuple[Array, Array, Array]:
            """Whether the best policy stays with the first model, and its U and J."""
            utility, cost = self.all_policies(start, s)
            best = utility.argmax(axis=0)[None]
            u, j = (np.take_along_axis(a, best, axis=0)[0] for a in (utility, cost))
            return POLICIES[best[0], 0], u, j

    return InformedSearch


@pytest.fixture(scope="module")
def values(brute_force: Any) -> Values:
    """What a task that starts on each model is worth to a user with this patience, and costs the provider."""

    def values(game: Game, commitment: Commitment, patience: Array) -> tuple[Array, Array]:
        search, s = brute_force(game, commitment.delay), commitment.cascade_probability
        r = np.broadcast_to(patience, game.success.shape)
        u, j = np.stack([search.payoffs(start, s, r[:, :1], r[:, 1:]) for start in (0, 1)], axis=-1)
        return u[:, 0], j[:, 0]

    return values


def all_policies(values: Values, game: Game, commitment: Commitment) -> tuple[Array, Array]:
    """`values` of the four policies on a leading axis."""
    utility, cost = np.moveaxis(np.array([values(game, commitment, policy) for policy in POLICIES]), 0, 1)
    return utility, cost


def test_response_is_the_best_policy_after_every_failure(games: Game, values: Values) -> None:
    for seed in range(5):
        commitment = commitments(games, seed)
        utilities, _ = all_policies(values, games, commitment)
        ours, _ = values(games, commitment, informed_response(games, commitment))
        loss = utilities.max(axis=0) - ours
        np.testing.assert_array_less(loss, 1e-10 * (games.value[:, None] + np.abs(utilities).max(axis=0)))


def test_no_rule_that_counts_passes_is_better(games: Game) -> None:
    commitment = commitments(games, 6)
    s, failed = commitment.cascade_probability[..., 0], 1 - games.success
    gain = games.value[:, None] * games.success - games.latency - commitment.delay
    value = gain
    for _ in range(1200):
        after = np.stack([(1 - s) * value[:, 0] + s * value[:, 1], value[:, 1]], axis=-1)
        value = gain + failed * np.maximum(after, 0)
    ours = user_utility(games, commitment, informed_response(games, commitment), by_model=True)
    expected = np.where(commitment.first_model == 0, value[:, 0], value[:, 1])
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)
    clear = np.abs(after) > 1e-6
    np.testing.assert_array_equal(informed_response(games, commitment)[clear], (after > 0)[clear])


@pytest.mark.parametrize("model", [0, 1])
@pytest.mark.parametrize("s", [0, 0.25, 0.5, 1, "change"])
def test_ties_take_sides_after_every_failure(
    degenerate_games: Game, values: Values, model: int, s: float | str
) -> None:
    game = degenerate_games
    xi = game.value[:, None] * game.success - game.latency
    if s == "change":
        later = np.where(xi[:, 1] > 0, xi[:, 1] / game.success[:, 1], xi[:, 1])
        opposite = xi[:, 0] * later < 0
        game, xi, later = game[opposite], xi[opposite], later[opposite]
        s = xi[:, 0] / (xi[:, 0] - later)
    commitment = Commitment.cascade(model, s).broadcast_to(game.shape)
    utilities, costs = all_policies(values, game, commitment)
    best = (utilities >= utilities.max(axis=0) - 1e-12).all(axis=-1)
    assert best.any(axis=0).all()
    assert (best.sum(axis=0) > 1).any()
    for tie_breaking, pick, worst in (("strong", np.min, np.inf), ("pessimistic", np.max, -np.inf)):
        r = informed_response(game, commitment, tie_breaking)
        chosen = (POLICIES[:, None] == r).all(axis=-1)
        assert (best & chosen).any(axis=0).all(), "only best policies are chosen"
        expected = pick(np.where(best[..., None], costs, worst), axis=0)
        np.testing.assert_allclose(values(game, commitment, r)[1], expected, rtol=1e-12)


def test_provider_that_does_not_care_is_stayed_with() -> None:
    game = Game([0.5, 0.75], [0.5, 0.75], [1, 1.5], value=2, churn_penalty=1)
    for tie_breaking in ("strong", "pessimistic"):
        assert informed_response(game, Commitment.cascade(0, 0.5), tie_breaking).tolist() == [1, 1]


def test_answers_after_failures_that_never_happen() -> None:
    game = Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83)
    for s, expected in ((0, [1, 0]), (0.5, [1, 0]), (1, [0, 0])):
        for model in (0, 1):
            assert informed_response(game, Commitment.cascade(model, s)).tolist() == expected


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    p=st.tuples(st.floats(1e-6, 1 - 1e-6), st.floats(1e-6, 1 - 1e-6)),
    t=st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)),
    s=st.floats(0, 1),
    model=st.sampled_from([0, 1]),
)
def test_seeing_the_model_never_hurts_the_user(
    p: tuple[float, float], t: tuple[float, float], s: float, model: int
) -> None:
    game = Game(p, [0.1, 0.2], t, value=10, churn_penalty=1)
    commitment = Commitment.cascade(model, s)
    informed = user_utility(game, commitment, informed_response(game, commitment), by_model=True)
    blind = user_utility(game, commitment, best_response(game, commitment))
    assert informed >= blind - 1e-9 * (10 + max(t)) / min(p)


@pytest.mark.parametrize("strict", [True, False])
def test_least_cost(random_games: Callable[..., Game], informed_search: Any, strict: bool) -> None:
    for rule in Regime:
        game = random_games(rule, 120, seed=950 + rule, strict=strict)
        ratio = informed_search(game, np.zeros_like(game.latency)).least_cost(10) / solve_informed(game).provider_cost
        assert ratio.min() > 1 - 1e-7
        assert ratio.max() < 1 + 1e-7


def test_payoffs_of_the_equilibrium_are_those_of_its_parts(games: Game) -> None:
    found = solve_informed(games)
    np.testing.assert_array_equal(found.patience, informed_response(games, found.commitment))
    np.testing.assert_array_equal(
        found.provider_cost, provider_cost(games, found.commitment, found.patience, by_model=True)
    )
    np.testing.assert_array_equal(
        found.user_utility, user_utility(games, found.commitment, found.patience, by_model=True)
    )


def test_what_seeing_the_model_changes(games: Game) -> None:
    informed, blind = solve_informed(games), solve(games)
    assert (informed.provider_cost >= blind.provider_cost * (1 - 1e-12)).all()
    if blind.regime[0] != Regime.ONLY_STANDARD_WORTH:
        np.testing.assert_allclose(informed.provider_cost, blind.provider_cost, rtol=1e-12)
        return
    static = np.concatenate(
        [games.cost_of_pass[:, :1], games.cost + games.churn_penalty[:, None] * (1 - games.success)], 1
    )
    np.testing.assert_allclose(informed.provider_cost, static.min(axis=-1), rtol=1e-12)
    assert np.mean(informed.provider_cost > 1.01 * blind.provider_cost) > 0.05


@pytest.mark.parametrize(
    ("name", "model", "cascade", "patience", "cost"),
    [
        ("g1", 0, 0, [1, 1], 0.4),
        ("g2", 1, 0, [1, 1], 5 / 9),
        ("g3", 1, 0, [0, 0], 1.2),
        ("g4b", 0, 4 / 13, [1, 1], 0.38824),
        ("g5", 0, 0, [1, 0], 0.09 / 0.22),
        ("g5b", 0, 0, [1, 0], 2.5),
        ("g6", 0, 1, [0, 0], 0.9098),
    ],
)
def test_canonical_game(name: str, model: int, cascade: float, patience: list[int], cost: float) -> None:
    found = solve_informed(load_game(name).game)
    assert found.commitment.first_model == model
    assert found.commitment.cascade_probability[..., 0] == pytest.approx(cascade)
    assert found.patience.tolist() == patience
    assert found.provider_cost == pytest.approx(cost, abs=5e-6)


def test_degenerate_games_are_solved(degenerate_games: Game, informed_search: Any) -> None:
    game = degenerate_games
    found = solve_informed(game)
    # An exact tie is lost to a search that knows no tie-breaking, but never won by it.
    assert (found.provider_cost <= informed_search(game, np.zeros_like(game.latency)).least_cost() * (1 + 1e-12)).all()
    np.testing.assert_array_equal(found.patience, informed_response(game, found.commitment))


def test_shapes() -> None:
    game = Game([[0.5, 0.8]] * 3, [0.2, 0.6], [0.1, 0.3], 2, 3).reshape(3, 1)
    commitment = Commitment.cascade(0, np.linspace(0, 1, 4))
    assert informed_response(game, commitment).shape == (3, 4, 2)
    assert provider_cost(game, commitment, [0.5, 1], by_model=True).shape == (3, 4)
    found = solve_informed(game)
    assert found.commitment.shape == found.provider_cost.shape == (3, 1)
    assert found.patience.shape == (3, 1, 2)
    assert solve_informed(game[:0]).provider_cost.shape == (0, 1)
