"""How numbers are written: in the units of their game, and as percentages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.configs import GameConfig

_TIME = {"seconds": "s", "minutes": "min"}


def money(config: GameConfig, amount: float) -> str:
    """An amount of the game's money, with its unit."""
    unit = "" if config.units.money == "abstract" else config.units.money
    return f"{amount:.4g} {unit}".strip()


def utility(config: GameConfig, amount: float) -> str:
    """An amount of the user's utility: money where waiting is priced in money."""
    return f"{amount:.4g}" if config.waiting_cost_per_hour is None else money(config, amount)


def time(config: GameConfig, amount: float, rounded: Callable[[float], str] = "{:.4g}".format) -> str:
    """A delay or latency given as utility, in the game's unit of latency.

    Args:
        config: The game.
        amount: The time, utility.
        rounded: Writes the number.
    """
    return f"{rounded(amount / config.utility_per_latency)} {_TIME.get(config.units.latency, '')}".strip()


def percent(share: float, digits: int = 3) -> str:
    """A share or a relative regret as a percentage."""
    return f"{share:.{digits}%}"
