"""The exact references of the variants, reached by play: the informed user, Nash equilibria, what commitment is worth.

Means are compared within 4 standard errors of 50 block means. A correct program fails one two-sided comparison with
probability about 2e-4 (t distribution, 49 degrees of freedom), a one-sided one ("no better than") with at most 1e-4;
of the about 580 two-sided and 680 one-sided comparisons here one fails for about one choice of seeds in six. The
seeds are fixed to one that passes.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute import Commitment, Game, load_game, solve
from stackroute.agents import EquilibriumProvider, FixedPatienceUser, StaticProvider
from stackroute.analytic import (
    informed_provider_cost,
    informed_response,
    informed_user_utility,
    nash_equilibria,
    random_games,
    stratified_games,
)
from stackroute.envs import ABANDON, RE_PROMPT, PassBatch, ProviderBatch, UserBatch, action_from_commitment

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Answer = Callable[[Array, Array], Array]
    Routing = Callable[[Array], Array]

BLOCKS = 50
PER_BLOCK = 400
TASKS = BLOCKS * PER_BLOCK
SLOTS = 1000
PER_SLOT = TASKS // SLOTS
STATIC_1, STATIC_2, MIX = range(3)


def error(sample: Array) -> float:
    """The standard error of the mean, from block means."""
    means = sample.reshape(BLOCKS, -1).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(BLOCKS))


def agrees(sample: Array, exact: float) -> bool:
    return bool(abs(sample.mean() - exact) <= 4 * error(sample) + 1e-12)


def no_more_than(sample: Array, limit: Array | float) -> bool:
    """Whether a mean is at most another, of the same coins."""
    return bool((sample - limit).mean() <= 4 * error(sample - limit) + 1e-12)


def surely_more(sample: Array, limit: Array) -> bool:
    return bool((sample - limit).mean() > 4 * error(sample - limit) + 1e-12)


def some_games() -> Game:
    """60 games drawn uniformly and 60 from all strata."""
    uniform, stratified = random_games(60, seed=3), stratified_games(60, seed=4)
    names = ("success", "cost", "latency", "value", "churn_penalty")
    return Game(*(np.concatenate([getattr(uniform, name), getattr(stratified, name)]) for name in names))


@pytest.mark.parametrize("throttling", [False, True])
def test_the_informed_user_earns_and_costs_what_the_closed_forms_say(throttling: bool) -> None:
    games, generator = some_games(), np.random.default_rng(8)
    told_apart = 0
    for index in range(len(games)):
        game = games[index]
        delay = generator.uniform(0, 0.4, 2) * float(game.value) * throttling
        commitment = Commitment(1 + (index % 5 == 0), generator.choice([0.0, 1.0, *generator.uniform(size=6)]), delay)
        patience = informed_response(game, commitment)
        told_apart += patience[0] != patience[1]
        batch = ProviderBatch(
            game, "informed", BLOCKS, tasks_per_commitment=PER_BLOCK, seed=100 * index, throttling=throttling
        )
        played = batch.step(np.tile(action_from_commitment(game, commitment, throttling), (BLOCKS, 1)))
        cost = played["service_cost"] + played["churn_penalty"]
        assert agrees(cost, float(informed_provider_cost(game, commitment, patience))), index
        utility = played["value"] - played["latency"]
        assert agrees(utility, float(informed_user_utility(game, commitment, patience))), index
    assert told_apart > 10


def earned(game: Game, commitment: Commitment, answer: Answer) -> Array:
    """The mean utility after the first failure of each slot's tasks, answered as the last model and the passes say."""
    provider = StaticProvider(int(commitment.model), float(commitment.cascade), commitment.delay)
    batch = UserBatch(game, provider, SLOTS, seed=1, observe="history", throttling=True)
    gains, left = np.zeros(SLOTS), np.full(SLOTS, PER_SLOT)
    while left.any():
        seen = batch.observation
        passes = np.expm1(seen[:, 12].astype(float) * np.log1p(1000)).round()
        stays = answer(1 + seen[:, 11], passes) & (left > 0)
        utility, ended, truncated = batch.step(np.where(stays, RE_PROMPT, ABANDON))
        gains += utility * (left > 0)
        left -= (ended | truncated) & (left > 0)
    return gains / PER_SLOT


INFORMED_GAMES = {
    "the standard model only": ("g5", Commitment(1, 0.4)),
    "the standard model only, often moved on": ("g5b", Commitment(1, 0.9)),
    "the reasoning model only, above s0": ("g4b", Commitment(1, 0.4)),
    "the reasoning model only, below s0": ("g4b", Commitment(1, 0.2)),
    "both": ("g1", Commitment(1, 0.5)),
    "both, the reasoning model delayed": ("g1", Commitment(1, 0.3, [0.0, 1.9])),
    "neither": ("g3", Commitment(1, 0.5)),
    "a start on the reasoning model": ("g5", Commitment(2, 0.0)),
}


@pytest.mark.parametrize("name", INFORMED_GAMES)
def test_no_user_of_the_history_beats_the_informed_one(name: str) -> None:
    packaged, commitment = INFORMED_GAMES[name]
    game = load_game(packaged).game
    best = informed_response(game, commitment)

    def informed(model: Array, passes: Array) -> Array:
        return best[model.astype(int) - 1] > 0

    reached = earned(game, commitment, informed)
    failed = 1 - float(game.success[int(commitment.model) - 1])
    at_once = float(game.with_delay(commitment.delay)[int(commitment.model) - 1])
    assert agrees(reached, (float(informed_user_utility(game, commitment, best)) - at_once) / failed)

    worse = 0
    # Every deterministic user of the model and of whether one, two or more passes have failed.
    for plan in product([False, True], repeat=6):
        table = np.array(plan).reshape(2, 3)

        def planned(model: Array, passes: Array, table: Array = table) -> Array:
            return table[model.astype(int) - 1, np.minimum(passes.astype(int), 3) - 1]

        other = earned(game, commitment, planned)
        assert no_more_than(other, reached), plan
        worse += surely_more(reached, other)
    assert worse >= 16


def test_seeing_the_model_is_worth_something() -> None:
    game, commitment = load_game("g5").game, Commitment(1, 0.4)
    best = informed_response(game, commitment)
    assert best.tolist() == [1, 0]
    informed = earned(game, commitment, lambda model, passes: model == 1)
    for stays in (False, True):
        assert surely_more(informed, earned(game, commitment, lambda model, passes, s=stays: np.full(SLOTS, s)))


def costs(game: Game, patience: float, routing: Routing) -> Array:
    """The mean cost of each slot's tasks to a provider that routes each pass by its number, from 0."""
    batch = PassBatch(game, FixedPatienceUser(patience), SLOTS, seed=2)
    total, left = np.zeros(SLOTS), np.full(SLOTS, PER_SLOT)
    passes = np.zeros(SLOTS, dtype=int)
    while left.any():
        rewards, ended, truncated = batch.step((routing(passes) == 2).astype(float)[:, None])
        over = ended | truncated
        total -= rewards * (left > 0)
        left -= over & (left > 0)
        passes = np.where(over, 0, passes + 1)
    return total / PER_SLOT


def always(model: int) -> Routing:
    return lambda passes: np.full(passes.shape, model)


DEVIATIONS: dict[str, Routing] = {
    "always 1": always(1),
    "always 2": always(2),
    "1, 2, 1, 2": lambda passes: 1 + passes % 2,
    "2, 1, 2, 1": lambda passes: 2 - passes % 2,
    "1, 2, 2": lambda passes: np.where(passes < 1, 1, 2),
    "1, 1, 2, 2": lambda passes: np.where(passes < 2, 1, 2),
    "2, 1, 1": lambda passes: np.where(passes < 1, 2, 1),
    "1, 1, 2, 1, 1, 2": lambda passes: np.where(passes % 3 < 2, 1, 2),
}


@cache
def many_games() -> Game:
    return stratified_games(600, seed=9)


def nash_games(which: int, count: int) -> Game:
    games = many_games()
    return games[np.flatnonzero(nash_equilibria(games).exists[which])[:count]]


@pytest.mark.parametrize("model", [1, 2])
def test_a_static_equilibrium_costs_its_closed_form_and_no_other_routing_costs_less(model: int) -> None:
    packaged = {1: ["g1", "g6"], 2: ["g2", "g3", "g5"]}[model]
    games = [load_game(name).game for name in packaged]
    drawn = nash_games(model - 1, 5)
    dearer = 0
    for game in [*games, *(drawn[k] for k in range(len(drawn)))]:
        found = nash_equilibria(game)
        assert found.exists[model - 1]
        patience = float(found.patience[model - 1])
        served = costs(game, patience, always(model))
        assert agrees(served, float(found.provider_cost[model - 1]))
        for name, routing in DEVIATIONS.items():
            other = costs(game, patience, routing)
            assert no_more_than(served, other), name
            dearer += surely_more(other, served)
    assert dearer > 20


def test_in_a_mix_all_routings_cost_the_same() -> None:
    drawn = nash_games(MIX, 6)
    prefers = 0
    for game in [load_game("g4").game, load_game("g4b").game, *(drawn[k] for k in range(len(drawn)))]:
        found = nash_equilibria(game)
        exact, patience = float(found.provider_cost[MIX]), float(found.patience[MIX])
        assert 0 < patience < 1
        for name, routing in DEVIATIONS.items():
            assert agrees(costs(game, patience, routing), exact), name
        # Away from the equilibrium's patience the provider is no longer indifferent.
        elsewhere = [costs(game, patience * 0.7, always(model)) for model in (1, 2)]
        prefers += surely_more(*elsewhere) or surely_more(*elsewhere[::-1])
    assert prefers >= 5


@pytest.mark.parametrize("name", ["g1", "g2", "g3", "g4", "g4b", "g5"])
def test_the_rational_user_that_sees_nothing_is_that_of_the_equilibrium(name: str) -> None:
    found = nash_equilibria(load_game(name).game)
    (which,) = np.flatnonzero(found.exists)
    rational = PassBatch(name, "rational", TASKS, seed=2)
    fixed = PassBatch(name, FixedPatienceUser(float(found.patience[which])), TASKS, seed=2)
    for _ in range(5):
        for one, same in zip(rational.step(np.ones((TASKS, 1))), fixed.step(np.ones((TASKS, 1))), strict=True):
            np.testing.assert_array_equal(one, same)


class Mix:
    """The provider's part of a mixed equilibrium: a random start, and a cascade."""

    def __init__(self, start: float, cascade: float) -> None:
        self.start, self.cascade = start, cascade

    def commit(self, game: Game, draws: Array) -> Commitment:
        return Commitment(np.where(draws[..., 0] < self.start, 1, 2), self.cascade)


def only(mixed: Game, best: int) -> Game:
    """Games of a batch with a mix in which only model `best` is worth a pass."""
    return mixed[np.flatnonzero(mixed.net_value[:, best - 1] > 0)]


@pytest.mark.parametrize("best", [1, 2])
def test_the_patience_of_a_mix_is_a_best_response_to_it(best: int) -> None:
    drawn = only(nash_games(MIX, 200), best)
    assert len(drawn) >= 4
    losses = 0
    for index in range(4):
        game = drawn[index]
        found = nash_equilibria(game)
        start, cascade, patience = (float(array[MIX]) for array in (found.start, found.cascade, found.patience))

        batch = UserBatch(game, Mix(start, cascade), TASKS, lookahead=1, commitment="pass")

        def gain(r: float, batch: UserBatch = batch, seed: int = index * TASKS) -> Array:
            batch.reset(seed)
            assert (batch.observation[:, 7:] == 0).all()
            return batch.play_out(np.full(TASKS, r))[0]

        reached = gain(patience)
        share = np.array([start, 1 - start])
        failed, at_once = float(share @ (1 - game.success)), float(share @ game.net_value)
        assert agrees(reached, (float(found.user_utility[MIX]) - at_once) / failed)
        # The payoff has one peak, and is flat there.
        for other in (0.0, 0.5 * patience, 0.9 * patience, patience + 0.1 * (1 - patience), 0.5 + 0.5 * patience, 1.0):
            neighbour = gain(other)
            assert no_more_than(neighbour, reached), (index, other)
            losses += surely_more(reached, neighbour)
    assert losses >= 4


def test_what_commitment_is_worth_on_a_cascade_game() -> None:
    game = load_game("g4b").game
    committed = ProviderBatch(game, "rational", BLOCKS, tasks_per_commitment=4 * PER_BLOCK, seed=11)
    commitment = EquilibriumProvider().commit(game, np.zeros(4))
    assert 0 < commitment.cascade < 1
    played = committed.step(np.tile(action_from_commitment(game, commitment, throttling=False), (BLOCKS, 1)))
    stackelberg = played["service_cost"] + played["churn_penalty"]
    nash = costs(game, float(nash_equilibria(game).best_patience), always(2)).reshape(BLOCKS, -1).mean(axis=1)

    # kappa of the cascade at s0 = 4/13 with p = 1/2, 4/5: (1/10 + 1/2 s0) / (1/2 + 1/2 s0).
    s0 = Fraction(4, 13)
    cascade = (Fraction(1, 10) + Fraction(4, 5) * Fraction(1, 2) * s0 / Fraction(4, 5)) / (Fraction(1, 2) * (1 + s0))
    # eta1 = -12/5, eta2 = -16/5: equal costs where eta1 (1 - r/5) = eta2 (1 - r/2), at r = 5/7.
    mixed = 5 + Fraction(-12, 5) / (1 - Fraction(5, 14))
    assert (cascade, mixed) == (Fraction(33, 85), Fraction(19, 15))
    assert float(solve(game).provider_cost) == pytest.approx(float(cascade), rel=1e-12)
    assert float(nash_equilibria(game).best) == pytest.approx(float(mixed), rel=1e-12)
    assert agrees(stackelberg, float(cascade))
    assert agrees(nash, float(mixed))
    assert agrees(nash - stackelberg, float(mixed - cascade))
    assert surely_more(nash, stackelberg)
