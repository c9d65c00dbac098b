"""Each option does what it says, in every face that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from stackroute import Commitment, Game, load_game
from stackroute.agents import FixedPatienceUser, RandomProvider, StaticProvider
from stackroute.analytic import random_games as drawn_uniformly
from stackroute.analytic import stratified_games
from stackroute.envs import (
    ABANDON,
    PATIENCE_LEVELS,
    RE_PROMPT,
    PassBatch,
    PatienceBatch,
    ProviderBatch,
    ProviderEnv,
    RoutingBatch,
    UserBatch,
    UserEnv,
    observation_space,
    observe,
    parallel_env,
    raw_env,
)
from stackroute.envs.variant import GRID_CASCADES, GRID_DELAYS, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NAMES = ["g1", "g2", "g3", "g4b", "g5"]


def episode(env: Any, seed: int | None, actions: list[Any], answers: list[int]) -> Iterator[tuple[Array, float, float]]:
    """What user_0 sees and both earn, after every move of a PettingZoo environment that plays in turn."""
    env.reset(seed=seed)
    move, answer = iter(actions), iter(answers)
    while not env.task.over:
        env.step(next(move) if env.agent_selection == "provider_0" else next(answer))
        yield env.observe("user_0"), env.rewards["provider_0"], env.rewards["user_0"]


# --- reward_unit ---


def scales(games: Game) -> tuple[Array, Array]:
    """The units of money and of utility."""
    return games.cost[:, 1] + games.churn_penalty, games.value


@pytest.mark.parametrize("commitment", ["task", "pass"])
def test_relative_rewards_are_the_same_play_in_other_units(commitment: Any) -> None:
    games = drawn_uniformly(200, seed=1)
    options: dict[str, Any] = {"throttling": True, "commitment": commitment, "observe": "history", "max_passes": 20}
    plain = RoutingBatch(games, 50, seed=3, **options)
    relative = RoutingBatch(games, 50, seed=3, reward_unit="relative", **options)
    generator = np.random.default_rng(4)
    money, utility = scales(games)
    for _ in range(60):
        row = plain._tasks["game"].copy()
        np.testing.assert_array_equal(relative._tasks["game"], row)
        actions = generator.random((50, 2 if commitment == "pass" else 4))
        answers = (generator.random(50) < 0.2).astype(int)
        one, other = plain.step(actions, answers), relative.step(actions, answers)
        np.testing.assert_allclose(other.provider_reward * money[row], one.provider_reward, rtol=1e-12)
        np.testing.assert_allclose(other.user_reward * utility[row], one.user_reward, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(other.terminated, one.terminated)
        np.testing.assert_array_equal(other.truncated, one.truncated)
        np.testing.assert_array_equal(other.observation, one.observation)


def test_relative_games_look_the_same() -> None:
    games = drawn_uniformly(5000, seed=2)
    relative = Variant.of(games, reward_unit="relative")
    # In float64 they differ by rounding, which float32 hides but for about one entry in a billion.
    np.testing.assert_array_equal(relative.encoded_games, observe(games))
    np.testing.assert_allclose(relative.games.cost[:, 1] + relative.games.churn_penalty, 1, rtol=1e-15)
    assert (relative.games.value == 1).all()


def test_relative_rewards_of_the_single_environments_and_batches(cascade_game: Game) -> None:
    money, value = 5.8, 1.1
    for seed in range(5):
        costs, gains = [], []
        for unit in ("game", "relative"):
            provider = ProviderEnv(cascade_game, FixedPatienceUser(0.6), tasks_per_commitment=20, reward_unit=unit)
            provider.reset(seed=seed)
            costs.append(provider.step(np.array([0.0, 0.3]))[1])
            user = UserEnv(cascade_game, RandomProvider(True), decision="task", reward_unit=unit)
            _, info = user.reset(seed=seed)
            gains.append([info["first_latency"], user.step(np.array([0.8]))[1]])
        assert costs[0] == pytest.approx(money * costs[1], rel=1e-12)
        assert gains[0] == pytest.approx([value * gain for gain in gains[1]], rel=1e-12)
    batches = [
        PatienceBatch(cascade_game, "random", 9, tasks_per_commitment=9, reward_unit=unit)
        for unit in ("game", "relative")
    ]
    plain, relative = (batch.step(np.full(9, 0.8)) for batch in batches)
    np.testing.assert_allclose(plain, value * relative, rtol=1e-12)


def test_money_keeps_its_unit_where_there_is_none() -> None:
    free = Game([0.5, 0.8], [0, 0], [0.1, 0.3], value=4, churn_penalty=0, strict=False)
    games = Variant.of(free, reward_unit="relative").games
    assert games.cost.tolist() == [[0, 0]]
    assert (games.churn_penalty.tolist(), games.latency.tolist()) == ([0], [[0.025, 0.075]])


# --- observe ---


@pytest.mark.parametrize("max_passes", [1, 7, 1000])
def test_the_history_is_the_last_model_and_the_passes_so_far(cascade_game: Game, max_passes: int) -> None:
    options: dict[str, Any] = {"throttling": True, "max_passes": max_passes}
    env = raw_env(cascade_game, observe="history", **options)
    plain = raw_env(cascade_game, **options)
    models = set()
    for seed in range(30):
        answers = [RE_PROMPT] * 60
        action = [np.array([seed % 3 == 0, 0.3, 0.1, 0.2])]
        env.reset(seed=seed)
        assert env.observe("user_0")[11:].tolist() == [0, 0]
        both = zip(episode(env, seed, action, answers), episode(plain, seed, action, answers), strict=True)
        for (seen, *rewards), (short, *same) in both:
            assert rewards == same
            np.testing.assert_array_equal(seen[:11], short)
            assert seen[11] == (env.task.model == 2)
            assert seen[12] == pytest.approx(np.log1p(env.task.passes) / np.log1p(max_passes), rel=1e-6)
            assert env.observation_space("user_0").contains(seen)
            models.add(env.task.model)
        if env.task.truncated:
            assert seen[12] == 1
    assert models == {1, 2}


def test_observations_have_room_for_the_history_in_every_face(cascade_game: Game) -> None:
    for observed, width in (("commitment", 11), ("history", 13)):
        options: dict[str, Any] = {"observe": observed}
        for single in (ProviderEnv(cascade_game, **options), UserEnv(cascade_game, **options)):
            assert single.observation_space.shape == single.reset(seed=0)[0].shape == (width,)
        for turns in (raw_env(cascade_game, **options), parallel_env(cascade_game, **options)):
            assert turns.observation_space("user_0").shape == (width,)
        for batch in (
            RoutingBatch(cascade_game, 2, **options),
            UserBatch(cascade_game, "random", 2, **options),
            PassBatch(cascade_game, "random", 2, **options),
            ProviderBatch(cascade_game, "random", 2, **options),
            PatienceBatch(cascade_game, "random", 2, **options),
        ):
            assert batch.observation.shape == (2, width)


def test_the_state_hides_nothing(cascade_game: Game) -> None:
    """Whatever is observed, the state is what is seen with the history, and the commitment that holds."""
    for observed in ("commitment", "history"):
        for lasts in ("task", "pass"):
            for make in (raw_env, parallel_env):
                env = make(cascade_game, throttling=True, observe=observed, commitment=lasts, max_passes=9)
                env.reset(seed=6)
                assert env.state_space == observation_space(history=True)
                assert env.state()[7:].tolist() == [0] * 6
                choice = np.array([0.9, 0.4]) if lasts == "pass" else np.array([0.9, 0.4, 0.0, 0.5])
                env.step(choice if make is raw_env else {"provider_0": choice})
                promised = Commitment(2, 0.0, [0.44, 0.44]) if lasts == "pass" else Commitment(2, 0.4, [0.0, 0.55])
                history = np.array([1, np.log(2) / np.log(10)], dtype=np.float32)
                np.testing.assert_allclose(env.state()[:11], observe(cascade_game, promised), rtol=1e-6)
                np.testing.assert_allclose(env.state()[11:], history, rtol=1e-6)
                assert env.state_space.contains(env.state())


# --- commitment ---


def test_a_provider_that_chooses_before_every_pass_is_not_seen(cascade_game: Game) -> None:
    generator = np.random.default_rng(0)
    options: dict[str, Any] = {"commitment": "pass", "throttling": True}
    env, together = raw_env(cascade_game, **options), parallel_env(cascade_game, **options)
    for seed in range(10):
        actions = [generator.uniform(0.1, 1, 2) for _ in range(40)]
        for seen, *_ in episode(env, seed, actions, [RE_PROMPT] * 40):
            assert (seen[7:11] == 0).all()
        observations, _ = together.reset(seed=seed)
        while not together.task.over:
            assert all((seen[7:11] == 0).all() for seen in observations.values())
            observations, *_ = together.step({"provider_0": actions[0], "user_0": RE_PROMPT})
    routing, passes = RoutingBatch(cascade_game, 20, **options), PassBatch(cascade_game, "random", 20, throttling=True)
    users = UserBatch(cascade_game, RandomProvider(True), 20, commitment="pass")
    patient = PatienceBatch(cascade_game, RandomProvider(True), 20, commitment="pass")
    single = UserEnv(cascade_game, RandomProvider(True), commitment="pass")
    by_pass = ProviderEnv(cascade_game, "random", **options)
    by_pass.reset(seed=0)
    assert (by_pass.step(np.array([1.0, 0.5]))[0][7:11] == 0).all()
    for seed in range(10):
        routing.step(generator.random((20, 2)), np.zeros(20, dtype=int))
        passes.step(generator.random((20, 2)))
        users.step(np.zeros(20, dtype=int))
        patient.step(np.ones(20))
        for batch in (routing, passes, users, patient):
            assert (batch.observation[:, 7:11] == 0).all()
        assert (single.reset(seed=seed)[0][7:11] == 0).all()
    # With the power to commit the same entries are seen.
    assert (PatienceBatch(cascade_game, RandomProvider(True), 20).observation[:, 8:11] > 0).all()


def test_without_commitment_each_pass_is_on_the_model_just_chosen(cascade_game: Game) -> None:
    env = raw_env(cascade_game, commitment="pass", throttling=True)
    served = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        actions = [np.array([generator.integers(2), generator.random()]) for _ in range(40)]
        for _ in episode(env, seed, actions, [RE_PROMPT] * 40):
            pass
        for action, one in zip(actions, env.task.log, strict=False):
            assert (one.model, one.delay) == (1 + action[0], action[1] * 1.1)
            served += 1
    assert served > 30


# --- action ---


@pytest.mark.parametrize("throttling", [False, True])
@pytest.mark.parametrize("lasts", ["task", "pass"])
def test_the_grid_lists_distinct_commitments_with_exact_ends(throttling: bool, lasts: Any) -> None:
    variant = Variant.of("g4b", action="grid", throttling=throttling, commitment=lasts)
    box = Variant.of("g4b", throttling=throttling, commitment=lasts)
    assert variant.provider_space.n == len(variant.grid)
    assert all(box.provider_space.contains(row) for row in variant.grid)
    assert len(np.unique(variant.grid, axis=0)) == len(variant.grid)
    delays = len(GRID_DELAYS) if throttling else 1
    assert len(variant.grid) == (2 * delays if lasts == "pass" else len(GRID_CASCADES) * delays**2 + delays)
    commitments = variant.commitment_from(variant.games[0], np.arange(len(variant.grid)))
    assert set(commitments.model.tolist()) == {1, 2}
    if lasts == "task":
        assert {0.0, 0.5, 1.0} <= set(commitments.cascade.tolist())
        on_reasoning = commitments.model == 2
        assert (commitments.cascade[on_reasoning] == 0).all()
        assert (commitments.delay[on_reasoning, 0] == 0).all()
    if throttling:
        assert set(np.unique(commitments.delay)) == {float(level) * 1.1 for level in GRID_DELAYS}
        assert {0.0, 1.0} <= set(GRID_DELAYS)
    else:
        assert (commitments.delay == 0).all()


@pytest.mark.parametrize("lasts", ["task", "pass"])
def test_a_number_of_the_grid_is_its_action_of_the_box(cascade_game: Game, lasts: Any) -> None:
    options: dict[str, Any] = {"throttling": True, "commitment": lasts, "observe": "history"}
    numbered, boxed = raw_env(cascade_game, action="grid", **options), raw_env(cascade_game, **options)
    grid = numbered.variant.grid
    for number in range(0, len(grid), 1 if lasts == "pass" else 17):
        chosen = [(number + k) % len(grid) for k in range(40)]
        answers = [RE_PROMPT] * 40
        one = episode(numbered, number, chosen, answers)
        other = episode(boxed, number, [grid[k] for k in chosen], answers)
        for (seen, *rewards), (same, *again) in zip(one, other, strict=True):
            assert rewards == again
            np.testing.assert_array_equal(seen, same)


def test_the_grid_of_batches_is_that_of_the_box(cascade_game: Game) -> None:
    numbers = np.arange(22)
    grid = Variant.of(cascade_game, action="grid").grid.copy()
    one = ProviderBatch(cascade_game, "random", 22, tasks_per_commitment=9, action="grid").step(numbers)
    other = ProviderBatch(cascade_game, "random", 22, tasks_per_commitment=9).step(grid)
    for name, mean in one.items():
        np.testing.assert_array_equal(mean, other[name])
    moves = RoutingBatch(cascade_game, 22, action="grid"), RoutingBatch(cascade_game, 22)
    for _ in range(5):
        answers = np.zeros(22, dtype=int)
        for mine, yours in zip(moves[0].step(numbers, answers), moves[1].step(grid, answers), strict=True):
            np.testing.assert_array_equal(mine, yours)


def test_a_user_that_decides_once_has_ten_levels(cascade_game: Game) -> None:
    assert PATIENCE_LEVELS[0] == 0
    assert PATIENCE_LEVELS[-1] == 1
    levels = UserEnv(cascade_game, decision="task", action="grid")
    patience = UserEnv(cascade_game, decision="task")
    for seed in range(30):
        level = seed % 10
        for env, action in ((levels, level), (patience, np.array([PATIENCE_LEVELS[level]]))):
            env.reset(seed=seed)
            outcome = env.step(action)
            if env is levels:
                expected = outcome
        np.testing.assert_array_equal(outcome[0], expected[0])
        assert outcome[1:] == expected[1:]


# --- games ---


def drawn_in_turn(games: Any, count: int) -> list[int]:
    env = raw_env(games)
    rows = []
    for number in range(count):
        env.reset(seed=12 if number == 0 else None)
        rows.append(env.task.game_row)
    return rows


def drawn_by_commitments(games: Any, count: int) -> list[int]:
    return ProviderBatch(games, "random", count, seed=77)._game.tolist()


def drawn_by_slots(games: Any, count: int) -> list[int]:
    rows: list[int] = []
    batch = RoutingBatch(games, 100, seed=500)
    width = batch.variant.provider_space.shape[0]
    while len(rows) < count:
        fresh = batch.awaits_commitment
        rows += batch._tasks["game"][fresh].tolist()
        batch.step(np.zeros((100, width)), np.ones(100, dtype=int))
    return rows


@pytest.mark.parametrize("draw", [drawn_in_turn, drawn_by_commitments, drawn_by_slots])
@pytest.mark.parametrize("kind", ["names", "batch", "strata"])
def test_games_are_drawn_uniformly(kind: str, draw: Callable[[Any, int], list[int]], random_games: Game) -> None:
    # Nine chi-square tests with fixed seeds; a correct program fails one of them with probability 9e-4.
    games = {"names": NAMES, "batch": random_games[:37], "strata": stratified_games(60, seed=1)}[kind]
    several = len(games)
    counts = np.bincount(draw(games, 60 * several if draw is drawn_in_turn else 200 * several), minlength=several)
    assert len(counts) == several
    assert stats.chisquare(counts).pvalue > 1e-4


def test_the_game_of_a_task_depends_on_its_seed_and_number_only(random_games: Game) -> None:
    alone = raw_env(random_games)
    batch = RoutingBatch(random_games, 4, seed=20)
    width = batch.variant.provider_space.shape[0]
    generator = np.random.default_rng(0)
    found: dict[tuple[int, int], int] = {}
    for _ in range(60):
        for task in batch._tasks:
            found[int(task["seed"]), int(task["number"])] = int(task["game"])
        batch.step(generator.random((4, width)), generator.integers(2, size=4))
    assert len(found) > 60
    for seed in range(20, 24):
        for number in range(10):
            alone.reset(seed=seed if number == 0 else None)
            assert alone.task.game_row == found[seed, number]
            np.testing.assert_array_equal(alone.task.game.success, random_games.success[found[seed, number]])
    users = UserBatch(random_games, "random", 4, seed=20)
    first = ProviderBatch(random_games, "random", 4, seed=20)._game
    assert first.tolist() == [found[seed, 0] for seed in range(20, 24)]
    for task in users._tasks:
        alone.reset(seed=int(task["seed"]))
        for _ in range(int(task["number"])):
            alone.reset()
        assert alone.task.game_row == task["game"]


def test_a_list_is_its_games_in_order_with_their_labels() -> None:
    both = Variant.of(["g1", load_game("gpt-4.1-o3-dev"), stratified_games(3, seed=0)])
    assert both.games.shape == (5,)
    assert both.labels[1] == load_game("gpt-4.1-o3-dev").labels
    assert both.games.value[0] == 2
    np.testing.assert_array_equal(both.games.cost[2:], stratified_games(3, seed=0).cost)
    env = raw_env(["g1", "gpt-4.1-o3-dev"])
    for number in range(8):
        env.reset(seed=3 if number == 0 else None)
        name = ["g1", "gpt-4.1-o3-dev"][env.task.game_row]
        assert env.task.labels == load_game(name).labels
        np.testing.assert_array_equal(env.observe("user_0")[:7], observe(load_game(name).game)[:7])


# --- max_passes ---


@pytest.fixture
def hopeless() -> Game:
    """Every pass fails."""
    return Game([1e-12, 2e-12], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)


@pytest.mark.parametrize("most", [1, 2, 9])
def test_a_re_prompt_after_the_last_pass_truncates_in_every_face(hopeless: Game, most: int) -> None:
    env = raw_env(hopeless, max_passes=most)
    moves = list(episode(env, 0, [np.zeros(2)], [RE_PROMPT] * 99))
    assert (len(moves), env.task.passes, env.task.truncated) == (most + 1, most, True)
    assert moves[-1][1:] == (0, 0)
    list(episode(env, 0, [np.zeros(2)], [RE_PROMPT] * (most - 1) + [ABANDON]))
    assert env.task.abandoned

    by_pass = raw_env(hopeless, max_passes=most, commitment="pass")
    list(episode(by_pass, 0, [np.zeros(1)] * 99, [RE_PROMPT] * 99))
    assert (by_pass.task.passes, by_pass.task.truncated) == (most, True)

    batches: list[Callable[[], tuple[Any, Any]]] = []
    routing = RoutingBatch(hopeless, 3, max_passes=most)
    users = UserBatch(hopeless, StaticProvider(1), 3, max_passes=most)
    passes = PassBatch(hopeless, FixedPatienceUser(1.0), 3, max_passes=most)
    batches.append(lambda: routing.step(np.zeros((3, 2)), np.zeros(3, dtype=int))[3:5])
    batches.append(lambda: users.step([RE_PROMPT] * 3)[1:])
    batches.append(lambda: passes.step(np.zeros((3, 1)))[1:])
    for step, moves_of_a_task in zip(batches, (most + 1, most, most), strict=True):
        for count in range(1, 3 * moves_of_a_task + 1):
            ended, truncated = step()
            assert not ended.any()
            assert (truncated == (count % moves_of_a_task == 0)).all()

    whole = UserEnv(hopeless, StaticProvider(1), decision="task", max_passes=most)
    whole.reset(seed=0)
    assert whole.step(np.array([1.0]))[2:4] == (False, True)
    assert whole.task.passes == most
    means = ProviderBatch(hopeless, FixedPatienceUser(1.0), 2, max_passes=most).step(np.zeros((2, 2)))
    assert means["passes"].tolist() == [most, most]
    assert not (means["solved"] + means["abandoned"] + means["churn_penalty"]).any()
    gain = PatienceBatch(hopeless, StaticProvider(1), 2, max_passes=most).step(np.ones(2))
    np.testing.assert_allclose(gain, -0.1 * (most - 1))


def test_max_cycles_is_another_name_of_max_passes(hopeless: Game) -> None:
    for make in (raw_env, parallel_env):
        assert make(hopeless, max_cycles=4).variant.max_passes == make(hopeless, max_passes=4).variant.max_passes == 4
        with pytest.raises(TypeError, match="two names of one thing"):
            make(hopeless, max_cycles=4, max_passes=4)
