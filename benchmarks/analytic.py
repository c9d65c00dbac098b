"""Speed beside accuracy: the exact solver against a generic bilevel solution, on random games and one thread.

Run it with `python benchmarks/analytic.py`. It prints, for each way to solve, the games a second (median of the
repeats; one run of the generic solution) and the error; the memory that a batch needs beyond its inputs and outputs;
and how often a static route is optimal.

The games: p, c and t are two uniform draws each in order, p on (0.03, 0.97), c on (0.01, 1), t on (0, 1); V and
P / kappa2 are log-normal with location 0 and scale 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import differential_evolution, minimize, minimize_scalar

from stackroute.analytic import Commitment, Game, Route, best_response, provider_cost, solve, user_utility

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ACCURATE = 1e-6
SCALAR_GAMES = 200
EXACT_GAMES = 500


def draw(count: int, seed: int) -> Game:
    """Random games of the distribution that the module states."""
    rng = np.random.default_rng(seed)
    success, cost, latency = (
        np.sort(rng.uniform(low, high, (count, 2)), axis=1) for low, high in ((0.03, 0.97), (0.01, 1), (0, 1))
    )
    penalty = cost[:, 1] / success[:, 1] * rng.lognormal(size=count)
    return Game(success, cost, latency, rng.lognormal(size=count), penalty)


class Bilevel:
    """A solution that knows only the payoffs: the provider searches (s, d1, d2), the user searches r inside.

    The payoffs jump where the user's answer does, so the outer search is a differential evolution that begins with the
    corners of the box, followed by a simplex from its best point. The inner search is bounded and compares the ends;
    a user that is indifferent within the search's own precision helps the provider.
    """

    def __init__(self, game: Game, seed: int) -> None:
        self.seed = seed
        self.success, self.cost, self.latency = game.success.tolist(), game.cost.tolist(), game.latency.tolist()
        self.value, self.penalty = float(game.value), float(game.churn_penalty)
        self.indifferent = 1e-11 * (self.value + sum(self.latency))

    def least_cost(self) -> float:
        """The provider's least cost over both start models."""
        return min(self._from_second(), self._from_first())

    def _from_second(self) -> float:
        found = minimize_scalar(lambda d: self._cost(1, 0.0, 0.0, d), bounds=(0, self.value), method="bounded")
        return float(min(found.fun, self._cost(1, 0.0, 0.0, 0.0), self._cost(1, 0.0, 0.0, self.value)))

    def _from_first(self) -> float:
        def outer(x: Array) -> float:
            s, d1, d2 = np.clip(x, 0, 1).tolist()
            return self._cost(0, s, d1 * self.value, d2 * self.value)

        corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
        inside = np.random.default_rng(self.seed).random((22, 3))
        # Half of the population without delay: an unthrottled cascade is then a search over s alone.
        inside[::2, 1:] = 0
        population = np.concatenate([corners, inside])
        search = differential_evolution(
            outer, [(0, 1)] * 3, init=population, maxiter=40, tol=1e-10, seed=self.seed, polish=False
        )
        start = search.x
        best = float(search.fun)
        for width in (1e-2, 1e-4):
            simplex = np.concatenate([start[None], start + width * np.eye(3) * np.where(start < 0.5, 1, -1)])
            options = {"initial_simplex": simplex, "xatol": 1e-10, "fatol": 1e-12, "maxfev": 400}
            polished = minimize(outer, start, method="Nelder-Mead", options=options)
            if polished.fun <= best:
                start, best = polished.x, float(polished.fun)
        return best

    def _cost(self, model: int, s: float, d1: float, d2: float) -> float:
        (p1, p2), (c1, c2), (t1, t2) = self.success, self.cost, self.latency
        t1, t2 = t1 + d1, t2 + d2

        def payoffs(r: float) -> tuple[float, float]:
            n1 = 1 / (1 - (1 - p1) * r * (1 - s)) if model == 0 else 0.0
            reached = n1 * (1 - p1) * r * s if model == 0 else 1.0
            n2 = reached / (1 - (1 - p2) * r)
            solved = p1 * n1 + p2 * n2
            return self.value * solved - t1 * n1 - t2 * n2, c1 * n1 + c2 * n2 + self.penalty * (1 - solved)

        found = minimize_scalar(lambda r: -payoffs(r)[0], bounds=(0, 1), method="bounded", options={"xatol": 1e-8})
        answers = [payoffs(r) for r in (0.0, 1.0, float(found.x))]
        highest = max(utility for utility, _ in answers)
        return min(cost for utility, cost in answers if utility >= highest - self.indifferent)


def exact_cost(game: Game, throttling: bool) -> mpmath.mpf:
    """J* of one game by Theorems 3 to 5 and the two cases of throttling, in 50 digits."""
    with mpmath.workdps(50):
        (p1, p2), (c1, c2), (t1, t2) = (map(mpmath.mpf, a.tolist()) for a in (game.success, game.cost, game.latency))
        value, penalty = mpmath.mpf(float(game.value)), mpmath.mpf(float(game.churn_penalty))
        a, b = 1 - p1, 1 - p2
        xi1, xi2 = value * p1 - t1, value * p2 - t2
        leave1, leave2 = c1 + penalty * a, c2 + penalty * b

        def cascade(s: mpmath.mpf) -> mpmath.mpf:
            return (c1 + c2 * a * s / p2) / (p1 + a * s)

        if xi1 > 0 and xi2 > 0:
            return min(c1 / p1, c2 / p2, *([leave1, leave2] if throttling else []))
        if xi1 <= 0 and xi2 <= 0:
            return min(leave1, leave2)
        if xi1 <= 0:
            served = [leave1, cascade(-xi1 / (xi2 / p2 - xi1)), cascade(mpmath.mpf(1)), c2 / p2]
            return min(*served, *([leave2] if throttling else []))
        square, linear, constant = a * b * xi2, xi2 * (1 - a * b) - xi1 * p2**2, xi1 * p2**2
        low = (-linear - mpmath.sqrt(linear**2 - 4 * square * constant)) / (2 * square)
        return min(c1 / p1, cascade(low), leave1, leave2)


def exact_utility(game: Game, commitment: Commitment) -> mpmath.mpf:
    """The user's largest utility from one commitment, in 50 digits: at an end, or where its derivative vanishes."""
    with mpmath.workdps(50):
        (p1, p2), (t1, t2) = (map(mpmath.mpf, a.tolist()) for a in (game.success, game.latency))
        value, s = mpmath.mpf(float(game.value)), mpmath.mpf(float(commitment.cascade_probability[0]))
        a, b, al = 1 - p1, 1 - p2, (1 - p1) * (1 - s)
        xi1, xi2 = value * p1 - t1, value * p2 - t2
        if commitment.first_model == 1:
            return max(xi2, xi2 / p2)
        k = a * s * xi2 - b * xi1
        square, half, constant = -al * b * k, -al * b * xi1, k + xi1 * (al + b)
        discriminant = half**2 - square * constant
        roots = [(-half + sign * mpmath.sqrt(discriminant)) / square for sign in (1, -1)] if discriminant >= 0 else []
        patiences = [mpmath.mpf(0), mpmath.mpf(1), *(r for r in roots if 0 < r < 1)]
        return max((xi1 + xi2 * a * r * s / (1 - b * r)) / (1 - al * r) for r in patiences)


def rate(run: Callable[[], Any], games: int, repeats: int) -> float:
    """Games a second: the median of the repeats, after one run that compiles."""
    run()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return games / statistics.median(seconds)


def row(name: str, games_per_second: float, errors: Array) -> dict[str, Any]:
    """One line of the table."""
    return {
        "name": name,
        "games_per_second": games_per_second,
        "max_relative_error": float(errors.max()),
        "share_accurate": float((errors < ACCURATE).mean()),
    }


def compare(games: int, generic_games: int, repeats: int, seed: int) -> list[dict[str, Any]]:
    """Speed and accuracy of each way to solve."""
    game = draw(games, seed)
    few = game[:EXACT_GAMES]
    rows = []
    for throttling in (False, True):
        name = f"solve, {'with' if throttling else 'without'} throttling"
        found = solve(few, throttling=throttling).provider_cost.tolist()
        exact = [exact_cost(few[i], throttling) for i in range(few.shape[0])]
        errors = np.array([float(abs(ours / best - 1)) for ours, best in zip(found, exact, strict=True)])
        speed = rate(lambda throttling=throttling: solve(game, throttling=throttling), games, repeats)
        rows.append(row(name, speed, errors))

    rng = np.random.default_rng(seed + 1)
    commitment = Commitment.cascade(rng.integers(0, 2, games), rng.random(games))
    answered = user_utility(few, commitment[:EXACT_GAMES], best_response(few, commitment[:EXACT_GAMES])).tolist()
    # Relative to the value: a utility can be zero.
    errors = np.array(
        [
            float(abs(ours - exact_utility(few[i], commitment[i])) / float(few.value[i]))
            for i, ours in enumerate(answered)
        ]
    )
    rows.append(row("best_response", rate(lambda: best_response(game, commitment), games, repeats), errors))

    singles = [game[i] for i in range(min(games, SCALAR_GAMES))]
    looped = np.array([float(solve(single, throttling=True).provider_cost) for single in singles])
    exact = [exact_cost(single, True) for single in singles]
    errors = np.array([float(abs(ours / best - 1)) for ours, best in zip(looped.tolist(), exact, strict=True)])
    speed = rate(lambda: [solve(single, throttling=True) for single in singles], len(singles), repeats)
    rows.append(row("solve one by one, with throttling", speed, errors))

    hard = draw(generic_games, seed + 2)
    begin = time.perf_counter()
    costs = np.array([Bilevel(hard[i], seed=i).least_cost() for i in range(generic_games)])
    speed = generic_games / (time.perf_counter() - begin)
    rows.append(row("generic bilevel solution", speed, np.abs(costs / solve(hard, throttling=True).provider_cost - 1)))
    for line in rows:
        line["ratio_to_generic"] = line["games_per_second"] / rows[-1]["games_per_second"]
    return rows


def extra_memory(games: int, seed: int) -> float:
    """Peak megabytes that solving with throttling needs beyond inputs and outputs."""
    game = draw(games, seed)
    solve(game[:2], throttling=True)
    gc.collect()
    # tracemalloc sees numpy's arrays and the buffers of its iterators; the kernel keeps a handful of numbers.
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = solve(game, throttling=True)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del found
    return (peak - max(after, before)) / 1e6


def optima(games: int, seed: int) -> dict[str, float]:
    """How often a static route is optimal without throttling, and what a cascade saves over the best static one."""
    game = draw(games, seed)
    found = solve(game)
    cascades = found.route == Route.CASCADE
    if not cascades.any():
        return {"static_share": 1.0, "median_saving": 0.0}
    rare = game[cascades]
    routes = [Commitment.static(model) for model in (0, 1)]
    static = np.minimum(*(provider_cost(rare, route, best_response(rare, route)) for route in routes))
    saving = 1 - found.provider_cost[cascades] / static
    return {"static_share": 1 - float(cascades.mean()), "median_saving": float(np.median(saving))}


def report(results: dict[str, Any], console: Console) -> None:
    """Print the results as tables."""
    table = Table(title=f"{results['games']:,} random games, one thread, median of {results['repeats']}")
    for heading in ("", "games/s", "x generic", "max relative error", f"within {ACCURATE:g}"):
        table.add_column(heading, justify="right" if heading else "left")
    for line in results["rows"]:
        speed = line["games_per_second"]
        table.add_row(
            line["name"],
            f"{speed:,.0f}" if speed > 10 else f"{speed:.2f}",
            f"{line['ratio_to_generic']:,.0f}",
            f"{line['max_relative_error']:.1e}",
            f"{line['share_accurate']:.1%}",
        )
    console.print(table)
    console.print(
        "Errors: solve against 50 digits, best_response by its utility against 50 digits and relative to the value, "
        f"the generic solution ({results['generic_games']} games) against solve."
    )
    memory = Table("games", "MB beyond inputs and outputs", title="Peak memory, with throttling")
    for games, megabytes in results["extra_memory"].items():
        memory.add_row(f"{int(games):,}", f"{megabytes:.1f}")
    console.print(memory)
    console.print(
        f"Static optima: {results['static_share']:.1%}; "
        f"a cascade saves {results['median_saving']:.1%} (median) over the best static route."
    )


def main() -> None:
    """Run the benchmark and print its results."""
    parser = argparse.ArgumentParser(description="Speed and accuracy of the exact solver.")
    parser.add_argument("--games", type=int, default=1_000_000, help="batch size")
    parser.add_argument("--generic-games", type=int, default=20, help="games for the generic solution")
    parser.add_argument("--memory-games", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000])
    parser.add_argument("--repeats", type=int, default=5, help="timed runs, of which the median counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    results = {
        "games": options.games,
        "generic_games": options.generic_games,
        "repeats": options.repeats,
        "rows": compare(options.games, options.generic_games, options.repeats, options.seed),
        "extra_memory": {str(games): extra_memory(games, options.seed) for games in options.memory_games},
        **optima(options.games, options.seed),
    }
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        report(results, Console())


if __name__ == "__main__":
    main()
