"""The certificate: sampled play shows that the user will not answer a commitment at the provider's expense.

At a threshold of the user the provider's cost jumps. A learned commitment lies near it, on one side or the other, and
a learned user is wrong about it by a little. So the last step is a walk towards the threshold, as far as play shows
how the user answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.training.learn.sampling import ANSWERS, BLOCKS

if TYPE_CHECKING:
    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import CertificateSettings
    from stackroute.training.learn.lines import Line
    from stackroute.training.learn.sampling import SampledGame

_FIRST_TASKS = 200_000
_GROWTH = 4
_LUCK = 1.0
# Doubled ten times, the step is longer than half of a line.
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
        tasks: How many were played.
        gain: What each of `ANSWERS` earns the user after a failed first pass, as far as it was played, utility.
    """

    commitment: Commitment
    patience: float
    cost: float
    sure: bool
    tasks: int
    gain: FloatArray


class Place(NamedTuple):
    """A place on a line that was checked: the share in which re-prompts follow the second way, and as of `Checked`."""

    share: float
    cost: float
    sure: bool
    tasks: int
    gain: list[float]


def check(
    play: SampledGame, commitment: Commitment, settings: CertificateSettings, *, worth: float = math.inf
) -> Checked:
    """Find out by sampled play how the user will answer a commitment, as far as that matters to the provider.

    An answer is ruled out when it is worse for the user than the best one, by so many standard errors. Tasks are played
    until all that are left cost the provider the same, within the tolerance, or until there are no more tasks or they
    would hardly help, or until none that is left costs less than `worth`.
    """
    played, tasks = 0, min(_FIRST_TASKS, settings.tasks)
    left, total, cost = ANSWERS, np.zeros((len(ANSWERS), BLOCKS)), np.full(len(ANSWERS), np.nan)
    gain = np.empty(len(ANSWERS))
    while True:
        total += tasks * play.gain(commitment.reshape(1), left[None], tasks, first=played)[0]
        played += tasks
        gain[np.isin(ANSWERS, left)] = total.mean(axis=1) / played
        behind = _behind(total)
        possible = behind < settings.standard_errors
        left, total, cost, behind = (array[possible] for array in (left, total, cost, behind))
        unknown = np.isnan(cost)
        if unknown.any():
            arms = commitment.broadcast_to((int(unknown.sum()),))
            cost[unknown] = play.cost(arms, left[unknown], _FIRST_TASKS).mean(axis=1)
        least = cost.min()
        sure = bool(cost.max() <= least * (1 + settings.tolerance))
        # By how many standard errors the best answer would be ahead of all others after all tasks, if it is lucky;
        # where it costs too much, the next one that does not.
        best = int(behind.argmin())
        others = abs(cost - cost[best]) > settings.tolerance * least
        ahead = behind[others].min(initial=np.inf) if cost[best] < worth else -behind[cost < worth].min(initial=np.inf)
        hoped = (ahead + _LUCK) * math.sqrt(settings.tasks / played)
        tasks = min(tasks * _GROWTH, settings.tasks - played)
        if sure or least >= worth or hoped < settings.standard_errors or tasks <= 0:
            break
    worst = int(cost.argmax())
    return Checked(commitment, float(left[worst]), float(cost[worst]), sure, played, gain)


def walk(
    play: SampledGame, line: Line, centre: float, settings: CertificateSettings, places: list[Place] | None = None
) -> Checked | None:
    """Find the cheapest commitment near a given one about which play is sure.

    Only the share moves along the line: first by ever longer steps to both sides; then, from the cheapest place found,
    the gap to the next one on the side of the threshold is halved until crossing it would save no more than half
    the tolerance, if the user answered the same. It does not move for a gain within the tolerance. None if play is sure
    of no commitment. What it looks at is added to the places.
    """

    def look(share: float, worth: float = math.inf) -> Checked:
        checked = check(play, line.at(share), settings, worth=worth)
        if places is not None:
            places.append(Place(share, checked.cost, checked.sure, checked.tasks, checked.gain.tolist()))
        return checked

    if line.is_point:
        only = look(centre)
        return only if only.sure else None
    steps = _FIRST_STEP * 2.0 ** np.arange(_STEPS)
    shares = np.unique(np.clip(centre + np.concatenate([-steps, [0.0], steps]), 0.0, 1.0))
    found: Checked | None = None
    here, worth = centre, math.inf
    for share in sorted(shares.tolist(), key=lambda share: abs(share - centre)):
        checked = look(share, worth)
        if checked.sure and checked.cost < worth:
            found, here, worth = checked, share, checked.cost * (1 - settings.tolerance)
    if found is None:
        return None
    side = cheaper_side(play, line, here, found.patience)
    index = int(np.searchsorted(shares, here)) + side
    if not side or here == centre or not 0 <= index < len(shares):
        return found
    bad = float(shares[index])
    while saving(play, line, here, bad, found.patience) > settings.tolerance / 2:
        middle = (bad + here) / 2
        nearer = look(middle, found.cost)
        if nearer.sure and nearer.cost < found.cost:
            found, here = nearer, middle
        else:
            bad = middle
    return found


def saving(play: SampledGame, line: Line, here: float, there: float, patience: float) -> float:
    """The share of its cost that the provider would save at another place of a line if the user answered the same."""
    costs = play.cost(line.at([here, there]), np.full(2, patience), _FIRST_TASKS).mean(axis=1)
    return float(1 - costs[1] / costs[0])


def cheaper_side(play: SampledGame, line: Line, here: float, patience: float) -> int:
    """The side on which the provider would pay less if the user answered the same, -1 or 1; 0 where that is neither."""
    lower, upper = (saving(play, line, here, end, patience) for end in (0.0, 1.0))
    if max(lower, upper) <= 0:
        return 0
    return -1 if lower > upper else 1


def _behind(totals: FloatArray) -> FloatArray:
    """By how many standard errors each patience is worse for the user than the best one, shape (levels,)."""
    difference = totals[totals.sum(axis=1).argmax()] - totals
    mean, error = difference.mean(axis=1), difference.std(axis=1, ddof=1) / np.sqrt(BLOCKS)
    certain = np.where(mean > 0, np.inf, 0.0)
    behind: FloatArray = np.where(error > 0, mean / np.where(error > 0, error, 1.0), certain)
    return behind
