"""Settings of learning on tasks of hidden difficulty as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from stackroute.configs.learners import Count, Positive, PPOSettings, or_name
from stackroute.configs.loading import Settings, read_settings, with_changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ShadowPriceSettings(Settings):
    """A provider learns ladders for all prices of patience; sampled play then chooses among them.

    Attributes:
        provider: How it learns; its name or its settings.
        horizon: The most attempts; users that would go on stop there.
        prices: How many prices are compared, for each number of failures after which users may be meant to stop.
        tasks: Tasks that each ladder plays in each comparison, after which those that could still be best go on; users
            learn from as many as the last one has.
        standard_errors: By how many of them users must prefer to stop as they are meant to.
    """

    scheme: Literal["shadow_price"]
    provider: Annotated[PPOSettings, BeforeValidator(or_name(TypeAdapter(PPOSettings)))]
    horizon: Annotated[int, Field(ge=1, le=100)]
    prices: Annotated[int, Field(ge=2)]
    tasks: Annotated[list[Count], Field(min_length=1)]
    standard_errors: Positive

    @model_validator(mode="before")
    @classmethod
    def _of_this_scheme(cls, content: Any) -> Any:
        """The keys of another scheme are not what is wrong."""
        scheme = content.get("scheme", "shadow_price") if isinstance(content, dict) else "shadow_price"
        if scheme != "shadow_price":
            raise ValueError(f"scheme: {scheme!r} is for games; expected 'shadow_price' for measured tasks")
        return content


def load_shadow_price_settings(name: str | Path = "shadow_price", changes: Sequence[str] = ()) -> ShadowPriceSettings:
    """Load settings by their packaged name or from a YAML file, with changes as for `with_changes`.

    Raises:
        ConfigError: No such settings, or a key or value that is not allowed.
    """
    return with_changes(read_settings(name, "training", ShadowPriceSettings), changes)
