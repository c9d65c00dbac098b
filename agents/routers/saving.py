"""Fitted routers in files: arrays and settings, which cannot run code when they are loaded."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, TypeAdapter

from stackroute.agents.errors import PolicyFileError, without_advice
from stackroute.agents.files import read_arrays, write_arrays
from stackroute.agents.routers import ROUTERS, ExtendingRouter, Predictor, RouterProvider, UserAware
from stackroute.agents.routers.features import FeatureEncoder
from stackroute.analytic import Ladders
from stackroute.configs.loading import Settings, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stackroute.agents.routers import Router
    from stackroute.agents.routers.provider import Reprompt
    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray

_MOST_BYTES = 2**30
_MOST_ATTEMPTS = 40


@dataclass(frozen=True, eq=False)
class SavedRouter:
    """A fitted router with all that it takes to serve new tasks.

    Attributes:
        name: One of `ROUTERS`.
        router: The router, fitted.
        encoder: What makes features of the columns of a table, fitted.
        labels: The names of the models of the log.
        knob: How much quality counts against cost; not used by the user-aware rule.
        reprompt: What serves re-prompts, as of `RouterProvider`; None with the user-aware rule, which says it itself.
        order: The models from the worst to the best, for `"escalate"`.
        aware: The user-aware rule, fitted to what the router expects; None: the router's own rule.
    """

    name: str
    router: Router
    encoder: FeatureEncoder
    labels: tuple[str, ...]
    knob: float
    reprompt: Reprompt | None
    order: tuple[int, ...] = ()
    aware: UserAware | None = None

    @property
    def served_by(self) -> tuple[str, ...]:
        """The names of all that it serves by: the models, and what routers make of them."""
        return self.router.named(self.labels) if isinstance(self.router, ExtendingRouter) else self.labels

    def policy(self, tasks: pd.DataFrame) -> Ladders | Commitment:
        """What serves new tasks, each of which is a context.

        Args:
            tasks: A row for each task, with the columns that the encoder was fitted on.

        Raises:
            ValueError: A column is missing.
        """
        return self.policy_by_features(self.encoder.encode(tasks))

    def policy_by_features(self, features: FloatArray) -> Ladders | Commitment:
        """As `policy`, of tasks whose features are encoded, shape (N, F)."""
        if self.aware is not None:
            assert isinstance(self.router, Predictor)
            return self.aware.policy(self.router.predict(features).success)
        return RouterProvider(self.router, self.knob, features, self.reprompt or "redraw", self.order).policy


class _Specification(Settings):
    kind: Literal["router"]
    name: str
    labels: list[str] = Field(min_length=1)
    knob: float = Field(ge=0.0, le=1.0)
    reprompt: Literal["redraw", "stick", "escalate", "update"] | None
    order: list[int]
    router: dict[str, Any]
    encoder: dict[str, Any]
    aware: dict[str, Any] | None


def save_router(saved: SavedRouter, path: str | Path) -> None:
    """Write a fitted router to an .npz file of arrays and JSON.

    Args:
        saved: The router, one of `ROUTERS`, with what belongs to it.
        path: The file; one that exists is replaced.

    Raises:
        TypeError: The router is not of the kind that its name says.
        ValueError: It is larger than `load_router` allows.
    """
    if saved.name not in ROUTERS or type(saved.router) is not type(ROUTERS[saved.name]()):
        raise TypeError(f"router: {saved.router!r} is not allowed as {saved.name!r}; expected one of ROUTERS")
    parts = {"router": saved.router, "encoder": saved.encoder}
    parts |= {} if saved.aware is None else {"aware": saved.aware}
    arrays = {
        f"{part}.{name}": np.asarray(value)
        for part, owner in parts.items()
        for name, value in vars(owner).items()
        if name.endswith("_")
    }
    size = sum(array.nbytes for array in arrays.values())
    if size > _MOST_BYTES // 2:
        raise ValueError(f"router: {size} bytes are not allowed; expected at most {_MOST_BYTES // 2}")
    specification = {"kind": "router", "name": saved.name, "labels": list(saved.labels), "knob": float(saved.knob)}
    specification |= {"reprompt": saved.reprompt, "order": [int(model) for model in saved.order], "aware": None}
    write_arrays(Path(path), specification | {part: asdict(owner) for part, owner in parts.items()}, arrays)  # type: ignore[call-overload]


def load_router(path: str | Path) -> SavedRouter:
    """Read a router that `save_router` wrote. Nothing in it is executed, and what does not serve a task is refused.

    Args:
        path: The file.

    Raises:
        PolicyFileError: The file holds no saved router.
        FileNotFoundError: There is no such file.
    """
    try:
        specification, arrays = read_arrays(Path(path), _MOST_BYTES, kinds="fiubU")
        content = validated(specification, "specification", _Specification)
        if content.name not in ROUTERS:
            raise ValueError(f"name: {content.name!r} is not allowed; expected one of {', '.join(ROUTERS)}")
        router: Router = _built(type(ROUTERS[content.name]()), content.router, "router", arrays)
        encoder: FeatureEncoder = _built(FeatureEncoder, content.encoder, "encoder", arrays)
        aware: UserAware | None = None if content.aware is None else _built(UserAware, content.aware, "aware", arrays)
        if aware is not None and not 1 <= aware.horizon <= _MOST_ATTEMPTS:
            raise ValueError(f"horizon: {aware.horizon} is not allowed; expected 1 to {_MOST_ATTEMPTS} attempts")
        saved = SavedRouter(
            content.name,
            router,
            encoder,
            tuple(content.labels),
            content.knob,
            content.reprompt,
            tuple(content.order),
            aware,
        )
        _try(saved)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise PolicyFileError(f"{path}: not a saved router: {without_advice(error)}") from error
    return saved


def _built(kind: type[Any], settings: dict[str, Any], part: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """An object from its settings, of which those that are missing have their defaults, and its arrays."""
    unknown = set(settings) - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"{part}: no setting {', '.join(sorted(unknown))}; expected those of {kind.__name__}")
    made = validated(settings, part, TypeAdapter(kind))
    for name, array in arrays.items():
        owner, _, attribute = name.partition(".")
        if owner == part and re.fullmatch(r"[a-z]\w*_", attribute):
            setattr(made, attribute, array)
    return made


def _try(saved: SavedRouter) -> None:
    """Serve a task of which nothing is known, as every router can."""
    policy = saved.policy(pd.DataFrame({name: ["unknown"] for name in saved.encoder.columns}, index=[0]))
    models = policy.models.max() + 1 if isinstance(policy, Ladders) else policy.start.shape[-1]
    if models > len(saved.served_by):
        raise ValueError(f"labels: {len(saved.labels)} are not allowed; expected one for each model")


__all__ = ["SavedRouter", "load_router", "save_router"]
