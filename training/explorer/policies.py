"""What policies cost and give in the game of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from stackroute.analytic import (
    Commitment,
    best_response,
    misalignment,
    provider_cost,
    success_probability,
    user_utility,
)
from stackroute.configs.games import DisplayUnits
from stackroute.training.cli.quantities import with_units

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from stackroute.analytic import Game
    from stackroute.configs import GameConfig
    from stackroute.training.cli.answers import Answer
    from stackroute.training.cli.quantities import Record


class Policy(NamedTuple):
    """What comes of a commitment and of how users answer it."""

    provider_cost: float
    user_utility: float
    patience: float
    solved: float


def judged(game: Game, commitment: Commitment, patience: float | None = None) -> Policy:
    """A commitment with a patience, or with the best response."""
    answered = best_response(game, commitment) if patience is None else patience
    cost, utility, solved = (
        float(payoff(game, commitment, answered)) for payoff in (provider_cost, user_utility, success_probability)
    )
    return Policy(cost, utility, float(answered), solved)


def policies(answer: Answer, own: Commitment | None, learned: Policy | None) -> dict[str, Policy]:
    """The equilibrium, each model alone, a commitment of one's own and a learned one, by their names."""
    found, labels = answer.equilibrium, answer.config.labels
    game = found.game
    preferred = int(misalignment(game, found.throttling, found.routing).preferred_model)
    listed = {"equilibrium": judged(game, found.commitment, float(found.patience))}
    for k, label in enumerate(labels):
        favourite = " (users' favourite)" if k == preferred else ""
        listed[f"only {label}{favourite}"] = judged(game, Commitment.static(k, models=len(labels)))
    if own is not None:
        listed["your commitment"] = judged(game, own)
    if learned is not None:
        listed["learned"] = learned
    return listed


def learned_policy(folder: Path, config: GameConfig, answer: Answer) -> Policy:
    """The players of a run of `stackroute train` in the game of the page; no code of the run's files is executed.

    Raises:
        RunError: The folder holds none, or they cannot play this game.
        PolicyFileError: A file holds no such player.
    """
    # PyTorch takes seconds.
    from stackroute.training.learn.judging import Contestant, compare
    from stackroute.training.learn.runs import players_of_run

    found, (provider, user) = answer.equilibrium, players_of_run(folder)
    name = str(folder)
    made = compare(config, [Contestant(name, provider, user)], throttling=found.throttling, routing=found.routing)
    outcome = made[name].learned
    return judged(config.game, outcome.commitment, outcome.patience)


def as_table(config: GameConfig, listed: dict[str, Policy]) -> pd.DataFrame:
    """Policies as rows, with units in the names of the columns."""
    unit = DisplayUnits.of(config)
    money, utility = (f" ({name})" if name else "" for name in (unit.money, unit.utility))
    return pd.DataFrame(
        [
            {
                "policy": name,
                f"cost of a task{money}": one.provider_cost,
                f"worth to users{utility}": one.user_utility,
                "users re-prompt (probability)": one.patience,
                "solved (share of tasks)": one.solved,
            }
            for name, one in listed.items()
        ]
    )


def as_json(config: GameConfig, contents: Record, listed: dict[str, Policy]) -> dict[str, Any]:
    """The answer and the policies with the units of their numbers."""
    return with_units(DisplayUnits.of(config), contents | {"policies": {k: one._asdict() for k, one in listed.items()}})
