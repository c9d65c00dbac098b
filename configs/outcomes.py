"""Measured outcomes by task, and the games of hidden difficulty that they make."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy

from stackroute.analytic.game import Game
from stackroute.analytic.traffic import Traffic
from stackroute.configs.difficulty import BetaFit, fit_beta
from stackroute.configs.loading import ConfigError
from stackroute.configs.text import some_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray
    from stackroute.configs.columns import Rejected

_CERTAIN = 1e-9
_GOES_ON = 0.5
_FEWEST = 10
_QUANTILES = 8
"""How many quantiles of success stand for its distribution where the dependence of models is weighed."""


class Step(NamedTuple):
    """How a model does after another one has failed.

    Attributes:
        tasks: At how many tasks that was seen.
        after: How often it then succeeds; NaN where it was not seen.
        anyway: How often it succeeds at first attempts otherwise; NaN where the data do not show it.
    """

    tasks: int
    after: float
    anyway: float


@dataclass(frozen=True, eq=False)
class Outcomes:
    """How often models solved each of many tasks.

    Attributes:
        name: A name.
        source: Where the numbers come from.
        tasks: The names of the tasks.
        models: The names of the models.
        attempts: How often each model attempted each task, 0 where it did not, shape (T, n).
        successes: How often it solved it, shape (T, n).
        cost: What an attempt cost on average, money, NaN where it is not known, shape (T, n).
        seconds: How long an attempt took on average, NaN where it is not known, shape (T, n).
        features: What is known of the tasks beforehand, a row for each, numbers or texts in a column; None: nothing.
        rejected: The rows that cannot be used.
        money: The currency of the costs; None where the file does not say.
        understood: How the numbers were read, in a line.
        requests: Those of a log in their order, shape (R, 3): the numbers of the task and the model, and 1 where it was
            solved; None: only counts are known, and those of attempts are taken as fixed beforehand.
    """

    name: str
    source: str
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    attempts: IntArray
    successes: IntArray
    cost: FloatArray
    seconds: FloatArray
    features: pd.DataFrame | None
    rejected: tuple[Rejected, ...]
    money: str | None
    understood: str
    requests: IntArray | None = None

    def fit(self, models: Sequence[str] | None = None, correlation: float = 0.5) -> dict[str, BetaFit]:
        """The success of models over tasks as Beta distributions, by maximum likelihood (beyond the paper).

        Args:
            models: Their names; None: all.
            correlation: The intra-class correlation of attempts at a task that is assumed, in (0, 1), where the data
                do not show it, as with one attempt a task: `BetaFit.assumed` and `BetaFit.note` say so.

        Returns:
            The distributions by the names of the models.

        Raises:
            ConfigError: A name is not there, or the correlation is not allowed.

        Examples:
            >>> from stackroute import read_outcomes
            >>> fit = read_outcomes("metr").fit(["GPT-4o"])["GPT-4o"]
            >>> f"Beta({fit.a:.2f}, {fit.b:.2f}): a retry succeeds {fit.retry_ratio:.2f} times as often"
            'Beta(0.14, 0.30): a retry succeeds 0.31 times as often'
        """
        if not 0.0 < correlation < 1.0:
            raise ConfigError(f"correlation: {correlation} is not allowed; expected 0 < correlation < 1")
        fits = {}
        for model in self._places(self.models if models is None else models):
            seen = self.attempts[:, model] > 0
            name = self.models[model]
            fit = fit_beta(name, self.attempts[seen, model], self.successes[seen, model], correlation)
            fits[name] = replace(fit, in_order=self._in_order(model))
        return fits

    @property
    def most_attempts(self) -> int | None:
        """How often the task with the most requests of a log was attempted; None where only counts are known."""
        return None if self.requests is None else int(np.bincount(self.requests[:, 0]).max())

    def first_answers(self, model: str) -> float:
        """At which share of its tasks a model was the first to be tried; 1 where the data have no order that matters.

        That is where only counts are known, or most solved tasks of a log are attempted again.
        """
        (place,) = self._places([model])
        if self._first is None:
            return 1.0
        return float(self._first.opens[:, place].sum() / self._first.tried[:, place].sum())

    def escalation(self, first: str, then: str) -> float:
        """How often `then` succeeds after `first` has failed, as a share of how often it does anyway: of `step`.

        NaN where one of them is not known or `then` never succeeds.

        Examples:
            >>> from stackroute import read_outcomes
            >>> round(read_outcomes("metr").escalation("GPT-4o", "o1"), 2)
            0.64
        """
        _, after, anyway = self.step(first, then)
        return after / anyway if anyway > 0.0 else float("nan")

    def step(self, first: str, then: str) -> Step:
        """How often `then` succeeds after `first` has failed, and anyway (beyond the paper).

        Of counts over the tasks that both attempted, whose numbers of attempts are taken as fixed beforehand; so too of
        a log that goes on after success. Of one that stops at success by its order: `after` is over the first attempts
        of `then` after a failed first one of `first`, `anyway` over those with which a task begins, where it has ten.
        """
        pair = self._places([first, then])
        if self._first is not None:
            place, won = self._first.place[:, pair], self._first.won[:, pair]
            both: BoolArray = (place[:, 0] < place[:, 1]) & self._first.tried[:, pair[1]] & ~won[:, 0]
            opened = won[self._first.opens[:, pair[1]], 1]
            return Step(int(both.sum()), _mean(won[both, 1]), _mean(opened) if len(opened) >= _FEWEST else float("nan"))
        both = np.all(self.attempts[:, pair] > 0, axis=1)
        success = self.successes[both][:, pair] / self.attempts[both][:, pair]
        failed = 1.0 - success[:, 0]
        after = float(failed @ success[:, 1] / failed.sum()) if failed.any() else float("nan")
        return Step(int((failed > 0.0).sum()), after, _mean(success[:, 1]))

    def traffic(
        self,
        models: Sequence[str],
        value: float,
        churn_penalty: float,
        draws: int = 3,
        seed: int = 0,
        context: str | npt.ArrayLike | None = None,
        group: str | npt.ArrayLike | None = None,
        cost: Mapping[str, float] | None = None,
        latency: Mapping[str, float] | None = None,
        seconds_price: float | None = None,
        correlation: float = 0.5,
    ) -> Traffic:
        """Games of hidden difficulty: several for each task, with successes drawn from what its outcomes say.

        On each task a model's success has the posterior Beta(a + successes, b + failures), with a and b from `fit`;
        a model that did not attempt it has the prior. `draws` games a task take theirs from equally likely parts of
        it, so that over all tasks they are distributed as it is, and not only in the mean. On a share of the tasks all
        models draw the same quantiles, on the others each its own: the share with which their successes vary together
        over tasks as they do in the data, as far as these distributions can. A task that none of the models attempted
        is left out.

        Args:
            models: The names of the models, in the order of the games.
            value: What a solved task is worth to the user, money.
            churn_penalty: What an abandoned task costs the provider, money.
            draws: Games a task, of the same weight.
            seed: Of the random numbers.
            context: What the provider sees of each task: a column of the features, "task" for the task itself, or
                labels of shape (T,); None: nothing. With features the traffic has the means of their numeric columns
                over the tasks of each context.
            group: What the user sees too, in the same way.
            cost: What an attempt costs, money, by model; a model that is not in it has the measured cost of each task,
                or the mean of its tasks where one is missing.
            latency: What waiting for an attempt costs the user, in the unit of `value`, by model; a model that is not
                in it has the measured seconds of each task, or their mean, times `seconds_price`.
            seconds_price: What a second of waiting costs the user, in the unit of `value`.
            correlation: As of `fit`.

        Returns:
            The traffic, of shape (tasks x draws,), with the games of a task one after the other.

        Raises:
            ConfigError: A name is not there, cost or latency is neither measured nor given, or an argument is not
                allowed.
            InvalidGameError: A number is not one that a game may have.

        Examples:
            >>> from stackroute import read_outcomes
            >>> from stackroute.analytic import solve_traffic
            >>> cost, latency = {"GPT-4o": 1, "o1": 6}, {"GPT-4o": 1, "o1": 3}
            >>> pair = {"value": 20, "churn_penalty": 10, "cost": cost, "latency": latency}
            >>> traffic = read_outcomes("metr").traffic(["GPT-4o", "o1"], **pair)
            >>> len(traffic), solve_traffic(traffic).stop
            (249, array([3]))
        """
        if draws < 1:
            raise ConfigError(f"draws: {draws} is not allowed; expected a whole number of at least 1")
        places = self._places(models)
        used: BoolArray = np.any(self.attempts[:, places] > 0, axis=1)
        spent = self._economics(
            "cost", self.cost, places, cost or {}, "what an attempt costs, by model, or prices of tokens"
        )
        priced = self.seconds * (np.nan if seconds_price is None else seconds_price)
        wanted = "what waiting for an attempt costs the user, by model"
        if np.isfinite(self.seconds[:, places]).any(axis=0).all():
            wanted += ", or the price of a second"
        waited = self._economics("latency", priced, places, latency or {}, wanted)
        fits = self.fit(models, correlation)
        prior = np.array([[fit.a, fit.b] for fit in fits.values()])
        success = _drawn(prior, self.attempts[used][:, places], self.successes[used][:, places], draws, seed)
        types = np.repeat(np.flatnonzero(used), draws)
        games = Game(
            np.clip(success, _CERTAIN, 1.0 - _CERTAIN).swapaxes(1, 2).reshape(-1, len(places)),
            spent[types],
            waited[types],
            value,
            churn_penalty,
        )
        seen, known = self._labels("context", context), self._labels("group", group)
        return Traffic(
            games,
            context=None if seen is None else seen[types],
            group=None if known is None else known[types],
            features=None if seen is None else self._features(seen[used], used),
        )

    def _in_order(self, model: int) -> IntArray | None:
        """`BetaFit.in_order` of a model."""
        if self.requests is None:
            return None
        import pandas as pd

        task, by, solved = self.requests.T
        won = pd.Series(solved[by == model])
        by_task = won.groupby(task[by == model])
        failed = by_task.cumsum() == won
        place, won = by_task.cumcount()[failed], won[failed]
        return np.stack([np.bincount(place), np.bincount(place, won).astype(np.int64)])

    @cached_property
    def _first(self) -> _FirstAttempts | None:
        """The first attempts of models at tasks, in a log that stops at success."""
        if self.requests is None:
            return None
        task, model, solved = self.requests.T
        number, after = np.arange(len(task)), len(task)
        place: IntArray = np.full(self.attempts.shape, after)
        np.minimum.at(place, (task, model), number)
        success: IntArray = np.full(len(self.tasks), after)
        np.minimum.at(success, task[solved > 0], number[solved > 0])
        last: IntArray = np.zeros(len(self.tasks), dtype=np.int64)
        np.maximum.at(last, task, number)
        is_solved = success < after
        if is_solved.any() and (success < last)[is_solved].mean() > _GOES_ON:
            return None
        tried = place < after
        opens = tried & (place == place.min(axis=1, keepdims=True))
        return _FirstAttempts(place, tried, opens, tried & (np.append(solved, 0)[place] > 0))

    def _places(self, models: Sequence[str]) -> list[int]:
        """Where models stand."""
        numbers = {model: place for place, model in enumerate(self.models)}
        if isinstance(models, str) or len(set(models)) != len(models) or not models:
            raise ConfigError(f"models: {models!r} is not allowed; expected different names, at least one")
        for model in models:
            if model not in numbers:
                near = difflib.get_close_matches(str(model), self.models, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ConfigError(
                    f"models: {model!r} is not in {self.name}; {hint}expected some of {some_of(self.models)}"
                )
        return [numbers[model] for model in models]

    def _economics(
        self, name: str, measured: FloatArray, places: list[int], given: Mapping[str, float], wanted: str
    ) -> FloatArray:
        """Cost or latency by task and model, as given, as measured, or the mean of what is measured."""
        unknown = set(given) - set(self.models)
        if unknown:
            self._places(sorted(unknown))
        amounts = measured[:, places]
        known = np.isfinite(amounts)
        missing = []
        for column, place in enumerate(places):
            model = self.models[place]
            if model in given:
                amounts[:, column] = given[model]
            elif known[:, column].any():
                amounts[~known[:, column], column] = amounts[known[:, column], column].mean()
            else:
                missing.append(model)
        if missing:
            raise ConfigError(f"{name}: {self.name} has none of {', '.join(missing)}; expected {wanted}")
        return amounts

    def _labels(self, name: str, labels: str | npt.ArrayLike | None) -> npt.NDArray[Any] | None:
        """The label of each task."""
        if labels is None:
            return None
        if isinstance(labels, str):
            if labels == "task":
                return np.array(self.tasks)
            columns = [] if self.features is None else list(self.features)
            if labels not in columns:
                expected = ", ".join(["task", *columns])
                raise ConfigError(f"{name}: {labels!r} is not a feature of {self.name}; expected one of {expected}")
            assert self.features is not None
            labels = self.features[labels].to_numpy()
        given = np.asarray(labels)
        if given.shape != (len(self.tasks),):
            raise ConfigError(f"{name}: shape {given.shape} is not allowed; expected a label for each task")
        return given.astype(str) if given.dtype.kind == "O" else given

    def _features(self, labels: npt.NDArray[Any], used: BoolArray) -> FloatArray | None:
        """The mean of each numeric feature over the tasks of each label in order, else over all."""
        if self.features is None:
            return None
        numeric = self.features.loc[used].select_dtypes("number").dropna(axis="columns", how="all")
        means = numeric.groupby(np.unique(labels, return_inverse=True)[1]).mean().fillna(numeric.mean())
        found: FloatArray = means.to_numpy(dtype=np.float64)
        return found if found.size else None


class _FirstAttempts(NamedTuple):
    """When a model first tried a task, whether it did, as the first of all, and whether that solved it; (T, n) each."""

    place: IntArray
    tried: BoolArray
    opens: BoolArray
    won: BoolArray


def _mean(of: FloatArray | BoolArray) -> float:
    return float(of.mean()) if of.size else float("nan")


def _drawn(prior: FloatArray, tried: IntArray, solved: IntArray, draws: int, seed: int) -> FloatArray:
    """Successes of shape (T, n, draws), as known from a and b of each model, shape (n, 2), and counts."""
    a, b = prior[:, 0] + solved, prior[:, 1] + (tried - solved)
    random = np.random.default_rng(seed)
    parts = random.permuted(np.broadcast_to(np.arange(draws), (*a.shape, draws)), axis=-1)
    quantile = (parts + random.random(parts.shape)) / draws
    together = random.permutation(len(a)) < _shared(a, b, tried, solved) * len(a)
    quantile[together] = quantile[together, :1]
    drawn: FloatArray = np.asarray(scipy.special.betaincinv(a[..., None], b[..., None], quantile), dtype=np.float64)
    return drawn


def _shared(a: FloatArray, b: FloatArray, tried: IntArray, solved: IntArray) -> float:
    """On which share of the tasks models have to draw the same quantiles to vary together over tasks as measured."""
    mean = a / (a + b)
    evenly = scipy.special.betaincinv(a[..., None], b[..., None], (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    evenly -= evenly.mean(axis=-1, keepdims=True)
    lacking = shared = 0.0
    for one, other in combinations(range(a.shape[1]), 2):
        both = (tried[:, [one, other]] > 0).all(axis=1)
        if both.sum() > 1:
            measured = solved[both][:, [one, other]] / tried[both][:, [one, other]]
            lacking += np.cov(measured.T)[0, 1] - np.cov(mean[both][:, [one, other]].T)[0, 1]
            shared += (evenly[both, one] * evenly[both, other]).mean()
    return float(np.clip(lacking / shared, 0.0, 1.0)) if shared > 0.0 else 0.0
