"""Follower first: the user learns to answer any commitment, then the provider learns against that user.

The scheme of Gerstgrasser and Parkes, *Oracles & Followers* (ICML 2023). Then the provider's choice is compared with
commitments all over (`overview`) and checked by sampled play (`certificate`). All rewards come from sampled play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import GAME, LearnedProvider, LearnedUser
from stackroute.agents.providers import StaticProvider
from stackroute.analytic import Commitment, solve
from stackroute.envs import ProviderVectorEnv, UserVectorEnv
from stackroute.envs.failed_tasks import LOOKAHEAD
from stackroute.envs.observations import FEATURES, PAPER
from stackroute.envs.sb3 import VecEnv
from stackroute.training.learn.certificate import walk
from stackroute.training.learn.evaluation import evaluate, provider_regret, user_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import Learner, learn_in_rounds, no_random_numbers, one_thread
from stackroute.training.learn.overview import OVERVIEW_STAGE, find_contenders
from stackroute.training.learn.result import Stage, TrainedPair
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import Session, derived_seed
from stackroute.training.learn.views import FeatureView, RewardView, log_cost, scaled_gain

if TYPE_CHECKING:
    from typing import Any

    from stable_baselines3.common.vec_env import VecEnv as AnyVecEnv

    from stackroute.analytic import Game
    from stackroute.configs.training import (
        CertificateSettings,
        FollowerFirstSettings,
        ProviderSettings,
        UserSettings,
    )
    from stackroute.envs.policies import ProviderPolicy, UserPolicy
    from stackroute.training.learn.session import Curve

USER_STAGE = "user"
PROVIDER_STAGE = "provider"
CERTIFICATE_STAGE = "certificate"

_EVALUATED_COMMITMENTS = 1_000
_TASKS_OF_USER = 256
_TASKS_OF_PROVIDER = 100_000


def train(
    game: Game, settings: FollowerFirstSettings, *, throttling: bool, seed: int = 0, session: Session | None = None
) -> TrainedPair:
    """Train a user, then a provider, on one game; see `stackroute.training.learn.schemes.train`."""
    session = session or Session()
    with one_thread():
        user, user_curve = learn_user(
            game, settings.user, session, features=settings.features, throttling=throttling, seed=seed
        )
        network, provider_curve = learn_provider(
            game, user, settings.provider, session, features=settings.features, throttling=throttling, seed=seed
        )
        curves = {USER_STAGE: user_curve, PROVIDER_STAGE: provider_curve}

        def evaluated(name: str, commitment: Commitment) -> Stage:
            patience = user.patience(game, commitment, np.zeros(()))
            return Stage(name, evaluate(game, commitment, patience, throttling=throttling))

        final, certified = network.commit(game, no_random_numbers()), None
        stages, candidates = [evaluated(PROVIDER_STAGE, final)], [final]
        if settings.overview:
            contenders, curves[OVERVIEW_STAGE] = find_contenders(
                game, user, final, settings.overview, session, throttling=throttling, seed=seed
            )
            candidates = [contender.commitment for contender in contenders]
            final = candidates[0]
            stages.append(evaluated(OVERVIEW_STAGE, final))
        if settings.certificate:
            found = _certified(game, candidates, settings.certificate, session, seed)
            certified = found is not None
            final = final if found is None else found
            stages.append(evaluated(CERTIFICATE_STAGE, final))
    refined = settings.overview or settings.certificate
    return TrainedPair(
        user=user,
        provider=StaticProvider(final) if refined else network,
        network=network,
        stages=tuple(stages),
        curves=curves,
        certified=certified,
    )


def learn_user(
    game: Game,
    settings: UserSettings,
    session: Session | None = None,
    *,
    features: str = "raw",
    throttling: bool,
    seed: int = 0,
) -> tuple[LearnedUser, Curve]:
    """The user learns to answer random commitments.

    Args:
        game: A single game.
        settings: How the user learns.
        session: Keeps the outcome.
        features: "raw" or "theory".
        throttling: Whether the commitments have delays.
        seed: Fixes everything.

    Returns:
        The learned user, and its mean exact regret over 1,000 random commitments against the steps.
    """
    explorer = ExploringProvider(throttling)
    stage_seed = derived_seed(seed, USER_STAGE)
    numbers = np.random.default_rng(0).random((_EVALUATED_COMMITMENTS, 5))
    commitments = explorer.commit(game, numbers)
    play = SampledGame(game, derived_seed(stage_seed, "evaluation"))
    environment = user_environment(game, explorer, settings, features=features)
    learner = Learner(environment, settings, seed=stage_seed)

    def measure() -> dict[str, tuple[float, float]]:
        patience = LearnedUser(learner.policy).patience(game, commitments, numbers[:, 0])
        gain = play.gain(commitments, patience[:, None], _TASKS_OF_USER)
        return {USER_STAGE: (float(user_regret(game, commitments, patience).mean()), float(gain.mean()) / play.value)}

    curves = learn_in_rounds(
        USER_STAGE,
        {USER_STAGE: learner},
        session or Session(),
        measure=measure,
        rounds=settings.rounds,
        plateau=settings.plateau,
    )
    return LearnedUser(learner.policy), curves[USER_STAGE]


def user_environment(
    game: Game,
    provider: ProviderPolicy,
    settings: UserSettings,
    *,
    features: str = "raw",
    blind: bool = False,
    lookahead: int = LOOKAHEAD,
) -> AnyVecEnv:
    """The environment on which a user with these settings learns, against a provider.

    Args:
        game: A single game.
        provider: The provider.
        settings: How the user learns.
        features: "raw" or "theory".
        blind: Whether the user does not see the commitment.
        lookahead: As for `stackroute.envs.UserVectorEnv`.
    """
    blocks = GAME if blind else PAPER
    by_task = settings.decision == "task"
    env = UserVectorEnv(
        settings.batch_size,
        game,
        provider,
        decision=settings.decision,
        tasks_per_commitment=settings.tasks_per_commitment,
        lookahead=lookahead,
        observe={"user": blocks},
        action=settings.action or "box",
        reward_unit="relative" if by_task else "game",
    )
    venv = RewardView(VecEnv(env), scaled_gain) if by_task else VecEnv(env)
    return FeatureView(venv, blocks) if features == FEATURES else venv


def learn_provider(
    game: Game,
    user: UserPolicy,
    settings: ProviderSettings,
    session: Session | None = None,
    *,
    features: str = "raw",
    throttling: bool,
    seed: int = 0,
) -> tuple[LearnedProvider, Curve]:
    """The provider learns to commit, against a user that no longer changes.

    Args:
        game: A single game.
        user: The user that answers.
        settings: How the provider learns.
        session: Keeps the outcome.
        features: "raw" or "theory".
        throttling: Whether the provider can delay.
        seed: Fixes everything.

    Returns:
        The learned provider, and its exact regret against the steps.
    """
    stage_seed = derived_seed(seed, PROVIDER_STAGE)
    environment = provider_environment(game, user, settings, features=features, throttling=throttling)
    learner = Learner(environment, settings, seed=stage_seed)
    best_cost = solve(game, throttling=throttling).provider_cost
    play = SampledGame(game, derived_seed(stage_seed, "evaluation"))

    def measure() -> dict[str, tuple[float, float]]:
        commitment = LearnedProvider(learner.policy).commit(game, no_random_numbers())
        one = commitment.reshape(1)
        cost = play.cost(one, user.patience(game, one, np.zeros(1)), _TASKS_OF_PROVIDER).mean()
        return {PROVIDER_STAGE: (float(provider_regret(game, commitment, best_cost)), -float(np.log(cost)))}

    curves = learn_in_rounds(
        PROVIDER_STAGE,
        {PROVIDER_STAGE: learner},
        session or Session(),
        measure=measure,
        rounds=settings.rounds,
        plateau=settings.plateau,
    )
    return LearnedProvider(learner.policy), curves[PROVIDER_STAGE]


def provider_environment(
    game: Game, user: UserPolicy, settings: ProviderSettings, *, features: str = "raw", throttling: bool
) -> AnyVecEnv:
    """The environment on which a provider with these settings learns, against a user.

    Args:
        game: A single game.
        user: The user.
        settings: How the provider learns.
        features: "raw" or "theory".
        throttling: Whether the provider can delay.
    """
    env = ProviderVectorEnv(
        settings.batch_size,
        game,
        user,
        tasks_per_commitment=settings.tasks_per_commitment,
        throttling=throttling,
        action="grid" if settings.algorithm == "dqn" else "box",
    )
    venv = RewardView(VecEnv(env), log_cost)
    return FeatureView(venv, GAME) if features == FEATURES else venv


def _certified(
    game: Game, candidates: list[Commitment], settings: CertificateSettings, session: Session, seed: int
) -> Commitment | None:
    """The cheapest commitment about which play is sure, by walks from the candidates; None if there is none."""
    play = SampledGame(game, derived_seed(seed, CERTIFICATE_STAGE))

    def compute() -> dict[str, Any]:
        session.progress(CERTIFICATE_STAGE, 0, len(candidates), np.nan)
        found = []
        for number, candidate in enumerate(candidates, start=1):
            found.append(walk(play, candidate, settings))
            session.progress(CERTIFICATE_STAGE, number, len(candidates), np.nan)
        sure = [one for one in found if one is not None]
        if not sure:
            return {}
        best = min(sure, key=lambda one: one.cost).commitment
        return {name: getattr(best, name).tolist() for name in ("start", "transition", "delay")}

    kept = session.stage(CERTIFICATE_STAGE, compute)
    return Commitment(**kept) if kept else None
