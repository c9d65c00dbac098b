"""One user and one provider for a whole distribution of games, which then answer a game they have never played.

Follower first, as in `stackroute.training.learn.follower_first`, but both networks see the game: they learn not an
equilibrium but the map from games to equilibria. All rewards come from sampled play of random games.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.learned import GAME, LearnedProvider, LearnedUser, View
from stackroute.analytic import Commitment, Game, random_games, solve
from stackroute.envs import PATIENCE_LEVELS, ProviderActions, Variant
from stackroute.envs.observations import FEATURES, PAPER, unit_of_money
from stackroute.envs.tasks import compare_patiences, roll_out
from stackroute.training.learn.all_actions import Played, evaluated, learn_from_all_actions
from stackroute.training.learn.evaluation import evaluate, provider_regret, user_regret
from stackroute.training.learn.exploration import ExploringProvider
from stackroute.training.learn.learning import no_random_numbers, one_thread
from stackroute.training.learn.result import Stage, TrainedPair, evaluate_held_out
from stackroute.training.learn.session import Session, derived_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.amortised import (
        AllActionSettings,
        AmortisedProviderSettings,
        AmortisedSettings,
        GamesSettings,
    )
    from stackroute.training.learn.session import Curve

USER_STAGE, PROVIDER_STAGE = "user", "provider"

_PARTS = 100
_LEAST_COST = 1e-6

_GAIN_UNIT = 0.05
"""Of the user's rewards, as a share of the value: gains far above it differ less, since any of them decides."""

_LEAST_SAVING, _FULL_SAVING = 0.05, 0.25


@dataclass(frozen=True, eq=False)
class Problem:
    """What the stages of both players have in common.

    Attributes:
        games: The games to draw from, shape (m,).
        options: The commitments among which the provider chooses, see `provider_options`.
        features: Whether the players see hand-built features.
        throttling: Whether the provider can delay.
        seed: Fixes everything.
    """

    games: Game
    options: FloatArray
    features: bool
    throttling: bool
    seed: int

    def committed(self, games: Game, options: FloatArray) -> Commitment:
        """What options commit to in games."""
        return ProviderActions(throttling=self.throttling).decoded(games, options)


def train(
    game: Game, settings: AmortisedSettings, *, throttling: bool, seed: int = 0, session: Session | None = None
) -> TrainedPair:
    """Train both on a distribution of games, and evaluate them on one game and on held-out ones."""
    session = session or Session()
    with one_thread():
        problem = Problem(
            games=training_games(settings.games, derived_seed(seed, "games")),
            options=provider_options(settings.provider.mixtures, throttling),
            features=settings.features == FEATURES,
            throttling=throttling,
            seed=seed,
        )
        user, user_curve = learn_user(problem, settings.user, session)
        provider, provider_curve = learn_provider(problem, user, settings.provider, session)
        commitment = provider.commit(game, no_random_numbers())
        patience = user.patience(game, commitment, np.zeros(()))
        evaluation = evaluate(game, commitment, patience, throttling=throttling)
        held_out = evaluate_held_out(provider, throttling=throttling)
    return TrainedPair(
        user=user,
        provider=provider,
        network=provider,
        stages=(Stage(PROVIDER_STAGE, evaluation),),
        curves={USER_STAGE: user_curve, PROVIDER_STAGE: provider_curve},
        certified=None,
        held_out=held_out,
    )


def training_games(settings: GamesSettings, seed: int) -> Game:
    """The games of a distribution, shape (count,)."""
    ranges = list(itertools.product(settings.values, settings.churn_penalties))
    whole, left = divmod(settings.count, len(ranges))

    def pair(given: list[float]) -> tuple[float, float]:
        return given[0], given[1]

    parts = [
        random_games(
            whole + (number < left),
            derived_seed(seed, number),
            success=pair(settings.success),
            cost=pair(settings.cost),
            latency=pair(settings.latency),
            value=pair(value),
            churn_penalty=pair(penalty),
        )
        for number, (value, penalty) in enumerate(ranges)
    ]
    return Game.concatenate(parts)


def provider_options(mixtures: int, throttling: bool) -> FloatArray:
    """The commitments among which the provider chooses, as actions of Provider-v0 in [0, 1].

    Args:
        mixtures: How many cascade probabilities above 0.
        throttling: Whether a model can be delayed, by the value.

    Returns:
        Each model alone, with throttling each model alone and delayed, then the mixtures; shape (k, 4), or (k, 2)
        without throttling.
    """
    alone = [(0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)]
    delayed = [(0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0)] if throttling else []
    mixed = [(0.0, number / mixtures, 0.0, 0.0) for number in range(1, mixtures + 1)]
    return np.array([*alone, *delayed, *mixed])[:, : 4 if throttling else 2]


def learn_user(problem: Problem, settings: AllActionSettings, session: Session) -> tuple[LearnedUser, Curve]:
    """The user learns to answer any commitment in any game.

    Args:
        problem: The games; half of the commitments are from its list, the others all over.
        settings: How the user learns.
        session: Keeps the outcome.

    Returns:
        The learned user, and its mean exact regret where it has not learned against the gradient steps.

    Raises:
        OutputError: A stage's file cannot be written.
    """
    games, seed = problem.games, derived_seed(problem.seed, USER_STAGE)
    levels = np.array(PATIENCE_LEVELS)
    view = View(2, PAPER, problem.features)

    def play() -> Played:
        generator = np.random.default_rng(derived_seed(seed, "situations"))
        rows = generator.integers(len(games), size=settings.situations)
        commitment = _explored(games[rows], problem, generator)
        rewards = np.empty((len(rows), len(levels)), dtype=np.float32)
        variant, seeds = Variant.of(games), derived_seed(seed, "tasks") + np.arange(len(rows))
        for part in _parts(USER_STAGE, len(rows), session):
            gain = compare_patiences(
                variant,
                seeds[part],
                np.zeros_like(part),
                settings.tasks,
                rows[part],
                commitment[part],
                np.tile(levels, (len(part), 1)),
            )
            rewards[part] = np.arcsinh(gain / (_GAIN_UNIT * games.value[rows[part]][:, None]))
        kept = np.arange(evaluated(len(rows)))
        regret = user_regret(games[rows[kept]][:, None], commitment[kept][:, None], levels)
        return Played(view.observe(games[rows], commitment), rewards, regret)

    policy, curve = learn_from_all_actions(
        USER_STAGE, play, settings, session, space=view.space, options=len(levels), seed=seed
    )
    return LearnedUser(policy), curve


def learn_provider(
    problem: Problem, user: LearnedUser, settings: AmortisedProviderSettings, session: Session
) -> tuple[LearnedProvider, Curve]:
    """The provider learns what to commit to in any game, against a user that no longer changes.

    Args:
        problem: The games, and the commitments among which it chooses.
        user: The user that answers.
        settings: How the provider learns.
        session: Keeps the outcome.

    Returns:
        The learned provider, and its mean exact regret where it has not learned against the gradient steps.

    Raises:
        OutputError: A stage's file cannot be written.
    """
    games, options, seed = problem.games, problem.options, derived_seed(problem.seed, PROVIDER_STAGE)
    view = View(2, GAME, problem.features)
    fee = settings.delay_fee * (options[:, 2:] > 0).any(axis=1)

    def play() -> Played:
        generator = np.random.default_rng(derived_seed(seed, "situations"))
        rows = generator.integers(len(games), size=settings.situations)
        rewards = np.empty((len(rows), len(options)), dtype=np.float32)
        variant, seeds = Variant.of(games), derived_seed(seed, "tasks") + np.arange(len(rows))
        for part in _parts(PROVIDER_STAGE, len(rows), session):
            batch = games[rows[part]][:, None]
            commitment = problem.committed(batch, options)
            patience = user.patience(batch, commitment, np.zeros(())).ravel()
            means = roll_out(
                variant,
                np.repeat(seeds[part], len(options)),
                np.zeros(patience.size, dtype=np.int64),
                settings.tasks,
                np.repeat(rows[part], len(options)),
                commitment.reshape(patience.size),
                np.stack([patience, patience], axis=1),
            )
            total = means["service_cost"] + means["churn_penalty"]
            cost = total.reshape(commitment.shape) / unit_of_money(batch)
            rewards[part] = -np.log(np.maximum(cost, _LEAST_COST)) - fee
        kept = games[rows[: evaluated(len(rows))]]
        best = solve(kept, throttling=problem.throttling).provider_cost
        regret = provider_regret(kept[:, None], problem.committed(kept[:, None], options), best[:, None])
        weights = 1.0 + settings.mixing_weight * _mixing_pays(rewards, options)
        return Played(view.observe(games[rows]), rewards, regret, weights)

    policy, curve = learn_from_all_actions(
        PROVIDER_STAGE, play, settings, session, space=view.space, options=len(options), seed=seed
    )
    return LearnedProvider(policy, commitments=options), curve


def _explored(games: Game, problem: Problem, generator: np.random.Generator) -> Commitment:
    """Half of the commitments are all over, a quarter are options that mix the models, a quarter the other options."""
    count, options = len(games), problem.options
    wide = ExploringProvider(problem.throttling).commit(games, generator.random((count, 5)))
    mixes = options[:, 1] > 0
    numbers = [generator.choice(np.flatnonzero(those), count) for those in (mixes, ~mixes)]
    own = problem.committed(games, options[np.where(generator.random(count) < 0.5, *numbers)])
    listed = generator.random(count) < 0.5
    return Commitment.stack([wide, own])[listed.astype(np.int64), np.arange(count)]


def _mixing_pays(rewards: npt.NDArray[np.float32], options: FloatArray) -> FloatArray:
    """From 0, where mixing the models has saved the provider less than 5 % in play, to 1 from 25 % on; shape (n,)."""
    mixes = (options[:, 1] > 0) & (options[:, 1] < 1)
    gain = rewards[:, mixes].max(axis=1) - rewards[:, ~mixes].max(axis=1)
    share: FloatArray = (gain.astype(np.float64) - _LEAST_SAVING) / (_FULL_SAVING - _LEAST_SAVING)
    return np.clip(share, 0.0, 1.0)


def _parts(stage: str, count: int, session: Session) -> Iterator[IntArray]:
    """The numbers of all situations in parts; reports progress after each, without a regret."""
    for done, part in enumerate(np.array_split(np.arange(count), _PARTS), start=1):
        yield part
        session.progress(f"{stage}: play", done, _PARTS, np.nan)
