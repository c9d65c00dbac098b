"""Files of arrays and JSON, which cannot run code when they are loaded."""

from __future__ import annotations

import json
import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SPECIFICATION = "specification"


def write_arrays(path: Path, specification: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file of arrays and a specification as JSON."""
    with path.open("wb") as file:
        np.savez(file, **{_SPECIFICATION: np.array(json.dumps(specification))}, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, most_bytes: int, kinds: str = "f") -> tuple[Any, dict[str, np.ndarray]]:
    """The specification and the arrays of a file, each after what its header promises was compared with its size.

    Args:
        path: The file.
        most_bytes: How large it may be, unpacked.
        kinds: Those of NumPy's data types that arrays may have; their numbers have to be finite.

    Raises:
        ValueError: It holds something else.
    """
    found = {}
    with path.open("rb") as raw, zipfile.ZipFile(raw) as file:
        members = file.infolist()
        unpacked = sum(member.file_size for member in members)
        if unpacked > most_bytes:
            raise ValueError(f"{unpacked} bytes are not allowed; expected at most {most_bytes}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            with file.open(member) as array:
                read = npy.read_array_header_1_0 if npy.read_magic(array) == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = read(array)
                if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - array.tell():
                    raise ValueError(f"{name}: {dtype} of shape {shape} is not allowed; expected the numbers it has")
            with file.open(member) as array:
                numbers = npy.read_array(array, allow_pickle=False)
            finite = dtype.kind != "f" or np.isfinite(numbers).all()
            if name != _SPECIFICATION and (dtype.kind not in kinds or not finite):
                raise ValueError(f"{name}: {dtype} that are not all finite numbers are not allowed; expected weights")
            found[name] = numbers
    return json.loads(str(found.pop(_SPECIFICATION))), found
