"""A network learns, from sampled answers of users, the cascade probabilities at which they begin or cease to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from stackroute.agents.learned import GAME, View
from stackroute.agents.thresholds import KINDS, SEEN, THRESHOLD_SPACE, LearnedThresholds
from stackroute.analytic import Commitment, solve
from stackroute.configs import ConfigError
from stackroute.configs.amortised import ThresholdSettings
from stackroute.training.learn.all_actions import AllActionLearner, Played, evaluated
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.learning import learn_alone
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.training.learn.amortised import Problem
    from stackroute.training.learn.session import Curve

THRESHOLD_STAGE = "thresholds"

_TASKS_ALONE, _TASKS_OF_COST = 64, 256
_COARSE = ((0.5, 64), (0.2, 128))
_FINE = (0.1, 600)
_PLACES = 8
_KEPT = 0.12
_LESS_PATIENT = 0.99
_LEAST_SLOPE = 0.05
_BEYOND = 0.02
_LEAST_COST = 1e-6


class ThresholdLearner(AllActionLearner):
    """A network that learns one number for each kind of threshold; labels of the other kind are NaN."""

    def _loss(self, step: int, outputs: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        known = rewards.isfinite()
        assert isinstance(self.settings, ThresholdSettings), "it has no others"
        return functional.smooth_l1_loss(torch.sigmoid(outputs)[known], rewards[known], beta=self.settings.tolerance)


def learn_thresholds(problem: Problem, settings: ThresholdSettings) -> tuple[LearnedThresholds, Curve]:
    """Play finds the threshold of each of many games, and a network learns it from success and latencies.

    Returns:
        The learned thresholds, and the mean exact regret of committing to their places, in games from which the network
        has not learned, against the gradient steps.
    """
    seed = derived_seed(problem.training.seed, THRESHOLD_STAGE)
    kept: list[tuple[Game, FloatArray]] = []

    def play() -> Played:
        generator = np.random.default_rng(derived_seed(seed, "situations"))
        rows = generator.permutation(len(problem.games))[: settings.situations]
        rows, begins, place = found_in_play(problem, rows, settings.tasks, generator)
        labels = np.where(np.stack([begins, ~begins], axis=1), place[:, None], np.nan)
        last = max(evaluated(len(rows)), 1)
        games = problem.games[rows[:last]]
        kept.append((games, solve(games).provider_cost))
        seen = View(2, GAME).observe(problem.games[rows])[:, :SEEN]
        return Played(seen, labels.astype(np.float32), np.zeros((last, KINDS)))

    learner = ThresholdLearner(play, THRESHOLD_SPACE, KINDS, settings, seed=seed)
    thresholds = LearnedThresholds(learner.policy, settings.margin)

    def measure() -> tuple[float, float]:
        played = learner.played
        games, best = kept[0]
        labels = played.rewards[: len(best)]
        places = thresholds.places(played.observations[: len(best)])
        chosen = places[np.isfinite(labels)]
        commitment = Commitment.cascade(0, chosen, np.zeros(2), models=2)
        regret = provider_regret(games, commitment, best)
        return float(regret.mean()), -float(np.abs(chosen - labels[np.isfinite(labels)]).mean())

    return thresholds, learn_alone(THRESHOLD_STAGE, learner, problem.training.session, measure)


def found_in_play(
    problem: Problem, rows: IntArray, tasks: int, generator: np.random.Generator
) -> tuple[IntArray, BoolArray, FloatArray]:
    """Games in which mixing may pay, whether users begin to stay there, and the cascade probability at which they do.

    A threshold is sought on ever shorter lines, by what staying earns more than its alternative, and then by steps of
    Newton's method with the slope of the last line.
    """
    session = problem.training.session

    def answers(model: int) -> BoolArray:
        start = Commitment.cascade(np.full(len(rows), model), np.zeros(len(rows)), np.zeros((len(rows), 2)), models=2)
        seeds = generator.integers(2**62, size=len(rows))
        stays: BoolArray = problem.rollouts(rows, seeds, _TASKS_ALONE, start).compare(np.ones((len(rows), 1)))[:, 0] > 0
        return stays

    first, second = answers(0), answers(1)
    rows, begins = rows[first != second], second[first != second]
    if not len(rows):
        raise ConfigError("games: in none do users stay with one model and leave the other; expected wider ranges")
    place = np.full(len(rows), 0.5)
    for done, (width, each) in enumerate(_COARSE, start=1):
        place, _ = _on_line(problem, rows, begins, place, width, each, generator)
        session.progress(f"{THRESHOLD_STAGE}: play", done, 6, np.nan)
    cheapest = np.argsort(_relative_cost(problem, rows, begins, place, generator))
    most = max(round(_KEPT * len(rows)), 1)
    of_kinds = [cheapest[begins[cheapest] == kind][:most] for kind in (True, False)]
    chosen = generator.permutation(np.concatenate(of_kinds))
    rows, begins = rows[chosen], begins[chosen]
    place, slope = _on_line(problem, rows, begins, place[chosen], *_FINE, generator)
    session.progress(f"{THRESHOLD_STAGE}: play", 4, 6, np.nan)
    for done, each in enumerate((max(tasks // 4, 1), tasks), start=5):
        played = np.clip(place, 0.0, 1.0)
        step = _advantage(problem, rows, begins, played, each, generator) / slope
        place = played - np.clip(step, -_FINE[0], _FINE[0])
        session.progress(f"{THRESHOLD_STAGE}: play", done, 6, np.nan)
    # Noise alone leads a little beyond the ends, where labels cut off would be biased; farther means no threshold.
    crossed = np.abs(place - 0.5) < 0.5 + _BEYOND
    return rows[crossed], begins[crossed], place[crossed]


def _advantage(
    problem: Problem, rows: IntArray, begins: BoolArray, place: FloatArray, tasks: int, generator: np.random.Generator
) -> FloatArray:
    """What staying for certain earns more than leaving at once, or than a little less patience, where users cease."""
    other = np.where(begins, 0.0, _LESS_PATIENT)
    commitment = Commitment.cascade(np.zeros(len(rows), np.int64), place, np.zeros((len(rows), 2)), models=2)
    rollouts = problem.rollouts(rows, generator.integers(2**62, size=len(rows)), tasks, commitment)
    gain = rollouts.compare(np.stack([np.ones(len(rows)), other], axis=1))
    more: FloatArray = (gain[:, 0] - gain[:, 1]) / (1 - other) / problem.games.value[rows]
    return more


def _on_line(
    problem: Problem,
    rows: IntArray,
    begins: BoolArray,
    centre: FloatArray,
    width: float,
    tasks: int,
    generator: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Where a straight line through the advantages around a centre is 0, no farther than 1.5 widths, and its slope."""
    places = np.clip(centre[:, None] + width * np.linspace(-1, 1, _PLACES), 0.0, 1.0)
    each = np.repeat(np.arange(len(rows)), _PLACES)
    more = _advantage(problem, rows[each], begins[each], places.ravel(), tasks, generator).reshape(places.shape)
    off = places - places.mean(axis=1, keepdims=True)
    fitted = (off * more).sum(axis=1) / (off**2).sum(axis=1)
    # Of the sign that the kind of threshold has, whatever the noise.
    slope = np.where(begins, np.maximum(fitted, _LEAST_SLOPE), np.minimum(fitted, -_LEAST_SLOPE))
    root = places.mean(axis=1) - more.mean(axis=1) / slope
    return np.clip(root, np.maximum(centre - 1.5 * width, 0.0), np.minimum(centre + 1.5 * width, 1.0)), slope


def _relative_cost(
    problem: Problem, rows: IntArray, begins: BoolArray, place: FloatArray, generator: np.random.Generator
) -> FloatArray:
    """The provider's cost of mixing at a place at which users stay, relative to the best without mixing."""

    def cost(start: int, routed: FloatArray | float, patience: BoolArray | float) -> FloatArray:
        count = len(rows)
        zeros = np.zeros((count, 2))
        commitment = Commitment.cascade(np.full(count, start), np.broadcast_to(routed, count), zeros, models=2)
        rollouts = problem.rollouts(rows, generator.integers(2**62, size=count), _TASKS_OF_COST, commitment)
        means = rollouts.play(np.repeat(np.broadcast_to(patience, count)[:, None].astype(np.float64), 2, axis=1))
        return means["service_cost"] + means["churn_penalty"]

    alone = np.minimum.reduce([cost(0, 0.0, ~begins), cost(1, 0.0, begins), cost(0, 1.0, begins)])
    relative: FloatArray = cost(0, place, 1.0) / np.maximum(alone, _LEAST_COST)
    return relative
