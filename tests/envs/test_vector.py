"""The native vector environments against Gymnasium's SyncVectorEnv of the single ones, and under its wrappers."""

import copy
import itertools
import pickle
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import (
    DictInfoToList,
    NormalizeObservation,
    NormalizeReward,
    RecordEpisodeStatistics,
    TransformAction,
    TransformObservation,
    TransformReward,
)

from stackroute import Game, load_game
from stackroute.agents import FixedPatienceUser, RandomProvider, StaticProvider
from stackroute.envs import RE_PROMPT, ProviderEnv, ProviderVectorEnv, UserEnv, UserVectorEnv

SLOTS = 4
# Loaded once: reading the files takes longer than playing.
GAMES = [load_game(name) for name in ("g1", "g4b", "gpt-4.1-o3-dev")]
ONE = {"game": GAMES[1]}
MANY = {"game": GAMES, "reward_unit": "relative"}
SHARED = [
    {"throttling": throttling, "observe": observe, "commitment": commitment, "action": action, **games}
    for throttling, observe, commitment, action, games in itertools.product(
        (False, True), ("commitment", "history"), ("task", "pass"), ("box", "grid"), (ONE, MANY)
    )
]
# The resets of a play: by a seed for slot 0, by one for each slot, and to the next tasks.
SEEDS = (31, [5, 2**70, 0, 5], None)


def name_of(options: Any) -> str:
    if not isinstance(options, dict):
        return str(options)
    many = "many" if "reward_unit" in options else ""
    words = {"throttling": "delays" if options.get("throttling") else "", "game": many}
    told = [str(words.get(name, word)) for name, word in options.items() if words.get(name, word)]
    return "-".join(told) or "default"


EVERY_VARIANT = pytest.mark.parametrize("options", SHARED, ids=name_of)


def both(single: Any, native: Any, **options: Any) -> tuple[Any, SyncVectorEnv]:
    made = [partial(single, **options) for _ in range(SLOTS)]
    return native(SLOTS, **options), SyncVectorEnv(made, autoreset_mode=AutoresetMode.SAME_STEP)


def assert_same(found: Any, expected: Any, where: str = "") -> None:
    """Equal to the last bit, with the same types (but for the width of whole numbers), masks and names."""
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        assert sorted(found) == sorted(expected), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}.{name}")
    elif isinstance(expected, tuple):
        assert len(found) == len(expected), where
        for k, (mine, yours) in enumerate(zip(found, expected, strict=True)):
            assert_same(mine, yours, f"{where}[{k}]")
    elif isinstance(expected, np.ndarray) and expected.dtype == object:
        assert found.dtype == object, where
        assert_same(tuple(found), tuple(expected), where)
    elif isinstance(expected, np.ndarray):
        # The width of whole numbers has a test of its own.
        assert found.dtype == expected.dtype or found.dtype.kind == expected.dtype.kind == "i", where
        assert found.shape == expected.shape, where
        assert np.array_equal(found, expected), f"{where}: {found} is not {expected}"
    else:
        assert found == expected, where


def assert_same_play(native: Any, reference: SyncVectorEnv, steps: int) -> int:
    """Play both with the same actions; returns how many episodes ended."""
    assert native.single_observation_space == reference.single_observation_space
    assert native.single_action_space == reference.single_action_space
    assert native.observation_space == reference.observation_space
    assert native.action_space == reference.action_space
    native.action_space.seed(3)
    over = 0
    given: list[tuple[Any, Any]] = []
    for number in range(steps):
        if number % (steps // 3) == 0:
            seed = SEEDS[number // (steps // 3)]
            assert_same(native.reset(seed=seed), reference.reset(seed=seed), f"reset {number}")
        actions = native.action_space.sample()
        if native.single_action_space == gymnasium.spaces.Discrete(2):
            # Mostly re-prompts, for longer episodes.
            actions[actions == 1] = np.arange(SLOTS)[actions == 1] % 2
        told = native.step(actions)
        assert_same(told, reference.step(actions), f"step {number}")
        assert native.observation_space.contains(told[0])
        if number % 5 == 0:
            given.append((told, copy.deepcopy(told)))
        over += int((told[2] | told[3]).sum())
    # What was handed out belongs to the caller.
    for told, then in given:
        assert_same(told, then, "changed later")
    return over


@EVERY_VARIANT
def test_provider_is_the_vector_of_single_environments(options: dict[str, Any]) -> None:
    user = FixedPatienceUser(0.7)
    native, reference = both(ProviderEnv, ProviderVectorEnv, user=user, max_passes=5, **options)
    over = assert_same_play(native, reference, 45)
    assert 0 < over < 45 * SLOTS if options["commitment"] == "pass" else over == 45 * SLOTS


@EVERY_VARIANT
@pytest.mark.parametrize("decision", ["pass", "task"])
def test_user_is_the_vector_of_single_environments(options: dict[str, Any], decision: str) -> None:
    provider = RandomProvider(options["throttling"])
    native, reference = both(UserEnv, UserVectorEnv, provider=provider, decision=decision, max_passes=5, **options)
    over = assert_same_play(native, reference, 45)
    assert 0 < over < 45 * SLOTS if decision == "pass" else over == 45 * SLOTS


@pytest.mark.parametrize(
    ("single", "native", "options"),
    [
        (ProviderEnv, ProviderVectorEnv, {"tasks_per_commitment": 7, "user": "rational", "throttling": True}),
        (ProviderEnv, ProviderVectorEnv, {"tasks_per_commitment": 7, "user": "random", "action": "grid"}),
        (ProviderEnv, ProviderVectorEnv, {"user": "informed", "throttling": True}),
        (ProviderEnv, ProviderVectorEnv, {"user": "rational", "commitment": "pass"}),
        (ProviderEnv, ProviderVectorEnv, {"user": "random", "commitment": "pass", "observe": "history"}),
        (UserEnv, UserVectorEnv, {"provider": "equilibrium", "observe": "history"}),
        (UserEnv, UserVectorEnv, {"provider": "random", "decision": "task", "action": "grid"}),
    ],
    ids=str,
)
def test_hundreds_of_steps_are_the_same_for_the_policies_of_the_package(
    single: Any, native: Any, options: dict[str, Any]
) -> None:
    games = load_game("g4b").game, Game([0.3, 0.6], [0.1, 0.4], [0.2, 0.3], value=1.5, churn_penalty=0.5)
    vector, reference = both(single, native, game=list(games), max_passes=20, **options)
    assert assert_same_play(vector, reference, 240) > 50


def test_the_lookahead_changes_nothing() -> None:
    vectors = [UserVectorEnv(SLOTS, GAMES, "random", lookahead=ahead, observe="history") for ahead in (1, 3, 16)]
    told = []
    for vector in vectors:
        vector.action_space.seed(0)
        told.append((vector.reset(seed=3), *(vector.step(vector.action_space.sample()) for _ in range(100))))
    assert_same(told[1], told[0])
    assert_same(told[2], told[0])


def test_users_that_are_never_asked_are_asked_in_the_end() -> None:
    certain = Game([1 - 1e-12, 1 - 1e-13], [0.1, 0.2], [0.1, 0.2], value=1, churn_penalty=1)
    native, reference = both(UserEnv, UserVectorEnv, game=certain)
    told = native.reset(seed=0)
    assert_same(told, reference.reset(seed=0))
    assert told[1]["declared"].all()
    assert (told[1]["passed_over"] == 999).all()


@pytest.mark.parametrize(("name", "native"), [("Provider", ProviderVectorEnv), ("User", UserVectorEnv)])
def test_make_vec_gives_the_native_vector_and_gymnasiums_own(name: str, native: type) -> None:
    identifier, options = f"stackroute/{name}-v0", {"game": GAMES, "commitment": "pass", "max_passes": 4}
    ours = gymnasium.make_vec(identifier, num_envs=SLOTS, **options)
    assert isinstance(ours.unwrapped, native)
    assert ours.num_envs == SLOTS
    assert ours.spec.id == identifier
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
    sync = gymnasium.make_vec(identifier, num_envs=SLOTS, vectorization_mode="sync", vector_kwargs=same_step, **options)
    apart = gymnasium.make_vec(
        identifier, num_envs=SLOTS, vectorization_mode="async", vector_kwargs=same_step, **options
    )
    rebuilt = gymnasium.make_vec(ours.spec)
    assert (type(sync), type(apart), type(rebuilt)) == (SyncVectorEnv, AsyncVectorEnv, native)
    try:
        others = (sync, apart, rebuilt, gymnasium.make_vec(identifier, SLOTS, "vector_entry_point", **options))
        told = ours.reset(seed=2)
        for other in others:
            assert_same(other.reset(seed=2), told)
        ours.action_space.seed(5)
        for _ in range(20):
            actions = ours.action_space.sample()
            told = ours.step(actions)
            for other in others:
                assert_same(other.step(actions), told)
    finally:
        apart.close()


@pytest.mark.parametrize("make", [ProviderVectorEnv, UserVectorEnv])
def test_resets_without_a_seed_go_on(make: Any) -> None:
    vector = make(SLOTS, GAMES, observe="history", commitment="pass")
    vector.reset(seed=9)
    actions = np.zeros_like(vector.action_space.sample())
    first = vector.step(actions)
    vector.reset()
    second = vector.step(actions)
    assert not np.array_equal(first[1], second[1])
    vector.reset(seed=9)
    assert_same(vector.step(actions), first)
    # Without any seed the tasks come from the system's entropy.
    fresh = [make(SLOTS, GAMES) for _ in range(2)]
    for one in fresh:
        one.reset()
    assert not np.array_equal(fresh[0].batch._seeds, fresh[1].batch._seeds)


@pytest.mark.parametrize("make", [ProviderVectorEnv, UserVectorEnv])
@pytest.mark.parametrize("options", [{}, {"commitment": "pass"}, {"observe": "history", **MANY}], ids=name_of)
def test_copies_and_pickles_go_on_alike(make: Any, options: dict[str, Any]) -> None:
    vector = make(SLOTS, **{**ONE, **options})
    vector.action_space.seed(1)
    vector.reset(seed=1)
    for _ in range(5):
        vector.step(vector.action_space.sample())
    twins = [copy.deepcopy(vector), pickle.loads(pickle.dumps(vector))]
    for number in range(20):
        actions = vector.action_space.sample()
        told = vector.reset() if number == 10 else vector.step(actions)
        for twin in twins:
            assert_same(twin.reset() if number == 10 else twin.step(actions), told)


FACES = pytest.mark.parametrize(
    ("make", "options"),
    [
        (ProviderVectorEnv, {}),
        (ProviderVectorEnv, {"commitment": "pass"}),
        (UserVectorEnv, {"observe": "history"}),
        (UserVectorEnv, {"decision": "task"}),
    ],
    ids=["commitments", "passes", "answers", "patiences"],
)


@FACES
def test_record_episode_statistics(make: Any, options: dict[str, Any]) -> None:
    vector = RecordEpisodeStatistics(make(SLOTS, max_passes=4, **MANY, **options), buffer_length=10_000)
    vector.action_space.seed(4)
    vector.reset(seed=4)
    returns, lengths = np.zeros(SLOTS), np.zeros(SLOTS, dtype=int)
    recorded: list[tuple[float, int]] = []
    for _ in range(150):
        _, rewards, terminated, truncated, infos = vector.step(vector.action_space.sample())
        returns += rewards
        lengths += 1
        over = terminated | truncated
        assert np.array_equal(infos.get("_episode", np.zeros(SLOTS, dtype=bool)), over)
        for slot in np.flatnonzero(over):
            assert infos["episode"]["r"][slot] == pytest.approx(returns[slot])
            assert infos["episode"]["l"][slot] == lengths[slot]
            recorded.append((returns[slot], lengths[slot]))
        returns[over], lengths[over] = 0, 0
    assert vector.episode_count == len(recorded)
    np.testing.assert_allclose(list(vector.return_queue), [one for one, _ in recorded])
    assert list(vector.length_queue) == [one for _, one in recorded]
    episodes_are_steps = max(vector.length_queue) == 1
    assert episodes_are_steps == (options in ({}, {"decision": "task"}))


@FACES
def test_wrappers_of_rewards_actions_and_infos(make: Any, options: dict[str, Any]) -> None:
    def wrapped() -> Any:
        return make(SLOTS, max_passes=4, **MANY, **options)

    def opposite(actions: Any) -> Any:
        return (space.n - 1 - actions) if isinstance(space, gymnasium.spaces.Discrete) else 1 - actions

    plain = wrapped()
    space = plain.single_action_space
    doubled, other_way = TransformReward(wrapped(), lambda rewards: 2 * rewards), TransformAction(wrapped(), opposite)
    normal, listed = NormalizeReward(wrapped()), DictInfoToList(wrapped())
    for vector in (plain, doubled, other_way, normal, listed):
        vector.reset(seed=6)
    plain.action_space.seed(6)
    for _ in range(40):
        actions = plain.action_space.sample()
        told = plain.step(actions)
        over = told[2] | told[3]
        np.testing.assert_array_equal(doubled.step(actions)[1], 2 * told[1])
        for mine, yours in zip(other_way.step(opposite(actions))[:4], told[:4], strict=True):
            np.testing.assert_allclose(mine, yours, rtol=1e-6)
        seen, rewards, terminated, truncated, infos = normal.step(actions)
        assert_same((seen, terminated, truncated, infos), (told[0], *told[2:]))
        assert np.isfinite(rewards).all()
        for slot, info in enumerate(listed.step(actions)[4]):
            assert ("final_obs" in info) == over[slot]
            if over[slot]:
                np.testing.assert_array_equal(info["final_obs"], told[4]["final_obs"][slot])
                assert info["final_info"]["value" if make is UserVectorEnv else "service_cost"] >= 0


def test_gymnasiums_wrappers_of_observations_refuse_every_vector_that_resets_in_the_same_step() -> None:
    # A limit of Gymnasium's, not of these environments: its SyncVectorEnv in this mode is refused likewise.
    for vector in (UserVectorEnv(2, **ONE), *both(ProviderEnv, ProviderVectorEnv, **ONE)):
        for wrapper in (NormalizeObservation, partial(TransformObservation, func=np.negative)):
            with pytest.raises(ValueError, match="Expected autoreset_mode to be NEXT_STEP or DISABLED"):
                wrapper(vector)


@pytest.mark.parametrize(
    ("single", "native", "action"), [(UserEnv, UserVectorEnv, 0), (ProviderEnv, ProviderVectorEnv, [0.5])]
)
def test_whole_numbers_of_infos_are_as_wide_as_gymnasiums(single: Any, native: Any, action: Any) -> None:
    hopeless = Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)
    provider = single is ProviderEnv
    options = {"user": FixedPatienceUser(1.0)} if provider else {"provider": StaticProvider(1)}
    told = []
    for vector in both(single, native, game=hopeless, commitment="pass", **options):
        vector.reset(seed=0)
        told.append(vector.step(np.array([action] * SLOTS))[4])
    assert {name: told[0][name].dtype for name in told[0]} == {name: told[1][name].dtype for name in told[1]}


def test_the_mode_of_autoreset_and_the_lack_of_pictures_are_told() -> None:
    for make in (ProviderVectorEnv, UserVectorEnv):
        assert make.metadata == {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        vector = make(2, **ONE)
        assert (vector.render_mode, vector.spec, vector.num_envs) == (None, None, 2)
        vector.close()
        vector.close()


def test_the_ends_of_episodes_are_told_in_the_step_that_ends_them() -> None:
    hopeless = Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)
    vector = UserVectorEnv(2, hopeless, StaticProvider(1), observe="history", max_passes=3)
    vector.reset(seed=0)
    vector.step(np.array([RE_PROMPT, RE_PROMPT]))
    vector.step(np.array([RE_PROMPT, RE_PROMPT]))
    seen, rewards, terminated, truncated, infos = vector.step(np.array([1, RE_PROMPT]))
    assert (terminated.tolist(), truncated.tolist(), rewards.tolist()) == ([True, False], [False, True], [0, 0])
    # Three passes were played; the next task has played its first one.
    assert [row[12] for row in infos["final_obs"]] == [1.0, 1.0]
    np.testing.assert_allclose(seen[:, 12], np.log(2) / np.log(4), rtol=1e-6)
    assert infos["final_info"]["pass"].tolist() == [3, 3]
    assert infos["first_latency"].tolist() == [0.25, 0.25]
