"""Episodes as they were when the environments got their version.

Whoever changes a number here changes what a seed means: the random numbers, the rules or the order of the streams. That
is a new version of the environments ("stackroute_v0", "Provider-v0", "User-v0").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest

from stackroute import Game
from stackroute.envs import ProviderVectorEnv, UserVectorEnv, parallel_env, raw_env, rules

STAY = [0] * 9
PAPER = {"throttling": False}
SEVERAL = ["g1", "g2", "g4b"]
THREE = Game([0.3, 0.6, 0.8], [0.1, 0.4, 0.8], [0.2, 0.3, 0.4], value=1.5, churn_penalty=2)
ENDS = {rules.IN_PLAY: "", rules.SOLVED: "solved", rules.ABANDONED: "abandoned", rules.TRUNCATED: "truncated"}

Moves = list[tuple[int, int, float, float, str]]
"""After each move: passes, last model, the rewards of provider and user, how the task ended."""


class Transcript(NamedTuple):
    game: Any
    options: dict[str, Any]
    seed: int
    number: int
    actions: list[list[float]]
    answers: list[int]
    moves: Moves


TRANSCRIPTS = {
    "solved": Transcript(
        *("g4b", PAPER, 12, 0, [[0.0, 0.3]], STAY),
        [(1, 0, -0.1, -0.65, ""), (2, 0, -0.1, -0.65, ""), (3, 0, -0.1, 0.45, "solved")],
    ),
    "abandoned": Transcript(
        *("g4b", PAPER, 6, 2, [[0.0, 0.3]], [0, 0, 1]),
        [(1, 0, -0.1, -0.65, ""), (2, 0, -0.1, -0.65, ""), (3, 1, -0.8, -0.7, ""), (3, 1, -5.0, 0.0, "abandoned")],
    ),
    "truncated": Transcript(
        *("g4b", {**PAPER, "max_passes": 3}, 6, 2, [[0.0, 0.0]], STAY),
        [(1, 0, -0.1, -0.65, ""), (2, 0, -0.1, -0.65, ""), (3, 0, -0.1, -0.65, ""), (3, 0, 0.0, 0.0, "truncated")],
    ),
    "cascade": Transcript(
        *("g4b", PAPER, 177, 1, [[0.0, 0.3]], STAY),
        [
            *((k, 0, -0.1, -0.65, "") for k in (1, 2, 3, 4)),
            *((5, 1, -0.8, -0.7, ""), (6, 1, -0.8, -0.7, ""), (7, 1, -0.8, 0.4, "solved")),
        ],
    ),
    "delays": Transcript(
        *("g4b", {}, 30, 2, [[0.0, 0.5, 0.25, 0.5]], STAY),
        [
            *((1, 0, -0.1, -0.925, ""), (2, 0, -0.1, -0.925, ""), (3, 1, -0.8, -1.25, "")),
            (4, 1, -0.8, -0.15, "solved"),
        ],
    ),
    "pass by pass": Transcript(
        *("g4b", {"routing": "pass"}, 12, 0, [[0.0, 0.0], [1.0, 0.5], [0.0, 0.25]], STAY),
        [
            *((1, 0, -0.1, -0.65, ""), (1, 0, 0.0, 0.0, ""), (2, 1, -0.8, -1.25, ""), (2, 1, 0.0, 0.0, "")),
            (3, 0, -0.1, 0.175, "solved"),
        ],
    ),
    "the second of several games": Transcript(
        *(SEVERAL, PAPER, 11, 3, [[0.0, 0.5]], STAY),
        [(1, 0, -0.3, -0.1, ""), (2, 0, -0.3, 1.9, "solved")],
    ),
    "the third of several games": Transcript(
        *(SEVERAL, PAPER, 11, 5, [[0.0, 0.5]], STAY),
        [(1, 0, -0.1, -0.65, ""), (2, 0, -0.1, -0.65, ""), (3, 1, -0.8, 0.4, "solved")],
    ),
    "relative units": Transcript(
        *(SEVERAL, {**PAPER, "reward_unit": "relative"}, 11, 3, [[0.0, 0.5]], STAY),
        [(1, 0, -0.3 / 3.5, -0.05, ""), (2, 0, -0.3 / 3.5, 0.95, "solved")],
    ),
    "three models": Transcript(
        *(THREE, PAPER, 138, 0, [[0.4, 0.6, 0.5]], STAY),
        [(1, 1, -0.4, -0.3, ""), *((k, 2, -0.8, -0.4, "") for k in (2, 3, 4)), (5, 2, -0.8, 1.1, "solved")],
    ),
    "a lottery of three models": Transcript(
        *(THREE, {"routing": "lottery"}, 5, 0, [[0, 0.2, 0.5, 0.3, 0.1, 0, 0.2]], STAY),
        [
            *((1, 0, -0.1, -0.35, ""), (2, 0, -0.1, -0.35, ""), (3, 2, -0.8, -0.7, ""), (4, 1, -0.4, -0.3, "")),
            (5, 1, -0.4, 1.2, "solved"),
        ],
    ),
}


def test_the_version_is_that_of_the_transcripts() -> None:
    assert raw_env.metadata["name"] == parallel_env.metadata["name"] == "stackroute_v0"
    names = {name for name in gymnasium.registry if name.startswith("stackroute/")}
    assert names == {"stackroute/Provider-v0", "stackroute/User-v0"}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_seeded_episodes_do_not_change(name: str) -> None:
    transcript = TRANSCRIPTS[name]
    env = raw_env(transcript.game, **transcript.options)
    env.reset(seed=transcript.seed)
    for _ in range(transcript.number):
        env.reset()
    actions, answers = iter(transcript.actions), iter(transcript.answers)
    moves = []
    while not moves or not moves[-1][4]:
        env.step(np.array(next(actions)) if env.agent_selection == "provider_0" else next(answers))
        passed, end = env.infos["user_0"], ENDS[int(env.tasks.rows["end"][0])]
        moves.append((passed["pass"], passed["model"], env.rewards["provider_0"], env.rewards["user_0"], end))
    assert [move[:2] + move[4:] for move in moves] == [move[:2] + move[4:] for move in transcript.moves]
    np.testing.assert_allclose([move[2:4] for move in moves], [move[2:4] for move in transcript.moves], atol=1e-12)


def test_the_random_numbers_do_not_change() -> None:
    key = rules.task_key(7, 11)
    assert key == 1128692471972615095
    numbers = [rules.random_number(key, pass_index, stream) for pass_index in (0, 1, 2) for stream in (0, 1, 2)]
    assert numbers == [
        *(0.4340369621124075, 0.49489631079672247, 0.6769886769016258),
        *(0.9133038648014326, 0.5907492548870937, 0.12177560379908303),
        *(0.2481468295118764, 0.297788717759619, 0.13934023493971004),
    ]


def test_a_batch_of_commitments_does_not_change() -> None:
    env = ProviderVectorEnv(3, SEVERAL, "random", tasks_per_commitment=100, **PAPER)
    env.reset(seed=5)
    env.advance(np.tile([0.0, 0.5], (3, 1)))
    expected = {
        "service_cost": [0.44, 0.229, 0.248],
        "churn_penalty": [0.33, 1.85, 1.23],
        "latency": [0.22, 0.8585, 0.124],
        "value": [1.78, 0.693, 1.18],
        "passes": [1.58, 1.31, 1.16],
        "solved": [0.89, 0.63, 0.59],
        "abandoned": [0.11, 0.37, 0.41],
    }
    assert set(env.step_infos) == set(expected)
    for name, mean in expected.items():
        np.testing.assert_allclose(env.step_infos[name], mean, atol=1e-12, err_msg=name)


def test_a_batch_that_routes_every_pass_does_not_change() -> None:
    env = ProviderVectorEnv(3, "g4b", "random", routing="pass", **PAPER)
    env.reset(seed=5)
    ended = [env.advance([[0.0], [1.0], [0.0]])[1].tolist() for _ in range(5)]
    assert ended == [[False, True, True], *[[False, True, False]] * 3, [True, True, True]]


def test_a_batch_of_users_and_a_random_provider_do_not_change() -> None:
    env = UserVectorEnv(3, SEVERAL, "random", **PAPER)
    env.reset(seed=5)
    games, rewards, ended = [], [], []
    for _ in range(4):
        games.append(env.tasks.rows["game"].tolist())
        reward, terminated, _ = env.advance([0, 0, 1])
        rewards.append(reward)
        ended.append(terminated.tolist())
    assert games == [[0, 2, 0], [0, 2, 2], [0, 2, 1], [0, 2, 1]]
    assert ended == [[False, False, True], [False, True, True], [False, False, True], [True] * 3]
    np.testing.assert_allclose(rewards, [[-0.1, -0.7, 0], [-0.3, 0.4, 0], [-0.3, -0.65, 0], [1.7, 0.45, 0]], atol=1e-12)


def test_hidden_games_and_commitments_that_fail_do_not_change() -> None:
    env = UserVectorEnv(8, SEVERAL, "random", observe={"user": ["history"]})
    env.reset(seed=5)
    assert env.tasks.rows["game"].tolist() == [0, 1, 2, 2, 0, 0, 2, 2]
    assert env.tasks.rows["model"].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]


def test_what_a_patience_gains_does_not_change() -> None:
    env = UserVectorEnv(3, "g4b", "random", decision="task", tasks_per_commitment=100, **PAPER)
    env.reset(seed=5)
    gains, *_ = env.advance(np.array([[0.2], [0.5], [1.0]]))
    np.testing.assert_allclose(gains, [-0.003667392, 0.135875, 0.246], rtol=1e-9)
