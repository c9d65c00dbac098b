"""The native vector environments against Gymnasium's SyncVectorEnv of the single ones, and under its wrappers."""

import copy
import pickle
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import (
    NormalizeObservation,
    RecordEpisodeStatistics,
    TransformObservation,
)

from stackroute import Commitment, Game, load_game
from stackroute.agents import CountingUser, FixedPatienceUser, LearningUser, StaticProvider
from stackroute.envs import ProviderEnv, ProviderVectorEnv, UserEnv, UserVectorEnv

SLOTS = 4
# Loaded once: reading the files takes longer than playing.
GAMES = [load_game(name) for name in ("g1", "g4b", "gpt-4.1-o3-dev")]
MANY: dict[str, Any] = {"game": GAMES, "reward_unit": "relative"}
ALL = {"provider": ["game", "commitment", "history"], "user": ["game", "commitment", "history"]}
# The resets of a play: by a seed for slot 0, by one for each slot, and to the next tasks.
SEEDS = (31, [5, 2**70, 0, 5], None)


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
        returned = native.step(actions)
        assert_same(returned, reference.step(actions), f"step {number}")
        assert native.observation_space.contains(returned[0])
        if number % 5 == 0:
            given.append((returned, copy.deepcopy(returned)))
        over += int((returned[2] | returned[3]).sum())
    # What was handed out belongs to the caller.
    for returned, then in given:
        assert_same(returned, then, "changed later")
    return over


def test_the_provider_s_is_the_vector_of_single_environments(options: dict[str, Any]) -> None:
    native, reference = both(ProviderEnv, ProviderVectorEnv, user=FixedPatienceUser(0.7), max_passes=5, **options)
    over = assert_same_play(native, reference, 45)
    assert 0 < over < 45 * SLOTS if options["routing"] == "pass" else over == 45 * SLOTS


@pytest.mark.parametrize("decision", ["pass", "task"])
def test_the_user_s_is_the_vector_of_single_environments(committed: dict[str, Any], decision: str) -> None:
    native, reference = both(UserEnv, UserVectorEnv, decision=decision, max_passes=5, **committed)
    over = assert_same_play(native, reference, 45)
    assert 0 < over < 45 * SLOTS if decision == "pass" else over == 45 * SLOTS


@pytest.mark.parametrize(
    ("single", "native", "options"),
    [
        (ProviderEnv, ProviderVectorEnv, {"tasks_per_commitment": 7}),
        (ProviderEnv, ProviderVectorEnv, {"tasks_per_commitment": 7, "user": "random", "action": "grid"}),
        (ProviderEnv, ProviderVectorEnv, {"user": "informed"}),
        (ProviderEnv, ProviderVectorEnv, {"user": "rational", "routing": "pass", "throttling": False}),
        (ProviderEnv, ProviderVectorEnv, {"user": CountingUser(2), "tasks_per_commitment": 7}),
        (ProviderEnv, ProviderVectorEnv, {"user": LearningUser(2, 1), "routing": "pass", "observe": ALL}),
        (UserEnv, UserVectorEnv, {"provider": "equilibrium", "observe": {"user": ["game", "history"]}}),
        (UserEnv, UserVectorEnv, {"provider": "random", "observe": {"user": ["commitment"]}}),
        (UserEnv, UserVectorEnv, {"decision": "task", "action": "grid", "tasks_per_commitment": 7}),
    ],
)
def test_hundreds_of_steps_are_the_same_for_the_policies_of_the_package(
    single: Any, native: Any, options: dict[str, Any]
) -> None:
    games = [GAMES[1].game, Game([0.3, 0.6], [0.1, 0.4], [0.2, 0.3], value=1.5, churn_penalty=0.5)]
    vector, reference = both(single, native, game=games, max_passes=20, **options)
    assert assert_same_play(vector, reference, 150) > 50


@pytest.mark.parametrize(
    ("name", "options", "limit"),
    [
        ("User", {}, 3),
        ("User", {"provider": "equilibrium", "max_passes": 3}, 2),
        ("Provider", {"routing": "pass", "user": FixedPatienceUser(0.9)}, 2),
        ("Provider", {}, 1),
        ("Provider", {}, 3),
        ("User", {"decision": "task"}, 1),
        ("User", {}, -1),
    ],
)
def test_a_time_limit_is_that_of_gymnasium(name: str, options: dict[str, Any], limit: int) -> None:
    options |= {"game": GAMES, "max_episode_steps": limit}
    own = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}, **options}
    native = gymnasium.make_vec(f"stackroute/{name}-v0", SLOTS, **options)
    reference = gymnasium.make_vec(f"stackroute/{name}-v0", SLOTS, vectorization_mode="sync", **own)
    assert_same_play(native, reference, 45)
    with pytest.raises(ValueError, match="max_episode_steps: 0 is not allowed"):
        gymnasium.make_vec(f"stackroute/{name}-v0", SLOTS, max_episode_steps=0)


@pytest.mark.parametrize(("name", "native"), [("Provider", ProviderVectorEnv), ("User", UserVectorEnv)])
def test_make_vec_gives_the_native_vector_and_gymnasium_s_own(name: str, native: type) -> None:
    identifier, routing = f"stackroute/{name}-v0", "pass" if name == "Provider" else "lottery"
    options: dict[str, Any] = {"game": GAMES, "routing": routing, "max_passes": 4, "observe": ALL}
    ours = gymnasium.make_vec(identifier, num_envs=SLOTS, **options)
    assert isinstance(ours.unwrapped, native)
    assert ours.num_envs == SLOTS
    assert ours.spec.id == identifier
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    own = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}, **options}
    sync = gymnasium.make_vec(identifier, num_envs=SLOTS, vectorization_mode="sync", **own)
    apart = gymnasium.make_vec(identifier, num_envs=SLOTS, vectorization_mode="async", **own)
    rebuilt = gymnasium.make_vec(ours.spec)
    assert (type(sync), type(apart), type(rebuilt)) == (SyncVectorEnv, AsyncVectorEnv, native)
    try:
        others = (sync, apart, rebuilt, gymnasium.make_vec(identifier, SLOTS, "vector_entry_point", **options))
        returned = ours.reset(seed=2)
        for other in others:
            assert_same(other.reset(seed=2), returned)
        ours.action_space.seed(5)
        for _ in range(20):
            actions = ours.action_space.sample()
            returned = ours.step(actions)
            for other in others:
                assert_same(other.step(actions), returned)
    finally:
        apart.close()


KINDS = pytest.mark.parametrize(
    ("make", "options"),
    [
        (ProviderVectorEnv, {}),
        (ProviderVectorEnv, {"user": CountingUser(2), "routing": "lottery"}),
        (ProviderVectorEnv, {"routing": "pass", "user": FixedPatienceUser(0.7)}),
        (UserVectorEnv, {"observe": ALL}),
        (UserVectorEnv, {"decision": "task"}),
    ],
    ids=["commitments", "to counting users", "passes", "answers", "patiences"],
)


@KINDS
def test_copies_and_pickles_go_on_alike(make: Any, options: dict[str, Any]) -> None:
    vector = make(SLOTS, **MANY, **options)
    vector.action_space.seed(1)
    vector.reset(seed=1)
    for _ in range(5):
        vector.step(vector.action_space.sample())
    twins = [copy.deepcopy(vector), pickle.loads(pickle.dumps(vector))]
    for number in range(20):
        actions = vector.action_space.sample()
        returned = vector.reset() if number == 10 else vector.step(actions)
        for twin in twins:
            assert_same(twin.reset() if number == 10 else twin.step(actions), returned)


@KINDS
def test_record_episode_statistics(make: Any, options: dict[str, Any]) -> None:
    vector = RecordEpisodeStatistics(make(SLOTS, max_passes=4, **MANY, **options), buffer_length=10_000)
    vector.action_space.seed(4)
    vector.reset(seed=4)
    returns, lengths = np.zeros(SLOTS), np.zeros(SLOTS, dtype=int)
    recorded: list[tuple[float, int]] = []
    for _ in range(100):
        _, rewards, terminated, truncated, _ = vector.step(vector.action_space.sample())
        returns, lengths, over = returns + rewards, lengths + 1, terminated | truncated
        recorded += zip(returns[over], lengths[over], strict=True)
        returns[over], lengths[over] = 0, 0
    np.testing.assert_allclose(list(zip(vector.return_queue, vector.length_queue, strict=True)), recorded)
    assert (max(vector.length_queue) > 1) == (options.get("routing") == "pass" or "observe" in options)


def test_gymnasium_s_wrappers_of_observations_refuse_every_vector_that_resets_in_the_same_step() -> None:
    # A limit of Gymnasium's, not of these environments: its SyncVectorEnv in this mode is refused likewise.
    for vector in (UserVectorEnv(2), *both(ProviderEnv, ProviderVectorEnv)):
        for wrapper in (NormalizeObservation, partial(TransformObservation, func=np.negative)):
            with pytest.raises(ValueError, match="Expected autoreset_mode to be NEXT_STEP or DISABLED"):
                wrapper(vector)


@pytest.mark.parametrize(
    ("single", "native", "action", "options"),
    [
        (UserEnv, UserVectorEnv, 0, {"provider": StaticProvider(Commitment.static(0))}),
        (ProviderEnv, ProviderVectorEnv, [0.5, 0.0], {"user": FixedPatienceUser(1.0), "routing": "pass"}),
    ],
)
def test_whole_numbers_of_infos_are_as_wide_as_gymnasium_s(
    hopeless: Game, single: Any, native: Any, action: Any, options: dict[str, Any]
) -> None:
    infos = []
    for vector in both(single, native, game=hopeless, **options):
        vector.reset(seed=0)
        infos.append(vector.step(np.array([action] * SLOTS))[4])
    assert {name: infos[0][name].dtype for name in infos[0]} == {name: infos[1][name].dtype for name in infos[1]}


def test_the_mode_of_autoreset_and_the_lack_of_pictures_are_in_the_metadata() -> None:
    for make in (ProviderVectorEnv, UserVectorEnv):
        assert make.metadata == {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        vector = make(2)
        assert (vector.render_mode, vector.spec, vector.num_envs) == (None, None, 2)
        vector.close()
        vector.close()


def test_the_seeds_of_slots_follow_one_another_and_begin_again_at_0() -> None:
    vector = ProviderVectorEnv(3)
    vector.reset(seed=2**63 - 2)
    assert vector.tasks.rows["seed"].tolist() == [2**63 - 2, 2**63 - 1, 0]
    vector.reset(seed=[7, 2**70 + 3, 7])
    assert vector.tasks.rows["seed"].tolist() == [7, 3, 7]
