"""The metrics against the single-game evaluation, brute force and hand-made curves."""

import numpy as np
import pytest

from stackroute import Commitment, Game, best_response, load_game, misalignment, solve
from stackroute.analytic import stratified_games, user_utility
from stackroute.envs.actions import ProviderActions
from stackroute.training.benchmark.metrics import measure
from stackroute.training.benchmark.problem import Problem, Record, Solution
from stackroute.training.benchmark.tasks import Task
from stackroute.training.learn.evaluation import evaluate

GAMES = stratified_games(30, seed=4)


def task(game: Game, throttling: bool = False) -> Task:
    return Task("task", ("group",) * game.shape[0], game, throttling)


@pytest.mark.parametrize("throttling", [False, True])
def test_the_equilibrium_has_no_regret(throttling: bool) -> None:
    best = solve(GAMES, throttling=throttling)
    found = measure(task(GAMES, throttling), Solution(best.commitment, best.patience))
    for name in ("provider_regret", "on_path_regret", "exploitation", "user_regret", "user_loss"):
        np.testing.assert_allclose(found[name], 0, atol=1e-12, err_msg=name)
    assert (found["regime_right"] == 1).all()
    assert (found["throttling_right"] == 1).all()
    assert (found["provider_regret_pessimistic"] >= 0).all()
    np.testing.assert_allclose(found["misalignment"], found["misalignment_equilibrium"], atol=1e-12)


@pytest.mark.parametrize("throttling", [False, True])
def test_each_game_is_measured_as_by_itself(throttling: bool) -> None:
    numbers = np.random.default_rng(5).random((30, 5))
    actions = ProviderActions(throttling=throttling)
    commitment = actions.commitment(GAMES, numbers[:, : actions.width])
    found = measure(task(GAMES, throttling), Solution(commitment, numbers[:, 4]))
    for k in range(30):
        one = evaluate(GAMES[k], commitment[k], numbers[k, 4], throttling=throttling)
        for name in ("provider_regret", "provider_regret_pessimistic", "on_path_regret", "user_regret"):
            assert found[name][k] == pytest.approx(getattr(one, name), abs=1e-12)
        assert found["throttling_right"][k] == one.throttling_right
        assert found["routing_error"][k] == pytest.approx(
            np.nan if one.routing_error is None else one.routing_error, nan_ok=True
        )
        for side, outcome in (("learned", one.learned), ("exact", one.equilibrium)):
            for name in ("first_model", "patience", "throttled", "provider_cost", "user_utility"):
                assert found[f"{side}_{name}"][k] == pytest.approx(float(getattr(outcome, name)), abs=1e-12)
        assert found["exploitation"][k] == pytest.approx(one.on_path_regret - one.provider_regret, abs=1e-12)


def test_misalignment_is_measured_from_the_users_own_choice() -> None:
    generator = np.random.default_rng(6)
    commitment, patience = (
        Commitment.cascade(generator.integers(2, size=30), generator.random(30)),
        generator.random(30),
    )
    found = measure(task(GAMES), Solution(commitment, patience))
    # No route and no patience is better for the user than the one that misalignment is measured from.
    assert (found["misalignment"] >= -1e-12).all()
    grid = Commitment.cascade([[0], [1]], np.linspace(0, 1, 21)).reshape(-1)
    for k in range(30):
        best = user_utility(GAMES[k], grid, best_response(GAMES[k], grid)).max()
        got = float(user_utility(GAMES[k], commitment[k], patience[k]))
        scale = max(*np.abs(GAMES[k].net_value), float(GAMES[k].value) * GAMES[k].success[1])
        assert found["misalignment"][k] == pytest.approx((best - got) / scale, abs=1e-9)
        assert found["misalignment_equilibrium"][k] == pytest.approx(
            float(misalignment(GAMES[k]).gap) / scale, abs=1e-12
        )


def test_a_wrong_route_is_seen() -> None:
    game = load_game("g4b").game.reshape(1)
    assert float(solve(game).commitment.cascade_probability[0, 0]) == pytest.approx(0.3077, abs=1e-4)
    for cascade, right in ((0.32, 1.0), (0.29, 0.0)):
        found = measure(task(game), Solution(Commitment.cascade(0, cascade), 1.0))
        assert found["regime_right"][0] == right
    assert measure(task(game), Solution(Commitment.static(1), 1.0))["regime_right"][0] == 0


def test_a_target_is_reached_when_the_regret_stays_there() -> None:
    record = Record([10, 20, 30, 40], [0.1, 0.2, 0.3, 0.4], [0.5, 0.01, 0.5, 0.04])
    assert record.reached(0.05)[0] == 40
    assert record.reached(0.01) == (None, None)
    assert record.reached(0.6)[1] == 0.1
    assert Record([7], [0.0], [0.0]).reached(0.01) == (7, 0.0)


def test_the_area_under_a_curve() -> None:
    record = Record([10, 40], [0.0, 0.0], [0.5, 0.25])
    # Ten tasks at 1, thirty at .5, sixty at .25.
    assert record.area(100) == pytest.approx((10 + 15 + 15) / 100)
    assert record.area(20) == pytest.approx((10 + 5) / 20)
    assert Record([5], [0.0], [40.0]).area(10) == 1.0
    assert Record([0], [0.0], [0.0]).area(10) == 0.0


def test_a_problem_counts_the_tasks_that_are_played() -> None:
    problem = Problem(load_game("g1").game.reshape(1), throttling=False, seed=0)
    play = problem.sampled("test")
    commitment = Commitment.cascade([0, 1], 0.5)
    problem.choose(commitment[0])
    play.cost(commitment, np.ones(2), 6_400)
    problem.choose(commitment[0])
    play.answer(commitment, 640)
    problem.choose(solve(problem.single).commitment)
    assert problem.record.tasks == [0, 12_800, 12_800 + 1_280]
    assert problem.record.regret[-1] == 0
    assert problem.record.seconds == sorted(problem.record.seconds)


def test_an_algorithm_of_one_game_refuses_several() -> None:
    with pytest.raises(ValueError, match=r"game: shape \(30,\) is not allowed; this algorithm plays one game"):
        _ = Problem(GAMES, throttling=False, seed=0).single
