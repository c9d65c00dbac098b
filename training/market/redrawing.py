"""Games of measured outcomes on other draws of their tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stackroute.configs.measured import MeasuredGame


def redrawn(game: MeasuredGame, generator: np.random.Generator) -> MeasuredGame:
    """The same game on as many tasks, drawn with replacement: a draw of the bootstrap (Efron 1979).

    Draws are made until they show of each model what all tasks do: whether it was attempted, and its cost and seconds.
    """
    outcomes = game.outcomes
    models = [outcomes.models.index(label) for label in game.labels]
    known = np.stack([outcomes.attempts > 0, np.isfinite(outcomes.cost), np.isfinite(outcomes.seconds)])[:, :, models]
    while True:
        rows = generator.integers(len(outcomes.tasks), size=len(outcomes.tasks))
        if (known[:, rows].any(axis=1) == known.any(axis=1)).all():
            break
    drawn = replace(
        outcomes,
        tasks=tuple(outcomes.tasks[row] for row in rows),
        attempts=outcomes.attempts[rows],
        successes=outcomes.successes[rows],
        cost=outcomes.cost[rows],
        seconds=outcomes.seconds[rows],
        features=None,
        requests=None,
    )
    return replace(game, outcomes=drawn)
