"""The overview: sampled play compares commitments all over, and shows which of them are worth following.

A learner that explores widely keeps away from a threshold beyond which the user leaves, and one that explores narrowly
must be near it already. Comparing a list of commitments has neither weakness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from stackroute.training.learn.certificate import cheaper_side, saving
from stackroute.training.learn.lines import Line, all_lines, line_through, point
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import OverviewSettings
    from stackroute.training.learn.learning import Training

OVERVIEW_STAGE = "overview"

_STAYS = 0.5
_PLAYED_TASKS = 100_000
_FEWEST_PLACES = 11
_HALVINGS = 6


@dataclass(frozen=True, eq=False)
class Contender:
    """A commitment that may be worth following.

    Attributes:
        line: The line that it lies on.
        share: Where.
        cost: The provider's cost of a task in play, with the user's best answer in play.
        bound: The least cost to which following the line could lead, up to the noise of play, if the user answered
            alike up to the next place at which it does not.
        compared: All places compared on the line, by their share, and the cost of each.
    """

    line: Line
    share: float
    cost: float
    bound: float
    compared: dict[float, float] = field(default_factory=dict)

    @property
    def commitment(self) -> Commitment:
        """The commitment, shape ()."""
        return self.line.at(self.share)


def find_contenders(training: Training, choice: Commitment, settings: OverviewSettings) -> list[Contender]:
    """The best commitment of each kind: on each line, one with which the user stays and one without.

    Places on each line are played with the user's best answer in play, as the user may have learned wrongly how to
    answer some of them; not on a line that costs too much however the user answers.

    Args:
        training: The game and all else that is given.
        choice: What the provider has learned so far, shape ().
        settings: How many commitments are compared, and which of them are worth following.

    Returns:
        Those found, the cheapest in play first; of those that cost the same, the one with the least delays.
    """
    play = SampledGame(training.game, derived_seed(training.seed, "comparison"))
    listed = _listed(training, choice, settings.places)
    found, cheapest, margin = list[Contender](), math.inf, 1 + settings.contenders
    floors = [_floor(play, line) for line, _ in listed]
    for number in np.argsort(floors):
        if floors[number] > cheapest * margin:
            break
        line, places = listed[number]
        made = line.at(places)
        answers = play.answer(made, _PLAYED_TASKS)
        costs = play.cost(made, answers, _PLAYED_TASKS).mean(axis=1)
        cheapest, compared = min(cheapest, costs.min()), dict(zip(places.tolist(), costs.tolist(), strict=True))
        for stays in (True, False):
            of_kind = np.where((answers > _STAYS) == stays, costs, np.inf)
            # Of places that cost the same, the middle one is the farthest from where users answer otherwise.
            alike = np.flatnonzero(of_kind == of_kind.min())
            best = int(alike[len(alike) // 2])
            if of_kind[best] < np.inf:
                cost, share = float(costs[best]), float(places[best])
                bound = _bound(play, line, share, places, stays, cost, cheapest * margin)
                found.append(Contender(line, share, cost, bound, compared))
    return sorted(found, key=lambda one: (one.cost, one.line.delay.sum()))


def _listed(training: Training, choice: Commitment, places: int) -> list[tuple[Line, FloatArray]]:
    """Lines without delays and with those of the choice, each model alone with full delays, with places on each.

    The places of several pairs of models are fewer for each.
    """
    game, routing = training.game, training.routing
    own, share = line_through(choice, routing)
    lines = all_lines(game.models, routing, np.zeros(game.models))
    if choice.delay.any():
        lines += all_lines(game.models, routing, choice.delay)
    if training.throttling:
        lines += [point(model, np.full(game.models, float(game.value))) for model in range(game.models)]
    pairs = len({line.models for line in lines if not line.is_point})
    spread = np.linspace(0, 1, max(places // max(pairs, 1), min(places, _FEWEST_PLACES)))
    listed = []
    for line in lines:
        alike = [getattr(line, name) == getattr(own, name) for name in ("start", "delay")]
        same = line.models == own.models and bool(np.all(alike))
        listed.append((line, np.array([0.0]) if line.is_point else np.union1d(spread, [share] if same else [])))
    return listed


def _floor(play: SampledGame, line: Line) -> float:
    """The least cost of a line's ends, whether the user stays or leaves."""
    costs = play.cost(line.at([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]), _PLAYED_TASKS)
    return float(costs.mean(axis=1).min())


def _bound(
    play: SampledGame, line: Line, share: float, places: FloatArray, stays: bool, cost: float, limit: float
) -> float:
    """The bound of a contender; no sharper than needed where it lies above a limit."""
    patience = float(stays)
    side = 0 if line.is_point else cheaper_side(play, line, share, patience)
    index = int(np.searchsorted(places, share)) + side
    if not side or not 0 <= index < len(places):
        return cost
    here, beyond = share, float(places[index])
    bound = cost * (1 - saving(play, line, share, beyond, patience))
    for _ in range(_HALVINGS if bound <= limit else 0):
        middle = (here + beyond) / 2
        if bool(play.answer(line.at([middle]), _PLAYED_TASKS)[0] > _STAYS) == stays:
            here = middle
        else:
            beyond = middle
    return min(cost, cost * (1 - saving(play, line, share, beyond, patience)))
