"""Both players learn at the same time: what happens without the order that a commitment needs.

Two baselines. A user that sees the commitment can still learn to answer it, but the provider meets a user that has not
yet; a user that does not see it answers what the provider does on average, and then there is no Stackelberg
equilibrium to find: a commitment that is not seen moves nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import LearnedProvider, LearnedUser
from stackroute.training.learn.evaluation import user_regret
from stackroute.training.learn.follower_first import provider_environment, user_environment
from stackroute.training.learn.learning import Learner, learn_in_rounds, no_random_numbers
from stackroute.training.learn.result import TrainedPair
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import SimultaneousSettings
    from stackroute.training.learn.learning import Training

STAGE = "both players"
USER_CURVE, PROVIDER_CURVE = "user", "provider"

_SAMPLED_TASKS = 100_000


class _LearningProvider:
    """The provider as it learns; its actions are sampled as its own learner samples them."""

    player: LearnedProvider

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        return self.player.commit(game, random_numbers)


class _LearningUser:
    """The user as it learns; likewise."""

    player: LearnedUser

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        return self.player.patience(game, commitment, random_numbers)


def train(training: Training, settings: SimultaneousSettings) -> TrainedPair:
    """Train both in turns of a round each; see `stackroute.training.learn.schemes.train`."""
    game, seed = training.game, training.seed
    play = SampledGame(game, derived_seed(seed, "evaluation"))
    exploring_user, exploring_provider = _LearningUser(), _LearningProvider()
    provider_venv = provider_environment(training, exploring_user, settings.provider)
    blind = settings.scheme == "simultaneous_blind"
    user_venv = user_environment(training, exploring_provider, settings.user, blind=blind, lookahead=1)
    provider = Learner(provider_venv, settings.provider, seed=derived_seed(seed, PROVIDER_CURVE))
    user = Learner(user_venv, settings.user, seed=derived_seed(seed, USER_CURVE))
    exploring_provider.player = LearnedProvider(provider.policy, explores=True)
    exploring_user.player = LearnedUser(user.policy, explores=True)

    def outcome() -> tuple[Commitment, FloatArray]:
        commitment = LearnedProvider(provider.policy).commit(game, no_random_numbers(game))
        return commitment, LearnedUser(user.policy).patience(game, commitment, np.zeros(()))

    def measure() -> dict[str, tuple[float, float]]:
        commitment, patience = outcome()
        gain = float(play.gain(commitment.reshape(1), np.reshape(patience, (1, 1)), _SAMPLED_TASKS).mean())
        return {
            USER_CURVE: (float(user_regret(game, commitment, patience)), gain / play.value),
            PROVIDER_CURVE: training.measure_provider(play, commitment, patience),
        }

    curves = learn_in_rounds(STAGE, {USER_CURVE: user, PROVIDER_CURVE: provider}, training.session, measure)
    learned_provider = LearnedProvider(provider.policy)
    return TrainedPair(
        user=LearnedUser(user.policy),
        provider=learned_provider,
        network=learned_provider,
        stages={STAGE: training.evaluate(*outcome())},
        curves=curves,
        certified=None,
    )
