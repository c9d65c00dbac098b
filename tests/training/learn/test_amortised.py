"""The scheme for a distribution of games, on budgets too small to learn it; and the learner of all options."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from stackroute import load_game
from stackroute.agents import LearnedProvider
from stackroute.agents.learned import View
from stackroute.agents.saving import load_provider, load_user, save_policy
from stackroute.agents.thresholds import LearnedThresholds
from stackroute.analytic import cascade_thresholds, random_games
from stackroute.configs import ConfigError
from stackroute.configs.amortised import AllActionSettings, AmortisedSettings
from stackroute.configs.training import load_training_settings, settings_from
from stackroute.envs import observation_space, observe
from stackroute.training.learn import all_actions
from stackroute.training.learn.all_actions import AllActionLearner, Played
from stackroute.training.learn.amortised import Problem, provider_options, training_games
from stackroute.training.learn.learning import Training, learn_alone
from stackroute.training.learn.result import TrainedPair
from stackroute.training.learn.runs import RunSpec, evaluate_run, run_game
from stackroute.training.learn.schemes import train
from stackroute.training.learn.session import Session
from stackroute.training.learn.thresholds import found_in_play

NAME = "gpt-4.1-o3-dev-low-p"
FIT = {"situations": 200, "tasks": 8, "steps": 50, "batch_size": 16, "hidden_layers": [8]}


@pytest.fixture(scope="module", autouse=True)
def _short_rounds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_actions, "ROUND", 20)
        yield


def content() -> dict[str, Any]:
    """Tiny settings as keys and values."""
    full = load_training_settings("joint_amortised").model_dump()
    full["games"]["count"] = 1000
    small = {part: full[part] | FIT for part in ("user", "thresholds", "provider")}
    small["thresholds"]["situations"] = 1000
    return full | small


def settings(**changes: Any) -> AmortisedSettings:
    made = settings_from(content() | changes, "tiny")
    assert isinstance(made, AmortisedSettings)
    return made


def trained(throttling: bool = True, seed: int = 3, session: Session | None = None, **changes: Any) -> TrainedPair:
    return train(load_game(NAME).game, settings(**changes), throttling=throttling, seed=seed, session=session)


@pytest.fixture(scope="module")
def pair() -> TrainedPair:
    return trained()


def assert_same(one: TrainedPair, other: TrainedPair) -> None:
    """Bitwise the same."""
    assert (one.curves, one.stages, one.held_out) == (other.curves, other.stages, other.held_out)
    for left, right in ((one.user, other.user), (one.provider, other.provider)):
        weights, others = left.policy.state_dict(), right.policy.state_dict()  # type: ignore[union-attr]
        assert all((weights[name] == others[name]).all() for name in weights)


def test_another_seed_gives_another_pair(pair: TrainedPair) -> None:
    assert trained(seed=4).curves != pair.curves


@pytest.mark.parametrize("stage", ["user", "thresholds", "provider: play", "provider"])
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(pair: TrainedPair, stage: str, tmp_path: Path) -> None:
    def cut_off(name: str, done: int, total: int, regret: float) -> None:
        if name == stage and 2 * done > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(session=Session(tmp_path, on_progress=cut_off))
    parts = ["user", "thresholds", "provider"]
    first = parts.index(stage.partition(":")[0])
    for learns in ([part >= first for part in range(3)], [False] * 3):
        reported: set[str] = set()
        again = Session(tmp_path, on_progress=lambda name, *_, to=reported: to.add(name))  # type: ignore[misc]
        assert_same(pair, trained(session=again))
        assert [part in reported for part in parts] == learns


@pytest.mark.parametrize("features", ["raw", "theory"])
def test_saved_players_answer_as_before(features: str, pair: TrainedPair, tmp_path: Path) -> None:
    made = pair if features == "raw" else trained(features=features)
    save_policy(made.user, tmp_path / "user.npz")
    save_policy(made.provider, tmp_path / "provider.npz")
    user, provider = load_user(tmp_path / "user.npz"), load_provider(tmp_path / "provider.npz")
    assert isinstance(provider, LearnedProvider)
    assert provider.view == View(2, ("game",), features == "theory")
    games = random_games(300, seed=5)
    commitment, saved = (player.commit(games, np.zeros((300, 5))) for player in (made.provider, provider))
    for name in ("start", "transition", "delay"):
        np.testing.assert_array_equal(getattr(commitment, name), getattr(saved, name))
    answers = [player.patience(games, commitment, np.zeros(300)) for player in (made.user, user)]
    np.testing.assert_array_equal(*answers)


def test_without_throttling_nothing_is_delayed() -> None:
    made = trained(throttling=False)
    assert isinstance(made.provider, LearnedProvider)
    assert made.provider.commitments is not None
    assert made.provider.commitments.shape == (5, 2)
    commitment = made.provider.commit(random_games(300, seed=5), np.zeros((300, 5)))
    assert not commitment.delay.any()
    assert made.held_out is not None
    assert made.held_out["throttling"] == []


def test_the_options_are_each_model_alone_delayed_and_mixed() -> None:
    options = provider_options(throttling=True)
    assert options.tolist()[:5] == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]]
    assert options[5:].tolist() == [[0, 0.5, 0, 0]] * 2
    np.testing.assert_array_equal(provider_options(throttling=False), np.delete(options, [2, 3], axis=0)[:, :2])


def test_games_come_in_equal_parts() -> None:
    games = training_games(settings().games, seed=1)
    assert games.shape == (1000,)
    values, penalties = games.value.reshape(4, 250).max(axis=1), games.churn_penalty.reshape(4, 250).max(axis=1)
    assert (values > 1.2).tolist() == [True, True, False, False]
    assert (penalties > 1).tolist() == [True, False, True, False]


def test_a_run_reports_the_held_out_games_by_stratum(pair: TrainedPair, tmp_path: Path) -> None:
    made = run_game(RunSpec(load_game(NAME), settings(), throttling=True, seed=3), tmp_path)
    assert_same(made, pair)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["scheme"] == "joint_amortised"
    regrets = report["held_out"]["regrets"]
    assert [row["count"] for row in regrets] == [84, 84, 83, 83, 83, 83, 334, 500]
    assert all(0 <= row["within_one_percent"] <= 1 and row["median"] <= row["p95"] for row in regrets)
    assert all(row["within_one_percent"] <= row["within_five_percent"] <= 1 for row in regrets)
    finite, everything = report["held_out"]["throttling"]
    assert 0 < finite["count"] < everything["count"] <= 500
    assert 0 <= finite["right"] <= 1
    assert evaluate_run(tmp_path) == made.evaluation
    assert len(list((tmp_path / "tensorboard").rglob("events.out.tfevents*"))) == 3


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("games", "cost", [1.0, 0.01], "games.cost: [1.0, 0.01] is not allowed; expected [lowest, highest]"),
        ("games", "success", [0.1], "games.success: [0.1] is not allowed"),
        ("games", "values", [], "games.values: [] is not allowed"),
        ("games", "churn_penalties", [[0.0, -1.0]], "games.churn_penalties.0.1: -1.0 is not allowed"),
        ("user", "steps", 0, "user.steps: 0 is not allowed"),
        ("user", "margin", 0.1, "user.margin: unknown key"),
        ("thresholds", "margin", 0.5, "thresholds.margin: 0.5 is not allowed"),
        ("provider", "regression", 1.5, "provider.regression: 1.5 is not allowed"),
        ("provider", "delay_fee", None, "provider.delay_fee: None is not allowed"),
    ],
)
def test_bad_settings_are_refused_in_a_line(part: str, key: str, value: Any, message: str) -> None:
    changed = content()
    changed[part] = changed[part] | {key: value}
    with pytest.raises(ConfigError) as error:
        settings_from(changed, "tiny")
    assert str(error.value).startswith(f"tiny: {message}")
    assert "\n" not in str(error.value)


def test_play_finds_the_exact_thresholds() -> None:
    games = random_games(1500, seed=8)
    problem = Problem(Training(games[0], throttling=False), games, provider_options(throttling=False))
    rows, begins, place = found_in_play(problem, np.arange(1500), 4000, np.random.default_rng(0))
    exact, value = cascade_thresholds(games[rows]), games.net_value[rows]
    assert len(rows) > 50
    begin = (value[:, 0] < 0) & (value[:, 1] > 0)
    cease = (value[:, 0] > 0) & (value[:, 1] < 0)
    assert np.mean(np.where(begins, begin, cease)) > 0.9
    right = np.where(begins, begin, cease)
    error = np.abs(place - exact.low)[right]
    assert np.median(error) < 0.015
    assert np.mean(error < 0.1) > 0.9


def test_thresholds_are_learned_on_their_safe_side(pair: TrainedPair) -> None:
    assert isinstance(pair.provider, LearnedProvider)
    assert pair.provider.thresholds is not None
    policy, games = pair.provider.thresholds.policy, random_games(50, seed=5)
    seen = observe(games, blocks=["game"])
    bare, places = (LearnedThresholds(policy, margin).places(seen) for margin in (0.0, 0.01))
    assert ((bare > 0) & (bare < 1)).all()
    np.testing.assert_allclose(places - bare, np.tile([0.01, -0.01], (50, 1)), atol=1e-12)
    assert (LearnedThresholds(policy, 0.499).places(seen)[bare > 0.501] <= 1).all()
    # Users do not answer to what the provider pays.
    other = replace(games, cost=games.cost * [2.0, 3.0], churn_penalty=games.churn_penalty + 1.0)
    np.testing.assert_array_equal(LearnedThresholds(policy, 0.0).places(observe(other, blocks=["game"])), bare)
    rows = pair.provider.thresholds.completed(pair.provider.commitments, seen)
    np.testing.assert_array_equal(rows[:, :-2], np.tile(pair.provider.commitments[:-2], (50, 1, 1)))
    np.testing.assert_array_equal(rows[:, -2:, 1], pair.provider.thresholds.places(seen))


@pytest.mark.parametrize("regression", [0.0, 0.5, 1.0])
def test_the_best_option_of_a_table_is_found(regression: float) -> None:
    space = spaces.Box(0.0, 1.0, (1,), dtype=np.float32)
    generator = np.random.default_rng(0)
    seen = generator.random((2000, 1), dtype=np.float32)
    best = np.digitize(seen[:, 0], [0.3, 0.7])
    table = np.eye(3, dtype=np.float32)[best]
    noisy = table + generator.normal(0, 0.1, table.shape).astype(np.float32)
    played = Played(seen, noisy, 1.0 - table[:500].astype(np.float64))
    fit = load_training_settings("joint_amortised").model_dump()["user"]
    fit |= {"steps": 600, "batch_size": 128, "hidden_layers": [32, 32], "regression": regression}
    learner = AllActionLearner(lambda: played, space, 3, AllActionSettings(**fit), seed=1)
    curve = learn_alone("toy", learner, Session(), learner.measure)
    assert curve.steps == list(range(0, 601, 20))
    assert curve.regret[0] > 0.2
    assert curve.regret[-1] < 0.02
    assert curve.reward[-1] > 0.95


def test_evaluated_situations_are_not_learned_from() -> None:
    space = spaces.Box(0.0, 1.0, (1,), dtype=np.float32)
    fit = load_training_settings("joint_amortised").model_dump()["user"] | FIT
    seen = np.random.default_rng(0).random((100, 1), dtype=np.float32)
    learned = []
    for reward in (0.0, 1e6):
        rewards = np.tile(np.float32([0, 1]), (100, 1))
        rewards[:10] = reward
        played = Played(seen, rewards, np.zeros((10, 2)), np.ones(100))
        learner = AllActionLearner(lambda played=played: played, space, 2, AllActionSettings(**fit), seed=1)
        learner.round()
        learned.append(learner.policy.action_net.weight.detach().numpy().copy())
    np.testing.assert_array_equal(*learned)


@pytest.mark.parametrize(
    ("commitments", "message"),
    [
        (np.zeros((22, 7)), "commitments: shape"),
        (np.full((22, 2), 1.5), "expected numbers in"),
        (np.zeros((21, 2)), "policy: actions Discrete"),
    ],
)
def test_a_list_of_commitments_must_fit_the_policy(commitments: np.ndarray, message: str) -> None:
    policy = AllActionLearner(pytest.fail, observation_space(2, ["game"]), 22, settings().user, seed=0).policy
    with pytest.raises(ValueError, match=message):
        LearnedProvider(policy, commitments=commitments)
