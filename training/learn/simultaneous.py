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
from stackroute.training.learn.follower_first import levels_of, provider_environment, user_environment
from stackroute.training.learn.learning import Learner, learn_in_rounds, no_draws, one_thread
from stackroute.training.learn.result import Stage, TrainedPair
from stackroute.training.learn.sampling import SampledGame, joined
from stackroute.training.learn.session import Session, derived_seed
from stackroute.training.learn.views import blindfolded, featured

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
    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        return LearnedProvider(self._policy, explores=True).commit(game, draws)


class _LearningUser(_Exploring):
    def __init__(self, levels: tuple[float, ...] | None, blind: bool) -> None:
        super().__init__()
        self.levels, self.blind = levels, blind

    def patience(self, game: Game, commitment: Commitment | None, draws: FloatArray) -> FloatArray:
        user = LearnedUser(self._policy, self.levels, blind=self.blind, explores=True)
        return user.patience(game, commitment, draws)


def train(
    game: Game, settings: SimultaneousSettings, *, throttling: bool, seed: int = 0, session: Session | None = None
) -> TrainedPair:
    """Train both in turns of a round each; see `stackroute.training.learn.schemes.train`."""
    blind = settings.scheme == "simultaneous_blind"
    levels = levels_of(settings.user)
    best_cost = solve(game, throttling=throttling).provider_cost
    play = SampledGame(game, derived_seed(seed, "evaluation"))
    exploring_user, exploring_provider = _LearningUser(levels, blind), _LearningProvider()

    def outcome() -> tuple[Commitment, FloatArray]:
        commitment = LearnedProvider(provider.policy).commit(game, no_draws())
        return commitment, LearnedUser(user.policy, levels, blind=blind).patience(game, commitment, np.zeros(()))

    def measure() -> dict[str, tuple[float, float]]:
        commitment, patience = outcome()
        one, answer = joined([commitment]), np.reshape(patience, (1,))
        cost = float(play.cost(one, answer, _SAMPLED_TASKS).mean())
        gain = float(play.gain(one, answer[:, None], _SAMPLED_TASKS).mean())
        return {
            USER_CURVE: (float(user_regret(game, commitment, patience)), gain / play.value),
            PROVIDER_CURVE: (float(provider_regret(game, commitment, best_cost)), -float(np.log(cost))),
        }

    with one_thread():
        provider_venv = provider_environment(game, exploring_user, settings.provider, throttling=throttling)
        provider = Learner(
            featured(provider_venv, settings.features), settings.provider, seed=derived_seed(seed, PROVIDER_CURVE)
        )
        # The user's batch asks for commitments as soon as it exists.
        exploring_provider.learner = provider
        user_venv = user_environment(game, exploring_provider, settings.user, lookahead=1)
        user_venv = featured(blindfolded(user_venv) if blind else user_venv, settings.features)
        user = Learner(user_venv, settings.user, seed=derived_seed(seed, USER_CURVE))
        exploring_user.learner = user
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
        user=LearnedUser(user.policy, levels, blind=blind),
        provider=learned_provider,
        network=learned_provider,
        stages=(Stage(STAGE, evaluation),),
        curves=curves,
        certified=None,
    )
