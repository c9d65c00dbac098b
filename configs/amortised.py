"""Settings of `joint_amortised`: a distribution of games, and how one user and one provider learn it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat

from stackroute.configs.learners import AllOptionSettings, Positive
from stackroute.configs.loading import Settings


def _ascending(given: list[float]) -> list[float]:
    if given[0] > given[1]:
        raise ValueError(f"{given} is not allowed; expected [lowest, highest]")
    return given


def _apart(given: list[float]) -> list[float]:
    if given[0] >= given[1]:
        raise ValueError(f"{given} is not allowed; expected [lowest, highest] with different numbers")
    return given


_TWO = Field(min_length=2, max_length=2)
Probability = Annotated[float, Field(gt=0, lt=1)]


class GamesSettings(Settings):
    """Random games: uniform over ranges, in equal parts for each range of the value with each of the churn penalty.

    Attributes:
        count: How many in all.
        success: The range of both success probabilities, as [lowest, highest]; the larger is the reasoning model's.
        cost: Of both costs of a pass, money; likewise.
        latency: Of both latencies, utility; likewise.
        values: Ranges of the value of a task, utility.
        churn_penalties: Ranges of the churn penalty, money.
    """

    count: Annotated[int, Field(ge=100)]
    success: Annotated[list[Probability], _TWO, AfterValidator(_apart)]
    cost: Annotated[list[NonNegativeFloat], _TWO, AfterValidator(_apart)]
    latency: Annotated[list[NonNegativeFloat], _TWO, AfterValidator(_apart)]
    values: Annotated[list[Annotated[list[PositiveFloat], _TWO, AfterValidator(_ascending)]], Field(min_length=1)]
    churn_penalties: Annotated[
        list[Annotated[list[NonNegativeFloat], _TWO, AfterValidator(_ascending)]], Field(min_length=1)
    ]


class AllActionSettings(AllOptionSettings):
    """How one player of `joint_amortised` learns.

    First it learns to predict the rewards, then it follows the gradient of what its choice loses to the best option.

    Attributes:
        regression: The share of the steps that predict rewards; the others follow the gradient.
        sharpness: Multiplies the differences in prediction: the policy's odds are exp(sharpness * difference).
    """

    regression: Annotated[float, Field(ge=0, le=1)]
    sharpness: Positive


class ThresholdSettings(AllOptionSettings):
    """How the thresholds are learned at which users begin or cease to stay, as numbers.

    Its `situations` are games, of which those are learned from in which mixing the models may pay; `tasks` are played
    in each of these where staying seems to earn nothing more, after a quarter as many to come near that place.

    Attributes:
        tolerance: Errors above it count in proportion, smaller ones quadratically; a cascade probability.
        margin: How far on the safe side of a threshold the provider stays, as a cascade probability.
    """

    tolerance: Annotated[float, Field(gt=0, lt=1)]
    margin: Annotated[float, Field(ge=0, lt=0.5)]


class AmortisedProviderSettings(AllActionSettings):
    """How the provider of `joint_amortised` learns.

    Attributes:
        delay_fee: Subtracted from the reward, -log(cost), of every delay, so that it delays only where that pays.
        mixing_weight: How much more often it learns from a game in which mixing the models paid in play, which is rare.
    """

    delay_fee: NonNegativeFloat
    mixing_weight: NonNegativeFloat


class AmortisedSettings(Settings):
    """One user and one provider for a whole distribution of games; the user learns first.

    Attributes:
        features: "raw": the players see the scaled parameters. "theory": also the sign of each model's net value and
            the logarithm of churn penalty / cost-of-pass.
        games: The distribution.
        user: How the user learns to answer any commitment.
        thresholds: How the provider learns where users begin or cease to stay.
        provider: How it learns what to commit to.
    """

    scheme: Literal["joint_amortised"]
    features: Literal["raw", "theory"]
    games: GamesSettings
    user: AllActionSettings
    thresholds: ThresholdSettings
    provider: AmortisedProviderSettings
