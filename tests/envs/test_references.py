"""The exact references of the variants, reached by play: equilibria, the informed user, what commitment is worth.

Means are compared within 4 standard errors of 50 block means. A correct program fails one two-sided comparison with
probability about 2e-4 (t distribution, 49 degrees of freedom), a one-sided one ("no better than") with at most 1e-4;
of the about 120 two-sided and 900 one-sided comparisons here one fails for about one choice of seeds in nine. The
seeds are fixed to one that passes.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute import Commitment, Game, load_game, solve
from stackroute.agents import FixedPatienceUser, StaticProvider
from stackroute.analytic import (
    informed_response,
    nash_equilibria,
    stratified_games,
    user_utility,
)
from stackroute.envs import (
    ABANDON,
    RE_PROMPT,
    ProviderActions,
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserEnv,
    UserVectorEnv,
    env,
    parallel_env,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Answer = Callable[[Array, Array], Array]
    Routing = Callable[[Array], Array]

BLOCKS = 50
PER_BLOCK = 400
SLOTS = 1000
PER_SLOT = BLOCKS * PER_BLOCK // SLOTS
MIX = 2
PACKAGED = ["g1", "g2", "g3", "g4", "g4b", "g5"]


def error(sample: Array) -> float:
    """The standard error of the mean, from block means."""
    means = sample.reshape(BLOCKS, -1).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(BLOCKS))


def agrees(sample: Array, exact: Any) -> bool:
    return bool(abs(sample.mean() - exact) <= 4 * error(sample) + 1e-12)


def no_more_than(sample: Array, limit: Array | float) -> bool:
    """Whether a mean is at most another, of the same random numbers."""
    return bool((sample - limit).mean() <= 4 * error(sample - limit) + 1e-12)


def surely_more(sample: Array, limit: Array | float) -> bool:
    return bool((sample - limit).mean() > 4 * error(sample - limit) + 1e-12)


def numbers(equilibrium: Any) -> dict[str, Any]:
    arrays = {
        **vars(equilibrium),
        **vars(getattr(equilibrium, "commitment", getattr(equilibrium, "routing", equilibrium))),
    }
    return {name: entry for name, entry in arrays.items() if isinstance(entry, np.ndarray | np.generic)}


@pytest.mark.parametrize("options", [{}, {"throttling": False}, {"routing": "pass"}, {"reward_unit": "relative"}])
@pytest.mark.parametrize("games", [["g2", "g4b", "g7"], [Game([0.5], [0.2], [0.3], 2, 3)]])
def test_every_environment_knows_the_exact_solution_of_its_own_game_and_options(games: Any, options: Any) -> None:
    batch = RoutingBatch(games, 5, seed=3, **options)
    singles: list[Any] = [env(games, **options), parallel_env(games, **options), ProviderEnv(games, **options)]
    vectors: list[Any] = [batch, ProviderVectorEnv(5, games, **options)]
    solved: Any = nash_equilibria
    if options.get("routing") != "pass":
        singles.append(UserEnv(games, **options))
        vectors.append(UserVectorEnv(5, games, **options))
        solved = partial(solve, throttling=options.get("throttling", True))
    for api in (*singles, *vectors):
        inner = api.unwrapped if api in singles else api
        for seed in (3, 4, 5):
            api.reset(seed=seed)
            rows = inner.tasks.rows["game"]
            found, expected = inner.equilibrium, solved(inner.variant.games[int(rows[0]) if api in singles else rows])
            assert type(found) is type(expected)
            assert len(numbers(found)) > 5
            for name, exact in numbers(expected).items():
                np.testing.assert_array_equal(numbers(found)[name], exact, err_msg=name)


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("name", [*PACKAGED, "g7"])
def test_no_other_commitment_or_patience_pays_at_the_equilibrium(name: str, throttling: bool) -> None:
    provider = ProviderVectorEnv(BLOCKS, name, "rational", tasks_per_commitment=PER_BLOCK, throttling=throttling)
    exact, game = solve(load_game(name).game, throttling=throttling), load_game(name).game
    actions = ProviderActions(2, throttling=throttling)
    dearer = 0

    def cost(action: Array) -> Array:
        provider.reset(seed=11)
        return -provider.advance(np.tile(action, (BLOCKS, 1)))[0]

    reached = cost(actions.action(game, exact.commitment))
    assert agrees(reached, exact.provider_cost)
    for row in ProviderActions(2, throttling=throttling, kind="grid").grid[:: 8 if throttling else 1]:
        other = cost(row)
        assert no_more_than(reached, other), row
        dearer += surely_more(other, reached)
    assert dearer >= 3

    user = UserVectorEnv(SLOTS, name, "equilibrium", decision="task", tasks_per_commitment=20, throttling=throttling)

    def gain(patience: float) -> Array:
        user.reset(seed=11)
        return user.advance(np.full((SLOTS, 1), patience))[0]

    best = gain(float(exact.patience))
    for patience in (0.0, 0.25, 0.5, 0.75, 0.95, 1.0):
        assert no_more_than(gain(patience), best), patience


def earned(game: Game, commitment: Commitment, answer: Answer) -> Array:
    """The mean utility after the first failure of each slot's tasks, answered as the last model and the passes say."""
    user = UserVectorEnv(SLOTS, game, StaticProvider(commitment), observe={"user": ["history"]})
    seen, _ = user.reset(seed=1)
    gains, left = np.zeros(SLOTS), np.full(SLOTS, PER_SLOT)
    while left.any():
        share = seen[:, 1].astype(float)
        stays = answer(seen[:, 0].astype(int), (5 * share / (1 - share)).round().astype(int)) & (left > 0)
        utility, ended, truncated = user.advance(np.where(stays, RE_PROMPT, ABANDON))
        gains += utility * (left > 0)
        left -= (ended | truncated) & (left > 0)
        seen = user.observation
    return gains / PER_SLOT


INFORMED_GAMES = {
    "the standard model only": ("g5", Commitment.cascade(0, 0.4)),
    "the standard model only, often moved on": ("g5b", Commitment.cascade(0, 0.9)),
    "the reasoning model only, above s0": ("g4b", Commitment.cascade(0, 0.4)),
    "the reasoning model only, below s0": ("g4b", Commitment.cascade(0, 0.2)),
    "both": ("g1", Commitment.cascade(0, 0.5)),
    "both, the reasoning model delayed": ("g1", Commitment.cascade(0, 0.3, [0.0, 1.9])),
    "neither": ("g3", Commitment.cascade(0, 0.5)),
    "a start on the reasoning model": ("g5", Commitment.static(1)),
}


@pytest.mark.parametrize("name", INFORMED_GAMES)
def test_no_user_of_the_history_beats_the_informed_one(name: str) -> None:
    packaged, commitment = INFORMED_GAMES[name]
    game = load_game(packaged).game
    best = informed_response(game, commitment)
    reached = earned(game, commitment, lambda model, passes: best[model] > 0)
    failed = 1 - float(commitment.start @ game.success)
    at_once = float(commitment.start @ game.with_delay(commitment.delay))
    assert agrees(reached, (user_utility(game, commitment, best, by_model=True) - at_once) / failed)

    worse = 0
    # Every deterministic user of the model and of whether one, two or more passes have failed.
    for plan in product([False, True], repeat=6):
        table = np.array(plan).reshape(2, 3)
        other = earned(game, commitment, lambda model, passes, t=table: t[model, np.minimum(passes, 3) - 1])
        assert no_more_than(other, reached), plan
        worse += surely_more(reached, other)
    assert worse >= 16


def costs(game: Game, patience: float, routing: Routing) -> Array:
    """The mean cost of each slot's tasks to a provider that routes each pass by its number, from 0."""
    provider = ProviderVectorEnv(SLOTS, game, FixedPatienceUser(patience), routing="pass", throttling=False)
    provider.reset(seed=2)
    total, left = np.zeros(SLOTS), np.full(SLOTS, PER_SLOT)
    passes = np.zeros(SLOTS, dtype=int)
    while left.any():
        rewards, ended, truncated = provider.advance(routing(passes).astype(float)[:, None])
        over = ended | truncated
        total -= rewards * (left > 0)
        left -= over & (left > 0)
        passes = np.where(over, 0, passes + 1)
    return total / PER_SLOT


ROUTINGS: dict[str, Routing] = {
    "always 0": lambda passes: 0 * passes,
    "always 1": lambda passes: 0 * passes + 1,
    "0, 1, 0, 1": lambda passes: passes % 2,
    "1, 0, 1, 0": lambda passes: 1 - passes % 2,
    "0, 1, 1": lambda passes: passes >= 1,
    "0, 0, 1, 1": lambda passes: passes >= 2,
    "1, 0, 0": lambda passes: passes < 1,
    "0, 0, 1, 0, 0, 1": lambda passes: passes % 3 == 2,
}
STATIC = [ROUTINGS["always 0"], ROUTINGS["always 1"]]


def nash_games(which: int, count: int) -> list[Game]:
    games = stratified_games(600, seed=9)
    return list(games[np.flatnonzero(nash_equilibria(games).exists[which])[:count]])


@pytest.mark.parametrize(("model", "packaged"), [(0, ["g1", "g6"]), (1, ["g2", "g3", "g5"])])
def test_a_static_equilibrium_costs_its_closed_form_and_no_other_routing_costs_less(
    model: int, packaged: list[str]
) -> None:
    dearer = 0
    for game in [*(load_game(name).game for name in packaged), *nash_games(model, 4)]:
        found = nash_equilibria(game)
        assert found.exists[model]
        patience = float(found.patience[model])
        served = costs(game, patience, STATIC[model])
        assert agrees(served, found.provider_cost[model])
        for name, routing in ROUTINGS.items():
            other = costs(game, patience, routing)
            assert no_more_than(served, other), name
            dearer += surely_more(other, served)
    assert dearer > 20


def test_in_a_mix_all_routings_cost_the_same() -> None:
    prefers = 0
    for game in [load_game("g4").game, load_game("g4b").game, *nash_games(MIX, 5)]:
        found = nash_equilibria(game)
        exact, patience = found.provider_cost[MIX], float(found.patience[MIX])
        assert 0 < patience < 1
        for name, routing in ROUTINGS.items():
            assert agrees(costs(game, patience, routing), exact), name
        # Away from the equilibrium's patience the provider is no longer indifferent.
        elsewhere = [costs(game, patience * 0.7, routing) for routing in STATIC]
        prefers += surely_more(*elsewhere) or surely_more(*elsewhere[::-1])
    assert prefers >= 4


class Mix:
    """The provider's part of a mixed equilibrium: its start is random in itself, or by the policy's numbers."""

    def __init__(self, start: float, cascade: float, by_numbers: bool) -> None:
        self.start, self.cascade, self.by_numbers = start, cascade, by_numbers

    def commit(self, game: Game, random_numbers: Array) -> Commitment:
        if self.by_numbers:
            return Commitment.cascade(np.where(random_numbers[..., 0] < self.start, 0, 1), self.cascade)
        transition = Commitment.cascade(0, self.cascade).transition
        return Commitment([self.start, 1 - self.start], transition)


@pytest.mark.parametrize("best", [0, 1])
def test_the_patience_of_a_mix_is_a_best_response_to_it(best: int) -> None:
    drawn = [game for game in nash_games(MIX, 200) if game.net_value[best] > 0]
    losses = 0
    for index, game in enumerate(drawn[:4]):
        found = nash_equilibria(game)
        start, patience = float(found.routing.start[MIX, 0]), float(found.patience[MIX])
        cascade = float(found.routing.cascade_probability[MIX, 0])
        mix = Mix(start, cascade, by_numbers=index % 2 == 0)
        user = UserVectorEnv(BLOCKS * PER_BLOCK, game, mix, decision="task", lookahead=1, observe={"user": ["game"]})

        def gain(r: float, user: UserVectorEnv = user, seed: int = index) -> Array:
            user.reset(seed=10**6 * seed)
            return user.advance(np.full((user.num_envs, 1), r))[0]

        reached = gain(patience)
        share = np.array([start, 1 - start])
        failed, at_once = float(share @ (1 - game.success)), float(share @ game.net_value)
        assert agrees(reached, (found.user_utility[MIX] - at_once) / failed)
        # The payoff has one peak, and is flat there.
        for other in (0.0, 0.5 * patience, 0.9 * patience, patience + 0.1 * (1 - patience), 0.5 + 0.5 * patience, 1.0):
            neighbour = gain(other)
            assert no_more_than(neighbour, reached), (index, other)
            losses += surely_more(reached, neighbour)
    assert losses >= 4
