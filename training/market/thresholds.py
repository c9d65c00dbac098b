"""What would change an answer: the nearest value of a quantity at which other models serve, or other users stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.analytic import solve, solve_population
from stackroute.training.market.second_tries import retries_differ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stackroute.analytic import Commitment, Game, Population
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

_SERVES = 1e-9
_WIDEST, _POINTS = 100.0, 200
"""How far from a number is looked, as a factor, and at how many places on either side: 2 % from one to the next."""

_LEAST_RATIO, _MOST_RATIO = 0.05, 3.0
_ROUND, _EXACT = 32, 1e-9


class Serving(NamedTuple):
    """Who serves and who stays, without shares: two answers are the same where these are.

    Attributes:
        first: The models of the first answer.
        retries: Those of retries, empty where nobody makes any.
        stays: Whether users re-prompt, of each type of users.
    """

    first: tuple[int, ...]
    retries: tuple[int, ...]
    stays: tuple[bool, ...]


def serving_in_words(serving: Serving, labels: Sequence[str]) -> str:
    """Who serves, in a few words."""
    first, retries = (" or ".join(labels[k] for k in models) for models in (serving.first, serving.retries))
    if not any(serving.stays):
        return f"{first} once, then users leave"
    served = f"{first} throughout" if first == retries else f"{first} first, retries by {retries}"
    return served if all(serving.stays) else f"{served}, and some users leave"


class Change(NamedTuple):
    """The nearest place at which an answer changes, and what it is there."""

    at: float
    serving: Serving


class Thresholds(NamedTuple):
    """Within which limits of a quantity the answer is the same.

    Attributes:
        name: The quantity: "value", "waiting_cost", "churn_penalty" or "retry_ratio".
        now: What it is now; of several types of users 1, as their numbers are multiplied by the same factor.
        low: The nearest change below, None where there is none down to `least`.
        high: The nearest change above, None where there is none up to `most`.
        least: Down to where was looked.
        most: Up to where was looked.
    """

    name: str
    now: float
    low: Change | None
    high: Change | None
    least: float
    most: float


def servings(start: FloatArray, lottery: FloatArray, stays: BoolArray) -> list[Serving]:
    """Who serves with shares of first answers and of retries, shape (k, n), and which types of users stay, (k, m)."""
    kinds, which = kinds_of_serving(start, lottery, stays)
    return [kinds[k] for k in which.tolist()]


def kinds_of_serving(start: FloatArray, lottery: FloatArray, stays: BoolArray) -> tuple[list[Serving], IntArray]:
    """The different ones of `servings`, the most frequent first, and which of them each is, shape (k,)."""
    n = start.shape[1]
    said = np.concatenate([start > _SERVES, (lottery > _SERVES) & stays.any(axis=1, keepdims=True), stays], axis=1)
    # One text of bytes for each is sorted much faster than a row.
    packed = np.ascontiguousarray(np.packbits(said, axis=1))
    texts = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, place, which, count = np.unique(texts, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(-count, kind="stable")
    kinds = [
        Serving(_which(row[:n]), _which(row[n : 2 * n]), tuple(row[2 * n :].tolist())) for row in said[place[order]]
    ]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return kinds, rank[which]


def served_over(
    game: Game, values: FloatArray, penalties: FloatArray, routing: Routing = "free", throttling: bool = False
) -> tuple[list[Serving], IntArray]:
    """Who serves and who stays over values of a solved task, shape (c,), and churn penalties, shape (r,).

    Returns:
        What occurs, the most frequent first, and which of it is where, shape (r, c).
    """
    value, penalty = (each.ravel() for each in np.meshgrid(values, penalties))
    games = game.broadcast_to(value.shape).with_valid(value=value, churn_penalty=penalty)
    best = solve(games, routing, throttling)
    kinds, which = kinds_of_serving(best.commitment.start, retries_of(best.commitment), best.patience[:, None] > 0.0)
    return kinds, which.reshape(len(penalties), len(values))


def shown_of(kinds: Sequence[Serving], most: int) -> tuple[list[Serving], IntArray]:
    """The most frequent ones in an order that does not depend on how frequent, and the place of each of all in it.

    Args:
        kinds: The different ones, the most frequent first.
        most: How many are shown; the place of all others is what follows.
    """
    shown = sorted(kinds[:most])
    places = [shown.index(kind) if kind in shown else len(shown) for kind in kinds]
    return shown, np.array(places)


def retries_of(commitment: Commitment) -> FloatArray:
    """By whom the first retry is served after the likeliest first model, shape (k, n)."""
    moves: FloatArray = np.take_along_axis(commitment.transition, commitment.first_model[:, None, None], axis=1)[:, 0]
    return moves


def _which(serves: BoolArray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(serves).tolist())


def nearest_change(
    served: Callable[[FloatArray], Iterable[Serving]],
    now: float,
    places: FloatArray,
    *,
    each_round: int = _ROUND,
    exact: float = _EXACT,
) -> Change | None:
    """The nearest change of an answer on the way from a number to others, by repeated division of the first interval.

    Args:
        served: The answers at numbers, shape (k,), one after the other; those after a change are not asked for.
        now: Where it begins.
        places: The numbers on the way, in their order. What changes and changes back between two of them is not seen.
        each_round: Into how many intervals the one with the change is divided each time, less one.
        exact: Relative width of the last interval.

    Returns:
        The far end of that interval, at which the answer is another one; None where it is the same at all places.
    """
    (usual,) = served(np.array([now]))
    near = now
    for far, there in zip(places.tolist(), served(places), strict=True):
        if there != usual:
            break
        near = far
    else:
        return None
    while abs(far - near) > exact * abs(far):
        inside = np.linspace(near, far, each_round + 2)[1:-1]
        before = near, far
        for at, serving in zip(inside.tolist(), served(inside), strict=True):
            if serving != usual:
                far, there = at, serving
                break
            near = at
        if (near, far) == before:
            break
    return Change(far, there)


def answers(
    games: Game, routing: Routing = "free", users: Population | None = None, throttling: bool = False
) -> tuple[list[Serving], FloatArray]:
    """Who serves and who stays at the optima of games of shape (k,), and what a task costs the provider there.

    Args:
        games: The games; with types of users, in whose latency their waiting costs count.
        routing: What the provider may commit to.
        users: Types of users, in the place of the games' own; without throttling.
        throttling: Whether the provider may delay.
    """
    if users is None:
        best = solve(games, routing, throttling)
        made = best.commitment
        return servings(made.start, retries_of(made), best.patience[:, None] > 0.0), best.provider_cost
    found = [solve_population(games[k], users) for k in range(len(games))]
    start = np.array([one.commitment.start for one in found])
    lottery = np.array([one.commitment.transition[0] for one in found])
    return servings(start, lottery, np.array([one.stays for one in found])), np.array(
        [one.provider_cost for one in found]
    )


def thresholds(game: Game, routing: Routing = "free", users: Population | None = None) -> list[Thresholds]:
    """Within which limits of value, waiting cost, churn penalty and second tries the answer to a game is the same.

    Each is varied alone. Second tries are those of `second_tries.retries_differ`, over all commitments; they are not
    varied where there are types of users.

    Args:
        game: One game.
        routing: What the provider may commit to.
        users: Types of users, in the place of the game's own; all their numbers of a kind change by the same factor.
    """

    def varied(name: str) -> Callable[[FloatArray], list[Serving]]:
        def served(at: FloatArray) -> list[Serving]:
            fields = {
                "value": {"value": at},
                "waiting_cost": {"latency": game.latency * at[:, None]},
                "churn_penalty": {"churn_penalty": at},
            }
            if users is not None:
                # Who serves depends on how long users wait for a value, and on what leaving costs beside a pass.
                fields |= {
                    "value": {"latency": game.latency / at[:, None]},
                    "churn_penalty": {"cost": game.cost / at[:, None]},
                }
            return answers(game.broadcast_to(at.shape).with_valid(**fields[name]), routing, users)[0]

        return served

    def second_tries(at: FloatArray) -> list[Serving]:
        found = retries_differ(game, at[:, None])
        return servings(found.start, found.lottery, found.stays[:, None])

    if users is not None:
        return [_limits(name, varied(name), 1.0) for name in ("value", "waiting_cost", "churn_penalty")]
    now = float(game.churn_penalty)
    dearest = _WIDEST * max(now, float(game.cost_of_pass.max()))
    return [
        _limits("value", varied("value"), float(game.value)),
        _limits("waiting_cost", varied("waiting_cost"), 1.0),
        _limits("churn_penalty", varied("churn_penalty"), now, 0.0, dearest),
        _limits("retry_ratio", second_tries, 1.0, _LEAST_RATIO, _MOST_RATIO),
    ]


def _limits(
    name: str,
    served: Callable[[FloatArray], list[Serving]],
    now: float,
    least: float | None = None,
    most: float | None = None,
) -> Thresholds:
    low, high = now / _WIDEST if least is None else least, now * _WIDEST if most is None else most
    # Nothing can be reached from 0, or come to it, by factors.
    down = np.geomspace(now, low or now / _WIDEST**2, _POINTS)[1:] if now > low else np.zeros(0)
    up = np.geomspace(now or high / _WIDEST**2, high, _POINTS)[1 if now else 0 :]
    down = np.r_[down, low] if now > low == 0.0 else down
    return Thresholds(name, now, nearest_change(served, now, down), nearest_change(served, now, up), low, high)
