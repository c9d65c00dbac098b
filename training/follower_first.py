"""Follower first: the user learns to answer any commitment, then the provider learns against that user.

The scheme of Gerstgrasser and Parkes, *Oracles & Followers* (ICML 2023), with PPO for both players. All rewards come
from sampled play.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import LearnedProvider, LearnedUser
from stackroute.analytic import solve
from stackroute.envs.batch import PatienceBatch, ProviderBatch
from stackroute.envs.rules import DRAWS
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv
from stackroute.envs.user_env import PATIENCE_LEVELS
from stackroute.training.evaluation import Evaluation, evaluate, provider_regret, user_regret
from stackroute.training.exploration import ExploringProvider
from stackroute.training.learning import AnnealedExploration, Curve, derived_seed, learn, one_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stable_baselines3.common.policies import ActorCriticPolicy

    from stackroute.analytic import Game
    from stackroute.configs.training import FollowerFirstSettings, LearnerSettings, ProviderSettings
    from stackroute.envs.policies import UserPolicy

    OnProgress = Callable[[str, int, int, float], None]

USER_STAGE = "user"
PROVIDER_STAGE = "provider"

_JUDGED_COMMITMENTS = 1_000
_NO_DRAWS = np.zeros(DRAWS - 1)


@dataclass(frozen=True)
class TrainedPair:
    """A trained user and provider with everything measured about them.

    Attributes:
        user: The learned user.
        provider: The learned provider.
        evaluation: Both beside the exact equilibrium.
        user_curve: Mean exact user regret over random commitments while the user learned.
        provider_curve: Exact provider regret while the provider learned.
        seconds: Wall time of the training.
    """

    user: LearnedUser
    provider: LearnedProvider
    evaluation: Evaluation
    user_curve: Curve
    provider_curve: Curve
    seconds: float


def train(
    game: Game,
    settings: FollowerFirstSettings,
    *,
    throttling: bool,
    seed: int = 0,
    log_folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> TrainedPair:
    """Train a user and a provider on one game.

    Args:
        game: A single game.
        settings: How both learn.
        throttling: Whether the provider can delay.
        seed: Fixes everything; the same seed gives the same result on the same versions.
        log_folder: Where TensorBoard logs go; None for none.
        on_progress: Told after every update the stage, the steps done, the steps in all and the exact regret.

    Returns:
        The trained pair.
    """
    began = time.perf_counter()
    with one_thread():
        user, user_curve = learn_user(
            game, settings.user, throttling=throttling, seed=seed, log_folder=log_folder, on_progress=on_progress
        )
        provider, provider_curve = learn_provider(
            game,
            user,
            settings.provider,
            throttling=throttling,
            seed=seed,
            log_folder=log_folder,
            on_progress=on_progress,
        )
        commitment = provider.commit(game, _NO_DRAWS)
        patience = user.patience(game, commitment, np.zeros(()))
    evaluation = evaluate(game, commitment, patience, throttling=throttling)
    return TrainedPair(user, provider, evaluation, user_curve, provider_curve, time.perf_counter() - began)


def learn_user(
    game: Game,
    settings: LearnerSettings,
    *,
    throttling: bool,
    seed: int = 0,
    log_folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[LearnedUser, Curve]:
    """Stage 1: the user learns to answer random commitments.

    Args:
        game: A single game.
        settings: How the user learns.
        throttling: Whether the commitments have delays.
        seed: Fixes everything.
        log_folder: Where TensorBoard logs go; None for none.
        on_progress: Told after every update.

    Returns:
        The learned user, and its mean exact regret over 1,000 random commitments against the patiences tried.
    """
    explorer = ExploringProvider(throttling)
    stage_seed = derived_seed(seed, 1)
    batch = PatienceBatch(
        game, explorer, settings.batch_size, tasks_per_commitment=settings.tasks_per_commitment, action="grid"
    )
    draws = np.random.default_rng(0).random((_JUDGED_COMMITMENTS, DRAWS - 1))
    judged = explorer.commit(game, draws)

    def measure(policy: ActorCriticPolicy) -> float:
        patience = LearnedUser(policy, PATIENCE_LEVELS).patience(game, judged, draws[:, 0])
        return float(user_regret(game, judged, patience).mean())

    policy, curve = learn(
        PatienceVecEnv(batch, seed=stage_seed),
        settings,
        seed=stage_seed,
        measure=measure,
        tell=_teller(on_progress, USER_STAGE, settings),
        log_folder=log_folder / USER_STAGE if log_folder else None,
    )
    return LearnedUser(policy, PATIENCE_LEVELS), curve


def learn_provider(
    game: Game,
    user: UserPolicy,
    settings: ProviderSettings,
    *,
    throttling: bool,
    seed: int = 0,
    log_folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[LearnedProvider, Curve]:
    """Stage 2: the provider learns to commit, against a user that no longer changes.

    Args:
        game: A single game.
        user: The user that answers.
        settings: How the provider learns.
        throttling: Whether the provider can delay.
        seed: Fixes everything.
        log_folder: Where TensorBoard logs go; None for none.
        on_progress: Told after every update.

    Returns:
        The learned provider, and its exact regret against the commitments tried.
    """
    stage_seed = derived_seed(seed, 2)
    batch = ProviderBatch(
        game,
        user,
        settings.batch_size,
        tasks_per_commitment=settings.tasks_per_commitment,
        throttling=throttling,
    )
    best_cost = solve(game, throttling=throttling).provider_cost

    def measure(policy: ActorCriticPolicy) -> float:
        return float(provider_regret(game, LearnedProvider(policy).commit(game, _NO_DRAWS), best_cost))

    policy, curve = learn(
        ProviderVecEnv(batch, seed=stage_seed),
        settings,
        seed=stage_seed,
        measure=measure,
        tell=_teller(on_progress, PROVIDER_STAGE, settings),
        log_folder=log_folder / PROVIDER_STAGE if log_folder else None,
        callbacks=[AnnealedExploration(settings.exploration, settings.final_exploration, settings.steps)],
    )
    return LearnedProvider(policy), curve


def _teller(on_progress: OnProgress | None, stage: str, settings: LearnerSettings) -> Callable[[int, float], None]:
    def tell(steps: int, regret: float) -> None:
        if on_progress is not None:
            on_progress(stage, steps, settings.steps, regret)

    return tell
