"""A provider that learns the numbers of the game instead of a policy, and commits to what theory says for them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, Game, best_response, provider_cost, solve
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.lines import all_lines, line_through

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic.game import BoolArray, FloatArray
    from stackroute.training.benchmark.problem import Problem

_TASKS = 65_536
_QUESTIONS = 32
_TOLERANCE = 1e-3
_VALUES = 65
_STAYS = 0.5
# Of the estimated waiting for a solution: whatever the game, users leave below the first and stay above the second.
_RANGE = (1e-2, 1e2)
_FIRST_SLACK = 1e-3
_ERRORS = 3.0
_EXACT = 1e-9
_BEYOND = 1.0 + 1e-6


def plug_in(problem: Problem, tasks: int = _TASKS) -> Solution:
    """Plug-in: estimates the models, infers the user's limit from what it does, and commits by theory.

    A question is a commitment that serves some tasks of a user who knows the game and answers best. Success, cost and
    latency of a model are means over its passes, the churn penalty is what an abandoned task has cost. Whether users
    stayed bounds the value of a solved task from one side, and the next question is a commitment whose threshold halves
    what is left. The choice costs least at the worst value left, and is itself the last question: where users answer
    otherwise than expected, the bounds move and the search goes on.

    Args:
        problem: One game.
        tasks: How many are played for each question.
    """
    known = _Known(problem, tasks)
    for _ in range(_QUESTIONS):
        choice = known.choice()
        problem.choose(choice)
        question = known.question(choice)
        expected = known.ask(choice if question is None else question)
        if question is None and expected and known.question(choice) is None:
            break
    else:
        choice = known.cheapest
        problem.choose(choice)
    return Solution(choice, best_response(problem.single, choice))


class _Known:
    """What the provider knows of a game: estimates of its models, and bounds of the value of a solved task."""

    def __init__(self, problem: Problem, tasks: int) -> None:
        self._problem, self._tasks, self._asked = problem, tasks, 0
        self._play, self._models = problem.sampled("plug-in"), problem.game.models
        self._penalty, self._slack, self._least = 0.0, _FIRST_SLACK, math.inf
        self.low, self.high = 0.0, math.inf
        served = [self._serve(Commitment.static(model, models=self._models)) for model in range(self._models)]
        passes = np.array([one["passes"] for one in served])
        # Where all or none succeeded, as if one more had not.
        least = 1.0 / (2.0 * tasks * passes)
        self._success = np.clip(np.array([one["solved"] for one in served]) / passes, least, 1.0 - least)
        self._cost, self._latency = (
            np.array([one[name] for one in served]) / passes for name in ("service_cost", "latency")
        )
        if problem.routing == "cascade" and (np.diff(self._success) < 0).any():
            # Of models in the order of a cascade, the later one is not worse.
            self._success[:] = self._success.mean()
        self._waiting = self._latency / self._success
        for model, one in enumerate(served):
            self._learn(Commitment.static(model, models=self._models), one)

    def _serve(self, commitment: Commitment) -> dict[str, float]:
        """Means over tasks of a user who knows the game; the cheapest commitment so far is kept."""
        patience = best_response(self._problem.single, commitment)
        outcome = self._play.outcome(commitment, patience, self._tasks, first=self._asked)
        self._asked += self._tasks
        if outcome["abandoned"] > 0:
            self._penalty = outcome["churn_penalty"] / outcome["abandoned"]
        cost = outcome["service_cost"] + outcome["churn_penalty"]
        if cost < self._least:
            self._least, self.cheapest = cost, commitment
        return outcome

    def ask(self, commitment: Commitment) -> bool:
        """Serve tasks by a commitment; whether users answered as they do at one of the values left."""
        return self._learn(commitment, self._serve(commitment))

    def _learn(self, commitment: Commitment, outcome: dict[str, float]) -> bool:
        """Bound the value of a solved task by how often users re-prompted after a failure.

        What contradicts the earlier answers, as estimates are not exact, counts more than they do.
        """
        failures = (outcome["passes"] - outcome["solved"]) * self._tasks
        if failures < 0.5:
            return True
        share = (outcome["passes"] - 1.0) * self._tasks / failures
        error = _ERRORS * math.sqrt(share * (1.0 - share) / failures) + _ERRORS / failures
        low = self._threshold(commitment, share - error) if share > error else 0.0
        high = self._threshold(commitment, share + error) if share + error < 1.0 else math.inf
        # Users who leave where they would stay at all values left but the least contradict, too.
        if max(low, self.low) * _BEYOND < min(high, self.high):
            self.low, self.high = max(low, self.low), min(high, self.high)
            return True
        self.low = low or high / (1.0 + self._slack)
        self.high = high if high < math.inf else low * (1.0 + self._slack)
        self._slack *= 2.0
        return False

    def _games(self, values: npt.ArrayLike) -> Game:
        return Game(self._success, self._cost, self._latency, values, self._penalty)

    def _values(self) -> FloatArray:
        """Values that are possible, as far as they may make a difference."""
        least, most = self._waiting.min() * _RANGE[0], self._waiting.max() * _RANGE[1]
        # Where users left, they leave at the bound itself, too.
        return np.geomspace(min(max(self.low, least), most), max(min(self.high, most), least) / _BEYOND, _VALUES)

    def _costs(self, commitments: Commitment, games: Game) -> FloatArray:
        """What each commitment costs at each value, shape (commitments, values)."""
        made = commitments[:, None].broadcast_to((*commitments.shape, *games.shape))
        return provider_cost(games, made, best_response(games, made))

    def choice(self) -> Commitment:
        """The commitment, of those that are best at one of the values, that costs least at the worst of them."""
        games = self._games(self._values())
        best = solve(games, self._problem.routing, self._problem.throttling).commitment
        return best[int(self._costs(best, games).max(axis=1).argmin())]

    def question(self, choice: Commitment) -> Commitment | None:
        """A commitment under which users stay at the larger values and leave at the others; None if none would help."""
        values = self._values()
        games = self._games(values)
        best = solve(games, self._problem.routing, self._problem.throttling).provider_cost
        lost = self._costs(choice.reshape(1), games)[0] - best
        if (lost <= _TOLERANCE * np.abs(best)).all():
            return None
        middle = float(np.sqrt(values[0] * values[-1]))
        # Estimates err along each line in the same way, so that the choice's own is asked first.
        own, _ = line_through(choice, self._problem.routing)
        for line in [own, *all_lines(self._models, self._problem.routing, np.zeros(self._models))]:
            shares = np.linspace(0.0, 1.0, _VALUES)
            while len(turns := np.flatnonzero(np.diff(self._stays(middle, line.at(shares))))):
                low, high = shares[turns[0] : turns[0] + 2]
                if high - low < _EXACT:
                    return line.at(low)
                shares = np.linspace(low, high, _VALUES)
        quick = int(self._waiting.argmin())
        if self._problem.throttling and middle > self._waiting[quick]:
            delay = middle * self._success[quick] - self._latency[quick]
            return Commitment.static(quick, np.full(self._models, delay), models=self._models)
        return None

    def _stays(self, value: float, commitments: Commitment) -> BoolArray:
        """Whether users mostly re-prompt under commitments at a value."""
        stays: BoolArray = best_response(self._games(value), commitments) > _STAYS
        return stays

    def _threshold(self, commitment: Commitment, patience: float) -> float:
        """The least value at which users would re-prompt at least so often, by the estimates."""
        low, high = self._waiting.min() * _RANGE[0], self._waiting.max() * _RANGE[1]
        while high > low * (1.0 + _EXACT):
            values = np.geomspace(low, high, _VALUES)
            stays = best_response(self._games(values), commitment) >= patience
            first = int(stays.argmax()) if stays.any() else _VALUES
            if first in (0, _VALUES):
                return float(values[min(first, _VALUES - 1)])
            low, high = values[first - 1], values[first]
        return float(high)
