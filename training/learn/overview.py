"""The overview: a value-based learner compares commitments all over, and play shows which of them are worth following.

A learner that explores widely keeps away from a threshold beyond which the user leaves, and one that explores narrowly
must be near it already. Comparing a list of commitments has neither weakness. Rewards are sampled play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stackroute.analytic import Commitment
from stackroute.envs import ProviderActions, ProviderVectorEnv, observe
from stackroute.envs.actions import to_symmetric
from stackroute.envs.sb3 import VecEnv
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.learning import Learner, learn_alone
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.views import LearnerView, log_cost

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.learners import DQNSettings
    from stackroute.configs.training import OverviewSettings
    from stackroute.envs.policies import UserPolicy
    from stackroute.training.learn.learning import Training
    from stackroute.training.learn.session import Curve

OVERVIEW_STAGE = "overview"

_STAYS = 0.5
_PLAYED_TASKS = 100_000


def find_contenders(
    training: Training, user: UserPolicy, choice: Commitment, settings: OverviewSettings
) -> tuple[list[Commitment], Curve]:
    """The best commitment of each kind: from each start model, one with which the user stays and one without.

    Those that the learner has found to be good are played, in that order, as the user may have learned wrongly how to
    answer some of them.

    Args:
        training: The game and all else that is given.
        user: The user that has learned to answer any commitment.
        choice: What the provider has learned so far, shape ().
        settings: Which commitments are compared, and how.

    Returns:
        Those that are worth following, the cheapest in play first, and the curve of the learner.
    """
    listed = _listed(training, choice, settings.cascades)
    play = SampledGame(training.game, derived_seed(training.seed, "comparison"))
    worth, curve = _learned_worth(training, user, Commitment.stack(listed), settings.provider, play)
    best: dict[tuple[int, bool], tuple[float, Commitment]] = {}
    cheapest = np.inf
    for number in np.argsort(-worth):
        if np.exp(-worth[number]) > cheapest * (1 + settings.contenders):
            break
        one = listed[number].reshape(1)
        answer = play.answer(one, _PLAYED_TASKS)
        cost = float(play.cost(one, answer, _PLAYED_TASKS).mean())
        kind = (int(one.first_model[0]), bool(answer[0] > _STAYS))
        if kind not in best or cost < best[kind][0]:
            best[kind] = cost, listed[number]
        cheapest = min(cheapest, cost)
    in_order = sorted(best.values(), key=lambda one: one[0])
    return [commitment for cost, commitment in in_order if cost <= cheapest * (1 + settings.contenders)], curve


def _listed(training: Training, choice: Commitment, cascades: int) -> list[Commitment]:
    """The choice; then from both models, with equally spaced cascade probabilities, and its, no or full delays."""
    none, full = np.zeros(2), np.full(2, float(training.game.value))
    delays = [choice.delay, none, full] if training.throttling else [none]
    distinct = [delay for k, delay in enumerate(delays) if not any((delay == one).all() for one in delays[:k])]
    listed = [choice]
    for delay in distinct:
        listed += [Commitment.cascade(0, cascade, delay) for cascade in np.linspace(0, 1, cascades)]
        listed.append(Commitment.static(1, delay))
    return listed


def _learned_worth(
    training: Training, user: UserPolicy, commitments: Commitment, settings: DQNSettings, play: SampledGame
) -> tuple[FloatArray, Curve]:
    """What each commitment is worth to the provider, as the learner has found: minus the logarithm of its cost."""
    game, throttling = training.game, training.throttling
    env = ProviderVectorEnv(
        settings.batch_size, game, user, tasks_per_commitment=settings.tasks_per_commitment, throttling=throttling
    )
    actions = to_symmetric(ProviderActions(throttling=throttling).action(game, commitments))
    environment = LearnerView(VecEnv(env), reward=log_cost, listed=actions)
    learner = Learner(environment, settings, seed=derived_seed(training.seed, OVERVIEW_STAGE))
    regret = provider_regret(game, commitments, training.best_cost)
    cost = play.cost(commitments, user.patience(game, commitments, np.zeros(commitments.shape)), _PLAYED_TASKS)
    reward = -np.log(cost.mean(axis=1))
    seen = torch.as_tensor(observe(game, blocks=["game"])[None])

    def worth() -> FloatArray:
        with torch.no_grad():
            values = learner.policy.q_net(seen)  # type: ignore[operator]
        found: FloatArray = values.numpy()[0].astype(np.float64)
        return found

    def measure() -> tuple[float, float]:
        best = worth().argmax()
        return float(regret[best]), float(reward[best])

    curve = learn_alone(OVERVIEW_STAGE, learner, training.session, measure)
    return worth(), curve
