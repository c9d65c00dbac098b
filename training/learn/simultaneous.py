"""Both players learn at the same time: what happens without the order that a commitment needs.

Two baselines. A user that sees the commitment can still learn to answer it, but the provider meets a user that has not
yet; a user that does not see it answers what the provider does on average, and then there is no Stackelberg
equilibrium to find: a commitment that is not seen moves nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import LearnedProvider, LearnedUser
from stackroute.analytic import solve
from stackroute.training.learn.evaluation import evaluate, provider_regret, user_regret
from stackroute.training.learn.follower_first import provider_environment, user_environment
from stackroute.training.learn.learning import Learner, learn_in_rounds, no_random_numbers, one_thread
from stackroute.training.learn.result import Stage, TrainedPair
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import Session, derived_seed

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import SimultaneousSettings

STAGE = "both players"
USER_CURVE, PROVIDER_CURVE = "user", "provider"

_SAMPLED_TASKS = 100_000


class _Exploring:
    """A player as it learns: its actions are sampled from its policy, as its own learner samples them."""

    def __init__(self) -> None:
        self.learner: Learner | None = None

    @property
    def _policy(self) -> BasePolicy:
        assert self.learner is not None, "the learners are tied to each other before they learn"
        return self.learner.policy


class _LearningProvider(_Exploring):
    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        return LearnedProvider(self._policy, explores=True).commit(game, random_numbers)


class _LearningUser(_Exploring):
    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        return LearnedUser(self._policy, explores=True).patience(game, commitment, random_numbers)


def train(
    game: Game, settings: SimultaneousSettings, *, throttling: bool, seed: int = 0, session: Session | None = None
) -> TrainedPair:
    """Train both in turns of a round each; see `stackroute.training.learn.schemes.train`."""
    best_cost = solve(game, throttling=throttling).provider_cost
    play = SampledGame(game, derived_seed(seed, "evaluation"))
    exploring_user, exploring_provider = _LearningUser(), _LearningProvider()

    def outcome() -> tuple[Commitment, FloatArray]:
        commitment = LearnedProvider(provider.policy).commit(game, no_random_numbers())
        return commitment, LearnedUser(user.policy).patience(game, commitment, np.zeros(()))

    def measure() -> dict[str, tuple[float, float]]:
        commitment, patience = outcome()
        one, answer = commitment.reshape(1), np.reshape(patience, (1,))
        cost = float(play.cost(one, answer, _SAMPLED_TASKS).mean())
        gain = float(play.gain(one, answer[:, None], _SAMPLED_TASKS).mean())
        return {
            USER_CURVE: (float(user_regret(game, commitment, patience)), gain / play.value),
            PROVIDER_CURVE: (float(provider_regret(game, commitment, best_cost)), -float(np.log(cost))),
        }

    with one_thread():
        provider_venv = provider_environment(
            game, exploring_user, settings.provider, features=settings.features, throttling=throttling
        )
        user_venv = user_environment(
            game,
            exploring_provider,
            settings.user,
            features=settings.features,
            blind=settings.scheme == "simultaneous_blind",
            lookahead=1,
        )
        provider = Learner(provider_venv, settings.provider, seed=derived_seed(seed, PROVIDER_CURVE))
        user = Learner(user_venv, settings.user, seed=derived_seed(seed, USER_CURVE))
        exploring_provider.learner, exploring_user.learner = provider, user
        curves = learn_in_rounds(
            STAGE,
            {USER_CURVE: user, PROVIDER_CURVE: provider},
            session or Session(),
            measure=measure,
            rounds=settings.provider.rounds,
            plateau=settings.provider.plateau,
        )
        evaluation = evaluate(game, *outcome(), throttling=throttling)
    learned_provider = LearnedProvider(provider.policy)
    return TrainedPair(
        user=LearnedUser(user.policy),
        provider=learned_provider,
        network=learned_provider,
        stages=(Stage(STAGE, evaluation),),
        curves=curves,
        certified=None,
    )
