"""A task in words: what the text rendering says, and what the pictures say of a task as a whole."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stackroute.envs.task import Pass, Task


class Totals(NamedTuple):
    """What a task has brought both players so far.

    Attributes:
        service_cost: What the passes cost the provider, money.
        churn_penalty: What the user's leaving cost the provider, money.
        value: What the solution was worth to the user, utility.
        waited: What waiting cost the user, delays included, utility.
    """

    service_cost: float
    churn_penalty: float
    value: float
    waited: float

    @property
    def provider_cost(self) -> float:
        """The provider's cost, money."""
        return self.service_cost + self.churn_penalty

    @property
    def user_utility(self) -> float:
        """The user's utility."""
        return self.value - self.waited


def totals(task: Task) -> Totals:
    """What a task has brought both players so far."""
    return Totals(
        service_cost=fsum(one.service_cost for one in task.log),
        churn_penalty=float(task.game.churn_penalty) if task.abandoned else 0.0,
        value=float(task.game.value) if task.solved else 0.0,
        waited=fsum(one.latency + one.delay for one in task.log),
    )


def number(value: float) -> str:
    """A number to four digits."""
    return f"{value:.4g}"


def labels(task: Task) -> tuple[str, str]:
    """What the two models are called, each on one line."""
    standard, reasoning = (" ".join(label.split()) for label in task.labels)
    return standard, reasoning


def standing(task: Task) -> str:
    """How a task stands: who is to move, or how it ended."""
    if task.solved:
        return f"solved: worth {number(float(task.game.value))}"
    if task.abandoned:
        return f"the user left: churn penalty {number(float(task.game.churn_penalty))}"
    if task.truncated:
        return f"truncated after {task.passes} pass{'es' if task.passes > 1 else ''}"
    if task.awaits_provider:
        return f"the provider is to {'choose' if task.variant.per_pass else 'commit'}"
    return "the user is to answer"


def transcript(task: Task) -> str:
    """A task so far, one line a pass.

    Args:
        task: The task.

    Returns:
        The commitment, every pass, how the task stands and the totals of both players, on lines of their own.
    """
    names, sums = labels(task), totals(task)
    passes = [_pass(index, one, names) for index, one in enumerate(task.log, start=1)]
    return "\n".join(
        [
            f"task {task.number}: {_commitment(task, names)}",
            *passes,
            standing(task),
            f"provider's cost {number(sums.provider_cost)}, user's utility {number(sums.user_utility)}",
        ]
    )


def _commitment(task: Task, names: tuple[str, str]) -> str:
    if task.variant.per_pass:
        return f"{names[0]} or {names[1]}, chosen before every pass"
    commitment = task.commitment
    if commitment is None:
        return f"{names[0]} or {names[1]}"
    model, cascade = int(commitment.model), float(commitment.cascade)
    said = [f"starts on {names[model - 1]}"]
    if model == 1 and cascade > 0:
        said.append(f"moves a re-prompted task to {names[1]} with probability {number(cascade)}")
    else:
        said.append("keeps a re-prompted task there")
    slowed = zip(names, commitment.delay.tolist(), strict=True)
    said.extend(f"slows {name} by {number(delay)}" for name, delay in slowed if delay > 0)
    return ", ".join(said)


def _pass(index: int, one: Pass, names: tuple[str, str]) -> str:
    delay = f" + {number(one.delay)} delay" if one.delay > 0 else ""
    return (
        f"pass {index} on {names[one.model - 1]}: cost {number(one.service_cost)}, "
        f"waited {number(one.latency)}{delay}, {'solved' if one.solved else 'failed'}"
    )
