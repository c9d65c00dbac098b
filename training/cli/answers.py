"""What `stackroute solve` is asked about a game, and the answers: the package's functions, one after the other."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from stackroute.analytic import (
    Commitment,
    Equilibrium,
    InvalidGameError,
    best_response,
    compete,
    default_routing,
    frontier,
    priced,
    priced_equilibrium,
    provider_cost,
    regulate,
    solve,
    throttling_gain,
    unverified,
    with_outside_option,
)
from stackroute.configs import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.analytic import Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig

_T = TypeVar("_T")


@dataclass(frozen=True)
class Question:
    """What is asked about a game.

    Attributes:
        routing: What the provider may commit to; None for the paper's cascades where there are one or two models and no
            changes, and for any lottery of models otherwise.
        throttling: Whether the provider may delay.
        false_accept: Probability that users take a wrong answer for right, one number or one for each model.
        false_reject: Probability that they take a right one for wrong, likewise.
        harm: What a wrong answer that was taken for right costs users, utility.
        price: What users pay for a pass, utility, one number or one for each model; "optimal" if the provider sets it.
        outside_option: What users get where they leave, utility.
        floor: The least utility that users must get.
        rival: The game whose models and churn penalty are a rival provider's.
    """

    routing: Routing | None = None
    throttling: bool = False
    false_accept: tuple[float, ...] | None = None
    false_reject: tuple[float, ...] | None = None
    harm: float | None = None
    price: tuple[float, ...] | Literal["optimal"] | None = None
    outside_option: float | None = None
    floor: float | None = None
    rival: GameConfig | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """What is asked beside routing and throttling, by the name of the option."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        return {name: value for name, value in asked.items() if value is not None}

    @property
    def beside_the_optimum(self) -> list[str]:
        """The options whose answer is not the optimum of a game, but read from the frontier of all commitments."""
        asked = {"rival": self.rival is not None, "floor": self.floor is not None, "price": self.price == "optimal"}
        return [name for name, given in asked.items() if given]

    def routing_of(self, config: GameConfig) -> Routing:
        """What the provider may commit to in a game."""
        return self.routing or ("free" if self.changes else default_routing(config.game))

    def without_changes(self, config: GameConfig) -> Question:
        """The same without the changes, with the same routing."""
        return Question(self.routing_of(config), self.throttling)

    def check(self) -> None:
        """Raise an error that names options that have no meaning together."""
        for name in self.beside_the_optimum:
            option = "price optimal" if name == "price" else name
            if self.routing == "cascade":
                raise ConfigError(
                    f"{option}: not allowed with routing cascade; expected free, as it needs all commitments"
                )
            if self.rival is not None and name != "rival":
                raise ConfigError(f"{option}: not allowed with rival, against which users get what they must")
        if self.harm is not None and self.false_accept is None:
            raise ConfigError("harm: has no effect without false-accept, the probability that it is done")


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question about a game.

    Attributes:
        question: What was asked.
        config: The game that was asked about.
        equilibrium: Of the changed game: what is committed to, and what comes of it without the outside option.
        provider_cost: What a task costs the provider that was asked about, money.
        offers: The utility that the provider and the rival are willing to give; minus infinity for one that is not.
        lost: Whether the rival serves.
        price: The optimal price of a pass on the model that serves, utility.
    """

    question: Question
    config: GameConfig
    equilibrium: Equilibrium
    provider_cost: float
    offers: tuple[float, float] | None = None
    lost: bool = False
    price: float | None = None

    @property
    def is_optimum(self) -> bool:
        """Whether it is the optimum of a game, of which misalignment and the like can be asked."""
        return not self.question.beside_the_optimum

    @property
    def serving(self) -> GameConfig:
        """The game of the provider that serves."""
        return self.question.rival if self.lost and self.question.rival else self.config

    @property
    def outside(self) -> float:
        """What users get where they leave: to be added to the utilities of the changed game."""
        return self.question.outside_option or 0.0

    @property
    def provider_cost_pessimistic(self) -> float:
        """The cost of the same commitment where users that are indifferent choose against the provider."""
        game, commitment = self.equilibrium.game, self.equilibrium.commitment
        response = best_response(game, commitment, "pessimistic")
        if self.lost or response == self.equilibrium.patience:
            return self.provider_cost
        return float(provider_cost(game, commitment, response))


@dataclass(frozen=True)
class Slowing:
    """What delays would change at an optimum, as `stackroute.analytic.ThrottlingGain` names it.

    Attributes:
        pays: Whether they lower the provider's cost.
        provider_gain: By how much, money.
        user_loss: What users lose by them in the kindest way, utility.
        user_loss_worst: The same in the cruellest.
        churn_penalty_low: They pay only above this churn penalty, money; -infinity where there is no such bound, NaN
            where they never pay, None where it is not known.
        churn_penalty_high: They pay only below this one, likewise.
    """

    pays: bool
    provider_gain: float
    user_loss: float
    user_loss_worst: float
    churn_penalty_low: float | None = None
    churn_penalty_high: float | None = None


def slowing(found: Equilibrium) -> Slowing:
    """What delays would change; the churn penalties are known over all commitments, and for cascades in the orders.

    Over all commitments (beyond the paper) users can be made to leave without delays where a model is not worth a pass;
    where all are, delays pay exactly below C*, the least cost of a solution that users stay for: see
    `stackroute.analytic.solve`.
    """
    game, routing = found.game, found.routing
    if routing == "cascade":
        with contextlib.suppress(InvalidGameError):
            gain = throttling_gain(game)
            return Slowing(bool(gain.pays), *(float(getattr(gain, one.name)) for one in fields(Slowing)[1:]))
    quick, slow = (solve(game, routing, throttling) for throttling in (False, True))
    pays = bool(slow.commitment.delay.any())
    worst = slow.user_utility_worst if pays else slow.user_utility
    kindest, cruellest = (float(quick.user_utility - one) for one in (slow.user_utility, worst))
    saved = max(float(quick.provider_cost - slow.provider_cost), 0.0)
    if routing == "cascade":
        return Slowing(pays, saved, kindest, cruellest)
    if not (game.net_value > 0.0).all():
        return Slowing(pays, saved, kindest, cruellest, math.nan, math.nan)
    lottery = quick.commitment.transition[quick.commitment.first_model]
    high = float(lottery @ game.cost / (lottery @ game.success))
    low, high = (-math.inf, high) if high > 0.0 else (math.nan, math.nan)
    return Slowing(pays, saved, kindest, cruellest, low, high)


class DrivingOff(NamedTuple):
    """When it pays that users leave, for whom staying is worth it.

    Attributes:
        pays: Whether it does now.
        churn_penalty_high: P*: it pays exactly below this churn penalty, money.
        threat: The model to which announced retries make them leave without a delay; None where that needs delays.
    """

    pays: bool
    churn_penalty_high: float
    threat: int | None


def driving_off(found: Equilibrium) -> DrivingOff | None:
    """When it pays to make users leave after the first failure; None where they leave anyway, or it never pays.

    Where all models are worth a pass that needs delays: P* is that of `slowing`. Otherwise a model that is not worth a
    pass is a threat, and to leave after a first answer by k costs c_k + (1 - p_k) P: less than J, the least cost where
    users stay, exactly below P* = max_k (J - c_k) / (1 - p_k) (beyond the paper).
    """
    game, change = found.game, slowing(found)
    if change.churn_penalty_high is not None and math.isfinite(change.churn_penalty_high):
        return DrivingOff(float(game.churn_penalty) < change.churn_penalty_high, change.churn_penalty_high, None)
    slow = game.net_value <= 0.0
    if slow.all() or not slow.any():
        return None
    # Beyond the dearest solution nobody is made to leave.
    dearest = np.maximum(2.0 * game.cost_of_pass.max(), 1.0)
    dear = solve(game.with_valid(churn_penalty=dearest), found.routing)
    # A cascade that starts with its second model stays there.
    left = slow if found.routing == "cascade" and game.models == 2 else np.ones_like(slow)
    left = left | (np.arange(game.models) == 0)
    high = ((dear.provider_cost - game.cost) / (1.0 - game.success))[left].max()
    if not high > 0.0:
        return None
    least = solve(game.with_valid(churn_penalty=high / 2.0), found.routing).commitment
    threat = int(least.transition[least.first_model].argmax())
    return DrivingOff(bool(game.churn_penalty < high), float(high), threat)


def answer(config: GameConfig, question: Question) -> Answer:
    """Answer a question about a game.

    The game is changed by what users cannot verify, then by the price, then by the outside option; what is asked of the
    game that comes of it is its optimum, the optimal price, the optimum under a floor, or competition with the rival.

    Raises:
        ConfigError: The question has no meaning, or none for this game.
        InvalidGameError: A number is not allowed.
    """
    question.check()
    game = _changed(config, question)
    if question.rival is not None:
        return _against_rival(config, question, question.rival, game)
    if question.price == "optimal":
        return _optimally_priced(config, question, game)
    if question.floor is not None:
        return _with_floor(config, question, question.floor, game)
    found = solve(game, question.routing_of(config), question.throttling)
    return Answer(question, config, found, float(found.provider_cost))


def _changed(config: GameConfig, question: Question) -> Game:
    """The game with users that cannot verify, prices and an outside option."""
    game, asked = config.game, question
    if asked.false_accept or asked.false_reject:
        accept, reject = (_number_or_each(numbers or (0.0,)) for numbers in (asked.false_accept, asked.false_reject))
        game = _named(None, lambda: unverified(game, accept, reject, asked.harm or 0.0))
    if asked.price is not None:
        if config.units.latency == "value" and config.units.money != "abstract":
            expected = "expected units.latency in seconds or minutes, so that value and money are in one unit"
            raise ConfigError(f"price: has no unit in {config.name}; {expected}")
        if asked.price != "optimal":
            price = _number_or_each(asked.price)
            game = _named(None, lambda: priced(game, price))
    if asked.outside_option is not None:
        outside = asked.outside_option
        game = _named("outside-option", lambda: with_outside_option(game, outside))
    return game


def _optimally_priced(config: GameConfig, question: Question, game: Game) -> Answer:
    least = 0.0 if question.floor is None else max(question.floor - (question.outside_option or 0.0), 0.0)
    found = priced_equilibrium(game, least)
    # A price below 0, which keeps users whose loss would cost more, is no price that `priced` allows.
    charged = game.with_valid(latency=game.latency + found.price, cost=game.cost - found.price)
    commitment = Commitment.static(int(found.model), models=game.models)
    played = _played(charged, question, commitment, float(found.stays), -float(found.profit), least)
    return Answer(question, config, played, -float(found.profit), price=float(found.price))


def _with_floor(config: GameConfig, question: Question, floor: float, game: Game) -> Answer:
    outside = question.outside_option or 0.0
    curve = frontier(game, question.throttling)
    if floor - outside > curve.greatest_utility:
        most = f"at most {curve.greatest_utility + outside:g}, the greatest utility that the provider can give"
        raise InvalidGameError("floor", f"{floor:g}", most)
    cost = regulate(game, user_utility=floor - outside, throttling=question.throttling)
    commitment = curve.commitment(floor - outside)
    response = float(best_response(game, commitment))
    return Answer(question, config, _played(game, question, commitment, response, cost, curve.utility(cost)), cost)


def _against_rival(config: GameConfig, question: Question, rival: GameConfig, game: Game) -> Answer:
    if rival.units != config.units:
        units = ", ".join(f"{name} {unit}" for name, unit in rival.units)
        raise ConfigError(f"rival: {rival.name} has the units {units}; expected those of {config.name}")
    # The users are the same, whatever the rival's file says.
    other = rival.model_copy(update={"value": config.value, "waiting_cost_per_hour": config.waiting_cost_per_hour})
    games = [game, _changed(other, replace(question, price=None))]
    try:
        found = compete(games, question.throttling)
    except InvalidGameError:
        raise ConfigError(
            f"rival: {rival.name} and {config.name} would both rather lose a task than serve it"
        ) from None
    serves = games[found.provider]
    curve = frontier(serves, question.throttling)
    commitment = curve.commitment(min(found.user_utility, curve.greatest_utility))
    response = float(best_response(serves, commitment))
    played = _played(serves, question, commitment, response, found.provider_cost, found.user_utility)
    lost = found.provider == 1
    cost = float(game.churn_penalty) if lost else found.provider_cost
    offers = (float(found.offers[0]), float(found.offers[1]))
    return Answer(replace(question, rival=other), config, played, cost, offers, lost)


def _played(
    game: Game, question: Question, commitment: Commitment, patience: float, cost: float, utility: float
) -> Equilibrium:
    """A commitment that is not the optimum of the game itself."""
    reached, paid, worth = (np.asarray(number) for number in (patience, cost, utility))
    return Equilibrium(game, "free", question.throttling, "strong", commitment, reached, paid, worth, worth)


def _number_or_each(numbers: tuple[float, ...]) -> float | tuple[float, ...]:
    return numbers[0] if len(numbers) == 1 else numbers


def _named(option: str | None, function: Callable[[], _T]) -> _T:
    """What a function gives, its errors naming the option whose value it does not allow."""
    try:
        return function()
    except InvalidGameError as error:
        raise InvalidGameError(option or error.field.replace("_", "-"), error.value, error.allowed) from None
