"""What a provider that learns may commit to: its actions, and lines of commitments that differ by one number.

The paper's cascades from the first model are such a line. The best lottery mixes at most two models (beyond the paper),
so with free routing there is one for each start model and each pair of models.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment
from stackroute.envs.actions import ProviderActions

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray


def provider_actions(game: Game, routing: Routing, throttling: bool) -> ProviderActions:
    """The actions of a provider that learns; of all routing the lotteries, of which the best routing is one."""
    # With one model both are the same, and a cascade says so by the width of its action.
    lottery = routing == "free" and game.models > 1
    return ProviderActions(game.models, "lottery" if lottery else "cascade", throttling)


@dataclass(frozen=True, eq=False)
class Line:
    """Commitments that differ only in the share in which re-prompts follow one of two ways of routing.

    Attributes:
        start: Probability that the first pass is on each model, shape (n,).
        ends: Where re-prompts move at share 0 and at share 1, shape (2, n, n).
        delay: Of each model, utility, shape (n,).
        models: The models between which re-prompts are shared; twice the same one on a line of a single commitment.
    """

    start: FloatArray
    ends: FloatArray
    delay: FloatArray
    models: tuple[int, int]

    @property
    def is_point(self) -> bool:
        """Whether all its commitments are the same."""
        return self.models[0] == self.models[1]

    def at(self, share: npt.ArrayLike) -> Commitment:
        """The commitments at shares in [0, 1], of their shape."""
        part = np.asarray(share, dtype=np.float64)[..., None, None]
        moves = (1.0 - part) * self.ends[0] + part * self.ends[1]
        return Commitment(self.start, moves, self.delay)

    def nearest(self, commitment: Commitment) -> tuple[float, float]:
        """How far a commitment's routing, shape (), is from that at the nearest share, and this share."""
        along, away = self.ends[1] - self.ends[0], commitment.transition - self.ends[0]
        length = float((along**2).sum())
        share = float(np.clip((along * away).sum() / length, 0.0, 1.0)) if length else 0.0
        return float(np.abs(away - share * along).sum()), share


def all_lines(models: int, routing: Routing, delay: FloatArray) -> list[Line]:
    """All lines with some delays: with cascades that from the first model, and the second model alone.

    Args:
        models: Number of models n; for cascades at most two.
        routing: What the provider may commit to.
        delay: Of each model, shape (n,).
    """
    certain = np.eye(models)
    if models == 1:
        return [point(0, delay)]
    if routing == "cascade":
        moves = Commitment.cascade(0, [0.0, 1.0]).transition
        return [Line(certain[0], moves, delay, (0, 1)), point(1, delay)]
    return [
        Line(start, np.stack([np.tile(certain[k], (models, 1)) for k in pair]), delay, pair)
        for start in certain
        for pair in itertools.combinations(range(models), 2)
    ]


def point(model: int, delay: FloatArray) -> Line:
    """The line whose only commitment is that one model serves, with some delays, shape (n,)."""
    models = len(delay)
    return Line(np.eye(models)[model], np.tile(np.eye(models), (2, 1, 1)), delay, (model, model))


def line_through(commitment: Commitment, routing: Routing) -> tuple[Line, float]:
    """The line that comes nearest to a commitment, shape (), with its start and delays, and the share at which it does.

    It passes through every cascade of two models, and every lottery of two.
    """
    lines = all_lines(commitment.models, routing, commitment.delay)
    lines = [line for line in lines if line.start.argmax() == commitment.first_model]
    found = [line.nearest(commitment) for line in lines]
    best = min(range(len(lines)), key=lambda number: found[number][0])
    return lines[best], found[best][1]
