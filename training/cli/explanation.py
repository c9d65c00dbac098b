"""The equilibrium in words, for whoever runs the service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stackroute.analytic import Regime, misalignment, solve, throttling_gain
from stackroute.training.cli.units import money, percent, time, utility
from stackroute.training.market.market import has_gap
from stackroute.training.market.route import Route, route

if TYPE_CHECKING:
    from stackroute.analytic import Equilibrium
    from stackroute.configs import GameConfig

_EXACT = 1e-12


def explain(config: GameConfig, throttling: bool) -> list[str]:
    """What theory recommends and predicts, one sentence or two for each question.

    Args:
        config: The game.
        throttling: Whether delays are allowed.

    Returns:
        Which model to serve and whether to cascade, what users will do, whether they would prefer otherwise, and
        whether slowing down would pay.
    """
    equilibrium = solve(config.game, throttling=throttling)
    return [
        _serving(config, equilibrium),
        _users(config, equilibrium),
        _preference(config, equilibrium),
        _slowing(config),
    ]


def _serving(config: GameConfig, equilibrium: Equilibrium) -> str:
    standard, reasoning = config.labels
    commitment, taken = equilibrium.commitment, route(equilibrium)
    if taken == Route.CASCADE:
        cascade, at_least = float(commitment.cascade), equilibrium.regime == Regime.ONLY_REASONING_WORTH
        text = (
            f"Cascade: start with {standard} and move each re-prompt to {reasoning} with probability "
            f"{_rounded(cascade, up=at_least)}, {'or' if at_least else 'and not'} a little more: "
            f"{'below' if at_least else 'above'} {cascade:.8g} users begin to leave."
        )
    elif taken == Route.LEAVE_BY_THREAT:
        text = f"Start with {standard} and announce that every re-prompt goes to {reasoning}."
    elif commitment.model == 1:
        text = f"Serve {standard} to every prompt, and never move a task to {reasoning}."
    else:
        text = f"Serve {reasoning} to every prompt."
    slowed = [
        f"{label} by {time(config, amount, lambda number: _rounded(number, up=True))}"
        for label, amount in zip(config.labels, commitment.delay.tolist(), strict=True)
        if amount > 0
    ]
    if slowed:
        text += f" Slow down {' and '.join(slowed)}, or a little more: with less, users stay."
    return f"{text} A task then costs you {money(config, float(equilibrium.provider_cost))} on average."


def _rounded(number: float, *, up: bool) -> str:
    """Four significant digits, rounded to the side on which users do what is wanted.

    At the number itself they are indifferent, so one that needs no rounding is moved by a unit of the last digit.
    """
    places = 3 - math.floor(math.log10(number))
    shifted = number * 10.0**places
    moved = math.floor(shifted * (1 + _EXACT)) + 1 if up else math.ceil(shifted * (1 - _EXACT)) - 1
    return f"{moved / 10.0**places:.{max(places, 0)}f}"


def _users(config: GameConfig, equilibrium: Equilibrium) -> str:
    patience, worth = float(equilibrium.patience), float(equilibrium.user_utility)
    if patience == 1:
        does = "re-prompt until the task is solved"
    elif patience == 0:
        does = "give up after the first failed answer"
    else:
        does = f"re-prompt after {percent(patience, 0)} of the failed answers"
    value = f"a net loss of {utility(config, -worth)}" if worth < 0 else f"worth {utility(config, worth)}"
    return f"Users will {does}; a task is {value} to them."


def _preference(config: GameConfig, equilibrium: Equilibrium) -> str:
    misaligned = misalignment(config.game, throttling=equilibrium.throttling)
    if not has_gap(config.game, misaligned):
        return "Users would choose the same."
    preferred = int(misaligned.preferred_model) - 1
    speed = ", at full speed" if equilibrium.commitment.delay[preferred] > 0 else ""
    return (
        f"Users would rather be served by {config.labels[preferred]} at every prompt{speed}: worth "
        f"{utility(config, float(misaligned.gap))} a task more to them."
    )


def _slowing(config: GameConfig) -> str:
    gain = throttling_gain(config.game)
    low, high = float(gain.churn_penalty_low), float(gain.churn_penalty_high)
    if math.isnan(high):
        return "Slowing down would never pay, whatever the churn penalty."
    below = f"below a churn penalty of {money(config, high)}"
    when = below if low == -math.inf else f"{below} and above {money(config, low)}"
    now = f"(now {money(config, config.churn_penalty)})"
    if not gain.pays:
        return f"Slowing down would not pay {now}; it pays {when}."
    saved, lost = money(config, float(gain.provider_gain)), float(gain.user_loss)
    worst = utility(config, float(gain.user_loss_worst))
    users = "lose" if lost >= 0 else "gain"
    return (
        f"Slowing down pays {when} {now}: it saves you {saved} a task. In the kindest way users {users} "
        f"{utility(config, abs(lost))} by it; in the cruellest, which costs you the same, they lose {worst}."
    )


def as_json(config: GameConfig, throttling: bool) -> dict[str, Any]:
    """Misalignment and throttling as JSON; an absent bound is null.

    Args:
        config: The game.
        throttling: Whether delays are allowed at the equilibrium.
    """
    misaligned, gain = misalignment(config.game, throttling=throttling), throttling_gain(config.game)
    numbers = ("provider_gain", "user_loss", "user_loss_worst", "churn_penalty_low", "churn_penalty_high")
    found = {name: float(getattr(gain, name)) for name in numbers}
    return {
        "misalignment": {"preferred_model": int(misaligned.preferred_model), "gap": float(misaligned.gap)},
        "throttling_gain": {
            "pays": bool(gain.pays),
            **{name: number if math.isfinite(number) else None for name, number in found.items()},
            "possible": math.isfinite(found["churn_penalty_high"]),
            "model": int(gain.least.model),
            "cascade": float(gain.least.cascade),
            "delay": gain.least.delay.tolist(),
            "threat": bool(gain.threat),
        },
    }
