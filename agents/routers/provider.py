"""A router as a provider: what happens after a failure, which no router says."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Literal

import numpy as np

from stackroute.agents.providers import LadderProvider
from stackroute.agents.routers.protocol import OnlineRouter
from stackroute.analytic import Commitment, Ladders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from stackroute.agents.routers.protocol import Router
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.envs.policies import Waiting

    Reprompt: TypeAlias = Literal["redraw", "stick", "escalate", "update"]

_ATTEMPTS = 6
"""After which an online router is no longer asked: the last model serves what follows."""

_SUM_TOLERANCE = 1e-9


class RouterProvider:
    """A provider that routes first attempts by a router, for `routing="pass"` (beyond the paper).

    Published routers do not say what serves a re-prompt, so that this has to be added.

    Args:
        router: The router, fitted.
        knob: How much quality counts against cost, in [0, 1].
        features: Those of each context of the traffic, shape (C, F): all are routed at once.
        reprompt: What serves a re-prompt: `"redraw"`, drawn again as the first attempt was; `"stick"`, the same model;
            `"escalate"`, the next model of `order`, from the last one on the same; `"update"`, what an online router
            chooses once it has learned from the failure, up to the sixth attempt.
        order: The models from the worst to the best, for `"escalate"`.

    Attributes:
        policy: What it does in each context, as `stackroute.analytic.traffic_payoffs` takes it.

    Raises:
        TypeError: `"update"` is asked of a router that does not learn online.
        ValueError: An argument is not allowed, or the router's answer is not one.

    Examples:
        >>> import numpy as np
        >>> from stackroute.agents.routers import Outcomes, RouterProvider, SingleModelRouter
        >>> log = Outcomes(np.ones((1, 1)), np.array([[0.5, 0.9]]), np.array([[1.0, 9.0]]), np.ones((1, 2)))
        >>> router = SingleModelRouter().fit(log, np.random.default_rng(0))
        >>> RouterProvider(router, 0.2, np.ones((1, 1)), "escalate", order=[0, 1]).policy.models
        array([[0, 1],
               [1, 1]])
    """

    def __init__(
        self,
        router: Router,
        knob: float,
        features: FloatArray,
        reprompt: Reprompt = "redraw",
        order: Sequence[int] = (),
    ) -> None:
        if not 0.0 <= knob <= 1.0:
            raise ValueError(f"knob: {knob} is not allowed; expected a number in [0, 1]")
        rows = routed(router, features, knob)
        if reprompt == "update":
            if not isinstance(router, OnlineRouter):
                raise TypeError(f"router: {router!r} is not allowed with 'update'; expected one with an update method")
            ladders, ladder = np.unique(_learned_ladders(router, knob, features, rows), axis=0, return_inverse=True)
            self.policy: Ladders | Commitment = Ladders(ladders, np.eye(len(ladders))[ladder.reshape(-1)])
        else:
            self.policy = reprompting(rows, reprompt, order)

    def route(self, waiting: Waiting) -> tuple[IntArray, FloatArray]:
        """The model and the delay of the next pass of each task, shape (n,)."""
        if isinstance(self.policy, Ladders):
            return LadderProvider(self.policy).route(waiting)
        ends = np.cumsum(self.policy.start[waiting.context], axis=-1)[:, :-1]
        model: IntArray = (waiting.pass_numbers[:, None] >= ends).sum(axis=1)
        return model, np.zeros(len(model))


def reprompting(rows: FloatArray, reprompt: Reprompt, order: Sequence[int] = ()) -> Ladders | Commitment:
    """What serves first attempts and re-prompts in each context.

    Args:
        rows: With which probability each model serves the first attempt, shape (C, M).
        reprompt: As of `RouterProvider`, but for `"update"`.
        order: As there.

    Raises:
        ValueError: An argument is not allowed.
    """
    models = rows.shape[1]
    # Rounding may have left a probability just above 1.
    chances = rows / rows.sum(axis=1, keepdims=True)
    if reprompt == "redraw":
        return Commitment.lottery(chances, chances)
    if reprompt == "stick":
        return Ladders(np.arange(models)[:, None], chances)
    if reprompt == "escalate":
        if sorted(order) != list(range(models)):
            raise ValueError(f"order: {list(order)} is not allowed; expected each of {models} models once")
        later = np.minimum(np.argsort(order)[:, None] + np.arange(models), models - 1)
        return Ladders(np.asarray(order)[later], chances)
    expected = "'redraw', 'stick', 'escalate' or 'update'"
    raise ValueError(f"reprompt: {reprompt!r} is not allowed; expected {expected}")


def routed(router: Router, features: FloatArray, knob: float) -> FloatArray:
    """What a router answers, shape (N, M).

    Raises:
        ValueError: Its rows are no distributions.
    """
    rows: FloatArray = np.asarray(router.route(features, knob), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(features) or not (rows >= 0.0).all():
        raise ValueError(f"router: rows of shape {rows.shape} are not allowed; expected ({len(features)}, M), >= 0")
    if not (np.abs(rows.sum(axis=1) - 1.0) <= _SUM_TOLERANCE).all():
        raise ValueError("router: its rows do not sum to 1")
    return rows


def _learned_ladders(router: OnlineRouter, knob: float, features: FloatArray, rows: FloatArray) -> IntArray:
    """The models that an online router chooses one after the other, as each fails, shape (C, N)."""
    ladders = np.empty((len(features), _ATTEMPTS), dtype=np.int64)
    for ladder, known, row in zip(ladders, features, rows, strict=True):
        learning, chances = deepcopy(router), row
        for attempt in range(_ATTEMPTS):
            ladder[attempt] = chances.argmax()
            learning.update(known, int(ladder[attempt]), 0.0, np.nan, np.nan)
            chances = learning.route(known[None], knob)[0]
    return ladders
