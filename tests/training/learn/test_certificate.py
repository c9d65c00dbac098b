"""Sampled play is sure of nothing that exact theory contradicts.

An answer is ruled out at 4 standard errors, one-sided 3.2e-5 for a normal mean. A check makes at most 3 looks at 11
answers, so it is wrong at most about once in 1,000 checks; the seeds here are fixed.
"""

import numpy as np
import pytest

from stackroute import Commitment, Game, best_response, load_game, solve
from stackroute.analytic import Stratum, cascade_thresholds, provider_cost, stratified_games, user_utility
from stackroute.configs.training import CertificateSettings
from stackroute.training.learn.certificate import Checked, Place, check, walk
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.lines import all_lines, line_through
from stackroute.training.learn.sampling import BLOCKS, SampledGame

SETTINGS = CertificateSettings(tolerance=0.002, standard_errors=4.0, tasks=2_000_000)
QUICK = SETTINGS.model_copy(update={"tasks": 200_000})
CANONICAL = ("g1", "g4", "g4b", "g5", "g5b")
CASCADES = all_lines(2, "cascade", np.zeros(2))[0]
SIDES = (-0.1, -0.02, -0.005, 0.005, 0.02, 0.1)


@pytest.fixture
def quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackroute.training.learn.certificate._FIRST_TASKS", 25_000)


def random_cascades(count: int) -> list[Game]:
    strata = [Stratum.ONLY_REASONING_WORTH_CASCADE, Stratum.ONLY_STANDARD_WORTH_CASCADE]
    games = [stratified_games(count, seed=8, strata=[stratum]) for stratum in strata]
    return [batch[k] for batch in games for k in range(count)]


def cascade_of(commitment: Commitment) -> float:
    return float(commitment.cascade_probability[0])


def starts(game: Game, sides: tuple[float, ...] = SIDES) -> list[Commitment]:
    """Commitments on both sides of the place where the provider's cost jumps."""
    best = solve(game).commitment
    centre = cascade_of(best) if best.first_model == 0 else 0.5
    places = np.unique(np.clip(centre + np.array(sides), 0.0, 1.0))
    return [Commitment.cascade(0, float(place), [0.0, 0.0]) for place in places]


def assert_within_the_cliff(game: Game, found: Checked, tolerance: float) -> None:
    """What play is sure of costs the provider, against the exact answer, what play says it costs."""
    exact = float(provider_cost(game, found.commitment, best_response(game, found.commitment, "pessimistic")))
    # The sampled cost of 25,000 tasks or more has a standard error below 1.5 % in these games.
    assert exact <= found.cost * (1 + tolerance), (found, exact)


@pytest.mark.parametrize("name", CANONICAL)
def test_what_is_sure_is_on_the_right_side_of_the_cliff(name: str) -> None:
    game = load_game(name).game
    play = SampledGame(game, 12)
    sure = 0
    for start in starts(game, (-0.1, -0.01, 0.01, 0.1)):
        found = check(play, start, SETTINGS)
        if not found.sure:
            continue
        sure += 1
        assert_within_the_cliff(game, found, 0.03)
        exact = float(best_response(game, start))
        assert (found.patience > 0.5) == (exact > 0.5) or float(user_utility(game, start, 0.0)) == exact
    assert sure >= 2


def test_a_commitment_on_the_threshold_is_never_sure(cascade_game: Game) -> None:
    found = check(SampledGame(cascade_game, 3), solve(cascade_game).commitment, QUICK)
    assert not found.sure
    assert found.patience == 0.0
    # Abandoned at once: c1 + P (1 - p1).
    assert found.cost == pytest.approx(2.6, rel=0.02)


def test_more_tasks_make_surer(cascade_game: Game) -> None:
    near = Commitment.cascade(0, cascade_of(solve(cascade_game).commitment) + 0.01, [0.0, 0.0])
    play = SampledGame(cascade_game, 3)
    few = check(play, near, QUICK.model_copy(update={"tasks": 10_000}))
    many = check(play, near, SETTINGS)
    assert (few.sure, many.sure) == (False, True)
    assert many.patience == 1.0


@pytest.mark.usefixtures("quick_look")
@pytest.mark.parametrize("side", [-0.03, 0.03])
@pytest.mark.parametrize("name", ["g4b", "g5"])
def test_a_walk_ends_near_the_threshold_and_never_beyond(name: str, side: float) -> None:
    game = load_game(name).game
    threshold = cascade_of(solve(game).commitment)
    seen: list[Place] = []
    found = walk(SampledGame(game, 5), CASCADES, threshold + side, QUICK, seen)
    assert found is not None
    assert found.sure
    place = cascade_of(found.commitment)
    assert seen[0].share == pytest.approx(threshold + side)
    assert (found.cost, found.tasks) in {(one.cost, one.tasks) for one in seen if one.share == place and one.sure}
    # It is the cheapest of those that play is sure of, but for the tolerance.
    assert found.cost <= min(one.cost for one in seen if one.sure) * (1 + QUICK.tolerance)
    assert all(0 < one.tasks <= QUICK.tasks for one in seen)
    assert place >= threshold if name == "g4b" else place <= threshold
    assert abs(place - threshold) < 0.05
    regret = float(provider_regret(game, found.commitment, solve(game).provider_cost, pessimistic=True))
    assert 0 <= regret < 0.08


def test_where_the_reasoning_model_starts_there_is_nowhere_to_walk(cascade_game: Game) -> None:
    play = SampledGame(cascade_game, 5)
    found = walk(play, *line_through(Commitment.static(1), "cascade"), QUICK)
    assert found is not None
    assert (found.commitment.first_model, found.patience) == (1, 1.0)
    # With a delay of xi2 the user is indifferent, and nothing can make play sure of its answer.
    indifferent = Commitment.static(1, [0.0, float(cascade_game.net_value[1])])
    assert walk(play, *line_through(indifferent, "cascade"), QUICK) is None


@pytest.mark.convergence
@pytest.mark.parametrize("number", range(len(CANONICAL) + 6))
def test_walks_end_within_the_cliff_from_both_sides(number: int) -> None:
    random = random_cascades(3)
    game = load_game(CANONICAL[number]).game if number < len(CANONICAL) else random[number - len(CANONICAL)]
    best = float(solve(game).provider_cost)
    play = SampledGame(game, 100 + number)
    low, high = float(cascade_thresholds(game).low), float(cascade_thresholds(game).high)
    for start in starts(game, (-0.02, 0.02)):
        found = walk(play, CASCADES, cascade_of(start), SETTINGS)
        assert found is not None
        regret = float(provider_regret(game, found.commitment, best, pessimistic=True))
        assert 0 <= regret < 0.1
        if 0 < low < 1:
            place = cascade_of(found.commitment)
            assert place >= high or place <= low


@pytest.mark.parametrize(("name", "start"), [("g5", 0.95), ("g5b", 0.2), ("g4b", 0.9), ("g4b", 0.02)])
def test_a_walk_reaches_a_threshold_far_away(name: str, start: float) -> None:
    game = load_game(name).game
    best = solve(game)
    found = walk(SampledGame(game, 6), CASCADES, start, SETTINGS)
    assert found is not None
    distance = cascade_of(found.commitment) - cascade_of(best.commitment)
    # On the safe side, and as near as 2 million tasks can tell.
    assert 0 <= (distance if name == "g4b" else -distance) < 0.1
    assert 0 <= float(provider_regret(game, found.commitment, best.provider_cost)) < 0.12


@pytest.mark.usefixtures("quick_look")
def test_random_cascade_games_are_within_the_cliff() -> None:
    sure = 0
    for number, game in enumerate(random_cascades(3)):
        play = SampledGame(game, 40 + number)
        for found in (check(play, start, SETTINGS) for start in starts(game)):
            if found.sure:
                sure += 1
                assert_within_the_cliff(game, found, 0.06)
    assert sure >= 12


def after_a_failure(game: Game, commitment: Commitment, patience: np.ndarray) -> np.ndarray:
    first = commitment.first_model
    success, latency = game.success[first], game.latency[first]
    waiting = latency + np.take_along_axis(commitment.delay, first[:, None], axis=1)[:, 0]
    at_once = game.value * success - waiting
    return (user_utility(game, commitment, patience) - at_once) / (1 - success)


@pytest.mark.parametrize("name", ["g1", "g4b", "g5", "g7"])
def test_sampled_means_are_those_of_the_closed_forms(name: str) -> None:
    game = load_game(name).game
    generator = np.random.default_rng(77)
    count = 12
    made = Commitment.cascade(
        generator.integers(2, size=count),
        generator.random(count),
        float(game.value) * generator.random((count, 2)) * (generator.random((count, 1)) < 0.5),
    )
    patience = np.concatenate([[0.0, 1.0], generator.random(count - 2)])
    play = SampledGame(game, 21)
    costs = play.cost(made, patience, 64_000)
    gains = play.gain(made, patience[:, None], 64_000)[:, 0]
    assert costs.shape == gains.shape == (count, BLOCKS)
    for blocks, exact in (
        (costs, np.array([float(provider_cost(game, made[k], patience[k])) for k in range(count)])),
        (gains, after_a_failure(game, made, patience)),
    ):
        error = blocks.std(axis=1, ddof=1) / np.sqrt(BLOCKS)
        assert (np.abs(blocks.mean(axis=1) - exact) <= 4 * error + 1e-12).all()
        assert (error[2:] > 0).all()


def test_blocks_of_tasks_follow_each_other() -> None:
    game = load_game("g4b").game
    play = SampledGame(game, 9)
    made = Commitment.cascade(0, [0.5])
    patience = np.array([0.7])
    whole = play.cost(made, patience, 2 * BLOCKS * 10)
    halves = [play.cost(made, patience, BLOCKS * 10, first=first) for first in (0, BLOCKS * 10)]
    assert whole.mean() == pytest.approx(np.mean(halves), rel=1e-12)
    np.testing.assert_array_equal(play.cost(made, patience, 640), play.cost(made, patience, 640))
    assert (SampledGame(game, 10).cost(made, patience, 640) != play.cost(made, patience, 640)).any()


@pytest.mark.parametrize("name", ["g1", "g4b", "g5", "g8"])
def test_the_best_answer_in_play_is_the_exact_one(name: str) -> None:
    game = load_game(name).game
    threshold = cascade_of(solve(game).commitment)
    # Away from the thresholds, where play would need very many tasks.
    places = [s for s in np.linspace(0, 1, 11) if abs(s - threshold) > 0.05]
    delays = [[0.0, 0.0], [float(game.value)] * 2]
    made = Commitment.stack(
        [Commitment.cascade(0, float(s), delay) for s in places for delay in delays] + [Commitment.static(1, delays[0])]
    )
    exact = best_response(game, made)
    certain = (exact == 0) | (exact == 1)
    answers = SampledGame(game, 8).answer(made, 64_000)
    lost = user_utility(game, made, exact) - user_utility(game, made, answers)
    assert certain.sum() >= 10
    np.testing.assert_allclose(lost[certain], 0, atol=0.004 * float(game.value))
