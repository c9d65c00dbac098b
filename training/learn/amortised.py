"""One user and one provider for a whole distribution of games, which then answer a game they have never played.

Follower first, as in `stackroute.training.learn.follower_first`, but both networks see the game: they learn not an
equilibrium but the map from games to equilibria. All rewards come from sampled play of random games.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.learned import GAME, LearnedProvider, LearnedUser, View
from stackroute.agents.thresholds import KINDS
from stackroute.analytic import Commitment, Game, random_games, solve
from stackroute.configs import ConfigError
from stackroute.envs import PATIENCE_LEVELS, ProviderActions, Variant
from stackroute.envs.observations import PAPER, unit_of_money
from stackroute.envs.tasks import Rollouts
from stackroute.training.learn.all_actions import AllActionLearner, Played, evaluated
from stackroute.training.learn.evaluation import provider_regret, user_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import learn_alone, no_random_numbers
from stackroute.training.learn.result import TrainedPair, evaluate_held_out
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.thresholds import THRESHOLD_STAGE, learn_thresholds
from stackroute.training.learn.views import scaled_gain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from stable_baselines3.common.policies import ActorCriticPolicy

    from stackroute.agents.thresholds import LearnedThresholds
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.amortised import (
        AllActionSettings,
        AmortisedProviderSettings,
        AmortisedSettings,
        GamesSettings,
    )
    from stackroute.training.learn.learning import Training
    from stackroute.training.learn.session import Curve

USER_STAGE, PROVIDER_STAGE = "user", "provider"

_PARTS = 100
_LEAST_COST = 1e-6
_STAYS = 0.5

_LEAST_SAVING, _FULL_SAVING = 0.05, 0.25


@dataclass(frozen=True, eq=False)
class Problem:
    """What the stages of both players have in common.

    Attributes:
        training: What is given to all schemes.
        games: The games to draw from, shape (m,).
        options: The commitments among which the provider chooses, see `provider_options`.
    """

    training: Training
    games: Game
    options: FloatArray

    def committed(self, games: Game, options: FloatArray) -> Commitment:
        """What options commit to in games."""
        return ProviderActions(throttling=self.training.throttling).decoded(games, options)

    @cached_property
    def variant(self) -> Variant:
        """The games as they are played."""
        return Variant.of(self.games)

    def rollouts(self, rows: IntArray, seeds: IntArray, tasks: int, commitment: Commitment) -> Rollouts:
        """Commitments in rows of the games, each to be played over so many tasks from the first on."""
        return Rollouts(self.variant, seeds, np.zeros_like(rows), tasks, rows, commitment)


def train(training: Training, settings: AmortisedSettings) -> TrainedPair:
    """Train both on a distribution of games, and evaluate them on one game and on held-out ones."""
    game, throttling = training.game, training.throttling
    game.check_models(2)
    if training.routing != "cascade":
        raise ConfigError(f"routing: {training.routing!r} is not allowed; expected 'cascade' for joint_amortised")
    problem = Problem(
        training,
        training_games(settings.games, derived_seed(training.seed, "games")),
        provider_options(throttling),
    )
    user, user_curve = learn_user(problem, settings.user)
    thresholds, threshold_curve = learn_thresholds(problem, settings.thresholds)
    provider, provider_curve = learn_provider(problem, user, thresholds, settings.provider)
    commitment = provider.commit(game, no_random_numbers(game))
    return TrainedPair(
        user=user,
        provider=provider,
        network=provider,
        stages={PROVIDER_STAGE: training.evaluate(commitment, user.patience(game, commitment, np.zeros(())))},
        curves={USER_STAGE: user_curve, THRESHOLD_STAGE: threshold_curve, PROVIDER_STAGE: provider_curve},
        certified=None,
        held_out=evaluate_held_out(provider, throttling=throttling),
    )


def training_games(settings: GamesSettings, seed: int) -> Game:
    """The games of a distribution, shape (count,)."""
    ranges = list(itertools.product(settings.values, settings.churn_penalties))
    whole, left = divmod(settings.count, len(ranges))
    shared: dict[str, Any] = {name: tuple(getattr(settings, name)) for name in ("success", "cost", "latency")}
    parts = [
        random_games(
            whole + (number < left),
            derived_seed(seed, number),
            value=(value[0], value[1]),
            churn_penalty=(penalty[0], penalty[1]),
            **shared,
        )
        for number, (value, penalty) in enumerate(ranges)
    ]
    return Game.concatenate(parts)


def provider_options(throttling: bool) -> FloatArray:
    """The commitments among which the provider chooses, as actions of Provider-v0 in [0, 1], shape (k, width).

    Each model alone, with throttling each model alone and delayed by the value, the first model and then the
    second one, and two whose cascade probabilities are on the safe side of learned thresholds.
    """
    alone = [(0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)]
    delayed = [(0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0)] if throttling else []
    mixed = [(0.0, 1.0, 0.0, 0.0), *[(0.0, 0.5, 0.0, 0.0)] * KINDS]
    return np.array([*alone, *delayed, *mixed])[:, : 4 if throttling else 2]


def learn_user(problem: Problem, settings: AllActionSettings) -> tuple[LearnedUser, Curve]:
    """The user learns to answer any commitment in any game; half of them are options, the others all over.

    Returns:
        The learned user, and its mean exact regret where it has not learned against the gradient steps.
    """
    games, levels = problem.games, np.array(PATIENCE_LEVELS)
    view = View(2, PAPER, problem.training.features)

    def play(rows: IntArray, seeds: IntArray, generator: np.random.Generator) -> Played:
        commitment = _explored(games[rows], problem, generator)
        rewards = np.empty((len(rows), len(levels)), dtype=np.float32)
        for part in _parts(USER_STAGE, len(rows), problem):
            rollouts = problem.rollouts(rows[part], seeds[part], settings.tasks, commitment[part])
            gain = rollouts.compare(np.tile(levels, (len(part), 1))) / games.value[rows[part]][:, None]
            rewards[part] = scaled_gain(gain.astype(np.float32))
        kept = np.arange(evaluated(len(rows)))
        regret = user_regret(games[rows[kept]][:, None], commitment[kept][:, None], levels)
        return Played(view.observe(games[rows], commitment), rewards, regret)

    policy, curve = _learned(USER_STAGE, problem, settings, view, len(levels), play)
    return LearnedUser(policy), curve


def learn_provider(
    problem: Problem, user: LearnedUser, thresholds: LearnedThresholds, settings: AmortisedProviderSettings
) -> tuple[LearnedProvider, Curve]:
    """The provider learns what to commit to in any game, against a user that no longer changes; as `learn_user`.

    Users who stay with one model alone and leave the other are taken to stay on the safe side of the learned threshold,
    so near to which the learned user is not sharp.
    """
    games, options = problem.games, problem.options
    view = View(2, GAME, problem.training.features)
    fee = settings.delay_fee * (options[:, 2:] > 0).any(axis=1)

    def committed(rows: IntArray) -> Commitment:
        return problem.committed(games[rows][:, None], thresholds.completed(options, view.observe(games[rows])))

    def play(rows: IntArray, seeds: IntArray, generator: np.random.Generator) -> Played:
        rewards = np.empty((len(rows), len(options)), dtype=np.float32)
        for part in _parts(PROVIDER_STAGE, len(rows), problem):
            commitment = committed(rows[part])
            patience = user.patience(games[rows[part]][:, None], commitment, np.zeros(()))
            first, second = (patience[:, :2] > _STAYS).T
            patience[:, -KINDS:][np.stack([second & ~first, first & ~second], axis=1)] = 1.0
            each, seed = (np.repeat(numbers[part], len(options)) for numbers in (rows, seeds))
            rollouts = problem.rollouts(each, seed, settings.tasks, commitment.reshape(patience.size))
            means = rollouts.play(np.repeat(patience.reshape(-1, 1), 2, axis=1))
            total = means["service_cost"] + means["churn_penalty"]
            cost = total.reshape(commitment.shape) / unit_of_money(games[rows[part]])[:, None]
            rewards[part] = -np.log(np.maximum(cost, _LEAST_COST)) - fee
        kept = rows[: evaluated(len(rows))]
        best = solve(games[kept], throttling=problem.training.throttling).provider_cost
        regret = provider_regret(games[kept][:, None], committed(kept), best[:, None])
        weights = 1.0 + settings.mixing_weight * _mixing_pays(rewards)
        return Played(view.observe(games[rows]), rewards, regret, weights)

    policy, curve = _learned(PROVIDER_STAGE, problem, settings, view, len(options), play)
    return LearnedProvider(policy, commitments=options, thresholds=thresholds), curve


def _learned(
    stage: str,
    problem: Problem,
    settings: AllActionSettings,
    view: View,
    options: int,
    play: Callable[[IntArray, IntArray, np.random.Generator], Played],
) -> tuple[ActorCriticPolicy, Curve]:
    """A policy that has learned from all options, in situations drawn from the games; `play` gets rows and seeds."""
    seed = derived_seed(problem.training.seed, stage)

    def played() -> Played:
        generator = np.random.default_rng(derived_seed(seed, "situations"))
        rows = generator.integers(len(problem.games), size=settings.situations)
        return play(rows, derived_seed(seed, "tasks") + np.arange(len(rows)), generator)

    learner = AllActionLearner(played, view.space, options, settings, seed=seed)
    curve = learn_alone(stage, learner, problem.training.session, learner.measure)
    return learner.policy, curve


def _explored(games: Game, problem: Problem, generator: np.random.Generator) -> Commitment:
    """Half of the commitments are all over, a quarter mix the models without delays, a quarter are other options."""
    count, others = len(games), problem.options[:-KINDS]
    wide = ExploringProvider(problem.training.throttling).commit(games, generator.random((count, 5)))
    alone = others[generator.integers(len(others), size=count)]
    mixed = np.zeros_like(alone)
    mixed[:, 1] = generator.random(count)
    own = problem.committed(games, np.where(generator.random((count, 1)) < 0.5, mixed, alone))
    listed = generator.random(count) < 0.5
    return Commitment.stack([wide, own])[listed.astype(np.int64), np.arange(count)]


def _mixing_pays(rewards: npt.NDArray[np.float32]) -> FloatArray:
    """From 0, where mixing the models has saved the provider less than 5 % in play, to 1 from 25 % on; shape (n,)."""
    gain = rewards[:, -KINDS:].max(axis=1) - rewards[:, :-KINDS].max(axis=1)
    share: FloatArray = (gain.astype(np.float64) - _LEAST_SAVING) / (_FULL_SAVING - _LEAST_SAVING)
    return np.clip(share, 0.0, 1.0)


def _parts(stage: str, count: int, problem: Problem) -> Iterator[IntArray]:
    """The numbers of all situations in parts; reports progress after each, without a regret."""
    for done, part in enumerate(np.array_split(np.arange(count), _PARTS), start=1):
        yield part
        problem.training.session.progress(f"{stage}: play", done, _PARTS, np.nan)
