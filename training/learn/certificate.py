"""The certificate: sampled play shows that the user will not answer a commitment at the provider's expense.

At a threshold of the user the provider's cost jumps. A learned commitment lies near it, on one side or the other, and
a learned user is wrong about it by a little. So the last step is a walk towards the threshold, as far as play shows
how the user answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment
from stackroute.envs import PATIENCE_LEVELS
from stackroute.training.learn.sampling import BLOCKS

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import CertificateSettings
    from stackroute.training.learn.sampling import SampledGame

# Those close to 0 and 1 show on which side of it the user's utility has its maximum.
_LEVELS = np.sort([*PATIENCE_LEVELS, 0.001, 0.01, 0.05, 0.99, 0.999])
_FIRST_TASKS = 200_000
_GROWTH = 4
_LUCK = 1.0
# Doubled ten times, the step is longer than half of all cascade probabilities.
_FIRST_STEP = 5e-4
_STEPS = 11


@dataclass(frozen=True)
class Checked:
    """A commitment and what play says about it.

    Attributes:
        commitment: Shape ().
        patience: Of the answers that are not ruled out, the one that costs the provider most.
        cost: The provider's cost of a task with that answer, in the first tasks played.
        sure: Whether all answers that are not ruled out cost the provider about the same.
    """

    commitment: Commitment
    patience: float
    cost: float
    sure: bool


def check(
    play: SampledGame, commitment: Commitment, settings: CertificateSettings, *, worth: float = math.inf
) -> Checked:
    """Find out by sampled play how the user will answer a commitment, as far as that matters to the provider.

    An answer is ruled out when it is worse for the user than the best one, by so many standard errors. Tasks are played
    until all that are left cost the provider the same, within the tolerance, or until there are no more tasks or they
    would hardly help, or until none that is left costs less than `worth`.
    """
    played, tasks = 0, min(_FIRST_TASKS, settings.tasks)
    total, cost = np.zeros((len(_LEVELS), BLOCKS)), np.full(len(_LEVELS), np.nan)
    while True:
        total += tasks * play.gain(commitment.reshape(1), _LEVELS[None], tasks, first=played)[0]
        played += tasks
        behind = _behind(total)
        possible = behind < settings.standard_errors
        unknown = np.flatnonzero(possible & np.isnan(cost))
        if len(unknown):
            arms = commitment.broadcast_to((len(unknown),))
            cost[unknown] = play.cost(arms, _LEVELS[unknown], _FIRST_TASKS).mean(axis=1)
        least, most = cost[possible].min(), cost[possible].max()
        sure = bool(most <= least * (1 + settings.tolerance))
        # By how many standard errors the nearest rival would be behind after all tasks, if it is lucky.
        rivals = possible & (abs(cost - cost[behind.argmin()]) > settings.tolerance * least)
        hoped = (behind[rivals].min(initial=np.inf) + _LUCK) * math.sqrt(settings.tasks / played)
        tasks = min(tasks * _GROWTH, settings.tasks - played)
        if sure or least >= worth or hoped < settings.standard_errors or tasks <= 0:
            break
    worst = int(np.where(possible, cost, -np.inf).argmax())
    return Checked(commitment, float(_LEVELS[worst]), float(cost[worst]), sure)


def walk(play: SampledGame, start: Commitment, settings: CertificateSettings) -> Checked | None:
    """Find the cheapest commitment near a given one about which play is sure.

    Only the cascade probability moves: first by ever longer steps to both sides; then, from the cheapest place found,
    the gap to the next one on the side of the threshold is halved until crossing it would save no more than half
    the tolerance, if the user answered the same. It does not move for a gain within the tolerance. Where the commitment
    starts on the second model there is nothing to walk along. None if play is sure of no commitment.
    """
    if start.first_model == 1:
        only = check(play, start, settings)
        return only if only.sure else None
    centre = _place(start)
    steps = _FIRST_STEP * 2.0 ** np.arange(_STEPS)
    places = np.unique(np.clip(centre + np.concatenate([-steps, [0.0], steps]), 0.0, 1.0))
    found: Checked | None = None
    worth = math.inf
    for place in sorted(places, key=lambda place: abs(place - centre)):
        checked = check(play, _moved(start, place), settings, worth=worth)
        if checked.sure and checked.cost < worth:
            found, worth = checked, checked.cost * (1 - settings.tolerance)
    if found is None:
        return None
    side = _cheaper_side(play, found)
    index = int(np.searchsorted(places, _place(found.commitment))) + side
    if not side or _place(found.commitment) == centre or not 0 <= index < len(places):
        return found
    bad = float(places[index])
    while _saving(play, found, bad) > settings.tolerance / 2:
        middle = (bad + _place(found.commitment)) / 2
        nearer = check(play, _moved(start, middle), settings, worth=found.cost)
        if nearer.sure and nearer.cost < found.cost:
            found = nearer
        else:
            bad = middle
    return found


def _saving(play: SampledGame, found: Checked, place: float) -> float:
    """The share of its cost that the provider would save at another place if the user answered the same."""
    moved = Commitment.stack([found.commitment, _moved(found.commitment, place)])
    here, there = play.cost(moved, np.full(2, found.patience), _FIRST_TASKS).mean(axis=1)
    return float(1 - there / here)


def _cheaper_side(play: SampledGame, found: Checked) -> int:
    """The side on which the provider would pay less if the user answered the same; 0 where that is neither."""
    reach = _FIRST_STEP * 2.0**_STEPS * np.array([-1, 1])
    lower, upper = (_saving(play, found, place) for place in np.clip(_place(found.commitment) + reach, 0.0, 1.0))
    if max(lower, upper) <= 0:
        return 0
    return -1 if lower > upper else 1


def _place(commitment: Commitment) -> float:
    return float(commitment.cascade_probability[0])


def _moved(start: Commitment, cascade: float) -> Commitment:
    return Commitment.cascade(start.first_model, cascade, start.delay)


def _behind(totals: FloatArray) -> FloatArray:
    """By how many standard errors each patience is worse for the user than the best one, shape (levels,)."""
    difference = totals[totals.sum(axis=1).argmax()] - totals
    mean, error = difference.mean(axis=1), difference.std(axis=1, ddof=1) / np.sqrt(BLOCKS)
    certain = np.where(mean > 0, np.inf, 0.0)
    behind: FloatArray = np.where(error > 0, mean / np.where(error > 0, error, 1.0), certain)
    return behind
