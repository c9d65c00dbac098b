"""What `stackroute solve` says about measured outcomes: the optimum on tasks of hidden difficulty, beside others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, PolicyComparison, TrafficEquilibrium, compare_policies, solve_traffic
from stackroute.analytic import solved_share as shares_of_tasks
from stackroute.configs import ConfigError, read_outcomes
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.outcome_files import read_features
from stackroute.configs.text import some_of
from stackroute.training.cli.answers import Answer, Question, answer
from stackroute.training.cli.console import number, numbers
from stackroute.training.cli.display import in_per_cent
from stackroute.training.cli.explanation import explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from stackroute.analytic import Ladders
    from stackroute.analytic.game import IntArray
    from stackroute.analytic.simple_policies import SimplePolicy
    from stackroute.configs.games import DisplayUnits
    from stackroute.configs.outcomes import Outcomes, Step
    from stackroute.training.cli.quantities import Record

_PRICED = 1e-9
_LEAST_LOSS = 5e-4
_FEWEST = 10
_SELDOM = 0.1
_HORIZON = 12


@dataclass(frozen=True, eq=False)
class MeasuredAnswer:
    """The optimum of a game of hidden difficulty, beside what else might be done.

    Attributes:
        game: The game.
        throttling: Whether delays are allowed.
        best: The optimum.
        compared: What simpler policies cost.
        independent: The answer that takes attempts for independent.
    """

    game: MeasuredGame
    throttling: bool
    best: TrafficEquilibrium
    compared: PolicyComparison
    independent: Answer

    @property
    def stop(self) -> int:
        """The number of failures after which users stop."""
        return int(self.best.stop[0])

    @property
    def ladders(self) -> list[tuple[IntArray, float]]:
        """The models of all attempts on each ladder, shape (N,), and how likely it is; the likeliest first."""
        return ladders_of(self.best)

    @property
    def delays(self) -> dict[str, float]:
        """The delays of attempts that have any."""
        delay = self.best.policy.delay[0]
        return {f"of attempt {m + 1}": float(one) for m, one in enumerate(delay) if one > 0}

    def solved(self, policy: Ladders | Commitment, stop: int) -> float:
        """The share of tasks that a policy solves."""
        return float(shares_of_tasks(self.game.traffic, policy, self.game.horizon)[0, stop - 1])

    def loss(self, policy: SimplePolicy) -> float:
        """By which share a policy costs more than the optimum."""
        return max(policy.provider_cost / self.compared.optimum - 1.0, 0.0) if self.compared.optimum else 0.0


def ladders_of(best: TrafficEquilibrium, group: int = 0) -> list[tuple[IntArray, float]]:
    """The ladders that are drawn for tasks of a group, where the provider sees nothing else; the likeliest first."""
    chances, found = best.policy.probability[group, 0], best.policy.until(best.multipliers.shape[-1])
    return [(found[k], float(chances[k])) for k in np.argsort(-chances, kind="stable") if chances[k] > 0]


def read_measured(name: str, given: Mapping[str, Any], changes: Sequence[str] = (), **reading: Any) -> MeasuredGame:
    """A game of measured outcomes from the options of a command that are given, by what they are called.

    Args:
        name: As of `read_outcomes`.
        given: The options.
        changes: Those of a game, which are not allowed.
        reading: As of `read_outcomes`.

    Raises:
        ConfigError: An option is missing or not allowed, or the outcomes cannot be read.
    """
    if changes:
        raise ConfigError(f"set: is for games; {name!r} holds measured outcomes")
    return measured_game(outcomes_of(name, given, reading), name, given)


def outcomes_of(name: str, given: Mapping[str, Any], reading: Mapping[str, Any]) -> Outcomes:
    """The outcomes with the prices of tokens and the features of tasks that are given."""
    outcomes = read_outcomes(name, prices=given.get("prices"), **reading)
    if "features" not in given:
        return outcomes
    return replace(outcomes, features=read_features(given["features"], outcomes.tasks))


def measured_game(outcomes: Outcomes, name: str, given: Mapping[str, Any]) -> MeasuredGame:
    """As `read_measured`, of outcomes that were read. Of a log at most as many attempts as a task has, 2 to 12."""
    for option, example in {"models": "A,B", "value": "X", "churn-penalty": "X"}.items():
        if option not in given:
            among = f", some of {some_of(outcomes.models)}" if option == "models" else ""
            raise ConfigError(f"{option}: missing; needed for {name}: --{option} {example}{among}")
    labels = tuple(label.strip() for label in given["models"].split(","))
    amounts = {option: by_model(option, given.get(option), labels) for option in ("cost", "latency")}
    single = {option: number(option, given.get(option)) for option in ("value", "churn-penalty", "correlation")}
    return MeasuredGame(
        outcomes,
        labels,
        single["value"] or 0.0,
        single["churn-penalty"] or 0.0,
        amounts["cost"],
        amounts["latency"],
        number("second-price", given.get("second-price")),
        0.5 if single["correlation"] is None else single["correlation"],
        given.get("horizon", min(max(outcomes.most_attempts or _HORIZON, 2), _HORIZON)),
    )


def by_model(option: str, text: str | None, labels: Sequence[str]) -> dict[str, float]:
    """The numbers of an option by model; none where it is not given.

    Raises:
        ConfigError: There are more or fewer than models, or they are none.
    """
    found = numbers(option, text) or ()
    if found and len(found) != len(labels):
        raise ConfigError(f"{option}: {text} is not allowed; expected {len(labels)} numbers, by model")
    return dict(zip(labels, found, strict=False))


def answer_measured(game: MeasuredGame, throttling: bool) -> MeasuredAnswer:
    """Solve a game of measured outcomes.

    Raises:
        ConfigError: As of `MeasuredGame.traffic`.
        InvalidGameError: A number is not allowed.
    """
    best = solve_traffic(game.traffic, game.horizon, throttling)
    (compared,) = compare_policies(game.traffic, game.horizon, throttling)
    return MeasuredAnswer(game, throttling, best, compared, answer(game.mean, Question("free", throttling)))


def record_measured(found: MeasuredAnswer) -> Record:
    """An answer by the names of its numbers; ladders in words."""
    game, best, compared = found.game, found.best, found.compared
    fits = game.outcomes.fit(game.labels, game.correlation)
    assumed = any(fit.assumed for fit in fits.values())
    independent = compared.independent
    contents: Record = {"game": game.name, "models": list(game.labels), "throttling": found.throttling}
    contents |= {"horizon": game.horizon} | ({"correlation": game.correlation} if assumed else {})
    contents |= {
        "success": {label: fit.success for label, fit in fits.items()},
        "retry_ratio": {label: fit.retry_ratio for label, fit in fits.items()},
        "escalation": {
            f"{first} to {then}": step.after / step.anyway for first, then, step in _steps(game) if step.anyway > 0.0
        },
        "ladders": {_runs(game.labels, models): chance for models, chance in found.ladders},
        "delay": found.delays,
        "stop": found.stop,
        "solved": found.solved(best.policy, found.stop),
        "provider_cost": float(best.provider_cost[0]),
        "user_utility": float(best.user_utility[0]),
        "price_of_staying": float(best.multipliers[0, : found.stop - 1].sum()),
        "price_of_leaving": float(best.multipliers[0, found.stop :].sum()),
    }
    for name in ("static", "switch", "cascade", "independent"):
        policy = getattr(compared, name)
        contents["memoryless_cascade" if name == "cascade" else name] = {
            "policy": _policy_in_words(found, policy.policy),
            "stop": int(policy.stop),
            "provider_cost": policy.provider_cost,
            "user_utility": float(policy.user_utility),
            "loss": found.loss(policy),
        }
    contents["independent"] |= {
        "predicted_cost": compared.predicted_cost,
        "solved": found.solved(independent.policy, int(independent.stop)),
    }
    return contents


def explain_measured(found: MeasuredAnswer) -> list[str]:
    """What to serve, what users do, how attempts depend, what is lost by other policies, and what patience is worth."""
    return [*answer_in_words(found), *reasons_in_words(found)]


def answer_in_words(found: MeasuredAnswer) -> list[str]:
    """What to serve, what users do, over how many attempts, and which models the data do not show as first answers."""
    unit, best = found.game.unit, found.best
    cost, worth = unit.in_money(float(best.provider_cost[0])), unit.in_utility(float(best.user_utility[0]))
    solved = found.solved(best.policy, found.stop)
    return [
        f"{serving_of_ladders(best, found.game.labels, unit)} A task then costs you {cost} on average.",
        f"Users {stops_in_words(found.stop, found.game.horizon)}; {in_per_cent(solved)} of the tasks are solved, and a "
        f"task is worth {worth} to them.",
        _looked_at(found.game),
        *_seldom_first(found.game),
    ]


def reasons_in_words(found: MeasuredAnswer) -> list[str]:
    """How attempts depend, what is lost by other policies, and what patience is worth."""
    return [
        *_dependence(found.game),
        _simpler(found),
        _independent(found),
        *_patience(found),
    ]


def serving_of_ladders(
    best: TrafficEquilibrium, labels: Sequence[str], unit: DisplayUnits, group: int = 0, most: int = 12
) -> str:
    """Which attempts are served by which models, those that users do not make last, and what is slowed down."""
    stop, drawn = int(best.stop[group]), ladders_of(best, group)
    made: dict[str, float] = {}
    for models, chance in drawn:
        words = _runs(labels, models[:stop])
        made[words] = made.get(words, 0.0) + chance
    several = "; ".join(f"{100 * chance:.4g} % {words}" for words, chance in list(made.items())[:most])
    several += f"; {100 * sum(list(made.values())[most:]):.4g} % others" if len(made) > most else ""
    only = next(iter(made))
    text = f"Serve {only} to every prompt." if only in labels else f"Serve in turn {only}."
    if len(made) > 1:
        text = f"Draw for each task who serves in turn: {several}."
    rest = [models[stop - 1 :] for models, _ in drawn]
    later = dict.fromkeys(_runs(labels, models[1:]) for models in rest if (models != models[0]).any())
    if later and len(made) <= most:
        text += f" Users make no later attempts; if they did, these would be served by {' or '.join(later)}."
    for attempt, by in enumerate(best.policy.delay[group].tolist(), 1):
        text += f" Slow attempt {attempt} down by {unit.in_time(by)}." if by > 0 else ""
    return text


def _runs(labels: Sequence[str], models: IntArray) -> str:
    """The models of attempts in their order, each with how often it serves in a row."""
    runs = [(k, len(list(run))) for k, run in groupby(models.tolist())]
    return labels[runs[0][0]] if len(runs) == 1 else ", ".join(f"{count} x {labels[k]}" for k, count in runs)


def stops_in_words(stop: int, horizon: int) -> str:
    """When users stop."""
    if stop == horizon > 1:
        return f"go on for all {stop} attempts"
    return f"stop after {stop} failures" if stop > 1 else "give up after the first failed answer"


def _looked_at(game: MeasuredGame) -> str:
    """The horizon, which may decide the answer."""
    most = game.outcomes.most_attempts
    of_log = "" if most is None else f"; the most that a task of your log has is {most}"
    return f"At most {game.horizon} attempts at a task are looked at (--horizon){of_log}."


def _seldom_first(game: MeasuredGame) -> list[str]:
    """Models that a log tries after failures of others, and (nearly) never as a first answer."""
    sentences = []
    for label in game.labels:
        share = game.outcomes.first_answers(label)
        if share < _SELDOM:
            seldom = f" (but for {in_per_cent(share)} of its tasks)" if share else ""
            sentences.append(
                f"Your log tries {label} only after failures of other models{seldom}, so that its success as a first "
                "answer is not known: it is taken from the harder tasks that were left, and may be greater. Let it "
                "answer some tasks first, drawn at random, to know it."
            )
    return sentences


def _steps(game: MeasuredGame) -> list[tuple[str, str, Step]]:
    """From cheaper to dearer models, how these do after a failure of those, where enough tasks show it."""
    labels = [game.labels[k] for k in np.argsort(game.traffic.mean[0].cost, kind="stable")]
    steps = [(one, other, game.outcomes.step(one, other)) for one, other in combinations(labels, 2)]
    return [found for found in steps if found[2].tasks >= _FEWEST]


def _step_in_words(first: str, then: str, step: Step) -> str:
    if step.anyway > 0.0:
        how = f"succeeds {step.after / step.anyway:.2f} times as often as otherwise"
    else:
        how = f"succeeds at {in_per_cent(step.after)} of the tasks"
    return f"after a failure of {first}, {then} {how} ({step.tasks:,} tasks)"


def _dependence(game: MeasuredGame) -> list[str]:
    """How far attempts are from independent, and what of it is assumed."""
    fits = game.outcomes.fit(game.labels, game.correlation)
    retries = [f"{fit.retry_ratio:.2f} times as often by {label}" for label, fit in fits.items()]
    texts = [
        f"After a failure the next attempt succeeds {', '.join(retries)}",
        *(_step_in_words(*found) for found in _steps(game)),
    ]
    sentences = [f"{'; '.join(texts)}."]
    if game.outcomes.most_attempts is None and any(fit.attempts.max() > 1 for fit in fits.values()):
        sentences.append("Numbers of attempts are taken as fixed beforehand: not as of tasks tried until success.")
    notes = [f"{label}: {fit.note}" for label, fit in fits.items() if fit.note]
    if any(fit.assumed for fit in fits.values()):
        notes.append(
            f"that a retry succeeds {1.0 - game.correlation:g} times as often is assumed (a correlation of "
            f"{game.correlation:g})"
        )
    return [*sentences, *([f"{'; '.join(notes)}."] if notes else [])]


def _simpler(found: MeasuredAnswer) -> str:
    kinds = {"static": "single model", "switch": "switch", "cascade": "cascade whose probabilities never change"}
    texts = []
    for name, words in kinds.items():
        policy = getattr(found.compared, name)
        texts.append(f"the best {words} ({_policy_in_words(found, policy.policy)}) costs {_more(found.loss(policy))}")
    return f"Simpler{', without delays' if found.throttling else ''}: {'; '.join(texts)}."


def _more(loss: float) -> str:
    return f"{1 + loss:.3g} times as much" if loss > _LEAST_LOSS else "as much"


def _policy_in_words(found: MeasuredAnswer, policy: Ladders | Commitment) -> str:
    labels = found.game.labels
    if not isinstance(policy, Commitment):
        return _runs(labels, policy.until(found.game.horizon)[0])
    start, moves = policy.start, policy.transition[policy.first_model]
    first = " or ".join(f"{100 * start[k]:.3g} % {labels[k]}".removeprefix("100 % ") for k in np.flatnonzero(start))
    after = ", ".join(
        f"{100 * moves[k]:.3g} % {labels[k]}".removeprefix("100 % ") for k in np.argsort(-moves) if moves[k]
    )
    return first if first == after else f"{first}, after each failure {after}"


def _independent(found: MeasuredAnswer) -> str:
    """What the theory of independent attempts would do and expects, and what comes of it."""
    policy = found.compared.independent
    stop, cost = int(policy.stop), found.game.unit.in_money(policy.provider_cost)
    served, expected = explain(found.independent)[:2]
    lost = 1.0 - found.solved(policy.policy, stop)
    return (
        f'If attempts were independent: "{served} {expected}" In truth that costs {cost}, {_more(found.loss(policy))} '
        f"as the optimum: users {stops_in_words(stop, found.game.horizon)}, and {in_per_cent(lost)} of the tasks are "
        "abandoned."
    )


def _patience(found: MeasuredAnswer) -> list[str]:
    """What the users' constraints are worth, those that bind."""
    unit, stop = found.game.unit, found.stop
    one = f"1 {unit.utility or 'unit of value'}"
    sentences = []
    for n, price in enumerate(found.best.multipliers[0].tolist(), 1):
        if n == stop or price <= _PRICED:
            continue
        chosen = f"going on to {stop} failures" if n < stop else f"stopping after {stop} failures"
        sentences.append(
            f"To users stopping after {n} is worth as much. If {chosen} were worth {one} more to them, a task would "
            f"cost you {unit.in_money(price)} less: the price of their patience."
        )
    return sentences or ["Users' patience has no price here: nothing is spent on when they stop."]
