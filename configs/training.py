"""Settings of learning schemes as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from stackroute.configs.amortised import AmortisedSettings
from stackroute.configs.learners import FOLLOWER, PROVIDER, USER, FollowerSettings, Positive, or_name
from stackroute.configs.learners import LearnerSettings as LearnerSettings
from stackroute.configs.learners import PlateauSettings as PlateauSettings
from stackroute.configs.learners import ProviderSettings as ProviderSettings
from stackroute.configs.learners import UserSettings as UserSettings
from stackroute.configs.loading import Settings, read_settings, validated, with_changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

Share = Annotated[float, Field(ge=0, le=1)]


class OverviewSettings(Settings):
    """The provider's choice is compared with commitments all over.

    Attributes:
        places: How many commitments are tried along a line of them, such as the cascades from the first model; with
            free routing from a start model over all pairs of models, but at least 11 for each pair.
        contenders: A line that would cost this share more than the best, however the user answered, is left out.
    """

    places: Annotated[int, Field(ge=3)]
    contenders: Share


class CertificateSettings(Settings):
    """A commitment is accepted when sampled play shows what the user's answer to it costs the provider.

    Attributes:
        tolerance: The costs of all answers that are not ruled out must agree within this share. Half of it is the gain
            for which it is worth searching nearer to the threshold.
        standard_errors: By how many standard errors an answer must be worse for the user than the best to be ruled out.
        tasks: Most tasks played for one commitment.
    """

    tolerance: Annotated[float, Field(gt=0, le=1)]
    standard_errors: Positive
    tasks: Annotated[int, Field(ge=10_000)]


class _Players(Settings):
    """Two players, each given by a packaged learner's name or by its settings.

    Attributes:
        provider: How the provider learns.
        features: "raw": the players see the scaled parameters. "theory": also the sign of each model's net value and
            the logarithm of churn penalty / cost-of-pass.
    """

    provider: Annotated[ProviderSettings, BeforeValidator(or_name(PROVIDER))]
    features: Literal["raw", "theory"]


class FollowerFirstSettings(_Players):
    """First the user learns to answer any commitment, then the provider learns against it; then its choice is refined.

    Attributes:
        user: How the user learns.
        overview: How the provider's choice is compared with others by sampled play; null for not at all.
        certificate: How it is checked by sampled play in the end; null for not at all.
    """

    scheme: Literal["follower_first"]
    user: Annotated[FollowerSettings, BeforeValidator(or_name(FOLLOWER))]
    overview: OverviewSettings | None
    certificate: CertificateSettings | None


class SimultaneousSettings(_Players):
    """Both players learn at the same time, each against the other as it is at the moment.

    The user sees the commitment (`simultaneous`) or does not (`simultaneous_blind`).

    Attributes:
        user: How the user learns.
    """

    scheme: Literal["simultaneous", "simultaneous_blind"]
    user: Annotated[UserSettings, BeforeValidator(or_name(USER))]

    @model_validator(mode="after")
    def _same_rounds(self) -> Self:
        if self.user.rounds != self.provider.rounds:
            raise ValueError(
                f"user.rounds: {self.user.rounds} is not allowed; expected provider.rounds = {self.provider.rounds}"
            )
        return self


TrainingSettings = Annotated[
    FollowerFirstSettings | SimultaneousSettings | AmortisedSettings, Field(discriminator="scheme")
]

_TRAINING: TypeAdapter[TrainingSettings] = TypeAdapter(TrainingSettings, config=ConfigDict(defer_build=True))


def settings_from(content: dict[str, Any], label: str) -> TrainingSettings:
    """Training settings from keys and values, as `stackroute.configs.loading.validated`."""
    return validated(content, label, _TRAINING)


def load_training_settings(name: str | Path = "follower_first", changes: Sequence[str] = ()) -> TrainingSettings:
    """Load training settings by their packaged name or from a YAML file.

    Args:
        name: A packaged name, or the path of a file that ends in .yaml or .yml.
        changes: Texts of the form key=value, as for `with_changes`.

    Returns:
        The settings of the scheme that the file names.

    Raises:
        ConfigError: No such settings, or a key or value that is not allowed.
    """
    return with_changes(read_settings(name, "training", _TRAINING), changes)
