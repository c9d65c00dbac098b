"""Random games as batches: uniform over ranges, or in equal numbers from the cases of the theory."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import numpy as np

from stackroute.analytic.equilibrium import Route, solve
from stackroute.analytic.game import Game, InvalidGameError
from stackroute.analytic.regimes import Regime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stackroute.analytic.game import FloatArray, IntArray

Range = tuple[float, float]

CHUNK = 8_192
"""How many games are drawn at once when most of them are rejected."""

TRIES = 1_000_000
"""After how many draws in a row without a game of a stratum the ranges count as excluding it."""


class Ranges(TypedDict, total=False):
    """The ranges to draw from uniformly; the units are those of `Game`.

    Attributes:
        success: Of p1 < p2; 0 < low < high < 1 (here and below apart by more than rounding), default (0.1, 0.95).
        cost: Of c1 < c2; 0 <= low < high, default (0.01, 1).
        latency: Of t1 < t2; 0 <= low < high, default (0.01, 1).
        value: 0 < low <= high, default (0.2, 3).
        churn_penalty: 0 <= low <= high, default (0, 4).
    """

    success: Range
    cost: Range
    latency: Range
    value: Range
    churn_penalty: Range


_DEFAULTS: dict[str, Range] = {
    "success": (0.1, 0.95),
    "cost": (0.01, 1.0),
    "latency": (0.01, 1.0),
    "value": (0.2, 3.0),
    "churn_penalty": (0.0, 4.0),
}
_ALLOWED = {
    "success": "0 < low < high < 1",
    "cost": "0 <= low < high, finite",
    "latency": "0 <= low < high, finite",
    "value": "0 < low <= high, finite",
    "churn_penalty": "0 <= low <= high, finite",
}
_PER_MODEL = ("success", "cost", "latency")


class Stratum(enum.IntEnum):
    """Six cases of the theory: which models are worth a pass, and whether the optimum is a true cascade.

    By a true cascade users stay. The threat `cascade(0, 1)`, at which the user leaves after one pass, counts as static:
    only the first model is ever served.
    """

    BOTH_WORTH = 0
    NEITHER_WORTH = 1
    ONLY_REASONING_WORTH_STATIC = 2
    ONLY_REASONING_WORTH_CASCADE = 3
    ONLY_STANDARD_WORTH_STATIC = 4
    ONLY_STANDARD_WORTH_CASCADE = 5

    @property
    def label(self) -> str:
        """The stratum in words."""
        return {
            Stratum.BOTH_WORTH: Regime.BOTH_WORTH.label,
            Stratum.NEITHER_WORTH: Regime.NEITHER_WORTH.label,
            Stratum.ONLY_REASONING_WORTH_STATIC: f"{Regime.ONLY_REASONING_WORTH.label}, static optimum",
            Stratum.ONLY_REASONING_WORTH_CASCADE: f"{Regime.ONLY_REASONING_WORTH.label}, cascade at s0",
            Stratum.ONLY_STANDARD_WORTH_STATIC: f"{Regime.ONLY_STANDARD_WORTH.label}, static optimum",
            Stratum.ONLY_STANDARD_WORTH_CASCADE: f"{Regime.ONLY_STANDARD_WORTH.label}, cascade at sL",
        }[self]


def strata(game: Game) -> IntArray:
    """The stratum of each game, from its regime and its optimum without delays.

    Args:
        game: One game or a batch.

    Returns:
        `Stratum` values as integers, shape (...).

    Raises:
        InvalidGameError: As for `solve`, or there are not two models.

    Examples:
        >>> from stackroute.analytic import Game
        >>> Stratum(strata(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5))).label
        'only the reasoning model is worth the wait, cascade at s0'
    """
    game.check_models(2)
    found = solve(game)
    static = np.array(
        [
            Stratum.BOTH_WORTH,
            Stratum.NEITHER_WORTH,
            Stratum.ONLY_REASONING_WORTH_STATIC,
            Stratum.ONLY_STANDARD_WORTH_STATIC,
        ]
    )
    codes: IntArray = static[found.regime] + (found.route == Route.CASCADE)
    return codes


def _validated(ranges: Ranges) -> dict[str, Range]:
    """All five ranges."""
    checked = dict(_DEFAULTS)
    for name, given in cast("dict[str, Range]", ranges).items():
        if name not in _DEFAULTS:
            raise InvalidGameError(name, repr(given), f"one of {', '.join(_DEFAULTS)}")
        try:
            low, high = (float(bound) for bound in given)
        except (TypeError, ValueError):
            raise InvalidGameError(name, repr(given), "a range of two numbers, (low, high)") from None
        above = low > 0.0 if name in ("success", "value") else low >= 0.0
        below = high < (1.0 if name == "success" else np.inf)
        # Apart by more than rounding, or a pair of different numbers might never be drawn.
        ordered = high - low > 1e-12 * high if name in _PER_MODEL else low <= high
        if not (above and below and ordered):
            raise InvalidGameError(name, repr(given), _ALLOWED[name])
        checked[name] = (low, high)
    return checked


def _pairs(rng: np.random.Generator, count: int, bounds: Range) -> FloatArray:
    """Pairs of different numbers in ascending order, shape (count, 2)."""
    pairs = rng.uniform(*bounds, (count, 2))
    while (equal := pairs[:, 0] == pairs[:, 1]).any():
        pairs[equal] = rng.uniform(*bounds, (int(equal.sum()), 2))
    return np.sort(pairs, axis=-1)


def _draw(rng: np.random.Generator, count: int, ranges: dict[str, Range]) -> Game:
    per_model = [_pairs(rng, count, ranges[name]) for name in _PER_MODEL]
    return Game(*per_model, *(rng.uniform(*ranges[name], count) for name in ("value", "churn_penalty")))


def _check_count(count: int) -> None:
    if count < 0:
        raise InvalidGameError("count", count, "a number of games >= 0")


def random_games(count: int, seed: int, **ranges: Unpack[Ranges]) -> Game:
    """Games drawn uniformly over ranges, in the paper's orders.

    The two numbers of a pair (success, cost, latency) are drawn independently of each other and sorted; equal ones are
    drawn again.

    Args:
        count: How many, >= 0.
        seed: Of numpy's default generator: the same seed and ranges give the same games.
        **ranges: See `Ranges`.

    Returns:
        A batch of shape (count,).

    Raises:
        InvalidGameError: The count or a range is not allowed.

    Examples:
        >>> games = random_games(3, seed=1, value=(2, 2))
        >>> games.shape, games.value
        ((3,), array([2., 2., 2.]))
    """
    _check_count(count)
    return _draw(np.random.default_rng(seed), count, _validated(ranges))


def stratified_games(
    count: int, seed: int, *, strata: Iterable[Stratum] = tuple(Stratum), **ranges: Unpack[Ranges]
) -> Game:
    """Games in equal numbers from each stratum, each distributed within it as those of `random_games`.

    They are drawn by rejection and come in an order shuffled by the seed. If the count is no multiple of the number of
    strata, the first ones asked for get one game more.

    Args:
        count: How many in all, >= 0.
        seed: Of numpy's default generator: the same seed, strata and ranges give the same games.
        strata: The strata to draw from, all different.
        **ranges: See `Ranges`.

    Returns:
        A batch of shape (count,).

    Raises:
        InvalidGameError: The count, a stratum or a range is not allowed, or a stratum was not met once in `TRIES` draws
            in a row because the ranges exclude it, or nearly so.

    Examples:
        >>> from stackroute.analytic.sampling import strata
        >>> np.bincount(strata(stratified_games(12, seed=1)))
        array([2, 2, 2, 2, 2, 2])
    """
    _check_count(count)
    wanted = list(strata)
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= set(Stratum):
        raise InvalidGameError("strata", wanted, "at least one Stratum, all different")
    return _stratified(np.random.default_rng(seed), count, [Stratum(code) for code in wanted], _validated(ranges))


def _stratified(rng: np.random.Generator, count: int, wanted: list[Stratum], ranges: dict[str, Range]) -> Game:
    missing = {stratum: count // len(wanted) + (k < count % len(wanted)) for k, stratum in enumerate(wanted)}
    barren = dict.fromkeys(wanted, 0)
    parts = [_draw(rng, 0, ranges)]
    while any(missing.values()):
        drawn = _draw(rng, CHUNK, ranges)
        found = strata(drawn)
        for stratum in (stratum for stratum in wanted if missing[stratum]):
            kept = np.flatnonzero(found == stratum)[: missing[stratum]]
            parts.append(drawn[kept])
            missing[stratum] -= len(kept)
            barren[stratum] = 0 if len(kept) else barren[stratum] + CHUNK
            if barren[stratum] >= TRIES:
                value = f"{stratum.name} ({stratum.label})"
                raise InvalidGameError("strata", value, f"a stratum met within {TRIES:,} draws from the ranges")
    order = rng.permutation(count)
    return Game.concatenate(parts)[order]
