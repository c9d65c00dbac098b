"""The tasks of a suite: games with names, some with a churn penalty of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackroute.analytic import Game, Stratum, default_routing, strata, stratified_games, throttling_gain
from stackroute.configs import ConfigError, load_game

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs.benchmarks import Games, Suite

HELD_OUT = "held-out"
"""The name of the one task that consists of held-out games."""


@dataclass(frozen=True)
class Task:
    """One task of a suite, with a name of its own.

    Attributes:
        groups: The group of each of its games, for the report.
        game: Shape (n,); n = 1 but for held-out games.
        label: The name of the game.
        penalty_ratio: Its churn penalty as a multiple of P*; None where it is the game's own.
        routing: What the provider may commit to.
    """

    name: str
    groups: tuple[str, ...]
    game: Game
    throttling: bool
    label: str = ""
    penalty_ratio: float | None = None
    routing: Routing = "cascade"


def tasks_of(suite: Suite) -> list[Task]:
    """All tasks of a suite, in order.

    Raises:
        ConfigError: A game or its throttling threshold does not exist, or two tasks would have the same name.
    """
    if suite.held_out is not None:
        game = stratified_games(suite.held_out.count, seed=suite.held_out.seed)
        groups = tuple(Stratum(code).name.lower().replace("_", "-") for code in strata(game))
        return [Task(HELD_OUT, groups, game, suite.held_out.throttling, HELD_OUT)]
    tasks = [task for group in suite.groups or () for task in _of_group(group)]
    name, count = Counter(task.name for task in tasks).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"groups: {count} tasks are called {name!r}; expected different games and ratios")
    return tasks


def _of_group(group: Games) -> Iterator[Task]:
    for label, game in _named_games(group):
        name, routing = f"{group.name}-{label}", group.routing or default_routing(game)
        if group.penalty_ratios is None:
            yield Task(name, (group.name,), game.reshape(1), group.throttling, label, routing=routing)
            continue
        threshold = _throttling_threshold(game, routing)
        if not threshold > 0:
            raise ConfigError(f"penalty_ratios: throttling never pays in {label}; expected games in which it can")
        for ratio in group.penalty_ratios:
            changed = Game(game.success, game.cost, game.latency, game.value, [ratio * threshold])
            yield Task(f"{name}-{ratio:g}", (group.name,), changed, group.throttling, label, ratio, routing)


def _throttling_threshold(game: Game, routing: Routing) -> float:
    """P*, the churn penalty below which throttling pays; NaN where it never does."""
    if routing == "cascade":
        return float(throttling_gain(game).churn_penalty_high)
    # With free routing users who find one model not worth it can be made to leave without delays.
    return float(game.cost_of_pass.min()) if (game.net_value > 0).all() else float("nan")


def _named_games(group: Games) -> Iterator[tuple[str, Game]]:
    for name in group.games or ():
        config = load_game(name)
        models = config.game.models
        if models > 2 and group.routing == "cascade":
            raise ConfigError(f"games: {name} has {models} models; expected one or two, for routing: cascade")
        yield config.name, config.game
    if group.random_games is not None:
        asked = group.random_games
        games = stratified_games(asked.count, asked.seed, strata=[Stratum[asked.stratum.upper()]])
        for k in range(asked.count):
            yield f"random{k}", games[k]
