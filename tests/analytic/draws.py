"""Random games of any number of models: near indifference, and at exact ties."""

from __future__ import annotations

import numpy as np

from stackroute.analytic import Game


def draw_games(models: int, count: int, seed: int) -> Game:
    """Games of which 3 in 10 have all models near indifference, and 3 in 10 have cheap models."""
    rng = np.random.default_rng(seed)
    size = (count, models)
    p, c, worth = (rng.uniform(low, high, size) for low, high in [(0.03, 0.97), (0.01, 1), (0, 2)])
    c *= np.where(rng.random(size) < 0.3, 0.1, 1)
    worth = np.where(rng.random((count, 1)) < 0.3, 1 + (worth - 1) / 10, worth)
    # Where all models are worth it, nobody leaves without delays.
    worth = np.where(rng.random((count, 1)) < 0.2, worth / 2, worth)
    value = np.exp(rng.normal(0, 1, count))
    penalty = (c / p).min(axis=1) * np.exp(rng.normal(0.5, 1.2, count))
    return Game(p, c, value[:, None] * p * worth, value, penalty)


def draw_ties(models: int, count: int, seed: int) -> Game:
    """Binary fractions: net values of exactly 0, equal models, dominated ones, equal costs of a solution, and P too."""
    rng = np.random.default_rng(seed)
    size = (count, models)
    p, c, worth = (rng.choice(of, size) for of in ([0.25, 0.5, 0.75], [0, 0.25, 0.5, 1], [0, 0.5, 1, 1.25, 2]))
    kappa = (c / p).min(axis=1)
    penalty = np.where(rng.random(count) < 0.4, kappa, rng.choice([0, 0.25, 0.5, 1, 2, 4], count))
    return Game(p, c, 2 * p * worth, 2, penalty)
