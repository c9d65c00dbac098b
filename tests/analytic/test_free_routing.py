"""Free routing: linear programs over all sequences of models, hand-written closed forms, and grids of lotteries."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stackroute.analytic import Commitment, Game, InvalidGameError, best_response, provider_cost, solve, user_utility
from stackroute.configs import load_game

from .draws import draw_games, draw_ties
from .sequences import Program, Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from stackroute.analytic import Equilibrium

    Array = NDArray[np.float64]

NEVER = np.inf
COUNTING = Users.that_stop([1, 2, NEVER])
CASES = [(throttling, tie) for throttling in (False, True) for tie in ("strong", "pessimistic")]


def program_cost(game: Game, users: Users, throttling: bool, floor: float = -np.inf) -> float:
    """The provider's least cost over everything that the users may be brought to do."""
    program = Program(game, users, throttling)
    return float(min(program.least_cost(target, floor) for target in range(len(users.ratio))))


def least_keeping_cost(game: Game, strictly: bool = False) -> float:
    """C*: the cheapest of single models and pairs that are worth it, or worth more than nothing."""
    u, kappa = game.net_value / game.success, game.cost / game.success
    kept = kappa[(u > 0) | ((u == 0) & (not strictly or u.max() > 0))]
    pairs = [
        (kappa[i] * -u[j] + kappa[j] * u[i]) / (u[i] - u[j])
        for i, j in product(range(game.models), repeat=2)
        if u[i] > 0 > u[j]
    ]
    return float(min([np.inf, *kept, *pairs]))


def closed_form(game: Game, throttling: bool, tie: str) -> float:
    """J* by the theorem, written for one game; of the infimum where an indifferent user is against the provider."""
    xi, kappa, penalty = game.net_value, game.cost / game.success, float(game.churn_penalty)
    options = [least_keeping_cost(game, strictly=tie == "pessimistic")]
    if throttling or xi.min() < 0 or (tie == "strong" and xi.min() == 0):
        options.append(penalty)
    if (xi == 0).any():
        # Indifferent users do what costs more.
        options.append(max(penalty, kappa[xi == 0].min()))
    return float((game.cost + (1 - game.success) * min(options)).min())


def assert_played(equilibrium: Equilibrium) -> None:
    """The commitment is a lottery, and played by both it gives what the solution says."""
    game, commitment = equilibrium.game, equilibrium.commitment
    patience = best_response(game, commitment, equilibrium.tie_breaking)
    np.testing.assert_array_equal(patience, equilibrium.patience)
    np.testing.assert_allclose(provider_cost(game, commitment, patience), equilibrium.provider_cost, rtol=1e-12)
    scale = (game.value + (game.latency + commitment.delay).max(axis=-1)) / game.success.min(axis=-1)
    np.testing.assert_array_less(
        np.abs(user_utility(game, commitment, patience) - equilibrium.user_utility), 1e-13 * scale
    )
    assert np.all(equilibrium.user_utility_worst <= equilibrium.user_utility)
    assert np.all(commitment.transition == commitment.transition[..., :1, :])
    assert np.all((commitment.transition[..., 0, :] > 0).sum(axis=-1) <= 2)
    assert np.all((commitment.start == 1).sum(axis=-1) == 1)
    assert equilibrium.throttling or not commitment.delay.any()


def assert_closed_form(equilibrium: Equilibrium) -> None:
    """The cost is the theorem's; against a pessimistic user it is approached, by a hair of 1e-9 in a probability."""
    games, throttling, tie = equilibrium.game, equilibrium.throttling, equilibrium.tie_breaking
    expected = np.array([closed_form(game, throttling, tie) for game in games])
    excess = equilibrium.provider_cost - expected
    rounding = 1e-12 * (expected + games.cost.max(axis=-1))
    assert np.all(excess >= -rounding)
    hair = 0 if tie == "strong" else 1e-8 * (expected + games.cost.max(axis=-1)) / games.success.min(axis=-1)
    assert np.all(excess <= rounding + hair)


# The programs over all sequences.


@pytest.mark.parametrize(("models", "count"), [(1, 20), (2, 70), (3, 70), (4, 50), (5, 40)])
def test_no_mixture_of_sequences_is_cheaper(models: int, count: int) -> None:
    games = draw_games(models, count, seed=models)
    for throttling in (False, True):
        expected = [program_cost(game, COUNTING, throttling) for game in games]
        np.testing.assert_allclose(solve(games, "free", throttling).provider_cost, expected, rtol=1e-8)


@pytest.mark.parametrize("models", [1, 2, 3])
def test_no_mixture_of_sequences_is_cheaper_at_ties(models: int) -> None:
    games = draw_ties(models, 25, seed=models)
    for throttling in (False, True):
        expected = [program_cost(game, COUNTING, throttling) for game in games]
        np.testing.assert_allclose(solve(games, "free", throttling).provider_cost, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    "users",
    [Users.that_stop([1, 2, 3, 4, 6, NEVER]), Users.of_patience([0, 0.3, 0.6, 0.9, 1], horizon=20)],
    ids=["counting", "patience"],
)
def test_the_cost_is_that_of_users_with_more_strategies(users: Users) -> None:
    for models in (2, 3, 4):
        games = draw_games(models, 3, seed=10 + models)
        for throttling in (False, True):
            expected = [program_cost(game, users, throttling) for game in games]
            np.testing.assert_allclose(solve(games, "free", throttling).provider_cost, expected, rtol=1e-8)


def test_the_cost_is_that_of_users_who_may_stop_after_any_of_30_passes() -> None:
    games = draw_games(3, 20, seed=20)
    programs = [Program(game, Users.that_stop([*range(1, 31), NEVER])) for game in games]
    expected = [min(program.least_cost(0), program.least_cost(30)) for program in programs]
    np.testing.assert_allclose(solve(games, "free").provider_cost, expected, rtol=1e-8)


@pytest.mark.parametrize("draw", [draw_games, draw_ties])
def test_users_get_the_most_and_the_least_that_the_cost_allows(draw: Callable[..., Game]) -> None:
    """Among all mixtures of a first model, a second one, and a third that serves for ever."""
    for models in (1, 2, 3):
        games = draw(models, 15, seed=30 + models)
        free = solve(games, "free")
        sequences = np.array(list(product(range(models), repeat=3)))
        for game, equilibrium_cost, *ends in zip(
            games, free.provider_cost, free.user_utility_worst, free.user_utility, strict=True
        ):
            program = Program(game, COUNTING)
            least_and_most: list[float] = []
            for target in range(3):
                cost, utility = program.payoffs(sequences, program.costs(target))
                rows = np.vstack([utility - utility[target], cost])
                limits = np.append(np.zeros(3), equilibrium_cost / program.money * (1 + 1e-11) + 1e-13)
                for sign in (1, -1):
                    found = linprog(sign * utility[target], rows, limits, np.ones((1, len(cost))), [1.0])
                    if found.success:
                        least_and_most.append(sign * float(found.fun or 0.0))
            found_ends = np.array([min(least_and_most), max(least_and_most)]) * program.value
            np.testing.assert_allclose(found_ends, ends, rtol=1e-5, atol=1e-5 * program.value)


# The closed form, and the play of the commitment.


@pytest.mark.parametrize("models", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("throttling", "tie"), CASES)
def test_the_cost_is_the_closed_form_and_the_commitment_attains_it(models: int, throttling: bool, tie: Any) -> None:
    for draw in (draw_games, draw_ties):
        games = draw(models, 300, seed=40 + models)
        equilibrium = solve(games, "free", throttling, tie)
        assert_closed_form(equilibrium)
        assert_played(equilibrium)


EXTREME = {
    "p near 0": Game([1e-6, 1e-5], [1e-4, 2e-4], [0.5e-6, 2e-5], 1, 30),
    "p near 1": Game([1 - 1e-9, 1 - 1e-6], [0.2, 0.1], [0.5, 1.5], 1, 3),
    "p near 0 and near 1": Game([1e-6, 1 - 1e-9], [1e-7, 0.5], [2e-6, 0.5], 1, [0.01, 0.3, 1, 1e6]),
    "nothing worth it": Game([0.3, 0.6, 0.8], [0.1, 0.3, 0.6], [0.4, 0.7, 0.9], 1, [0, 0.3, 1, 9]),
    "one equal to another": Game([0.5, 0.5], [0.2, 0.2], [0.3, 0.3], 1, [0.1, 0.4, 3]),
    "worth exactly the wait": Game([0.5, 0.25], [0.25, 0.25], [0.5, 0.25], 1, [0, 0.5, 0.75, 1, 2]),
    "free of cost": Game([0.5, 0.25], [0, 0], [0.75, 0.125], 1, [0, 1]),
}


@pytest.mark.parametrize("name", EXTREME)
@pytest.mark.parametrize(("throttling", "tie"), CASES)
def test_extreme_games(name: str, throttling: bool, tie: Any) -> None:
    games = EXTREME[name].reshape(-1)
    equilibrium = solve(games, "free", throttling, tie)
    assert_closed_form(equilibrium)
    assert_played(equilibrium)
    if tie == "strong":
        expected = [program_cost(game, COUNTING, throttling) for game in games]
        np.testing.assert_allclose(equilibrium.provider_cost, expected, rtol=1e-8, atol=1e-12)


def test_the_reverse_cascade_of_a_packaged_game() -> None:
    game = load_game("g5").game
    free = solve(game, "free")
    assert free.provider_cost == pytest.approx(0.1694, abs=5e-5)
    assert solve(game).provider_cost == pytest.approx(0.2509, abs=5e-5)
    assert free.commitment.first_model == 1
    lottery = free.commitment.transition[0]
    solved = lottery * game.success / (lottery * game.success).sum()
    assert solved[0] == pytest.approx(0.162, abs=5e-4)
    assert program_cost(game, COUNTING, throttling=False) == pytest.approx(free.provider_cost, rel=1e-8)


# Search over commitments.


@pytest.mark.parametrize(("models", "steps"), [(1, 1), (2, 40), (3, 12)])
@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("draw", [draw_games, draw_ties])
def test_lotteries_of_a_grid_are_no_cheaper_and_give_users_what_is_claimed(
    models: int, steps: int, throttling: bool, draw: Callable[..., Game]
) -> None:
    games = draw(models, 80, seed=50)
    free = solve(games, "free", throttling)
    grid = np.array([shares for shares in product(range(steps + 1), repeat=models) if sum(shares) == steps]) / steps
    tried = np.concatenate(
        [np.broadcast_to(grid[:, None], (len(grid), 80, models)), free.commitment.transition[None, :, 0]]
    )
    xi, value = games.net_value, games.value
    slowest = np.broadcast_to(value[:, None], xi.shape)
    levels = (np.zeros_like(xi), np.maximum(xi, 0), slowest) if throttling else (np.zeros_like(xi),)
    worst, best = np.full(80, np.inf), np.full(80, -np.inf)
    for chosen in product(levels, repeat=models):
        delay = np.stack([each[:, model] for model, each in enumerate(chosen)], axis=-1)
        commitments = Commitment.lottery(np.eye(models)[:, None, None], tried, delay)
        patience = best_response(games, commitments)
        cost, utility = (payoff(games, commitments, patience) for payoff in (provider_cost, user_utility))
        assert np.all(cost >= free.provider_cost * (1 - 1e-12) - 1e-15)
        optimal = cost <= free.provider_cost * (1 + 1e-12)
        worst = np.minimum(worst, utility.min(axis=(0, 1), where=optimal, initial=np.inf))
        best = np.maximum(best, utility.max(axis=(0, 1), where=optimal, initial=-np.inf))
    assert np.all(np.abs(worst - free.user_utility_worst) <= 1e-9 * value)
    assert np.all(np.abs(best - free.user_utility) <= 1e-9 * value)


@pytest.mark.parametrize("models", [2, 3, 4])
def test_no_random_chain_is_cheaper(models: int) -> None:
    rng = np.random.default_rng(60 + models)
    games = draw_games(models, 25, seed=60 + models)[:, None]
    size = (25, 60)
    start, transition = rng.dirichlet(np.full(models, 0.2), size), rng.dirichlet(np.full(models, 0.2), (*size, models))
    slowed = rng.random((*size, models)) < 0.3
    for throttling in (False, True):
        delay = games.value[..., None] * rng.random((*size, models)) * slowed * throttling
        commitments = Commitment(start, transition, delay)
        cost = provider_cost(games, commitments, best_response(games, commitments))
        assert np.all(cost >= solve(games, "free", throttling).provider_cost * (1 - 1e-9))


# Properties.

steady = settings(derandomize=True, deadline=None, max_examples=100)
amounts = st.one_of(st.just(0.0), st.floats(1e-3, 100))


@st.composite
def any_games(draw: Any, least: int = 1, most: int = 4) -> Game:
    """Games whose users are often nearly indifferent, or exactly."""
    models = draw(st.integers(least, most))
    several = {"min_size": models, "max_size": models}
    p = np.array(draw(st.lists(st.floats(1e-3, 1 - 1e-3), **several)))
    c = np.array(draw(st.lists(amounts, **several)))
    worth = st.one_of(st.floats(1e-3, 2), st.floats(0.9, 1.1), st.sampled_from([0.0, 1.0]))
    value = draw(st.floats(1e-2, 100))
    return Game(p, c, value * p * np.array(draw(st.lists(worth, **several))), value, draw(amounts))


def models_of(game: Game, index: Any) -> Game:
    """The game with these of its models, in this order."""
    return Game(game.success[index], game.cost[index], game.latency[index], game.value, game.churn_penalty)


@steady
@given(game=any_games(least=2, most=2))
def test_freedom_and_delays_never_cost_more(game: Game) -> None:
    free, slow = solve(game, "free"), solve(game, "free", throttling=True)
    assert slow.provider_cost <= free.provider_cost * (1 + 1e-12)
    assert slow.user_utility_worst <= slow.user_utility
    for throttling, most in ((False, free), (True, slow)):
        try:
            cascade = solve(game, throttling=throttling)
        except InvalidGameError:
            continue
        assert most.provider_cost <= cascade.provider_cost * (1 + 1e-12)


@steady
@given(game=any_games(), throttling=st.booleans(), money=st.floats(1e-3, 1e3), time=st.floats(1e-3, 1e3))
def test_units_do_not_matter(game: Game, throttling: bool, money: float, time: float) -> None:
    other = Game(game.success, game.cost * money, game.latency * time, game.value * time, game.churn_penalty * money)
    # Rounding must not move a model over the edge.
    if np.any((np.abs(game.net_value) < 1e-9 * game.value * game.success) & (game.net_value != 0)):
        return
    here, there = solve(game, "free", throttling), solve(other, "free", throttling)
    assert there.provider_cost == pytest.approx(money * here.provider_cost, rel=1e-9)


@steady
@given(game=any_games(least=2), throttling=st.booleans(), data=st.data())
def test_neither_the_order_of_models_nor_copies_of_them_matter(game: Game, throttling: bool, data: Any) -> None:
    order = data.draw(st.permutations(range(game.models)))
    copied = data.draw(st.integers(0, game.models - 1))
    here = solve(game, "free", throttling)
    for index in (order, [*range(game.models), copied]):
        there = solve(models_of(game, index), "free", throttling)
        assert there.provider_cost == pytest.approx(here.provider_cost, rel=1e-11)
        assert there.user_utility == pytest.approx(
            here.user_utility, rel=1e-9, abs=1e-9 * game.value / game.success.min()
        )


@steady
@given(game=any_games(), throttling=st.booleans(), share=st.floats(0.1, 1), dearer=amounts, slower=amounts)
def test_a_dominated_model_is_good_for_a_threat_only(
    game: Game, throttling: bool, share: float, dearer: float, slower: float
) -> None:
    p, c, t = (np.append(a, a[0]) for a in (game.success, game.cost, game.latency))
    p[-1], c[-1], t[-1] = p[-1] * share, c[-1] + dearer, t[-1] + slower
    more = Game(p, c, t, game.value, game.churn_penalty)
    here, there = solve(game, "free", throttling), solve(more, "free", throttling)
    assert there.provider_cost <= here.provider_cost * (1 + 1e-12)
    if throttling or game.net_value.min() <= 0 or more.net_value[-1] > 0:
        assert there.provider_cost == pytest.approx(here.provider_cost, rel=1e-12)
