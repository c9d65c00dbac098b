"""The overview: a value-based learner compares commitments all over, and play shows which of them are worth following.

A learner that explores widely keeps away from a threshold beyond which the user leaves, and one that explores narrowly
must be near it already. Comparing a list of commitments has neither weakness. Rewards are sampled play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from stackroute.analytic import Commitment, solve
from stackroute.envs import ProviderActions, ProviderVectorEnv, observe
from stackroute.envs.sb3 import VecEnv
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.learning import Learner, learn_in_rounds
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.views import ListedCommitments, RewardView, log_cost

if TYPE_CHECKING:
    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import OverviewSettings
    from stackroute.envs.policies import UserPolicy
    from stackroute.training.learn.session import Curve, Session

OVERVIEW_STAGE = "overview"

_STAYS = 0.5
_PLAYED_TASKS = 100_000


@dataclass(frozen=True)
class Contender:
    """A commitment that is worth following.

    Attributes:
        commitment: Shape ().
        cost: The provider's sampled cost of a task, with the user's best answer in play.
    """

    commitment: Commitment
    cost: float


def find_contenders(
    game: Game,
    user: UserPolicy,
    choice: Commitment,
    settings: OverviewSettings,
    session: Session,
    *,
    throttling: bool,
    seed: int,
) -> tuple[list[Contender], Curve]:
    """The best commitment of each kind: from each start model, one with which the user stays and one without.

    Those that the learner has found to be good are played, in that order, as the user may have learned wrongly how to
    answer some of them.

    Args:
        game: A single game.
        user: The user that has learned to answer any commitment.
        choice: What the provider has learned so far, shape ().
        settings: Which commitments are compared, and how.
        session: Keeps the outcome.
        throttling: Whether the provider can delay.
        seed: Fixes everything.

    Returns:
        The cheapest first, and the curve of the learner.

    Raises:
        OutputError: The stage's file cannot be written.
    """
    listed = _listed(game, choice, settings.cascades, throttling)
    play = SampledGame(game, derived_seed(seed, "comparison"))
    together = Commitment.stack(listed)
    worth, curve = _learned_worth(game, user, together, settings, play, session, throttling=throttling, seed=seed)
    best: dict[tuple[int, bool], Contender] = {}
    cheapest = np.inf
    for number in np.argsort(-worth):
        if np.exp(-worth[number]) > cheapest * (1 + settings.contenders):
            break
        one = listed[number].reshape(1)
        answer = play.answer(one, _PLAYED_TASKS)
        cost = float(play.cost(one, answer, _PLAYED_TASKS).mean())
        kind = (int(one.first_model[0]), bool(answer[0] > _STAYS))
        if kind not in best or cost < best[kind].cost:
            best[kind] = Contender(listed[number], cost)
        cheapest = min(cheapest, cost)
    followed = [one for one in best.values() if one.cost <= cheapest * (1 + settings.contenders)]
    return sorted(followed, key=lambda one: one.cost), curve


def _listed(game: Game, choice: Commitment, cascades: int, throttling: bool) -> list[Commitment]:
    """The choice; then from both models, with equally spaced cascade probabilities, and its, no or full delays."""
    none, full = np.zeros(2), np.full(2, float(game.value))
    delays = [choice.delay, none, full] if throttling else [none]
    distinct = [delay for k, delay in enumerate(delays) if not any((delay == one).all() for one in delays[:k])]
    listed = [choice]
    for delay in distinct:
        listed += [Commitment.cascade(0, cascade, delay) for cascade in np.linspace(0, 1, cascades)]
        listed.append(Commitment.static(1, delay))
    return listed


def _learned_worth(
    game: Game,
    user: UserPolicy,
    commitments: Commitment,
    settings: OverviewSettings,
    play: SampledGame,
    session: Session,
    *,
    throttling: bool,
    seed: int,
) -> tuple[FloatArray, Curve]:
    """What each commitment is worth to the provider, as the learner has found: minus the logarithm of its cost."""
    learns = settings.provider
    env = ProviderVectorEnv(
        learns.batch_size, game, user, tasks_per_commitment=learns.tasks_per_commitment, throttling=throttling
    )
    actions = ProviderActions(throttling=throttling)
    environment = ListedCommitments(RewardView(VecEnv(env), log_cost), game, commitments, actions)
    learner = Learner(environment, learns, seed=derived_seed(seed, OVERVIEW_STAGE))
    best_cost = solve(game, throttling=throttling).provider_cost
    regret = provider_regret(game, commitments, best_cost)
    cost = play.cost(commitments, user.patience(game, commitments, np.zeros(commitments.shape)), _PLAYED_TASKS)
    reward = -np.log(cost.mean(axis=1))
    seen = torch.as_tensor(observe(game, blocks=["game"])[None])

    def worth() -> FloatArray:
        with torch.no_grad():
            values = learner.policy.q_net(seen)  # type: ignore[operator]
        found: FloatArray = values.numpy()[0].astype(np.float64)
        return found

    def measure() -> dict[str, tuple[float, float]]:
        best = worth().argmax()
        return {OVERVIEW_STAGE: (float(regret[best]), float(reward[best]))}

    curves = learn_in_rounds(
        OVERVIEW_STAGE,
        {OVERVIEW_STAGE: learner},
        session,
        measure=measure,
        rounds=learns.rounds,
        plateau=learns.plateau,
    )
    return worth(), curves[OVERVIEW_STAGE]
