"""A session of training: what its finished stages gave, in files that are whole or not there, and its progress."""

from __future__ import annotations

import hashlib
import io
import time
import warnings
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.agents.errors import without_advice
from stackroute.training.output import output_folder, replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    OnProgress = Callable[[str, int, int, float], None]

_DIGEST_LENGTH = 64


class DamagedStageWarning(UserWarning):
    """The file of a finished stage cannot be read; the stage is computed again."""


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


def derived_seed(seed: int, *path: int | str) -> int:
    """A seed for one part of a run, so that runs with neighbouring seeds share no random numbers.

    Args:
        seed: The run's.
        *path: Names and numbers of the part.
    """
    parts = [seed, *(int.from_bytes(part.encode(), "big") if isinstance(part, str) else part for part in path)]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


class Session:
    """Keeps what the finished stages of a training gave, so that one that was cut off goes on after the last of them.

    Each stage has a file of its own. It is read with PyTorch's loader for weights, which does not execute anything.

    Args:
        folder: Where these files are kept, made if it does not exist; None for nowhere.
        key: What determines the training, as a text; a file of a session with another counts as damaged.
        log_folder: Where TensorBoard logs go; None for none.
        on_progress: Called with the stage, the rounds done, the rounds in all and the exact regret after every round.

    Raises:
        OutputError: The folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        key: str = "",
        log_folder: Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._folder, self._key, self._log_folder, self._on_progress = folder, key, log_folder, on_progress
        self._spent_before = {"seconds": 0.0, "cpu_seconds": 0.0}
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        if folder is not None:
            output_folder(folder)

    def stage(self, name: str, compute: Callable[[], Any]) -> Any:
        """What a stage gives, computed only if no earlier session has finished it.

        Args:
            name: The stage; each name is used once.
            compute: Gives tensors, numbers, texts, and lists and dictionaries of these, the same at every call.

        Raises:
            OutputError: The stage's file cannot be written.
        """
        path = self._folder / f"{name.replace(' ', '-')}.bin" if self._folder else None
        kept = _read(path, self._key) if path and path.exists() else None
        if kept is not None:
            for unit, spent in kept["spent"].items():
                self._spent_before[unit] += spent
            return kept["result"]
        before = self.spent()
        result = compute()
        if path:
            spent = {unit: after - before[unit] for unit, after in self.spent().items()}
            _write(path, self._key, {"result": result, "spent": spent})
        return result

    def progress(self, stage: str, done: int, total: int, regret: float) -> None:
        """Report the progress of a stage."""
        if self._on_progress is not None:
            self._on_progress(stage, done, total, regret)

    def spent(self) -> dict[str, float]:
        """Wall and processor time of the training so far, with stages of earlier sessions: "seconds", "cpu_seconds"."""
        now = {"seconds": time.perf_counter() - self._began, "cpu_seconds": time.process_time() - self._began_cpu}
        return {unit: self._spent_before[unit] + spent for unit, spent in now.items()}

    def logs(self, name: str) -> Path | None:
        """The folder of a learner's TensorBoard logs, or None."""
        return self._log_folder / name.replace(" ", "-") if self._log_folder else None


def _write(path: Path, key: str, content: dict[str, Any]) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getvalue()
    with replacing(path) as unfinished:
        unfinished.write_bytes(_digest(key, payload) + payload)


def _digest(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).hexdigest().encode()


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """The content of a file of `_write`; None, with a warning, where it is damaged."""
    import torch

    try:
        content = path.read_bytes()
        digest, payload = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
        if _digest(key, payload) != digest:
            raise ValueError("damaged, or of another run")
        loaded: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
        reason = without_advice(error)
        warnings.warn(f"{path}: cannot be read ({reason}); computed again", DamagedStageWarning, stacklevel=3)
        return None
    return loaded
