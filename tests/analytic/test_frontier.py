"""The frontier and what it answers, against linear programs, brute force over commitments and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from stackroute.agents import LogitUser
from stackroute.analytic import (
    Commitment,
    Game,
    InvalidGameError,
    Population,
    best_response,
    churn_from_relationship,
    compare_routing,
    compete,
    efforts,
    expected_passes,
    frontier,
    misalignment,
    priced,
    priced_equilibrium,
    provider_cost,
    regulate,
    solve,
    solve_logit,
    solve_population,
    unverified,
    user_utility,
    with_outside_option,
)


def random_game(rng: np.random.Generator, models: int) -> Game:
    """A game in which thresholds of all kinds occur."""
    p, c, t = rng.uniform(0.05, 0.95, models), rng.uniform(0.01, 1, models), rng.uniform(0, 1, models)
    return Game(p, c, t, rng.lognormal(), rng.lognormal())


def lotteries(models: int, steps: int) -> np.ndarray:
    """All lotteries on a grid."""
    counts = itertools.product(range(steps + 1), repeat=models - 1)
    return np.array([(*one, steps - sum(one)) for one in counts if sum(one) <= steps]) / steps


def commitments(game: Game, steps: int) -> Commitment:
    """Each start with each lottery on a grid, shape (starts, lotteries)."""
    return Commitment.lottery(np.eye(game.models)[:, None], lotteries(game.models, steps))


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_the_frontier_is_what_a_linear_program_finds_and_a_commitment_gives(models: int, throttling: bool) -> None:
    rng = np.random.default_rng(models)
    for _ in range(25):
        game = random_game(rng, models)
        p, c, xi = game.success, game.cost, game.net_value
        found = frontier(game, throttling)
        free = solve(game, "free", throttling)
        assert min(branch.provider_cost[0] for branch in found.branches) == pytest.approx(free.provider_cost, rel=1e-10)
        gap = misalignment(game, throttling, "free").gap
        assert found.greatest_utility - free.user_utility == pytest.approx(gap, abs=1e-10)
        first, last = np.divmod(np.arange(models**2), models)
        worth = (1 - p[first]) * xi[last] / p[last]
        lowest = min(branch.user_utility[0] for branch in found.branches)
        for wanted in (*rng.uniform(lowest - 0.1, found.greatest_utility, 3), found.greatest_utility):
            programs = [(c[first] + (1 - p[first]) * (c / p)[last], xi[first] + worth, worth)]
            if found.leave is not None:
                programs.append((c + game.churn_penalty * (1 - p), xi, np.zeros(models)))
            solved = [
                linprog(cost, A_ub=[-gives, -stays], b_ub=[1e-12 - wanted, 0], A_eq=[np.ones(len(cost))], b_eq=[1])
                for cost, gives, stays in programs
            ]
            least = min((one.fun for one in solved if one.status == 0), default=np.inf)
            assert found.cost(wanted) == pytest.approx(least, rel=1e-8)
            made = found.commitment(wanted)
            patience = best_response(game, made)
            assert provider_cost(game, made, patience) == pytest.approx(found.cost(wanted), rel=1e-8)
            slows_all = patience == 0 and (xi > 0).all() and (made.start > 0).all()
            assert slows_all or user_utility(game, made, patience) >= wanted - 1e-9
        assert np.isinf(found.cost(found.greatest_utility + 1e-6))
        for branch in found.branches:
            slopes = np.diff(branch.provider_cost) / np.diff(branch.user_utility)
            assert (slopes >= 0).all()
            assert (np.diff(slopes) >= -1e-9 * np.abs(slopes[1:])).all()


def test_more_utility_than_there_is_cannot_be_committed_to() -> None:
    found = frontier(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], 1.1, 5))
    with pytest.raises(InvalidGameError, match=r"user_utility: 0\.3 is not allowed; expected at most 0\.225"):
        found.commitment(0.3)


def test_a_regulated_provider_does_no_better_than_the_best_commitment_that_meets_the_floor() -> None:
    rng = np.random.default_rng(5)
    for models in (2, 3) * 6:
        game = random_game(rng, models)
        tried = commitments(game, 60 if models == 2 else 20)
        patience = best_response(game, tried)
        cost, utility = provider_cost(game, tried, patience), user_utility(game, tried, patience)
        solved = (expected_passes(game, tried, patience) * game.success).sum(-1)
        for floor in np.quantile(utility, [0.2, 0.5, 0.9]):
            best = cost[utility >= floor].min()
            assert best * (1 + 1e-9) >= regulate(game, user_utility=floor)
        for floor in (game.success.min(), game.success.max(), 1.0):
            meets = cost[solved >= floor - 1e-12]
            least = regulate(game, success=floor)
            assert meets.min(initial=np.inf) >= least * (1 - 1e-9)
            if len(meets):
                assert meets.min() <= least * 1.25
    with pytest.raises(ValueError, match="exactly one"):
        regulate(game, success=0.5, user_utility=0.1)


def test_rivals_bid_until_the_second_would_rather_lose_the_task() -> None:
    rng = np.random.default_rng(6)
    served = set()
    for _ in range(20):
        first, second = random_game(rng, 2), random_game(rng, 3)
        value = 1.0
        pair = [Game(one.success[:2], one.cost[:2], one.latency[:2] / 2, value, 3.0) for one in (first, second)]
        games = Game.stack(pair)
        found = compete(games)
        offers, best = [], []
        for game in pair:
            tried = commitments(game, 400)
            patience = best_response(game, tried)
            cost, utility = provider_cost(game, tried, patience), user_utility(game, tried, patience)
            offers.append(utility[cost <= game.churn_penalty].max(initial=-np.inf))
            best.append((cost, utility))
        np.testing.assert_allclose(found.offers, offers, atol=0.02)
        assert (found.offers >= np.array(offers) - 1e-9).all()
        cost, utility = best[found.provider]
        assert found.user_utility >= min(found.offers) - 1e-12
        assert found.provider_cost <= cost[utility >= found.user_utility - 1e-12].min(initial=np.inf) * (1 + 1e-9)
        served.add(found.provider)
    assert served == {0, 1}


def test_rivals_may_have_different_numbers_of_models() -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        two, three = (random_game(rng, models).with_valid(churn_penalty=np.array(20.0)) for models in (2, 3))
        found = compete([two, three])
        # The same model twice is one model.
        again = [0, 1, 1]
        doubled = Game(two.success[again], two.cost[again], two.latency[again], two.value, two.churn_penalty)
        same = compete(Game.stack([doubled, three]))
        assert found.provider == same.provider
        numbers = [(one.user_utility, one.provider_cost, *one.offers) for one in (found, same)]
        np.testing.assert_allclose(*numbers, rtol=1e-9)


def test_the_churn_penalty_of_a_relationship_is_what_simulated_relationships_lose() -> None:
    """The value from play: the mean of 40,000 relationships, 5 standard errors."""
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=0)
    margin, leave, discount = 0.45, 0.6, 0.9
    found = churn_from_relationship(game, margin, leave, discount)
    played = Game(game.success, game.cost, game.latency, game.value, found.churn_penalty)
    best = solve(played, "free")
    assert best.provider_cost == pytest.approx(found.provider_cost + found.churn_penalty * found.abandoned)
    rng, count = np.random.default_rng(7), 40_000
    start, lottery = best.commitment.start, best.commitment.transition[0]
    total, alive, weight = np.zeros(count), np.ones(count, dtype=bool), 1.0
    for _ in range(120):
        at = rng.choice(2, count, p=start)
        cost, solved = game.cost[at].copy(), rng.random(count) < game.success[at]
        while best.patience == 1 and not solved.all():
            at = rng.choice(2, count, p=lottery)
            cost += np.where(solved, 0, game.cost[at])
            solved |= rng.random(count) < game.success[at]
        total += weight * np.where(alive, margin - cost, 0)
        alive &= solved | (rng.random(count) >= leave)
        weight *= discount
    error = total.std() / np.sqrt(count)
    assert total.mean() == pytest.approx(found.relationship, abs=5 * error + margin * discount**120 / (1 - discount))
    assert found.churn_penalty == pytest.approx(leave * discount * found.relationship, rel=1e-9)


def test_a_relationship_that_loses_money_is_an_error() -> None:
    game = Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=0)
    with pytest.raises(InvalidGameError, match="margin"):
        churn_from_relationship(game, 0.01, 0.6, 0.9)


@pytest.mark.parametrize("types", [1, 2, 3])
def test_a_population_is_served_as_brute_force_over_lotteries_finds(types: int) -> None:
    rng = np.random.default_rng(10 + types)
    for models in (2, 3) * 10:
        game = random_game(rng, models)
        users = Population(
            rng.lognormal(size=types), rng.lognormal(size=types), rng.lognormal(size=types), rng.random(types)
        )
        found = solve_population(game, users)
        tried = commitments(game, 400 if models == 2 else 40)
        cost = 0.0
        for j in range(types):
            waits = game.latency * users.waiting_cost[j]
            own = Game(game.success, game.cost, waits, users.value[j], users.churn_penalty[j])
            cost = cost + users.share[j] * provider_cost(own, tried, best_response(own, tried))
            if found.waiting < np.inf:
                patience = float(found.stays[j])
                assert patience == pytest.approx(best_response(own, found.commitment)) or np.isclose(
                    users.value[j] / users.waiting_cost[j], found.waiting
                )
                assert user_utility(own, found.commitment, patience) == pytest.approx(found.user_utility[j], abs=1e-9)
        assert np.min(cost) >= found.provider_cost * (1 - 1e-9)
        assert np.min(cost) <= found.provider_cost * 1.1


def test_a_population_of_one_type_is_the_game_itself() -> None:
    rng = np.random.default_rng(14)
    for models, throttling in itertools.product((1, 2, 4), (False, True)):
        for _ in range(20):
            game = random_game(rng, models)
            users = Population(game.value, 1, game.churn_penalty, 1)
            found, alone = solve_population(game, users, throttling), solve(game, "free", throttling)
            assert found.provider_cost == pytest.approx(alone.provider_cost, rel=1e-9)
    with pytest.raises(InvalidGameError, match="one number for each type"):
        Population([1, 2], 1, 1, 1)


def test_a_logit_user_is_served_as_brute_force_and_its_fixed_point_say() -> None:
    rng = np.random.default_rng(15)
    for models in (1, 2, 3) * 5:
        game, precision = random_game(rng, models), float(rng.uniform(0.5, 20))
        found = solve_logit(game, precision)
        user, none = LogitUser(precision), np.zeros(())
        patience = user.patience_by_model(game, found.commitment, none)
        assert patience == pytest.approx(np.full(models, found.patience), abs=1e-9)
        by_model = {"by_model": True}
        assert provider_cost(game, found.commitment, patience, **by_model) == pytest.approx(
            found.provider_cost, rel=1e-9
        )
        assert user_utility(game, found.commitment, patience, **by_model) == pytest.approx(found.user_utility, abs=1e-9)
        tried = commitments(game, 200 if models == 2 else 30)
        cost = provider_cost(game, tried, user.patience_by_model(game, tried, none), **by_model)
        assert found.provider_cost * (1 - 1e-9) <= cost.min() <= found.provider_cost * 1.02
        sharp = solve_logit(game, 1e7).provider_cost
        assert sharp == pytest.approx(solve(game, "free").provider_cost, rel=1e-3)


def test_variants_are_games_with_the_payoffs_that_they_stand_for() -> None:
    rng = np.random.default_rng(16)
    for _ in range(20):
        game = random_game(rng, 3)
        made = Commitment.lottery(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3)))
        price, patience = rng.uniform(0, 0.3, 3), rng.random()
        passes = expected_passes(game, made, patience)
        paid = priced(game, price)
        assert provider_cost(paid, made, patience) == pytest.approx(
            provider_cost(game, made, patience) - passes @ price
        )
        assert user_utility(paid, made, patience) == pytest.approx(user_utility(game, made, patience) - passes @ price)
        # What it is worth to leave with an offer of omega in hand is what is lost by being solved instead.
        omega = 0.3 * float(game.value)
        elsewhere = with_outside_option(game, omega)
        solved = float(passes @ game.success)
        worth = user_utility(game, made, patience) + omega * (1 - solved)
        assert user_utility(elsewhere, made, patience) + omega == pytest.approx(worth)
        f, g, harm = 0.1, 0.2, 0.4
        doubtful = unverified(game, f, g, harm)
        p, t, v = game.success, game.latency, float(game.value)
        np.testing.assert_allclose(doubtful.net_value, v * p * (1 - g) - harm * (1 - p) * f - t, atol=1e-12)
        np.testing.assert_allclose(doubtful.success, p * (1 - g) + (1 - p) * f)
    with pytest.raises(InvalidGameError, match="utility"):
        with_outside_option(game, game.value)
    with pytest.raises(InvalidGameError, match="price"):
        priced(game, -0.1)
    with pytest.raises(InvalidGameError, match=r"cost.*routing='cascade'"):
        solve(priced(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], 1.1, 5), 0.5))


def test_efforts_between_measured_ones_follow_a_law_of_scaling_and_never_cost_the_provider() -> None:
    # A success whose log-odds are linear in the logarithm of the tokens, and cost and latency in proportion to them.
    tokens = np.array([1.0, 4.0, 16.0, 64.0])
    law = {"success": 1 / (1 + np.exp(3 - 1.5 * np.log(tokens))), "cost": 0.01 * tokens, "latency": 0.3 * tokens}
    game = Game(*law.values(), value=20, churn_penalty=0.3)
    found = efforts(game, between=3)
    finer = np.geomspace(1, 64, 13)
    np.testing.assert_allclose(found.cost, 0.01 * finer)
    np.testing.assert_allclose(found.latency, 0.3 * finer)
    np.testing.assert_allclose(found.success, 1 / (1 + np.exp(3 - 1.5 * np.log(finer))))
    for name, array in law.items():
        np.testing.assert_array_equal(getattr(found, name)[::4], array)
    costs = [float(solve(efforts(game, between), "free").provider_cost) for between in (0, 1, 3, 7)]
    assert costs[0] == solve(game, "free").provider_cost
    assert np.all(np.diff(costs) <= 0), "every finer grid holds the coarser one"
    assert costs[-1] < costs[0] * 0.999
    for bad, message in (
        (Game([0.3, 0.5], [0.2, 0.1], [1, 2], 9, 1), r"cost\[1\]"),
        (Game([0.3, 0.5], [0.1, 0.2], [0, 2], 9, 1), r"latency\[0\]"),
        (Game([0.3], [0.2], [1], 9, 1), "two models"),
    ):
        with pytest.raises(InvalidGameError, match=message):
            efforts(bad)


def test_no_prices_earn_more_than_the_efficient_route_and_a_rational_user_accepts_them() -> None:
    rng = np.random.default_rng(17)
    stays = []
    for _ in range(40):
        game = random_game(rng, 2)
        wanted = float(rng.uniform(0, 0.2))
        found = priced_equilibrium(game, wanted)
        price = np.where(np.arange(2) == found.model, found.price, 10.0)
        made = Commitment.lottery(np.eye(2)[found.model], np.eye(2)[found.model if found.stays else 1 - found.model])
        paid = game.with_valid(latency=game.latency + price, cost=game.cost - price)
        assert best_response(paid, made) == found.stays
        assert user_utility(paid, made, float(found.stays)) == pytest.approx(wanted)
        assert provider_cost(paid, made, float(found.stays)) == pytest.approx(-found.profit)
        prices = rng.uniform(-1, 2, (4000, 2)) * float(game.value)
        tried = Commitment.lottery(rng.dirichlet(np.ones(2), 4000), rng.dirichlet(np.ones(2) / 2, 4000))
        offered = game.with_valid(latency=game.latency + prices, cost=game.cost - prices)
        patience = best_response(offered, tried)
        enters = user_utility(offered, tried, patience) >= wanted
        assert (provider_cost(offered, tried, patience)[enters] >= -found.profit - 1e-9).all()
        stays.append(bool(found.stays))
    assert len(set(stays)) == 2


def test_cascades_cost_what_free_routing_saves() -> None:
    compared = compare_routing(Game([0.22, 0.7], [0.09, 0.11], [0.04, 0.51], value=0.64, churn_penalty=4.83))
    assert compared.cascade.provider_cost == pytest.approx(0.2509, abs=5e-5)
    assert compared.free.provider_cost == pytest.approx(0.1694, abs=5e-5)
    assert compared.provider_saving == pytest.approx(1 - 0.1694 / 0.2509, abs=5e-4)
    assert compared.user_gain == compared.free.user_utility - compared.cascade.user_utility
