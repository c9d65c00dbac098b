"""What the options that all environments share promise; `test_one_set_of_rules.py` plays them by the documentation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from stackroute import Commitment, Game, load_game, solve
from stackroute.agents import CountingUser, FixedPatienceUser, StaticProvider
from stackroute.analytic import random_games as drawn_uniformly
from stackroute.analytic import stratified_games
from stackroute.envs import (
    ABANDON,
    PATIENCE_LEVELS,
    RE_PROMPT,
    ProviderEnv,
    ProviderVectorEnv,
    RoutingBatch,
    UserEnv,
    UserVectorEnv,
    Variant,
    observe,
    raw_env,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NAMES = ["g1", "g2", "g3", "g4b", "g5"]
HISTORY: dict[str, Any] = {"provider": ["game", "history"], "user": ["game", "commitment", "history"]}


def episode(env: Any, seed: int | None, actions: list[Any], answers: list[int]) -> Iterator[tuple[Array, float, float]]:
    """What user_0 observes and both earn, after every move of a PettingZoo environment that plays in turn."""
    env.reset(seed=seed)
    move, answer = iter(actions), iter(answers)
    while not any(env.terminations.values()) and not any(env.truncations.values()):
        env.step(next(move) if env.agent_selection == "provider_0" else next(answer))
        yield env.observe("user_0"), env.rewards["provider_0"], env.rewards["user_0"]


# --- reward_unit ---


@pytest.mark.parametrize("routing", ["cascade", "lottery", "pass"])
def test_relative_rewards_are_the_same_play_in_other_units(routing: Any) -> None:
    games = drawn_uniformly(200, seed=1)
    options: dict[str, Any] = {"routing": routing, "observe": HISTORY, "max_passes": 20}
    plain = RoutingBatch(games, 50, seed=3, **options)
    relative = RoutingBatch(games, 50, seed=3, reward_unit="relative", **options)
    generator = np.random.default_rng(4)
    money, utility = games.cost.max(axis=1) + games.churn_penalty, games.value
    for _ in range(60):
        row = plain.tasks.rows["game"].copy()
        np.testing.assert_array_equal(relative.tasks.rows["game"], row)
        actions = generator.random((50, plain.variant.actions.width))
        answers = (generator.random(50) < 0.2).astype(int)
        one, other = plain.step(actions, answers), relative.step(actions, answers)
        np.testing.assert_allclose(other.provider_reward * money[row], one.provider_reward, rtol=1e-12)
        np.testing.assert_allclose(other.user_reward * utility[row], one.user_reward, rtol=1e-12, atol=1e-12)
        for name in ("terminated", "truncated", "provider_observation", "user_observation"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))


def test_relative_games_look_the_same() -> None:
    games = drawn_uniformly(5000, seed=2)
    relative = Variant.of(games, reward_unit="relative")
    # In float64 they differ by rounding, which float32 hides but for about one entry in a billion.
    np.testing.assert_array_equal(relative.encoded_games, observe(games, blocks=["game"]))
    np.testing.assert_allclose(relative.games.cost[:, 1] + relative.games.churn_penalty, 1, rtol=1e-15)
    assert (relative.games.value == 1).all()


def test_money_keeps_its_unit_where_there_is_none() -> None:
    free = Game([0.5, 0.8], [0, 0], [0.1, 0.3], value=4, churn_penalty=0)
    games = Variant.of(free, reward_unit="relative").games
    assert games.cost.tolist() == [[0, 0]]
    assert (games.churn_penalty.tolist(), games.latency.tolist()) == ([0], [[0.025, 0.075]])


# --- observe ---


def test_a_user_is_shown_what_it_observes(cascade_game: Game) -> None:
    seen = []

    class Curious(CountingUser):
        def stay(self, state: Any, now: Any) -> Any:
            seen.append(now)
            return super().stay(state, now)

    for blocks in (["game", "commitment"], ["history"]):
        env = ProviderEnv(cascade_game, Curious(3), observe={"user": blocks})
        for seed in range(9):
            env.reset(seed=seed)
            env.step(np.array([1.0, 0.0, 0.0, 0.5]))
        now = seen[-1]
        if "game" in blocks:
            assert now.game.value.tolist() == [1.1]
            assert now.commitment.delay.tolist() == [[0.0, 0.55]]
            assert now.model is None
        else:
            assert (now.game, now.commitment, now.model.tolist()) == (None, None, [1])
    assert {int(now.passes[0]) for now in seen} >= {1, 2}


# --- equilibrium ---


def test_the_reference_is_in_the_unit_of_the_rewards(cascade_game: Game) -> None:
    relative = raw_env(cascade_game, throttling=False, reward_unit="relative")
    assert relative.equilibrium.provider_cost * 5.8 == pytest.approx(solve(cascade_game).provider_cost, rel=1e-12)


# --- action ---


@pytest.mark.parametrize("routing", ["cascade", "lottery", "pass"])
def test_a_number_of_the_grid_is_its_action_of_the_box(cascade_game: Game, routing: Any) -> None:
    options: dict[str, Any] = {"routing": routing, "observe": HISTORY}
    numbered, boxed = raw_env(cascade_game, action="grid", **options), raw_env(cascade_game, **options)
    grid = numbered.variant.actions.grid
    for number in range(0, len(grid), 1 if routing == "pass" else 37):
        chosen = [(number + k) % len(grid) for k in range(40)]
        one = episode(numbered, number, chosen, [RE_PROMPT] * 40)
        other = episode(boxed, number, [grid[k] for k in chosen], [RE_PROMPT] * 40)
        for (seen, *rewards), (same, *again) in zip(one, other, strict=True):
            assert rewards == again
            np.testing.assert_array_equal(seen, same)
    numbers, user = np.arange(len(grid)), FixedPatienceUser(0.6)
    make = partial(ProviderVectorEnv, len(grid), cascade_game, user, **options)
    vectors = make(action="grid"), make()
    for vector in vectors:
        vector.reset(seed=3)
    np.testing.assert_array_equal(vectors[0].step(numbers)[1], vectors[1].step(grid)[1])


def test_a_user_that_decides_once_has_ten_levels(cascade_game: Game) -> None:
    assert (len(PATIENCE_LEVELS), PATIENCE_LEVELS[0], PATIENCE_LEVELS[-1]) == (10, 0, 1)
    levels = UserVectorEnv(10, cascade_game, decision="task", action="grid")
    patience = UserVectorEnv(10, cascade_game, decision="task")
    for vector in (levels, patience):
        vector.reset(seed=4)
    rewards = levels.step(np.arange(10))[1]
    np.testing.assert_array_equal(rewards, patience.step(np.array(PATIENCE_LEVELS)[:, None])[1])
    assert rewards[0] == 0
    assert (rewards[1:] != 0).all()


# --- games ---


def drawn_in_turn(games: Any, count: int) -> list[int]:
    env = raw_env(games)
    rows = []
    for number in range(count):
        env.reset(seed=12 if number == 0 else None)
        rows.append(int(env.tasks.rows["game"][0]))
    return rows


def drawn_in_a_batch(games: Any, count: int) -> list[int]:
    rows: list[int] = []
    batch = RoutingBatch(games, 100, seed=500)
    while len(rows) < count:
        rows += batch.tasks.rows["game"][batch.awaits_commitment].tolist()
        batch.step(np.zeros((100, 4)), np.ones(100, dtype=int))
    return rows


@pytest.mark.parametrize("draw", [drawn_in_turn, drawn_in_a_batch])
@pytest.mark.parametrize("kind", ["names", "batch", "strata"])
def test_games_are_drawn_uniformly(kind: str, draw: Callable[[Any, int], list[int]], random_games: Game) -> None:
    # Six chi-square tests with fixed seeds; a correct program fails one of them with probability 6e-4.
    games = {"names": NAMES, "batch": random_games[:37], "strata": stratified_games(60, seed=1)}[kind]
    several = len(games)
    counts = np.bincount(draw(games, 60 * several if draw is drawn_in_turn else 200 * several), minlength=several)
    assert len(counts) == several
    assert stats.chisquare(counts).pvalue > 1e-4


def test_the_game_of_a_task_depends_on_its_seed_and_number_only(random_games: Game) -> None:
    alone = raw_env(random_games)
    batch = RoutingBatch(random_games, 4, seed=20)
    generator = np.random.default_rng(0)
    found: dict[tuple[int, int], int] = {}
    for _ in range(60):
        for task in batch.tasks.rows:
            found[int(task["seed"]), int(task["number"])] = int(task["game"])
        batch.step(generator.random((4, 4)), generator.integers(2, size=4))
    assert len(found) > 60
    for seed in range(20, 24):
        for number in range(10):
            alone.reset(seed=seed if number == 0 else None)
            assert alone.tasks.rows["game"] == found[seed, number]
            np.testing.assert_array_equal(alone.game.success, random_games.success[found[seed, number]])
    for vector in (ProviderVectorEnv(4, random_games), UserVectorEnv(4, random_games)):
        vector.reset(seed=20)
        assert vector.tasks.rows["game"].tolist() == [found[seed, 0] for seed in range(20, 24)]


def test_a_list_is_its_games_in_order_with_their_labels() -> None:
    both = Variant.of(["g1", load_game("gpt-4.1-o3-dev"), stratified_games(3, seed=0)])
    assert both.games.shape == (5,)
    assert both.labels[1] == load_game("gpt-4.1-o3-dev").labels
    assert both.games.value[0] == 2
    np.testing.assert_array_equal(both.games.cost[2:], stratified_games(3, seed=0).cost)
    env = raw_env(["g1", "gpt-4.1-o3-dev"], render_mode="ansi")
    for number in range(8):
        env.reset(seed=3 if number == 0 else None)
        config = load_game(["g1", "gpt-4.1-o3-dev"][env.tasks.rows["game"][0]])
        assert " or ".join(config.labels) in env.render()
        np.testing.assert_array_equal(env.observe("provider_0"), observe(config.game, blocks=["game"]))


# --- max_passes ---


@pytest.mark.parametrize("most", [1, 2, 9])
def test_a_re_prompt_after_the_last_pass_truncates_in_every_api(hopeless: Game, most: int) -> None:
    env = raw_env(hopeless, max_passes=most)
    moves = list(episode(env, 0, [np.zeros(4)], [RE_PROMPT] * 99))
    assert (len(moves), env.infos["user_0"]["pass"], env.truncations["user_0"]) == (most + 1, most, True)
    assert moves[-1][1:] == (0, 0)
    list(episode(env, 0, [np.zeros(4)], [RE_PROMPT] * (most - 1) + [ABANDON]))
    assert env.terminations["user_0"]

    by_pass = raw_env(hopeless, max_passes=most, routing="pass")
    list(episode(by_pass, 0, [np.zeros(2)] * 99, [RE_PROMPT] * 99))
    assert (by_pass.infos["user_0"]["pass"], by_pass.truncations["user_0"]) == (most, True)

    first = StaticProvider(Commitment.static(0))
    routing = RoutingBatch(hopeless, 3, max_passes=most)
    users = UserVectorEnv(3, hopeless, first, max_passes=most)
    passes = ProviderVectorEnv(3, hopeless, FixedPatienceUser(1.0), max_passes=most, routing="pass")
    users.reset(seed=0)
    passes.reset(seed=0)
    batches: list[tuple[Callable[[], tuple[Any, Any]], int]] = [
        (lambda: routing.step(np.zeros((3, 4)), np.zeros(3, dtype=int))[4:], most + 1),
        (lambda: users.advance([RE_PROMPT] * 3)[1:], most),
        (lambda: passes.advance(np.zeros((3, 2)))[1:], most),
    ]
    for step, moves_of_a_task in batches:
        for count in range(1, 3 * moves_of_a_task + 1):
            ended, truncated = step()
            assert not ended.any()
            assert (truncated == (count % moves_of_a_task == 0)).all()

    whole = UserEnv(hopeless, first, decision="task", max_passes=most)
    whole.reset(seed=0)
    assert whole.step(np.array([1.0]))[1:4] == (-0.25 * (most - 1), True, False)
    means = ProviderEnv(hopeless, FixedPatienceUser(1.0), max_passes=most)
    means.reset(seed=0)
    info = means.step(np.zeros(4))[4]
    assert (info["passes"], info["solved"], info["abandoned"], info["churn_penalty"]) == (most, 0, 0, 0)
