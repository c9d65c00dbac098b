"""The equilibrium in words, for whoever runs the service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import (
    InvalidGameError,
    Regime,
    Route,
    compare_routing,
    misalignment,
    solve,
    throttling_gain,
)
from stackroute.training.cli.display import money, percent, time, utility
from stackroute.training.market.market import has_gap

if TYPE_CHECKING:
    from stackroute.analytic import Equilibrium, ThrottlingGain
    from stackroute.configs import GameConfig

_EXACT = 1e-12


def explain(config: GameConfig, throttling: bool) -> list[str]:
    """What theory recommends and predicts, one sentence or two for each question.

    Which model to serve and whether to cascade, what users will do, whether they would prefer otherwise, and whether
    slowing down would pay.
    """
    best = solve(config.game, throttling=throttling)
    return [_serving(config, best), _users(config, best), _preference(config, best), _slowing(config)]


def _serving(config: GameConfig, equilibrium: Equilibrium) -> str:
    commitment, route, labels = equilibrium.commitment, equilibrium.route, config.labels
    first, last = labels[int(commitment.first_model)], labels[-1]
    if route == Route.CASCADE:
        cascade, at_least = commitment.cascade_probability.item(), equilibrium.regime == Regime.ONLY_REASONING_WORTH
        text = (
            f"Cascade: start with {first} and move each re-prompt to {last} with probability "
            f"{_rounded(cascade, up=at_least)}, {'or' if at_least else 'and not'} a little more: "
            f"{'below' if at_least else 'above'} {cascade:.8g} users begin to leave."
        )
    elif route == Route.LEAVE_BY_THREAT:
        text = f"Start with {first} and announce that every re-prompt goes to {last}."
    else:
        text = f"Serve {first} to every prompt" + ("." if first == last else f", and never move a task to {last}.")
    text += _slowed(config, equilibrium)
    return f"{text} A task then costs you {money(config, float(equilibrium.provider_cost))} on average."


def _slowed(config: GameConfig, equilibrium: Equilibrium) -> str:
    slowed = [
        f"{label} by {time(config, amount, lambda number: _rounded(number, up=True))}"
        for label, amount in zip(config.labels, equilibrium.commitment.delay.tolist(), strict=True)
        if amount > 0
    ]
    return f" Slow down {' and '.join(slowed)}, or a little more: with less, users stay." if slowed else ""


def explain_free(config: GameConfig, equilibrium: Equilibrium) -> list[str]:
    """What theory recommends and predicts where the provider may commit to anything, one sentence or two each."""
    first, retries = config.labels[int(equilibrium.commitment.first_model)], _retries(config, equilibrium)
    text = f"First answer by {first}"
    served = ", ".join(f"{share:.4g} % {label}" for label, share in retries.items())
    if equilibrium.patience == 1:
        exactly = ", just enough that users stay" if len(retries) > 1 else ""
        text += f"; retries: {served}{exactly}."
    elif equilibrium.route == Route.STATIC:
        text += "; users leave of themselves when it fails."
    else:
        threat = next(iter(retries))
        text += f"; announce that every retry goes to {threat}, so that users leave when it fails."
    text += _slowed(config, equilibrium)
    cost = f"A task then costs you {money(config, float(equilibrium.provider_cost))} on average."
    sentences = [f"{text} {cost}", _users(config, equilibrium), _preference(config, equilibrium)]
    try:
        saving = float(compare_routing(config.game, equilibrium.throttling).provider_saving)
    except InvalidGameError:
        return sentences
    than = "as little as" if saving <= _EXACT else f"{percent(saving, 1)} less than"
    return [*sentences, f"This costs {than} the best cascade of the paper."]


def _retries(config: GameConfig, equilibrium: Equilibrium) -> dict[str, float]:
    """Which models serve re-prompts, in per cent, the most frequent first."""
    lottery = equilibrium.commitment.transition[0]
    return {config.labels[k]: 100.0 * float(lottery[k]) for k in np.argsort(-lottery, stable=True) if lottery[k] > 0}


def free_rows(config: GameConfig, equilibrium: Equilibrium) -> list[tuple[str, str]]:
    """An optimum over all commitments as rows of (quantity, text), in the game's units."""
    commitment = equilibrium.commitment
    return [
        ("first model", config.labels[int(commitment.first_model)]),
        ("retries", ", ".join(f"{share:.2f} % {label}" for label, share in _retries(config, equilibrium).items())),
        *(
            (f"delay of {label}", time(config, amount))
            for label, amount in zip(config.labels, commitment.delay.tolist(), strict=True)
            if amount > 0
        ),
        ("user's patience", f"{float(equilibrium.patience):.3f}"),
        ("provider's cost of a task", money(config, float(equilibrium.provider_cost))),
        ("user's utility of a task", utility(config, float(equilibrium.user_utility))),
        ("models that can serve retries", ", ".join(np.array(config.labels)[equilibrium.hull])),
    ]


def free_as_json(config: GameConfig, equilibrium: Equilibrium) -> dict[str, Any]:
    """An optimum over all commitments as JSON; the shares of retries add up to 1."""
    commitment, labels = equilibrium.commitment, config.labels
    return {
        "first": labels[int(commitment.first_model)],
        "retries": {label: share / 100.0 for label, share in _retries(config, equilibrium).items()},
        "delay": dict(zip(labels, commitment.delay.tolist(), strict=True)),
        "route": Route(int(equilibrium.route)).name.lower(),
        "patience": float(equilibrium.patience),
        "provider_cost": float(equilibrium.provider_cost),
        "user_utility": float(equilibrium.user_utility),
        "user_utility_worst": float(equilibrium.user_utility_worst),
        "hull": [label for label, on_hull in zip(labels, equilibrium.hull.tolist(), strict=True) if on_hull],
        "misalignment": float(misalignment(config.game, equilibrium.throttling, "free").gap),
    }


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
    misaligned = misalignment(config.game, equilibrium.throttling, equilibrium.routing)
    if not has_gap(config.game, misaligned):
        return "Users would choose the same."
    preferred = int(misaligned.preferred_model)
    speed = ", at full speed" if equilibrium.commitment.delay[preferred] > 0 else ""
    return (
        f"Users would rather be served by {config.labels[preferred]} at every prompt{speed}: worth "
        f"{utility(config, float(misaligned.gap))} a task more to them."
    )


def _slowing(config: GameConfig) -> str:
    now = f"(now {money(config, config.churn_penalty)})"
    gain = _throttling(config)
    if gain is None:
        slow = solve(config.game, throttling=True)
        if not slow.commitment.delay.any():
            return f"Slowing down would not pay {now}."
        saved = money(config, float(solve(config.game).provider_cost - slow.provider_cost))
        return f"Slowing down pays {now}: it saves you {saved} a task."
    low, high = float(gain.churn_penalty_low), float(gain.churn_penalty_high)
    if math.isnan(high):
        return "Slowing down would never pay, whatever the churn penalty."
    below = f"below a churn penalty of {money(config, high)}"
    when = below if low == -math.inf else f"{below} and above {money(config, low)}"
    if not gain.pays:
        return f"Slowing down would not pay {now}; it pays {when}."
    saved, lost = money(config, float(gain.provider_gain)), float(gain.user_loss)
    worst = utility(config, float(gain.user_loss_worst))
    users = "lose" if lost >= 0 else "gain"
    return (
        f"Slowing down pays {when} {now}: it saves you {saved} a task. In the kindest way users {users} "
        f"{utility(config, abs(lost))} by it; in the cruellest, which costs you the same, they lose {worst}."
    )


def _throttling(config: GameConfig) -> ThrottlingGain | None:
    """When throttling pays; None where the game is not in the paper's orders, and only the solver can say."""
    try:
        return throttling_gain(config.game)
    except InvalidGameError:
        return None


def as_json(config: GameConfig, throttling: bool) -> dict[str, Any]:
    """Misalignment and throttling as JSON; an absent bound is null, and so is throttling without the paper's orders."""
    misaligned, gain = misalignment(config.game, throttling=throttling), _throttling(config)
    found = {"misalignment": {"preferred_model": int(misaligned.preferred_model), "gap": float(misaligned.gap)}}
    if gain is None:
        return found | {"throttling_gain": None}
    names = ("provider_gain", "user_loss", "user_loss_worst", "churn_penalty_low", "churn_penalty_high")
    numbers = {name: float(getattr(gain, name)) for name in names}
    return found | {
        "throttling_gain": {
            "pays": bool(gain.pays),
            **{name: number if math.isfinite(number) else None for name, number in numbers.items()},
            "possible": math.isfinite(numbers["churn_penalty_high"]),
            "first_model": int(gain.least.first_model),
            "cascade": gain.least.cascade_probability.item(),
            "delay": gain.least.delay.tolist(),
            "threat": bool(gain.threat),
        },
    }
