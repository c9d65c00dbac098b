"""Settings of learners: a class for each algorithm, so that each has its own keys and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, model_validator

from stackroute.configs.loading import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, le=1e3)]
Activation = Literal["tanh", "relu", "silu"]


class PlateauSettings(Settings):
    """When a player stops early: its sampled reward has stopped growing.

    Attributes:
        least_rounds: Rounds before which it never stops.
        rounds: It stops after this many rounds without progress.
        tolerance: What counts as progress, in the unit of the sampled reward.
    """

    least_rounds: Count
    rounds: Count
    tolerance: Annotated[float, Field(ge=0)]


class LearnerSettings(Settings):
    """What the algorithms have in common.

    Attributes:
        steps: Actions tried in all.
        rounds: Parts of the training, between which it is evaluated and saved; a divisor of `steps`.
        batch_size: How many are tried at once.
        tasks_per_commitment: Tasks played to evaluate one try.
        learning_rate: At the beginning.
        final_learning_rate: At the end; linear in between.
        hidden_layers: Widths of the hidden layers of all networks.
        activation: Activation function of all networks.
        plateau: When to stop early; null for never.
    """

    steps: Count
    rounds: Count
    batch_size: Count
    tasks_per_commitment: Count
    learning_rate: Positive
    final_learning_rate: Positive
    hidden_layers: Annotated[list[Count], Field(min_length=1)]
    activation: Activation
    plateau: PlateauSettings | None = None

    @property
    def steps_per_round(self) -> int:
        """Actions tried in a round."""
        return self.steps // self.rounds

    @property
    def steps_per_update(self) -> int:
        """Actions tried between two updates."""
        return self.batch_size

    @model_validator(mode="after")
    def _rounds_divide(self) -> Self:
        if self.steps % self.rounds or self.steps_per_round % self.steps_per_update:
            raise ValueError(
                f"rounds: {self.rounds} is not allowed; expected a divisor of steps = {self.steps} for which "
                f"steps / rounds is a multiple of batch_size * rollout_length = {self.steps_per_update}"
            )
        return self


class OnPolicySettings(LearnerSettings):
    """What PPO and A2C have in common.

    Attributes:
        rollout_length: Batches between two updates.
        entropy_bonus: Weight of the policy's entropy in the loss.
        exploration: The standard deviation of the actions in [-1, 1] at the beginning; null, together with
            `final_exploration`, if the algorithm chooses it.
        final_exploration: At the end; geometric in between.
    """

    rollout_length: Count
    entropy_bonus: Annotated[float, Field(ge=0)]
    exploration: Positive | None = None
    final_exploration: Positive | None = None

    @property
    def steps_per_update(self) -> int:
        """Actions tried between two updates."""
        return self.batch_size * self.rollout_length

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if (self.exploration is None) != (self.final_exploration is None):
            raise ValueError("exploration: needs final_exploration, and the other way round")
        return self


class PPOSettings(OnPolicySettings):
    """PPO of stable-baselines3.

    Attributes:
        minibatches: Minibatches of an update.
        epochs: Passes over the data of an update.
    """

    algorithm: Literal["ppo"]
    minibatches: Count
    epochs: Count

    @model_validator(mode="after")
    def _minibatches_divide(self) -> Self:
        collected = self.steps_per_update
        if collected % self.minibatches or collected <= self.minibatches:
            raise ValueError(
                f"minibatches: {self.minibatches} is not allowed; expected a divisor of, and less than, "
                f"batch_size * rollout_length = {collected}"
            )
        return self


class A2CSettings(OnPolicySettings):
    """A2C of stable-baselines3."""

    algorithm: Literal["a2c"]


class OffPolicySettings(LearnerSettings):
    """What SAC, TD3, TQC and DQN have in common.

    Attributes:
        buffer_size: Tries that are remembered.
        minibatch_size: Remembered tries that one gradient step uses.
        gradient_steps: Gradient steps after each batch.
    """

    buffer_size: Count
    minibatch_size: Count
    gradient_steps: Count


class SACSettings(OffPolicySettings):
    """SAC of stable-baselines3 or TQC of sb3-contrib, which choose their own exploration."""

    algorithm: Literal["sac", "tqc"]


class TD3Settings(OffPolicySettings):
    """TD3 of stable-baselines3.

    Attributes:
        exploration: The standard deviation of the noise of the actions in [-1, 1] at the beginning.
        final_exploration: At the end; geometric in between.
    """

    algorithm: Literal["td3"]
    exploration: Positive
    final_exploration: Positive


class DQNSettings(OffPolicySettings):
    """DQN of stable-baselines3.

    Attributes:
        exploration: The share of random actions at the beginning.
        final_exploration: At the end; geometric in between.
    """

    algorithm: Literal["dqn"]
    exploration: Annotated[float, Field(gt=0, le=1)] = 1.0
    final_exploration: Annotated[float, Field(gt=0, le=1)] = 1.0


class AllOptionSettings(Settings):
    """How a player learns of which all options are played on the same tasks.

    Attributes:
        situations: Games, or for the user of one game commitments, in which all options are played; a tenth, at most
            1,000, serve to evaluate it.
        tasks: Tasks played with each option.
        steps: Gradient steps.
        batch_size: Situations of a gradient step.
        learning_rate: At the beginning.
        final_learning_rate: At the end; half a cosine wave in between.
        warm_up: The share of the steps in which the learning rate grows from 0.
        hidden_layers: Widths of the hidden layers.
        activation: Activation function of the network.
    """

    situations: Annotated[int, Field(ge=100)]
    tasks: Count
    steps: Count
    batch_size: Count
    learning_rate: Positive
    final_learning_rate: Positive
    warm_up: Annotated[float, Field(ge=0, lt=1)]
    hidden_layers: Annotated[list[Count], Field(min_length=1)]
    activation: Activation


class AllPatienceSettings(AllOptionSettings):
    """How a user of one game learns to predict what each patience is worth, from play of all of them."""

    algorithm: Literal["all_patiences"]


class _AnyUser(Settings):
    """How a user learns.

    Attributes:
        decision: "task": one patience for a whole task, evaluated by the mean over `tasks_per_commitment` tasks.
            "pass": each failed pass is answered by itself.
        action: With "task", "grid" (a list of patiences, in which 0 and 1 are exact) or "box" (any patience).
    """

    decision: Literal["task", "pass"]
    action: Literal["grid", "box"] | None = None
    tasks_per_commitment: Count

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if self.decision == "pass" and (self.action is not None or self.tasks_per_commitment != 1):
            raise ValueError("decision: 'pass' answers one task at a time; expected no action and 1 task")
        if self.decision == "task" and self.action is None:
            raise ValueError("action: missing key; expected 'grid' or 'box' with decision 'task'")
        if self.action != "box" and isinstance(self, OnPolicySettings) and self.exploration is not None:
            raise ValueError("exploration: is only possible with action 'box'")
        return self


class _BoxUser(_AnyUser):
    """What needs a continuous action."""

    decision: Literal["task"]
    action: Literal["box"]


class _UserPPO(PPOSettings, _AnyUser): ...


class _UserA2C(A2CSettings, _AnyUser): ...


class _UserSAC(SACSettings, _BoxUser): ...


class _UserTD3(TD3Settings, _BoxUser): ...


class _UserDQN(DQNSettings, _AnyUser):
    action: Literal["grid"] | None = None


ProviderSettings = Annotated[
    PPOSettings | A2CSettings | SACSettings | TD3Settings | DQNSettings, Field(discriminator="algorithm")
]
"""How the provider learns; dqn chooses from a list of commitments, the others freely."""

UserSettings = Annotated[_UserPPO | _UserA2C | _UserSAC | _UserTD3 | _UserDQN, Field(discriminator="algorithm")]
"""How the user learns."""

FollowerSettings = Annotated[
    AllPatienceSettings | _UserPPO | _UserA2C | _UserSAC | _UserTD3 | _UserDQN, Field(discriminator="algorithm")
]
"""How the user learns to answer any commitment before the provider learns."""

PROVIDER: TypeAdapter[ProviderSettings] = TypeAdapter(ProviderSettings, config=ConfigDict(defer_build=True))
USER: TypeAdapter[UserSettings] = TypeAdapter(UserSettings, config=ConfigDict(defer_build=True))
FOLLOWER: TypeAdapter[FollowerSettings] = TypeAdapter(FollowerSettings, config=ConfigDict(defer_build=True))


def or_name(adapter: TypeAdapter[Any]) -> Callable[[Any], Any]:
    """A validator that reads a packaged learner's settings where a name is given."""
    return lambda value: read_settings(value, "learners", adapter) if isinstance(value, str) else value
