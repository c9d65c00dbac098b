"""Lines of commitments, exploration and the overview along them, for any number of models and both kinds of routing."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroute import Commitment, Game, load_game, solve
from stackroute.agents import load_provider
from stackroute.analytic import InvalidGameError, best_response, provider_cost
from stackroute.configs import ConfigError
from stackroute.configs.training import FollowerFirstSettings, TrainingSettings, load_training_settings
from stackroute.training.figures.curves import draw_run
from stackroute.training.learn.certificate import walk
from stackroute.training.learn.evaluation import evaluate, provider_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import Training
from stackroute.training.learn.lines import all_lines, line_through, point
from stackroute.training.learn.overview import find_contenders
from stackroute.training.learn.runs import RunSpec, evaluate_run, run_game
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.schemes import train

TinySettings = Callable[..., TrainingSettings]

PATIENCE = np.array([0.0, 0.3, 0.9, 1.0])


def game_of(models: int, seed: int = 0) -> Game:
    numbers = np.random.default_rng(seed).uniform(0.2, 0.8, (3, models))
    return Game(np.sort(numbers[0]), numbers[1], numbers[2], value=1.0, churn_penalty=2.0)


def same_game_to_the_user(one: Commitment, other: Commitment, game: Game) -> bool:
    """Whether commitments cost the same however patient the user is."""
    return np.allclose(provider_cost(game, one, PATIENCE), provider_cost(game, other, PATIENCE), rtol=1e-12)


@settings(deadline=None)
@given(st.integers(2, 5), st.data())
def test_a_line_passes_through_every_lottery_of_two_models(models: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, models - 1))
    one, other = data.draw(st.permutations(range(models)))[:2]
    share = data.draw(st.floats(0, 1))
    delay = np.array(data.draw(st.lists(st.floats(0, 1), min_size=models, max_size=models)))
    mixed = (1 - share) * np.eye(models)[one] + share * np.eye(models)[other]
    made = Commitment.lottery(np.eye(models)[start], mixed, delay)
    line, place = line_through(made, "free")
    np.testing.assert_allclose(line.at(place).transition, made.transition, atol=1e-12)
    np.testing.assert_array_equal(line.at(place).start, made.start)
    np.testing.assert_array_equal(line.at(place).delay, delay)


@settings(deadline=None)
@given(st.integers(0, 1), st.floats(0, 1))
def test_a_line_passes_through_every_cascade(first: int, cascade: float) -> None:
    made = Commitment.cascade(first, cascade)
    line, place = line_through(made, "cascade")
    assert line.is_point == (first == 1)
    assert same_game_to_the_user(line.at(place), made, game_of(2))
    assert line.at(place).is_cascade


@pytest.mark.parametrize("models", [1, 2, 3, 4, 5])
def test_there_is_a_line_for_each_start_and_pair(models: int) -> None:
    lines = all_lines(models, "free", np.zeros(models))
    found = {(int(line.start.argmax()), line.models) for line in lines}
    pairs = list(itertools.combinations(range(models), 2)) or [(0, 0)]
    assert found == set(itertools.product(range(models), pairs))
    assert len(lines) == len(found)
    for line in lines:
        ends = line.at([0.0, 1.0]).transition
        expected = [np.tile(np.eye(models)[k], (models, 1)) for k in line.models]
        np.testing.assert_array_equal(ends, expected)


def test_a_point_is_one_model_alone() -> None:
    alone = point(1, np.array([0.0, 0.4, 0.0]))
    assert alone.is_point
    assert same_game_to_the_user(alone.at(0.0), Commitment.static(1, models=3), game_of(3))
    assert alone.nearest(Commitment.static(1, models=3)) == (0.0, 0.0)


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_exploration_meets_every_kind_of_lottery(models: int) -> None:
    numbers = np.random.default_rng(1).random((40_000, 2 * models + 1))
    made = ExploringProvider(throttling=True, routing="free").commit(game_of(models), numbers)
    lottery = made.transition[:, 0]
    np.testing.assert_array_equal(made.transition, np.broadcast_to(lottery[:, None], made.transition.shape))
    np.testing.assert_allclose(lottery.mean(axis=0), 1 / models, atol=0.01)
    starts = np.bincount(made.first_model, minlength=models) / len(numbers)
    np.testing.assert_allclose(starts, 1 / models, atol=0.01)
    mixed = (lottery > 0).sum(axis=1)
    if models > 2:
        assert (mixed == models).mean() == pytest.approx(0.5, abs=0.01)
        # Uniform over the simplex: a share has the mean square 2 / (n (n + 1)).
        assert (lottery[mixed == models] ** 2).mean() == pytest.approx(2 / (models * (models + 1)), rel=0.03)
    for k in range(models):
        assert (lottery[:, k] == 1).any()
    assert (made.delay == 0).all(axis=1).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shift", [-0.03, 0.03])
@pytest.mark.parametrize("name", ["g5", "g9"])
def test_a_walk_along_lotteries_ends_on_the_safe_side(name: str, shift: float) -> None:
    game = load_game(name).game
    best = solve(game, "free")
    line, threshold = line_through(best.commitment, "free")
    packaged = load_training_settings()
    assert isinstance(packaged, FollowerFirstSettings)
    assert packaged.certificate is not None
    quick = packaged.certificate.model_copy(update={"tasks": 200_000})
    found = walk(SampledGame(game, 5), line, threshold + shift, quick)
    assert found is not None
    assert found.sure
    evaluation = evaluate(game, found.commitment, np.float64(found.patience), throttling=False, routing="free")
    # Beyond the threshold an indifferent user would cost several times as much.
    assert 0 <= evaluation.provider_regret_pessimistic < 0.03
    assert evaluation.provider_regret == evaluation.provider_regret_pessimistic


def test_the_overview_finds_the_best_line() -> None:
    game = load_game("g9").game
    best = solve(game, "free")
    packaged = load_training_settings()
    assert isinstance(packaged, FollowerFirstSettings)
    assert packaged.overview is not None
    training = Training(game, throttling=False, routing="free", seed=1)
    choice = Commitment.lottery([0, 0, 1], [0.2, 0.3, 0.5])
    contenders = find_contenders(training, choice, packaged.overview)
    # The most promising is on the line of the equilibrium, and its bound, of 100,000 tasks, about what that costs.
    first = min(contenders, key=lambda one: one.bound)
    assert (int(first.line.start.argmax()), first.line.models) == (1, (0, 2))
    assert first.bound == pytest.approx(float(best.provider_cost), rel=0.02)
    for one in contenders:
        assert one.bound <= one.cost
        exact = provider_cost(game, one.commitment, best_response(game, one.commitment, "pessimistic"))
        # With 11 places on a line none is so close to a threshold that 100,000 tasks could mistake the answer.
        assert one.cost == pytest.approx(float(exact), rel=0.05)
    assert contenders == sorted(contenders, key=lambda one: one.cost)


def test_the_overview_repairs_a_choice_that_is_wrong() -> None:
    game = load_game("g8").game
    packaged = load_training_settings()
    assert isinstance(packaged, FollowerFirstSettings)
    assert packaged.overview is not None
    training = Training(game, throttling=True, seed=1)
    contenders = find_contenders(training, Commitment.static(1, [0.0, float(game.value)]), packaged.overview)
    assert float(provider_regret(game, contenders[0].commitment, training.best_cost)) < 0.01


def test_of_delays_that_cost_the_provider_the_same_the_least_are_chosen() -> None:
    game = load_game("gpt-4.1-o3-dev-low-p").game
    packaged = load_training_settings()
    assert isinstance(packaged, FollowerFirstSettings)
    assert packaged.overview is not None
    learned = Commitment.cascade(0, 1.0, [0.0, float(game.value)])
    contenders = find_contenders(Training(game, throttling=True, seed=1), learned, packaged.overview)
    # Full delays of the model that never serves again cost the same.
    assert contenders[0].cost in [one.cost for one in contenders[1:]]
    np.testing.assert_array_equal(contenders[0].commitment.delay, learned.delay)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.usefixtures("short_certificate")
def test_a_run_with_free_routing(tiny_settings: TinySettings, tmp_path: Path, models: int) -> None:
    config = load_game("g9")
    config = config.model_copy(update={"models": config.models[:models]})
    spec = RunSpec(config, tiny_settings(refined=True), throttling=True, seed=3, routing="free")
    pair = run_game(spec, tmp_path / "run")
    learned = pair.evaluation.learned
    assert learned.lottery is not None
    assert (len(learned.lottery), sum(learned.lottery)) == (models, pytest.approx(1))
    assert evaluate_run(tmp_path / "run") == pair.evaluation
    assert run_game(spec, tmp_path / "run", resume=True).evaluation == pair.evaluation
    network = load_provider(tmp_path / "run" / "provider-network.npz")
    made, same = (one.commit(config.game, np.zeros(2 * models + 1)) for one in (network, pair.network))
    np.testing.assert_array_equal(made.transition, same.transition)
    assert all(path.stat().st_size for path in draw_run(tmp_path / "run", tmp_path))
    if models == 3:
        assert replace(spec, routing=None) == spec


def test_what_cannot_be_learned_is_refused(tiny_settings: TinySettings) -> None:
    game = load_game("g9").game
    with pytest.raises(InvalidGameError, match="models: 3 is not allowed; expected one or two, for routing='cascade'"):
        train(game, tiny_settings(), throttling=False, routing="cascade")
    amortised = load_training_settings("joint_amortised")
    with pytest.raises(InvalidGameError, match="models: 3"):
        train(game, amortised, throttling=False)
    with pytest.raises(ConfigError, match="routing: 'free' is not allowed; expected 'cascade' for joint_amortised"):
        train(load_game("g1").game, amortised, throttling=False, routing="free")
