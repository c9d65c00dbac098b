"""Random games by regime, and a brute force that shares no formula with the package."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute.analytic import Game, Regime

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

COARSE = np.linspace(0, 1, 21)
DELAYS = np.array([0, 0.05, 0.15, 0.3, 0.5, 0.75, 1.05])


def draw_games(rule: Regime | None, count: int, seed: int, strict: bool = True) -> Game:
    """Games of one regime (of any where `rule` is None); with strict=False, games that violate the paper's orders."""
    rng = np.random.default_rng(seed)
    kept: list[list[Array]] = []
    missing = count
    while missing > 0:
        draws = 40 * count
        p, c, worth = (rng.uniform(low, high, (draws, 2)) for low, high in [(0.03, 0.97), (0.01, 1), (0, 2)])
        # Cheap standard models and users near indifference: without them hardly any cascade is optimal.
        c[:, 0] *= rng.choice([1, 0.1], draws)
        worth = np.where(rng.random((draws, 1)) < 0.3, 1 + (worth - 1) / 10, worth)
        value = np.exp(rng.normal(0, 1, draws))
        latency = value[:, None] * p * worth
        penalty = (c / p).max(axis=1) * np.exp(rng.normal(0, 1.2, draws))
        in_order = (p[:, 0] < p[:, 1]) & (c[:, 0] < c[:, 1]) & (latency[:, 0] < latency[:, 1])
        pays = worth < 1
        names = np.select(
            [pays.all(axis=1), pays[:, 0], pays[:, 1]],
            [Regime.BOTH_WORTH, Regime.ONLY_STANDARD_WORTH, Regime.ONLY_REASONING_WORTH],
            Regime.NEITHER_WORTH,
        )
        wanted = in_order == strict if rule is None else (in_order == strict) & (names == rule)
        keep = np.flatnonzero(wanted)[:missing]
        kept.append([array[keep] for array in (p, c, latency, value, penalty)])
        missing -= len(keep)
    return Game(*(np.concatenate(parts) for parts in zip(*kept, strict=True)), strict=strict)


def passes(p: Array, s: Array, r: tuple[Array, Array], start: int) -> tuple[Array, Array]:
    """The row `start` of (I - diag(r (1 - p)) R)^-1 by Cramer's rule, R being the routing of a re-prompt."""
    routing = [[1 - s, s], [np.zeros_like(s), np.ones_like(s)]]
    (m11, m12), (m21, m22) = [[(k == j) - r[k] * (1 - p[..., k]) * routing[k][j] for j in (0, 1)] for k in (0, 1)]
    determinant = m11 * m22 - m12 * m21
    first, second = (m22, -m12) if start == 0 else (-m21, m11)
    return first / determinant, second / determinant


@dataclass
class BruteForce:
    """A grid search by both players.

    The user refines around its best patience, down to about 5e-8. The provider refines around its best cascade
    probability and, because its optimum may sit on the edge of a jump, around the first one at which the user's
    answer changes. An indifferent user needs no rule: the provider may approach the jump from either side.
    """

    game: Game
    delay: Array

    def payoffs(self, start: int, s: Array, r: Array, after_second: Array | None = None) -> tuple[Array, Array]:
        """U and J for s and r of shape (games, ...); a second patience is that after a failure on the second model."""
        axes = (slice(None), *(None,) * (max(s.ndim, r.ndim) - 1))
        p, c, t, delay = (a[axes] for a in (self.game.success, self.game.cost, self.game.latency, self.delay))
        n1, n2 = passes(p, s, (r, r if after_second is None else after_second), start)
        solved = p[..., 0] * n1 + p[..., 1] * n2
        waiting = (t + delay)[..., 0] * n1 + (t + delay)[..., 1] * n2
        service = c[..., 0] * n1 + c[..., 1] * n2
        value, penalty = self.game.value[axes], self.game.churn_penalty[axes]
        return value * solved - waiting, service + penalty * (1 - solved)

    def answer(self, start: int, s: Array, rounds: int = 10) -> tuple[Array, Array, Array]:
        """The user's best patience to s of shape (games, tries), and the U and J that follow."""
        s = s[..., None]
        tried, width = np.broadcast_to(COARSE, (*s.shape[:-1], COARSE.size)), COARSE[1]
        for _ in range(rounds):
            best = self._best(start, s, tried)[0]
            near = np.clip(best[..., None] + width * np.linspace(-1, 1, 9), 0, 1)
            ends = np.broadcast_to([0.0, 1.0], (*s.shape[:-1], 2))
            tried, width = np.concatenate([ends, near], axis=-1), width / 4
        return self._best(start, s, tried)

    def _best(self, start: int, s: Array, tried: Array) -> tuple[Array, Array, Array]:
        utility, cost = self.payoffs(start, s, tried)
        at = utility.argmax(axis=-1)[..., None]
        r, u, j = (np.take_along_axis(a, at, axis=-1)[..., 0] for a in (tried, utility, cost))
        return r, u, j

    def commitments(self, rounds: int = 7) -> tuple[Array, Array, Array, Array]:
        """Every start on the first model that was tried: s, the user's r, U and J, each of shape (games, tries)."""
        s = np.broadcast_to(COARSE, (self.game.shape[0], COARSE.size))
        found = [(s, *self.answer(0, s))]
        best, width = self._cheapest(found[0]), COARSE[1]
        low, high = self._first_change(found[0], found[0][1][:, :1])
        for _ in range(rounds):
            near = np.clip(best + width * np.linspace(-1, 1, 9), 0, 1)
            inside = low + (high - low) * np.linspace(0, 1, 9)
            s = np.concatenate([near, inside], axis=-1)
            found.append((s, *self.answer(0, s)))
            best, width = self._cheapest(found[-1]), width / 4
            low, high = self._first_change(tuple(a[:, 9:] for a in found[-1]), found[0][1][:, :1])
        s, r, u, j = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
        return s, r, u, j

    @staticmethod
    def _cheapest(found: tuple[Array, ...]) -> Array:
        return np.take_along_axis(found[0], found[3].argmin(axis=-1)[:, None], axis=-1)

    @staticmethod
    def _first_change(found: tuple[Array, ...], patience_at_zero: Array) -> tuple[Array, Array]:
        changed = np.abs(found[1] - patience_at_zero) > 1e-6
        at = np.where(changed.any(axis=-1), changed.argmax(axis=-1), found[0].shape[1] - 1)[:, None]
        low, high = (np.take_along_axis(found[0], np.maximum(at + k, 0), axis=-1) for k in (-1, 0))
        return low, high

    def least_cost(self, rounds: int = 7) -> Array:
        """The provider's least cost over model and cascade probability, shape (games,)."""
        from_reasoning = self.answer(1, np.zeros((self.game.shape[0], 1)))[2][:, 0]
        return np.minimum(from_reasoning, self.commitments(rounds)[3].min(axis=-1))


def brute_force_cost(game: Game) -> Array:
    """J of the best commitment without delay."""
    return BruteForce(game, np.zeros((*game.shape, 2))).least_cost()


def brute_force_throttled_cost(game: Game) -> Array:
    """J of the best commitment with delays: a grid of delay pairs, the two best of which are searched finely."""
    pairs = np.stack(np.meshgrid(DELAYS, DELAYS), axis=-1).reshape(-1, 2)
    delays = game.value[:, None, None] * pairs
    coarse = np.stack([_coarse_cost(game, delays[:, k]) for k in range(len(pairs))], axis=-1)
    order = coarse.argsort(axis=-1, stable=True)[:, :2, None]
    finest = [BruteForce(game, np.take_along_axis(delays, order[:, k : k + 1], axis=1)[:, 0]) for k in (0, 1)]
    return np.min([brute_force_cost(game), *(search.least_cost(rounds=3) for search in finest)], axis=0)


def _coarse_cost(game: Game, delay: Array) -> Array:
    search = BruteForce(game, delay)
    few = np.broadcast_to(COARSE[::2], (game.shape[0], COARSE[::2].size))
    return np.minimum(search.answer(0, few, 3)[2].min(axis=-1), search.answer(1, few[:, :1], 3)[2][:, 0])


@pytest.fixture(scope="session")
def degenerate_games() -> Game:
    """Binary fractions: net values of exactly 0, equal net costs, equal costs of pass, and each at once."""
    rows = product(
        combinations([0.25, 0.5, 0.75], 2),
        combinations([0, 0.25, 0.5, 1], 2),
        combinations([0.25, 0.5, 1, 1.5, 2], 2),
        [0, 0.5, 1, 2, 4],
    )
    p, c, t, penalty = zip(*rows, strict=True)
    return Game(p, c, t, 2, penalty)


@pytest.fixture(scope="session")
def random_games() -> Callable[..., Game]:
    return draw_games


@pytest.fixture(scope="session")
def brute_force() -> type[BruteForce]:
    return BruteForce


@pytest.fixture(scope="session")
def least_cost() -> Callable[[Game], Array]:
    return brute_force_cost


@pytest.fixture(scope="session")
def least_throttled_cost() -> Callable[[Game], Array]:
    return brute_force_throttled_cost
