"""A session of training: finished stages, the state of the stage in progress, and whoever watches."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stackroute.training.learn.checkpoints import Checkpoints

    OnProgress = Callable[[str, int, int, float], None]

CHECKPOINT_SECONDS = 5.0
"""Least time between two checkpoints within a stage."""


@dataclass
class Curve:
    """What a player has learned, against the steps it has taken.

    Attributes:
        steps: Steps learned from at each point, from 0.
        regret: Exact regret at each point; never shown to the learner.
        reward: What sampled play gave the deterministic policy at each point, on the same tasks each time.
    """

    steps: list[int] = field(default_factory=list)
    regret: list[float] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)

    def add(self, steps: int, regret: float, reward: float) -> None:
        """Add a point."""
        self.steps.append(steps)
        self.regret.append(regret)
        self.reward.append(reward)


def as_lists(curves: dict[str, Curve]) -> dict[str, dict[str, list[Any]]]:
    """Curves as plain lists, for JSON and checkpoints."""
    return {name: asdict(curve) for name, curve in curves.items()}


def derived_seed(seed: int, *path: int | str) -> int:
    """A seed for one part of a run, so that runs with neighbouring seeds share no coins.

    Args:
        seed: The run's.
        *path: Names and numbers of the part.
    """
    parts = [seed, *(int.from_bytes(part.encode(), "big") if isinstance(part, str) else part for part in path)]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


class Resumable(Protocol):
    """What learns in rounds, each of which depends on its state alone."""

    def state(self) -> dict[str, Any]:
        """All that the next round depends on: tensors, numbers, texts, and lists and dictionaries of these."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of `state`."""
        ...


class Session:
    """Keeps what a training has done, stage by stage, so that it can go on where it was cut off.

    A training asks for its stages by name, in the same order each time. What a finished stage gave is not computed
    again; a stage in progress goes on from its latest state. Whoever makes no use of files uses `Session()`.

    Args:
        checkpoints: Where to keep it; None for nowhere.
        log_folder: Where TensorBoard logs go; None for none.
        on_progress: Told the stage, the steps done, the steps in all and the exact regret after every round.
        checkpoint_seconds: Least time between two checkpoints within a stage.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None = None,
        *,
        log_folder: Path | None = None,
        on_progress: OnProgress | None = None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._checkpoints = checkpoints
        self._log_folder = log_folder
        self._on_progress = on_progress
        self._seconds = checkpoint_seconds
        self._saved = time.monotonic()
        loaded = checkpoints.load() if checkpoints else None
        self._content: dict[str, Any] = loaded or {"finished": {}, "stage": None, "state": None, "spent": {}}
        self._spent_before: dict[str, float] = self._content["spent"]
        self._began, self._began_cpu = time.perf_counter(), time.process_time()

    def finished(self, stage: str) -> Any:
        """What a finished stage gave, or None."""
        return self._content["finished"].get(stage)

    def state(self, stage: str) -> Any:
        """The latest state of a stage that was cut off, or None."""
        return self._content["state"] if self._content["stage"] == stage else None

    def keep(self, stage: str, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state of a stage in progress, unless the last checkpoint is recent.

        Args:
            stage: The stage.
            state: Gives its state: tensors, numbers, texts, and lists and dictionaries of these.

        Raises:
            OutputError: It cannot be written.
        """
        if self._checkpoints and time.monotonic() - self._saved >= self._seconds:
            self._save(stage, state())

    def rounds(
        self,
        stage: str,
        learner: Resumable,
        curves: dict[str, Curve],
        *,
        learn: Callable[[], None],
        point: Callable[[], None],
        more: Callable[[], bool],
    ) -> None:
        """Let a learner learn in rounds, from the latest state of the stage if that was cut off.

        Args:
            stage: The stage.
            learner: What learns.
            curves: The curves of the stage; what was in them when it was cut off is put back.
            learn: Learns for a round.
            point: Adds a point to the curves: before the first round and after each.
            more: Whether another round is to follow.

        Raises:
            OutputError: A checkpoint cannot be written.
        """
        state = self.state(stage)
        if state is None:
            point()
        else:
            learner.restore(state["learner"])
            for name, kept in state["curves"].items():
                vars(curves[name]).update(kept)
        while more():
            learn()
            point()
            self.keep(stage, lambda: {"learner": learner.state(), "curves": as_lists(curves)})

    def finish(self, stage: str, result: Any) -> None:
        """Keep what a stage gave.

        Raises:
            OutputError: It cannot be written.
        """
        self._content["finished"][stage] = result
        self._save(None, None)

    def once(self, stage: str, compute: Callable[[], Any]) -> Any:
        """What a stage without learning gives, computed once.

        Args:
            stage: The stage.
            compute: Gives numbers, texts, and lists and dictionaries of these.
        """
        if self.finished(stage) is None:
            self.finish(stage, compute())
        return self.finished(stage)

    def tell(self, stage: str, done: int, total: int, regret: float) -> None:
        """Tell whoever watches."""
        if self._on_progress is not None:
            self._on_progress(stage, done, total, regret)

    def spent(self) -> dict[str, float]:
        """Wall and processor time of the training, also before it was cut off: "seconds" and "cpu_seconds"."""
        now = {"seconds": time.perf_counter() - self._began, "cpu_seconds": time.process_time() - self._began_cpu}
        return {name: self._spent_before.get(name, 0.0) + seconds for name, seconds in now.items()}

    def logs(self, stage: str) -> Path | None:
        """The folder of a stage's TensorBoard logs, or None."""
        return self._log_folder / stage.replace(" ", "-") if self._log_folder else None

    def _save(self, stage: str | None, state: Any) -> None:
        self._content |= {"stage": stage, "state": state, "spent": self.spent()}
        if self._checkpoints:
            self._checkpoints.save(self._content)
            self._saved = time.monotonic()
