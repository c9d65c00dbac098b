"""Settings of the learning schemes as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from stackroute.configs.loading import Settings, read_settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, le=1e3)]


class LearnerSettings(Settings):
    """How one player learns by PPO on a batch of one-step episodes.

    Attributes:
        steps: Commitments (for the provider) or patiences (for the user) tried in all.
        batch_size: How many are tried at once.
        rollout_length: Batches between two updates.
        minibatches: Minibatches of an update.
        epochs: Passes over the data of an update.
        learning_rate: At the beginning.
        final_learning_rate: At the end; linear in between.
        entropy_bonus: Weight of the policy's entropy in the loss.
        hidden_layers: Widths of the hidden layers, for policy and value function alike.
        tasks_per_commitment: Tasks played to judge one try.
    """

    steps: Count
    batch_size: Count
    rollout_length: Count
    minibatches: Count
    epochs: Count
    learning_rate: Positive
    final_learning_rate: Positive
    entropy_bonus: Annotated[float, Field(ge=0)]
    hidden_layers: Annotated[list[Count], Field(min_length=1)]
    tasks_per_commitment: Count

    @model_validator(mode="after")
    def _minibatches_divide(self) -> Self:
        collected = self.batch_size * self.rollout_length
        if collected % self.minibatches or collected <= self.minibatches:
            raise ValueError(
                f"minibatches: {self.minibatches} is not allowed; expected a divisor of, and less than, "
                f"batch_size * rollout_length = {collected}"
            )
        return self


class ProviderSettings(LearnerSettings):
    """How the provider learns.

    Attributes:
        exploration: Standard deviation of its actions in [-1, 1], at the beginning.
        final_exploration: At the end; geometric in between.
    """

    exploration: Positive
    final_exploration: Positive


class FollowerFirstSettings(Settings):
    """First the user learns to answer any commitment, then the provider learns against it.

    Attributes:
        user: How the user learns.
        provider: How the provider learns.
    """

    user: LearnerSettings
    provider: ProviderSettings


def load_training_settings(name: str | Path = "follower_first") -> FollowerFirstSettings:
    """Load training settings by their packaged name or from a YAML file.

    Args:
        name: A packaged name, or the path of a file that ends in .yaml or .yml.

    Returns:
        The settings.

    Raises:
        ConfigError: No such settings, or a file with a key or value that is not allowed.
    """
    return read_settings(name, "training", FollowerFirstSettings)
