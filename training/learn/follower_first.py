"""Follower first: the user learns to answer any commitment, then the provider learns against that user.

The scheme of Gerstgrasser and Parkes, *Oracles & Followers* (ICML 2023). Then the provider's choice is compared with
commitments all over (`overview`) and checked by sampled play (`certificate`). All rewards come from sampled play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import GAME, LearnedProvider, LearnedUser, View
from stackroute.agents.providers import StaticProvider
from stackroute.analytic import Commitment
from stackroute.configs.learners import AllPatienceSettings
from stackroute.envs import PATIENCE_LEVELS, ProviderVectorEnv, UserVectorEnv, Variant
from stackroute.envs.failed_tasks import LOOKAHEAD
from stackroute.envs.observations import PAPER
from stackroute.envs.sb3 import VecEnv
from stackroute.envs.tasks import Rollouts
from stackroute.training.learn.all_actions import AllActionLearner, Played, evaluated
from stackroute.training.learn.certificate import walk
from stackroute.training.learn.evaluation import user_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import Learner, learn_alone, no_random_numbers
from stackroute.training.learn.lines import line_through
from stackroute.training.learn.overview import OVERVIEW_STAGE, Contender, find_contenders
from stackroute.training.learn.result import TrainedPair
from stackroute.training.learn.sampling import ANSWERS, GAIN_UNIT, SampledGame
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.views import LearnerView, log_cost, scaled_gain

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray
    from stackroute.configs.learners import FollowerSettings, ProviderSettings, UserSettings
    from stackroute.configs.training import CertificateSettings, FollowerFirstSettings
    from stackroute.envs.policies import ProviderPolicy, UserPolicy
    from stackroute.training.learn.certificate import Checked, Place
    from stackroute.training.learn.evaluation import Evaluation
    from stackroute.training.learn.learning import Training
    from stackroute.training.learn.session import Curve

USER_STAGE = "user"
PROVIDER_STAGE = "provider"
CERTIFICATE_STAGE = "certificate"
LAST_USER_STAGE = "last user"

_EVALUATED_COMMITMENTS = 1_000
_TASKS_OF_USER = 256
# By how much a cost in the overview may be off.
_NOISE = 0.01
_LINEAR = 3.0


def train(training: Training, settings: FollowerFirstSettings) -> TrainedPair:
    """Train a user, then a provider, on one game; see `stackroute.training.learn.schemes.train`."""
    own = _all_patience_learner(training, settings.user) if isinstance(settings.user, AllPatienceSettings) else None
    user, user_curve = learn_user(training, settings.user, own)
    network, provider_curve = learn_provider(training, user, settings.provider)
    curves = {USER_STAGE: user_curve, PROVIDER_STAGE: provider_curve}

    def evaluated(commitment: Commitment) -> Evaluation:
        return training.evaluate(commitment, user.patience(training.game, commitment, np.zeros(())))

    final, certified = network.commit(training.game, no_random_numbers(training.game)), None
    stages = {PROVIDER_STAGE: evaluated(final)}
    contenders = [Contender(*line_through(final, training.routing), cost=np.nan, bound=0.0)]
    if settings.overview:
        contenders = find_contenders(training, final, settings.overview)
        final = contenders[0].commitment
        stages[OVERVIEW_STAGE] = evaluated(final)
    checked: list[list[dict[str, Any]]] = [[] for _ in contenders]
    if settings.certificate:
        found, checked = _certified(training, contenders, settings.certificate)
        certified = found is not None
        final = final if found is None else found
        if own:
            _learn_from_certificate(training, own, user, contenders, checked)
        stages[CERTIFICATE_STAGE] = evaluated(final)
    refined = settings.overview or settings.certificate
    return TrainedPair(
        user=user,
        provider=StaticProvider(final) if refined else network,
        network=network,
        stages=stages,
        curves=curves,
        certified=certified,
        walks=[_walk_as_json(one, places) for one, places in zip(contenders, checked, strict=True)],
    )


def learn_user(
    training: Training, settings: FollowerSettings, learner: AllActionLearner | None = None
) -> tuple[LearnedUser, Curve]:
    """The user learns to answer random commitments.

    Args:
        training: What is given.
        settings: How it learns.
        learner: That of `user_all_patiences`, if it is to learn on later; None for one of its own.

    Returns:
        The learned user, and its mean exact regret over 1,000 random commitments against the steps.
    """
    if isinstance(settings, AllPatienceSettings):
        learns = learner or _all_patience_learner(training, settings)
        curve = learn_alone(USER_STAGE, learns, training.session, learns.measure)
        return LearnedUser(learns.policy, predicts_utility=True), curve
    game, explorer = training.game, ExploringProvider(training.throttling, training.routing)
    seed = derived_seed(training.seed, USER_STAGE)
    numbers = np.random.default_rng(0).random((_EVALUATED_COMMITMENTS, 2 * game.models + 1))
    commitments = explorer.commit(game, numbers)
    play = SampledGame(game, derived_seed(seed, "evaluation"))
    player = Learner(user_environment(training, explorer, settings), settings, seed=seed)

    def measure() -> tuple[float, float]:
        patience = LearnedUser(player.policy).patience(game, commitments, numbers[:, 0])
        gain = play.gain(commitments, patience[:, None], _TASKS_OF_USER)
        return float(user_regret(game, commitments, patience).mean()), float(gain.mean()) / play.value

    curve = learn_alone(USER_STAGE, player, training.session, measure)
    return LearnedUser(player.policy), curve


def _learn_from_certificate(
    training: Training,
    learner: AllActionLearner,
    user: LearnedUser,
    contenders: list[Contender],
    checked: list[list[dict[str, Any]]],
) -> None:
    """The user learns on from what was played on the way to the certificate, near the place where it matters most."""
    known = [
        (one.line.at(place["share"]), place) for one, seen in zip(contenders, checked, strict=True) for place in seen
    ]
    if not known:
        return
    commitments = Commitment.stack([commitment for commitment, _ in known])
    gain = np.array([place["gain"] for _, place in known])[:, np.isin(ANSWERS, PATIENCE_LEVELS)]
    rewards = _predicted(gain, float(training.game.value))
    tasks = np.array([float(place["tasks"]) for _, place in known])

    def compute() -> dict[str, Any]:
        learner.learn_on(user.view.observe(training.game, commitments), rewards, tasks)
        return {name: tensor.detach().clone() for name, tensor in user.policy.state_dict().items()}

    user.policy.load_state_dict(training.session.stage(LAST_USER_STAGE, compute))


def _all_patience_learner(training: Training, settings: AllPatienceSettings) -> AllActionLearner:
    game, seed, levels = training.game, derived_seed(training.seed, USER_STAGE), np.array(PATIENCE_LEVELS)
    view, size = View(game.models, PAPER, training.features), settings.situations

    def play() -> Played:
        generator = np.random.default_rng(derived_seed(seed, "situations"))
        explorer = ExploringProvider(training.throttling, training.routing)
        commitment = explorer.commit(game, generator.random((size, 2 * game.models + 1)))
        zeros = np.zeros(size, dtype=np.int64)
        seeds = derived_seed(seed, "tasks") + np.arange(size)
        rollouts = Rollouts(Variant.of(game), seeds, zeros, settings.tasks, zeros, commitment)
        gain = rollouts.compare(np.tile(levels, (size, 1)))
        kept = commitment[: evaluated(size)]
        regret = user_regret(game, kept.reshape(*kept.shape, 1), levels)
        return Played(view.observe(game, commitment), _predicted(gain, float(game.value)), regret)

    return AllActionLearner(play, view.space, len(levels), settings, seed=seed)


def _predicted(gain: FloatArray, value: float) -> npt.NDArray[np.float32]:
    """What a network learns to predict of gains: themselves near 0, where they decide, and logarithms farther away.

    Near 0 it has to be linear, or the noise of means would change which patience is best.
    """
    units = gain / (_LINEAR * GAIN_UNIT * value)
    far = np.sign(units) * (1.0 + np.log(np.maximum(np.abs(units), 1.0)))
    return (_LINEAR * np.where(np.abs(units) > 1.0, far, units)).astype(np.float32)


def user_environment(
    training: Training,
    provider: ProviderPolicy,
    settings: UserSettings,
    *,
    blind: bool = False,
    lookahead: int = LOOKAHEAD,
) -> LearnerView:
    """The environment on which a user with these settings learns, against a provider; a blind one sees the game."""
    blocks = GAME if blind else PAPER
    by_task = settings.decision == "task"
    env = UserVectorEnv(
        settings.batch_size,
        training.game,
        provider,
        decision=settings.decision,
        tasks_per_commitment=settings.tasks_per_commitment,
        lookahead=lookahead,
        routing=training.actions.routing,
        observe={"user": blocks},
        action=settings.action or "box",
        reward_unit="relative" if by_task else "game",
    )
    reward, shown = scaled_gain if by_task else None, blocks if training.features else None
    return LearnerView(VecEnv(env), reward=reward, blocks=shown)


def learn_provider(training: Training, user: UserPolicy, settings: ProviderSettings) -> tuple[LearnedProvider, Curve]:
    """The provider learns to commit, against a user that no longer changes.

    Returns:
        The learned provider, and its exact regret against the steps.
    """
    game, seed = training.game, derived_seed(training.seed, PROVIDER_STAGE)
    learner = Learner(provider_environment(training, user, settings), settings, seed=seed)
    play = SampledGame(game, derived_seed(seed, "evaluation"))

    def measure() -> tuple[float, float]:
        commitment = LearnedProvider(learner.policy).commit(game, no_random_numbers(game))
        return training.measure_provider(play, commitment, user.patience(game, commitment, np.zeros(())))

    curve = learn_alone(PROVIDER_STAGE, learner, training.session, measure)
    return LearnedProvider(learner.policy), curve


def provider_environment(training: Training, user: UserPolicy, settings: ProviderSettings) -> LearnerView:
    """The environment on which a provider with these settings learns, against a user; as `user_environment`."""
    env = ProviderVectorEnv(
        settings.batch_size,
        training.game,
        user,
        tasks_per_commitment=settings.tasks_per_commitment,
        routing=training.actions.routing,
        throttling=training.throttling,
        action="grid" if settings.algorithm == "dqn" else "box",
    )
    return LearnerView(VecEnv(env), reward=log_cost, blocks=GAME if training.features else None)


def _certified(
    training: Training, contenders: list[Contender], settings: CertificateSettings
) -> tuple[Commitment | None, list[list[dict[str, Any]]]]:
    """The cheapest commitment about which play is sure, by walks from the contenders; None if there is none.

    The most promising come first; those that could not lead to a lower cost are left out. With it the places that were
    checked from each contender.
    """
    play = SampledGame(training.game, derived_seed(training.seed, CERTIFICATE_STAGE))

    def compute() -> dict[str, Any]:
        training.session.progress(CERTIFICATE_STAGE, 0, len(contenders), np.nan)
        best: Checked | None = None
        places: list[list[Place]] = [[] for _ in contenders]
        order = sorted(range(len(contenders)), key=lambda number: contenders[number].bound)
        for done, number in enumerate(order, start=1):
            one = contenders[number]
            if best is None or one.bound < best.cost * (1 + _NOISE):
                found = walk(play, one.line, one.share, settings, places[number])
                best = found if best is None or (found is not None and found.cost < best.cost) else best
            training.session.progress(CERTIFICATE_STAGE, done, len(contenders), np.nan)
        made = None if best is None else best.commitment
        return {
            "found": {
                name: getattr(made, name).tolist() for name in ("start", "transition", "delay") if made is not None
            },
            "places": [[place._asdict() for place in each] for each in places],
        }

    kept = training.session.stage(CERTIFICATE_STAGE, compute)
    return Commitment(**kept["found"]) if kept["found"] else None, kept["places"]


def _walk_as_json(one: Contender, checked: list[dict[str, Any]]) -> dict[str, Any]:
    """The line of a contender, and what was compared and checked on it."""
    line = one.line
    return {
        "start": line.start.tolist(),
        "delay": line.delay.tolist(),
        "models": list(line.models),
        "compared": [{"share": share, "cost": cost} for share, cost in one.compared.items()],
        "checked": list(checked),
    }
