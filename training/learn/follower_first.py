"""Follower first: the user learns to answer any commitment, then the provider learns against that user.

The scheme of Gerstgrasser and Parkes, *Oracles & Followers* (ICML 2023). Then the provider's choice is refined by
further learning (`zoom`) and checked by sampled play (`certificate`). All rewards come from sampled play.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import LearnedProvider, LearnedUser
from stackroute.agents.providers import StaticProvider
from stackroute.agents.windows import Window
from stackroute.analytic import Commitment, solve
from stackroute.envs.batch import PatienceBatch, ProviderBatch
from stackroute.envs.rules import DRAWS
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv, UserVecEnv
from stackroute.envs.user_batch import LOOKAHEAD, UserBatch
from stackroute.training.learn.certificate import walk
from stackroute.training.learn.evaluation import evaluate, provider_regret, user_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import learn, no_draws, one_thread
from stackroute.training.learn.result import Stage, TrainedPair
from stackroute.training.learn.sampling import SampledGame, joined
from stackroute.training.learn.session import Session, derived_seed
from stackroute.training.learn.views import featured
from stackroute.training.learn.zoom import Contender, Zoom, levels_of

if TYPE_CHECKING:
    from typing import Any

    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv

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
ZOOM_STAGE = "zoom"
CERTIFICATE_STAGE = "certificate"
LAST_USER_STAGE = "last window user"

_SAME_ANSWER = 0.01
_JUDGED_COMMITMENTS = 1_000
_JUDGING_TASKS = 1_000
_JUDGING_TASKS_OF_PROVIDER = 100_000


def train(
    game: Game,
    settings: FollowerFirstSettings,
    *,
    throttling: bool,
    seed: int = 0,
    session: Session | None = None,
) -> TrainedPair:
    """Train a user and a provider on one game.

    Args:
        game: A single game.
        settings: How both learn.
        throttling: Whether the provider can delay.
        seed: Fixes everything; the same seed gives the same result on the same versions.
        session: Keeps what is done; None for a session without files.

    Returns:
        The trained pair.

    Raises:
        OutputError: A checkpoint cannot be written.
    """
    session = session or Session()
    with one_thread():
        user, user_curve = learn_user(
            game, settings.user, session, features=settings.features, throttling=throttling, seed=seed
        )
        network, provider_curve = learn_provider(
            game, user, settings.provider, session, features=settings.features, throttling=throttling, seed=seed
        )
        curves = {USER_STAGE: user_curve, PROVIDER_STAGE: provider_curve}

        def judged(name: str, contender: Contender) -> Stage:
            patience = contender.user.patience(game, contender.commitment, np.zeros(()))
            return Stage(name, evaluate(game, contender.commitment, patience, throttling=throttling))

        contenders = [Contender(network.commit(game, no_draws()), user, 0.0)]
        stages, zoom = [judged(PROVIDER_STAGE, contenders[0])], None
        if settings.zoom:
            best_cost = float(solve(game, throttling=throttling).provider_cost)
            zoom = Zoom(game, user, settings.zoom, session, throttling=throttling, seed=seed, best_cost=best_cost)
            contenders = zoom.refine(contenders[0].commitment)
            stages.append(judged(ZOOM_STAGE, contenders[0]))
        final, certified = contenders[0], None
        if settings.certificate:
            found = _certified(game, contenders, settings.certificate, session, seed)
            certified = found is not None
            final, unsure = found or (final, False)
            if zoom and settings.zoom and unsure:
                window = Window.around(final.commitment, settings.zoom.half_widths[-1] / 2)
                final = replace(final, user=zoom.learn_user(LAST_USER_STAGE, window))
            stages.append(judged(CERTIFICATE_STAGE, final))
        if zoom:
            curves |= zoom.curves
    refined = settings.zoom or settings.certificate
    return TrainedPair(
        user=final.user,
        provider=_static(final.commitment) if refined else network,
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
        session: Keeps what is done.
        features: "raw" or "theory".
        throttling: Whether the commitments have delays.
        seed: Fixes everything.

    Returns:
        The learned user, and its mean exact regret over 1,000 random commitments against the steps.
    """
    explorer = ExploringProvider(throttling)
    stage_seed = derived_seed(seed, USER_STAGE)
    draws = np.random.default_rng(0).random((_JUDGED_COMMITMENTS, DRAWS - 1))
    judged = explorer.commit(game, draws)
    play = SampledGame(game, derived_seed(stage_seed, "judge"))
    levels = levels_of(settings)

    def measure(policy: BasePolicy) -> float:
        patience = LearnedUser(policy, levels).patience(game, judged, draws[:, 0])
        return float(user_regret(game, judged, patience).mean())

    def sample(policy: BasePolicy) -> float:
        patience = LearnedUser(policy, levels).patience(game, judged, draws[:, 0])
        return float(play.gain(judged, patience[:, None], _JUDGING_TASKS).mean()) / play.value

    policy, curve = learn(
        USER_STAGE,
        featured(user_environment(game, explorer, settings), features),
        settings,
        session or Session(),
        seed=stage_seed,
        measure=measure,
        sample=sample,
    )
    return LearnedUser(policy, levels), curve


def user_environment(
    game: Game, provider: ProviderPolicy, settings: UserSettings, *, lookahead: int = LOOKAHEAD
) -> VecEnv:
    """The batch on which a user with these settings learns, against a provider."""
    if settings.decision == "pass":
        return UserVecEnv(UserBatch(game, provider, settings.batch_size, lookahead=lookahead))
    batch = PatienceBatch(
        game,
        provider,
        settings.batch_size,
        tasks_per_commitment=settings.tasks_per_commitment,
        action="grid" if settings.action == "grid" else "box",
    )
    return PatienceVecEnv(batch)


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
        session: Keeps what is done.
        features: "raw" or "theory".
        throttling: Whether the provider can delay.
        seed: Fixes everything.

    Returns:
        The learned provider, and its exact regret against the steps.
    """
    stage_seed = derived_seed(seed, PROVIDER_STAGE)
    batch = ProviderBatch(
        game,
        user,
        settings.batch_size,
        tasks_per_commitment=settings.tasks_per_commitment,
        throttling=throttling,
        action="grid" if settings.algorithm == "dqn" else "box",
    )
    best_cost = solve(game, throttling=throttling).provider_cost
    play = SampledGame(game, derived_seed(stage_seed, "judge"))

    def measure(policy: BasePolicy) -> float:
        return float(provider_regret(game, LearnedProvider(policy).commit(game, no_draws()), best_cost))

    def sample(policy: BasePolicy) -> float:
        commitment = joined([LearnedProvider(policy).commit(game, no_draws())])
        patience = user.patience(game, commitment, np.zeros(1))
        return -float(np.log(play.cost(commitment, patience, _JUDGING_TASKS_OF_PROVIDER).mean()))

    policy, curve = learn(
        PROVIDER_STAGE,
        featured(ProviderVecEnv(batch), features),
        settings,
        session or Session(),
        seed=stage_seed,
        measure=measure,
        sample=sample,
    )
    return LearnedProvider(policy), curve


def _certified(
    game: Game, contenders: list[Contender], settings: CertificateSettings, session: Session, seed: int
) -> tuple[Contender, bool] | None:
    """The cheapest contender that passes, after its walk; None where none does.

    Also whether its user should learn about it once more: the walk has moved it, or the user answers it in another way
    than play has shown to be best.
    """
    play = SampledGame(game, derived_seed(seed, CERTIFICATE_STAGE))

    def compute() -> dict[str, Any]:
        session.tell(CERTIFICATE_STAGE, 0, 1, np.nan)
        best: dict[str, Any] = {"contender": None, "cost": np.inf}
        for number, contender in enumerate(contenders):
            found = walk(play, contender.commitment, settings)
            if found is None:
                continue
            cost = float(play.cost(joined([found.commitment]), np.array([found.patience]), settings.tasks).mean())
            if cost < best["cost"]:
                cascade = float(found.commitment.cascade)
                best = {"contender": number, "cost": cost, "cascade": cascade, "patience": found.patience}
        session.tell(CERTIFICATE_STAGE, 1, 1, np.nan)
        return best

    found = session.once(CERTIFICATE_STAGE, compute)
    if found["contender"] is None:
        return None
    chosen = contenders[found["contender"]]
    commitment = Commitment(int(chosen.commitment.model), found["cascade"], chosen.commitment.delay)
    answer = float(chosen.user.patience(game, commitment, np.zeros(())))
    moved = found["cascade"] != float(chosen.commitment.cascade)
    return Contender(commitment, chosen.user, found["cost"]), moved or abs(answer - found["patience"]) > _SAME_ANSWER


def _static(commitment: Commitment) -> StaticProvider:
    return StaticProvider(int(commitment.model), float(commitment.cascade), commitment.delay)
