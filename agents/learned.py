"""Learned players: policies of stable-baselines3 behind the same protocol as every other player."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from stackroute.envs.actions import PATIENCE_LEVELS, PATIENCE_SPACE, ProviderActions, from_symmetric, listed
from stackroute.envs.actions import symmetric_space as symmetric
from stackroute.envs.observations import PAPER, feature_space, observation_space, observe, with_features

if TYPE_CHECKING:
    import numpy.typing as npt
    from stable_baselines3.common.base_class import BaseAlgorithm

    from stackroute.agents.thresholds import LearnedThresholds
    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.game import FloatArray
    from stackroute.envs.observations import Block, Routing

GAME: tuple[Block, ...] = ("game",)
"""What the provider of the paper observes, and a user that does not see the commitment."""


# Those next to 1 are too near each other for a parabola through predictions.
_SPREAD = [PATIENCE_LEVELS.index(level) for level in (0.0, 0.2, 0.4, 0.6, 0.75, 0.9, 1.0)]


@dataclass(frozen=True)
class View:
    """What a policy observes of games of n models: blocks, perhaps with the hand-built features of `with_features`."""

    models: int
    blocks: tuple[Block, ...]
    features: bool = False

    @classmethod
    def of(cls, policy: BasePolicy, *allowed: tuple[Block, ...]) -> Self:
        """The view with a policy's observation space, of one of the allowed choices of blocks.

        Raises:
            TypeError: It is no policy of stable-baselines3.
            ValueError: Its observations are none of these.
        """
        if not isinstance(policy, BasePolicy):
            raise TypeError(
                f"policy: {type(policy).__name__} is not allowed; expected a policy of stable-baselines3 (models of it "
                "go into from_sb3)"
            )
        space = policy.observation_space
        # A block of the game has more numbers than three times the models.
        most = max(sum(space.shape or ()) // 3, 1)
        for models, blocks, features in itertools.product(range(1, most + 1), allowed, (False, True)):
            view = cls(models, blocks, features)
            if view.space == space:
                return view
        expected = " or ".join(" and ".join(blocks) for blocks in allowed)
        raise ValueError(
            f"policy: observations {space} are not allowed; expected those of {expected}, for two models "
            f"{cls(2, allowed[0]).space}"
        )

    @property
    def space(self) -> spaces.Box:
        """The observation space."""
        space_of = feature_space if self.features else observation_space
        return space_of(self.models, self.blocks)

    def observe(self, game: Game, commitment: Commitment | None = None) -> npt.NDArray[np.float32]:
        """What is observed of a game and a commitment, shape (..., width)."""
        observation = observe(game, commitment, blocks=self.blocks)
        return with_features(observation) if self.features else observation

    def holds(self, observations: npt.NDArray[Any]) -> bool:
        """Whether these are observations of games, shape (k, width), and nothing that was made of them."""
        n = self.models
        # Costs and penalty are divided by the largest cost plus the penalty.
        money = observations[:, 2 * n : 3 * n].max(axis=-1) + observations[:, 3 * n]
        in_space = (self.space.low <= observations) & (observations <= self.space.high)
        return bool(in_space.all() and (np.isclose(money, 1.0) | (money == 0.0)).all())


@dataclass(frozen=True)
class Normalisation:
    """What `VecNormalize` of stable-baselines3 makes of observations: (x - mean) / sqrt(variance + epsilon), clipped.

    Attributes:
        mean: Shape (width,).
        variance: Shape (width,).
        epsilon: Added to the variance.
        clip: The largest size of what comes out.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    epsilon: float
    clip: float

    @classmethod
    def of(cls, env: VecEnv | None) -> Self | None:
        """The statistics as they are now of the `VecNormalize` that an environment is or is wrapped around."""
        if env is not None and not isinstance(env, VecEnv):
            raise TypeError(f"vec_normalize: {env!r} is not allowed; expected a VecNormalize, as of VecNormalize.load")
        found = None if env is None else unwrap_vec_normalize(env)
        if env is not None and found is None:
            raise ValueError(f"vec_normalize: {env!r} is not allowed; expected a VecNormalize")
        if found is None or not found.norm_obs:
            return None
        statistics: Any = found.obs_rms
        mean, variance = statistics.mean.tolist(), statistics.var.tolist()
        return cls(tuple(mean), tuple(variance), float(found.epsilon), float(found.clip_obs))

    def __call__(self, observation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The observations as the policy has seen them, shape (..., width)."""
        scaled = (observation - np.array(self.mean)) / np.sqrt(np.array(self.variance) + self.epsilon)
        shown: npt.NDArray[np.float32] = np.clip(scaled, -self.clip, self.clip).astype(np.float32)
        return shown


class _Learned:
    """What both learned players are: a policy and what it observes."""

    _blocks: tuple[tuple[Block, ...], ...]

    def __init__(self, policy: BasePolicy, normalisation: Normalisation | None, explores: bool) -> None:
        self.view = View.of(policy, *self._blocks)
        self.policy, self.normalisation, self.explores = policy, normalisation, explores
        if normalisation is not None and (len(normalisation.mean),) != self.view.space.shape:
            raise ValueError(
                f"normalisation: statistics of {len(normalisation.mean)} numbers are not allowed; expected those of "
                f"observations of shape {self.view.space.shape}"
            )

    @classmethod
    def from_sb3(cls, model: BaseAlgorithm, *, vec_normalize: VecEnv | None = None, **options: Any) -> Self:
        """The player that a model of stable-baselines3 has learned, also one that was trained under `VecNormalize`.

        Args:
            model: The model.
            vec_normalize: The `VecNormalize` whose statistics it was trained with, as of `VecNormalize.load`; None for
                that of the model's own environment, where it has one.
            **options: As for the class.

        Returns:
            The player, with the statistics as they are now.

        Raises:
            TypeError: It is no model of stable-baselines3, or no `VecNormalize`.
            ValueError: The policy has other observations or actions, or what the model saw last was no observation of a
                game: it was normalised, and the statistics are missing.
        """
        if not hasattr(model, "get_vec_normalize_env"):
            raise TypeError(f"model: {type(model).__name__} is not allowed; expected a model of stable-baselines3")
        envs = model.get_vec_normalize_env() if vec_normalize is None else vec_normalize
        normalisation = Normalisation.of(envs)
        player = cls(model.policy, normalisation=normalisation, **options)
        if vec_normalize is None and normalisation is None:
            player.check_trained_on(model._last_obs)
        return player

    def check_trained_on(self, observations: Any) -> None:
        """Refuse what a model saw last, None or shape (k, width), where it cannot be what the environment gave.

        Raises:
            ValueError: Something was made of the observations, as `VecNormalize` does.
        """
        if observations is not None and not self.view.holds(np.asarray(observations)):
            raise ValueError(
                "model: it was trained on observations that were normalised or changed, as by VecNormalize; expected "
                "from_sb3(model, vec_normalize=...) with its statistics"
            )

    def _observed(self, game: Game, commitment: Commitment | None = None) -> npt.NDArray[np.float32]:
        observation = self.view.observe(game, commitment)
        return observation if self.normalisation is None else self.normalisation(observation)

    def _predicted(self, observation: npt.NDArray[np.float32]) -> np.ndarray:
        """The policy's actions, shape (..., *action shape)."""
        flat = observation.reshape(-1, observation.shape[-1])
        action, _ = self.policy.predict(flat, deterministic=not self.explores)
        return np.asarray(action).reshape((*observation.shape[:-1], *(self.policy.action_space.shape or ())))


class LearnedUser(_Learned):
    """A user whose patience a policy has learned.

    Args:
        policy: A policy of stable-baselines3 over the blocks game and commitment of `stackroute.envs`, or game alone,
            with or without features. Its actions are Discrete(10), each one of `stackroute.envs.PATIENCE_LEVELS`; or a
            patience in [-1, 1], as of `stackroute.envs.sb3.VecEnv`, or in [0, 1]; or Discrete(2) as in User-v0, where
            the patience is the probability of re-prompting (for a value-based policy 0 or 1).
        normalisation: What is made of observations before the policy sees them; `from_sb3` takes it from a model that
            was trained under `VecNormalize`. A policy alone does not tell.
        explores: Whether its actions are drawn from its policy, as a learner draws them, with PyTorch's generator.
        predicts_utility: Whether the outputs for Discrete(10) predict what each patience is worth to the user, up to a
            constant. Then its patience may lie between those: at the peak of a parabola through the best one and its
            neighbours, if that is nearer to 0.9 than to 1.

    Attributes:
        view: What the policy observes.

    Raises:
        TypeError: It is no policy of stable-baselines3.
        ValueError: The policy has other observations or actions.
    """

    _blocks = (PAPER, GAME)

    def __init__(
        self,
        policy: BasePolicy,
        *,
        normalisation: Normalisation | None = None,
        explores: bool = False,
        predicts_utility: bool = False,
    ) -> None:
        super().__init__(policy, normalisation, explores)
        self.predicts_utility = predicts_utility
        choices = spaces.Discrete(len(PATIENCE_LEVELS))
        if policy.action_space not in (spaces.Discrete(2), choices, PATIENCE_SPACE, symmetric(PATIENCE_SPACE)):
            expected = f"Discrete(2), {choices} or a patience"
            raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")
        if predicts_utility and not (isinstance(policy, ActorCriticPolicy) and policy.action_space == choices):
            raise ValueError(f"predicts_utility: True is not allowed; expected an actor and a critic over {choices}")

    def patience(self, game: Game, commitment: Commitment | None, random_numbers: FloatArray) -> FloatArray:
        """The learned patience, shape (...)."""
        policy, actions, observation = self.policy, self.policy.action_space, self._observed(game, commitment)
        random = actions == spaces.Discrete(2) and isinstance(policy, ActorCriticPolicy)
        if random or self.predicts_utility:
            assert isinstance(policy, ActorCriticPolicy)
            flat = torch.tensor(observation.reshape(-1, observation.shape[-1]), device=policy.device)
            with torch.no_grad():
                distribution: Any = policy.get_distribution(flat).distribution
            known = distribution.probs[:, 0] if random else distribution.logits
            outputs: FloatArray = known.cpu().numpy().astype(np.float64)
            patience = outputs if random else _peak(outputs[:, _SPREAD], np.array(PATIENCE_LEVELS)[_SPREAD])
            return patience.reshape(observation.shape[:-1])[()]
        chosen = self._predicted(observation)
        if actions == spaces.Discrete(2):
            return 1.0 - chosen
        if isinstance(actions, spaces.Discrete):
            return listed(chosen, PATIENCE_LEVELS)
        if actions == PATIENCE_SPACE:
            return np.clip(chosen[..., 0].astype(np.float64), 0.0, 1.0)
        return from_symmetric(chosen[..., 0])


def _peak(utility: FloatArray, patience: FloatArray) -> FloatArray:
    """Where the parabola through the best patience and its neighbours is largest; utility (n, k), patience (k,)."""
    rows = np.arange(len(utility))
    middle = np.clip(utility.argmax(axis=1), 1, len(patience) - 2)
    one, two, three = (patience[middle + step] for step in (-1, 0, 1))
    at_one, at_two, at_three = (utility[rows, middle + step] for step in (-1, 0, 1))
    rises, falls = (at_two - at_one) / (two - one), (at_two - at_three) / (three - two)
    bends = rises + falls > 0
    peak = (one + two + (three - one) * rises / np.where(bends, rises + falls, 1.0)) / 2
    found = np.where(bends, np.clip(peak, one, three), patience[utility.argmax(axis=1)])
    # A user who should never leave is not to leave now and then because its predictions are a little off.
    best: FloatArray = np.where(found > (patience[-2] + patience[-1]) / 2, patience[-1], found)
    return best


def _checked_commitments(commitments: npt.ArrayLike, policy: BasePolicy) -> FloatArray:
    entries: FloatArray = np.array(commitments, dtype=np.float64)
    if entries.ndim != 2:
        raise ValueError(f"commitments: shape {entries.shape} is not allowed; expected (k, width)")
    if not ((entries >= 0) & (entries <= 1)).all():
        raise ValueError(f"commitments: {commitments!r} are not allowed; expected numbers in [0, 1]")
    expected = spaces.Discrete(len(entries))
    if policy.action_space != expected:
        raise ValueError(f"policy: actions {policy.action_space} are not allowed; expected {expected}")
    return entries


class LearnedProvider(_Learned):
    """A provider whose commitment a policy has learned.

    Args:
        policy: A policy of stable-baselines3 over the block game of `stackroute.envs`, with or without features, and
            the actions of a provider that commits: in [-1, 1], as of `stackroute.envs.sb3.VecEnv`, in [0, 1] or
            discrete; it plays the mean of its actions.
        commitments: The actions in [0, 1] that its discrete actions stand for, shape (k, width), as of
            `stackroute.envs.ProviderActions`; None for the grid with as many.
        thresholds: Gives the last two of these commitments the cascade probabilities that suit a game.
        normalisation: As for `LearnedUser`.
        explores: Whether its actions are drawn from its policy instead, with PyTorch's generator.

    Attributes:
        view: What the policy observes.
        actions: The provider's actions.

    Raises:
        TypeError: It is no policy of stable-baselines3.
        ValueError: The policy has other observations or actions.
    """

    _blocks = (GAME,)

    def __init__(
        self,
        policy: BasePolicy,
        *,
        commitments: npt.ArrayLike | None = None,
        thresholds: LearnedThresholds | None = None,
        normalisation: Normalisation | None = None,
        explores: bool = False,
    ) -> None:
        super().__init__(policy, normalisation, explores)
        self.commitments = None if commitments is None else _checked_commitments(commitments, policy)
        self.thresholds = thresholds
        self.actions = self._actions_of(policy.action_space)
        self._listed = self.commitments
        if self._listed is None and isinstance(policy.action_space, spaces.Discrete):
            self._listed = self.actions.grid

    def _actions_of(self, space: spaces.Space[Any]) -> ProviderActions:
        """The actions, by the width of the list, or by the policy's space."""
        routings: tuple[Routing, ...] = ("cascade", "lottery")
        for routing, throttling in itertools.product(routings, (False, True)):
            actions = ProviderActions(self.view.models, routing, throttling)
            if self.commitments is not None:
                if actions.width == self.commitments.shape[1]:
                    return actions
            elif isinstance(space, spaces.Discrete):
                if space == spaces.Discrete(len(actions.grid)):
                    return actions
            elif space in (actions.box, symmetric(actions.box)):
                return actions
        if self.commitments is not None:
            raise ValueError(f"commitments: shape {self.commitments.shape} is not allowed; expected (k, width)")
        raise ValueError(f"policy: actions {space} are not allowed; expected those of a provider that commits")

    def commit(self, game: Game, random_numbers: FloatArray) -> Commitment:
        """The learned commitment, shape (...)."""
        observation = self._observed(game)
        if self.explores:
            shape = np.broadcast_shapes(game.shape, np.shape(random_numbers)[:-1])
            observation = np.broadcast_to(observation, (*shape, observation.shape[-1]))
        action = self._predicted(observation)
        if self.thresholds is not None and self.commitments is not None:
            rows = self.thresholds.completed(self.commitments, observation)
            action = np.take_along_axis(rows, action[..., None, None], axis=-2)[..., 0, :]
        elif self._listed is not None:
            action = listed(action, self._listed)
        elif self.policy.action_space == symmetric(self.actions.box):
            action = from_symmetric(action, self.actions.delays)
        return self.actions.decoded(game, action)
