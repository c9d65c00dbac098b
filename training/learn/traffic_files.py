"""Tasks of hidden difficulty as arrays in a file, which cannot run code when it is loaded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from stackroute.agents.files import read_arrays, write_arrays
from stackroute.analytic import Game, Traffic
from stackroute.training.output import RunError, replacing

if TYPE_CHECKING:
    from pathlib import Path

    Arrays = dict[str, np.ndarray]

_MOST_BYTES = 2**30
_GAME = ("success", "cost", "latency", "value", "churn_penalty")


def hash_of(traffic: Traffic) -> str:
    """What tells tasks from others, whatever their labels are."""
    return _hash(_arrays(traffic))


def write_traffic(traffic: Traffic, path: Path) -> None:
    """Write tasks, without their labels; OutputError where that fails."""
    with replacing(path) as unfinished:
        write_arrays(unfinished, {}, _arrays(traffic))


def read_traffic(path: Path, expected: str) -> Traffic:
    """The tasks that `write_traffic` wrote, labels being numbers.

    Raises:
        RunError: There are none, or their hash is not the expected one.
    """
    try:
        _, arrays = read_arrays(path, _MOST_BYTES, "fi")
        if _hash(arrays) != expected:
            raise ValueError("other tasks than those of the run")
        game = Game(*(arrays[name] for name in _GAME))
        return Traffic(game, arrays["weight"], arrays["context"], arrays["group"], arrays.get("features"))
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; train anew, in another folder") from None
    except Exception as error:
        raise RunError(f"{path}: cannot be used ({error})") from None


def _arrays(traffic: Traffic) -> Arrays:
    arrays = {name: getattr(traffic.games, name) for name in _GAME}
    arrays |= {name: getattr(traffic, name) for name in ("weight", "context", "group")}
    return arrays if traffic.features is None else arrays | {"features": traffic.features}


def _hash(arrays: Arrays) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name}{arrays[name].shape}".encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()
