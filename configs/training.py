"""Settings of learners and learning schemes as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from stackroute.configs.amortised import AmortisedSettings
from stackroute.configs.loading import Settings, one_of, read_content, read_settings, with_changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, le=1e3)]
Share = Annotated[float, Field(ge=0, le=1)]

Algorithm = Literal["ppo", "a2c", "sac", "td3", "tqc", "dqn"]
ON_POLICY = ("ppo", "a2c")
VALUE_BASED = ("dqn",)
ACTOR_CRITIC_OFF_POLICY = ("sac", "td3", "tqc")

_ON_POLICY_KEYS = ("rollout_length", "entropy_bonus")
_OFF_POLICY_KEYS = ("buffer_size", "minibatch_size", "gradient_steps")
_EXPLORATION_KEYS = ("exploration", "final_exploration")
_KEYS: dict[str, tuple[str, ...]] = {
    "ppo": (*_ON_POLICY_KEYS, "minibatches", "epochs"),
    "a2c": _ON_POLICY_KEYS,
    "sac": _OFF_POLICY_KEYS,
    "td3": _OFF_POLICY_KEYS,
    "tqc": _OFF_POLICY_KEYS,
    "dqn": _OFF_POLICY_KEYS,
}


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
    """How one player learns by an algorithm of stable-baselines3 (TQC: of sb3-contrib).

    Attributes:
        algorithm: One of ppo, a2c, sac, td3, tqc and dqn; the optional keys below belong to some of them.
        steps: Actions tried in all.
        rounds: Parts of the training, between which it is judged and saved; a divisor of `steps`.
        batch_size: How many are tried at once.
        tasks_per_commitment: Tasks played to judge one try.
        learning_rate: At the beginning.
        final_learning_rate: At the end; linear in between.
        hidden_layers: Widths of the hidden layers of all networks.
        activation: Activation function of all networks.
        plateau: When to stop early; null for never.
        average_last: The share of the rounds, at the end, over which the policy's weights are averaged into the final
            policy; null for the last policy itself.
        exploration: At the beginning: the standard deviation of the actions in [-1, 1] (ppo, a2c, td3) or the share of
            random actions (dqn).
        final_exploration: At the end; geometric in between.
        rollout_length: Batches between two updates (ppo, a2c).
        entropy_bonus: Weight of the policy's entropy in the loss (ppo, a2c).
        minibatches: Minibatches of an update (ppo).
        epochs: Passes over the data of an update (ppo).
        buffer_size: Tries that are remembered (sac, td3, tqc, dqn).
        minibatch_size: Remembered tries that one gradient step uses (sac, td3, tqc, dqn).
        gradient_steps: Gradient steps after each batch (sac, td3, tqc, dqn).
    """

    algorithm: Algorithm
    steps: Count
    rounds: Count
    batch_size: Count
    tasks_per_commitment: Count
    learning_rate: Positive
    final_learning_rate: Positive
    hidden_layers: Annotated[list[Count], Field(min_length=1)]
    activation: Literal["tanh", "relu", "silu"]
    plateau: PlateauSettings | None = None
    average_last: Annotated[float, Field(gt=0, le=1)] | None = None
    exploration: Positive | None = None
    final_exploration: Positive | None = None
    rollout_length: Count | None = None
    entropy_bonus: Annotated[float, Field(ge=0)] | None = None
    minibatches: Count | None = None
    epochs: Count | None = None
    buffer_size: Count | None = None
    minibatch_size: Count | None = None
    gradient_steps: Count | None = None

    @property
    def steps_per_round(self) -> int:
        """Actions tried in a round."""
        return self.steps // self.rounds

    @classmethod
    def _keys_of(cls, algorithm: str) -> tuple[str, ...]:
        return _KEYS[algorithm]

    @model_validator(mode="after")
    def _only_the_algorithms_keys(self) -> Self:
        mine = self._keys_of(self.algorithm)
        for key in dict.fromkeys(key for one in get_args(Algorithm) for key in self._keys_of(one)):
            given = getattr(self, key) is not None
            if given and key not in mine:
                raise ValueError(f"{key}: is not used by {self.algorithm}; its own keys are {', '.join(mine)}")
            if not given and key in mine:
                raise ValueError(f"{key}: missing key; {self.algorithm} needs {', '.join(mine)}")
        return self

    @model_validator(mode="after")
    def _parts_divide(self) -> Self:
        collected = self.batch_size * (self.rollout_length or 1)
        whole_rollouts = self.steps % self.rounds == 0 and self.steps_per_round % collected == 0
        if not whole_rollouts:
            raise ValueError(
                f"rounds: {self.rounds} is not allowed; expected a divisor of steps = {self.steps} for which "
                f"steps / rounds is a multiple of batch_size * rollout_length = {collected}"
            )
        if self.minibatches and (collected % self.minibatches or collected <= self.minibatches):
            raise ValueError(
                f"minibatches: {self.minibatches} is not allowed; expected a divisor of, and less than, "
                f"batch_size * rollout_length = {collected}"
            )
        return self

    @model_validator(mode="after")
    def _averages_at_a_known_end(self) -> Self:
        if self.average_last is not None and self.plateau is not None:
            raise ValueError("average_last: is not possible with plateau, which may stop before the average begins")
        return self


class UserSettings(LearnerSettings):
    """How the user learns.

    With action "box", ppo and a2c choose their own width of exploration, unless `exploration` and `final_exploration`
    are given.

    Attributes:
        decision: "task": one patience for a whole task, judged by the mean over `tasks_per_commitment` tasks. "pass":
            each failed pass is answered by itself.
        action: With "task", "grid" (a list of patiences, in which 0 and 1 are exact) or "box" (any patience).
        group: With "task", how many of a batch answer the same commitment on the same tasks, each rewarded for being
            better than the others; a divisor of `batch_size`. Null: each answers a commitment of its own.
    """

    decision: Literal["task", "pass"]
    action: Literal["grid", "box"] | None = None
    group: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _algorithm_fits(self) -> Self:
        if self.decision == "pass":
            if self.algorithm in ACTOR_CRITIC_OFF_POLICY:
                raise ValueError(f"algorithm: {self.algorithm} needs a continuous action; expected ppo, a2c or dqn")
            if self.action is not None or self.tasks_per_commitment != 1:
                raise ValueError("decision: 'pass' answers one task at a time; expected no action and 1 task")
        elif self.action is None:
            raise ValueError("action: missing key; expected 'grid' or 'box' with decision 'task'")
        elif self.algorithm in (VALUE_BASED if self.action == "box" else ACTOR_CRITIC_OFF_POLICY):
            raise ValueError(f"action: {self.action!r} is not possible with {self.algorithm}")
        return self

    @model_validator(mode="after")
    def _group_divides(self) -> Self:
        if self.group is not None:
            if self.decision == "pass":
                raise ValueError("group: is not possible with decision 'pass'")
            if self.batch_size % self.group:
                raise ValueError(
                    f"group: {self.group} is not allowed; expected a divisor of batch_size = {self.batch_size}"
                )
        return self

    @model_validator(mode="after")
    def _exploration_has_a_width(self) -> Self:
        given = [getattr(self, key) is not None for key in _EXPLORATION_KEYS]
        if any(given):
            if not all(given):
                raise ValueError("exploration: needs final_exploration, and the other way round")
            if self.action != "box" or self.algorithm not in (*ON_POLICY, "td3"):
                raise ValueError("exploration: is only possible with action 'box' and ppo, a2c or td3")
        elif self.algorithm == "td3":
            raise ValueError("exploration: missing key; td3 needs exploration and final_exploration")
        return self


class ProviderSettings(LearnerSettings):
    """How the provider learns; dqn chooses from a list of commitments, the others freely.

    All but sac and tqc need `exploration` and `final_exploration`.
    """

    @classmethod
    def _keys_of(cls, algorithm: str) -> tuple[str, ...]:
        own_exploration = algorithm in ("sac", "tqc")
        return _KEYS[algorithm] if own_exploration else (*_KEYS[algorithm], *_EXPLORATION_KEYS)


class _Players(Settings):
    """Two players, each given by a packaged learner's name or by its settings.

    Attributes:
        user: How the user learns.
        provider: How the provider learns.
    """

    user: UserSettings
    provider: ProviderSettings

    @field_validator("user", mode="before")
    @classmethod
    def _named_user(cls, value: Any) -> Any:
        return read_settings(value, "learners", UserSettings) if isinstance(value, str) else value

    @field_validator("provider", mode="before")
    @classmethod
    def _named_provider(cls, value: Any) -> Any:
        return read_settings(value, "learners", ProviderSettings) if isinstance(value, str) else value


class ZoomSettings(_Players):
    """The provider's choice is refined: first among commitments all over, then in ever narrower windows.

    In each window both players learn anew.

    Attributes:
        cascades: Cascade probabilities tried in the first place and in each window.
        half_widths: Half-widths of the windows in the cascade probability, from wide to narrow.
        contenders: Commitments that cost at most this share more than the best are followed further.
        least_gain: A window that saves less than this share of the sampled cost is the last.
        tasks: Tasks played to compare two commitments.
    """

    cascades: Annotated[int, Field(ge=3)]
    half_widths: list[Share]
    contenders: Share
    least_gain: Share
    tasks: Count

    @model_validator(mode="after")
    def _no_groups(self) -> Self:
        if self.user.group is not None:
            raise ValueError("user.group: is not possible in windows, where each user is compared with patience 1")
        return self


class CertificateSettings(Settings):
    """A commitment is accepted when sampled play shows what the user's answer to it costs the provider.

    Attributes:
        tolerance: The costs of all answers that are not ruled out must agree within this share.
        standard_errors: By how many standard errors an answer must be worse for the user than the best to be ruled out.
        tasks: Most tasks played for one commitment.
        tries: How often at least the gap between the cheapest commitment accepted and the threshold is halved.
    """

    tolerance: Annotated[float, Field(gt=0, le=1)]
    standard_errors: Positive
    tasks: Annotated[int, Field(ge=10_000)]
    tries: Count


class _Observers(_Players):
    """Players whose observations can be chosen.

    Attributes:
        features: "raw": the players see the scaled parameters. "theory": also the sign of each model's net value and
            the logarithm of churn penalty / cost-of-pass.
    """

    features: Literal["raw", "theory"]


class FollowerFirstSettings(_Observers):
    """First the user learns to answer any commitment, then the provider learns against it; then it is refined.

    Attributes:
        zoom: How the provider's choice is refined by further learning; null for not at all.
        certificate: How it is checked by sampled play in the end; null for not at all.
    """

    scheme: Literal["follower_first"]
    zoom: ZoomSettings | None
    certificate: CertificateSettings | None


class SimultaneousSettings(_Observers):
    """Both players learn at the same time, each against the other as it is at the moment.

    The user sees the commitment (`simultaneous`) or does not (`simultaneous_blind`).
    """

    scheme: Literal["simultaneous", "simultaneous_blind"]

    @model_validator(mode="after")
    def _same_rounds(self) -> Self:
        if self.user.rounds != self.provider.rounds:
            raise ValueError(
                f"user.rounds: {self.user.rounds} is not allowed; expected provider.rounds = {self.provider.rounds}"
            )
        return self


TrainingSettings = FollowerFirstSettings | SimultaneousSettings | AmortisedSettings

SCHEMES: dict[str, type[Settings]] = {
    "follower_first": FollowerFirstSettings,
    "simultaneous": SimultaneousSettings,
    "simultaneous_blind": SimultaneousSettings,
    "joint_amortised": AmortisedSettings,
}


def settings_from(content: dict[str, Any], label: str) -> TrainingSettings:
    """Training settings from keys and values.

    Args:
        content: As in a file of settings.
        label: What to call their source in an error.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    return one_of(content, label, "scheme", SCHEMES)  # type: ignore[return-value]


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
    return with_changes(settings_from(*read_content(name, "training")), changes)
