"""The equilibrium in words, for whoever runs the service."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stackroute.analytic import misalignment, solve, throttling_gain
from stackroute.training.display import delay, money, utility

if TYPE_CHECKING:
    from stackroute.analytic import Equilibrium
    from stackroute.configs import GameConfig


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
        _route(config, equilibrium),
        _users(config, equilibrium),
        _preference(config, throttling),
        _slowing(config),
    ]


def _route(config: GameConfig, equilibrium: Equilibrium) -> str:
    standard, reasoning = config.labels
    commitment = equilibrium.commitment
    cascade = float(commitment.cascade)
    if commitment.model == 2:
        text = f"Serve {reasoning} to every prompt."
    elif cascade == 0:
        text = f"Serve {standard} to every prompt, and never move a task to {reasoning}."
    elif cascade == 1:
        text = f"Start with {standard} and announce that every re-prompt goes to {reasoning}."
    else:
        text = f"Cascade: start with {standard} and move each re-prompt to {reasoning} with probability {cascade:.4g}."
    slowed = [
        f"{label} by {delay(config, amount)}"
        for label, amount in zip(config.labels, commitment.delay.tolist(), strict=True)
        if amount > 0
    ]
    if slowed:
        text += f" Slow down {' and '.join(slowed)}."
    return f"{text} A task then costs you {money(config, float(equilibrium.provider_cost))} in the mean."


def _users(config: GameConfig, equilibrium: Equilibrium) -> str:
    patience, worth = float(equilibrium.patience), utility(config, float(equilibrium.user_utility))
    if patience == 1:
        does = "re-prompt until the task is solved"
    elif patience == 0:
        does = "give up after the first failed answer"
    else:
        does = f"re-prompt after {patience:.0%} of the failed answers"
    return f"Users will {does}; a task is worth {worth} to them."


def _preference(config: GameConfig, throttling: bool) -> str:
    misaligned = misalignment(config.game, throttling=throttling)
    gap = float(misaligned.gap)
    if gap <= 1e-9 * float(config.game.value):
        return "Users would choose the same."
    preferred = config.labels[int(misaligned.preferred_model) - 1]
    return (
        f"Users would rather be served by {preferred} at full speed: worth {utility(config, gap)} a task more to them."
    )


def _slowing(config: GameConfig) -> str:
    gain = throttling_gain(config.game)
    low, high = float(gain.churn_penalty_low), float(gain.churn_penalty_high)
    if math.isnan(high):
        return "Slowing down would pay at no churn penalty."
    below = f"below a churn penalty of {money(config, high)}"
    when = below if low == -math.inf else f"{below} and above {money(config, low)}"
    now = f"(now {money(config, config.churn_penalty)})"
    if not gain.pays:
        return f"Slowing down would not pay {now}; it pays {when}."
    saved, lost = money(config, float(gain.provider_gain)), float(gain.user_loss)
    users = "would lose" if lost >= 0 else "would gain"
    return (
        f"Slowing down pays {when} {now}: it saves you {saved} a task, and users {users} at least "
        f"{utility(config, abs(lost))} if you choose the kindest way."
    )


def as_json(config: GameConfig, throttling: bool) -> dict[str, Any]:
    """Misalignment and throttling as JSON; an absent bound is null.

    Args:
        config: The game.
        throttling: Whether delays are allowed at the equilibrium.
    """
    misaligned, gain = misalignment(config.game, throttling=throttling), throttling_gain(config.game)
    bounds = {
        name: value if math.isfinite(value) else None
        for name, value in (
            ("churn_penalty_low", float(gain.churn_penalty_low)),
            ("churn_penalty_high", float(gain.churn_penalty_high)),
        )
    }
    return {
        "misalignment": {"preferred_model": int(misaligned.preferred_model), "gap": float(misaligned.gap)},
        "throttling_gain": {
            "pays": bool(gain.pays),
            "provider_gain": float(gain.provider_gain),
            "user_loss": float(gain.user_loss),
            "user_loss_worst": float(gain.user_loss_worst),
            **bounds,
            "model": int(gain.model),
            "delay": gain.delay.tolist(),
            "threat": bool(gain.threat),
        },
    }
