"""Checkpoints: what a training has done so far, in files that are whole or not there at all."""

from __future__ import annotations

import hashlib
import io
import warnings
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from stackroute.training.output import RunError, replacing

if TYPE_CHECKING:
    from pathlib import Path

_LATEST, _PREVIOUS = "checkpoint.bin", "checkpoint-previous.bin"
_DIGEST_LENGTH = 64


class CorruptCheckpointWarning(UserWarning):
    """A checkpoint cannot be read; the one before it is used."""


class Checkpoints:
    """The two latest checkpoints of a run in a folder.

    A checkpoint is a nested dictionary of tensors, numbers, texts and lists. It is read with PyTorch's loader for
    weights, which does not execute anything.

    Args:
        folder: An existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._latest, self._previous = folder / _LATEST, folder / _PREVIOUS

    def save(self, content: dict[str, Any]) -> None:
        """Write a checkpoint; the one before it is kept.

        Raises:
            OutputError: It cannot be written, as on a full disk; the earlier ones are untouched.
        """
        buffer = io.BytesIO()
        torch.save(content, buffer)
        payload = buffer.getvalue()
        with replacing(self._latest) as unfinished:
            unfinished.write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)
            if self._latest.exists():
                self._latest.replace(self._previous)

    def load(self) -> dict[str, Any] | None:
        """Read the latest checkpoint that is whole; None where there is none.

        Raises:
            RunError: There are checkpoints, but none can be read.
        """
        found = [path for path in (self._latest, self._previous) if path.exists()]
        for path in found:
            try:
                return _read(path)
            except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
                warnings.warn(f"{path}: cannot be read ({error})", CorruptCheckpointWarning, stacklevel=2)
        if found:
            raise RunError(f"{', '.join(map(str, found))}: no checkpoint can be read; start the run again")
        return None

    def trim(self) -> None:
        """Remove all but the latest."""
        self._previous.unlink(missing_ok=True)
        self._remove_unfinished()

    def remove(self) -> None:
        """Remove all checkpoints, for a run that starts again."""
        for path in (self._latest, self._previous):
            path.unlink(missing_ok=True)
        self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        """Remove what a process that was killed in the middle of writing left behind."""
        for path in self._latest.parent.glob(f".*-{_LATEST}"):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    digest, payload = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise ValueError("its checksum does not match")
    loaded: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return loaded
