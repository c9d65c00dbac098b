"""Both players learn at the same time: what happens without the order that a commitment needs.

Two baselines. A user that sees the commitment can still learn to answer it, but the provider meets a user that has not
yet; a user that does not see it answers what the provider does on average, and then there is no Stackelberg
equilibrium to find: a commitment that is not seen moves nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.learned import LearnedProvider, LearnedUser
from stackroute.analytic import solve
from stackroute.envs.batch import ProviderBatch
from stackroute.envs.sb3 import ProviderVecEnv
from stackroute.training.learn.evaluation import evaluate, provider_regret, user_regret
from stackroute.training.learn.follower_first import user_environment
from stackroute.training.learn.learning import Learner, no_draws, one_thread, plateaued
from stackroute.training.learn.result import Stage, TrainedPair
from stackroute.training.learn.sampling import SampledGame, joined
from stackroute.training.learn.session import Curve, Session, as_lists, derived_seed
from stackroute.training.learn.views import blindfolded, featured
from stackroute.training.learn.zoom import levels_of

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import SimultaneousSettings

STAGE = "both players"
USER_CURVE, PROVIDER_CURVE = "user", "provider"

_SAMPLED_TASKS = 100_000


class _Exploring:
    """A player as it learns: its actions are drawn from its policy, as its own learner draws them."""

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


class _Both:
    """Two learners that learn in turns, a round each."""

    def __init__(self, user: Learner, provider: Learner) -> None:
        self.user, self.provider = user, provider

    def round(self) -> None:
        self.user.round()
        self.provider.round()

    def state(self) -> dict[str, Any]:
        return {"user": self.user.state(), "provider": self.provider.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.user.restore(state["user"])
        self.provider.restore(state["provider"])


def train(
    game: Game,
    settings: SimultaneousSettings,
    *,
    throttling: bool,
    seed: int = 0,
    session: Session | None = None,
) -> TrainedPair:
    """Train a user and a provider on one game, in turns of a round each.

    Args:
        game: A single game.
        settings: How both learn, and whether the user sees the commitment.
        throttling: Whether the provider can delay.
        seed: Fixes everything; the same seed gives the same result on the same versions.
        session: Keeps what is done; None for a session without files.

    Returns:
        The trained pair.

    Raises:
        OutputError: A checkpoint cannot be written.
    """
    session = session or Session()
    blind = settings.scheme == "simultaneous_blind"
    levels = levels_of(settings.user)
    best_cost = solve(game, throttling=throttling).provider_cost
    play = SampledGame(game, derived_seed(seed, "judge"))
    exploring_user, exploring_provider = _LearningUser(levels, blind), _LearningProvider()

    def pair() -> tuple[LearnedUser, LearnedProvider]:
        return LearnedUser(user.policy, levels, blind=blind), LearnedProvider(provider.policy)

    def outcome() -> tuple[Commitment, FloatArray]:
        learned_user, learned_provider = pair()
        commitment = learned_provider.commit(game, no_draws())
        return commitment, learned_user.patience(game, commitment, np.zeros(()))

    def point() -> None:
        commitment, patience = outcome()
        one, answer = joined([commitment]), np.reshape(patience, (1,))
        cost = float(play.cost(one, answer, _SAMPLED_TASKS).mean())
        gain = float(play.gain(one, answer[:, None], _SAMPLED_TASKS).mean())
        regret = float(provider_regret(game, commitment, best_cost))
        curves[USER_CURVE].add(user.steps, float(user_regret(game, commitment, patience)), gain / play.value)
        curves[PROVIDER_CURVE].add(provider.steps, regret, -float(np.log(cost)))
        provider.record(exact_regret=regret, sampled_reward=-float(np.log(cost)))
        session.tell(STAGE, provider.rounds, settings.provider.rounds, regret)

    with one_thread():
        batch = ProviderBatch(
            game,
            exploring_user,
            settings.provider.batch_size,
            tasks_per_commitment=settings.provider.tasks_per_commitment,
            throttling=throttling,
            action="grid" if settings.provider.algorithm == "dqn" else "box",
        )
        provider_venv = featured(ProviderVecEnv(batch), settings.features)
        provider = Learner(
            provider_venv, settings.provider, seed=derived_seed(seed, PROVIDER_CURVE), log_folder=session.logs(STAGE)
        )
        # The user's batch asks for commitments as soon as it exists.
        exploring_provider.learner = provider
        user_venv = user_environment(game, exploring_provider, settings.user, lookahead=1)
        user_venv = featured(blindfolded(user_venv) if blind else user_venv, settings.features)
        user = Learner(user_venv, settings.user, seed=derived_seed(seed, USER_CURVE))
        exploring_user.learner = user
        curves = {USER_CURVE: Curve(), PROVIDER_CURVE: Curve()}
        both = _Both(user, provider)

        def more() -> bool:
            rule = settings.provider.plateau
            return provider.rounds < settings.provider.rounds and not plateaued(curves[PROVIDER_CURVE].reward, rule)

        finished = session.finished(STAGE)
        if finished is None:
            session.rounds(STAGE, both, curves, learn=both.round, point=point, more=more)
            session.finish(STAGE, {"learner": both.state(), "curves": as_lists(curves)})
        else:
            both.restore(finished["learner"])
            curves = {name: Curve(**kept) for name, kept in finished["curves"].items()}
        learned_user, learned_provider = pair()
        evaluation = evaluate(game, *outcome(), throttling=throttling)
    return TrainedPair(
        user=learned_user,
        provider=learned_provider,
        network=learned_provider,
        stages=(Stage(STAGE, evaluation),),
        curves=curves,
        certified=None,
    )
