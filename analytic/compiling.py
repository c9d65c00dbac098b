"""Compilation by numba, with a cache on disk that follows the source."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = TypeVar("_Function")

_FOLDERS = ("analytic", "envs")


def drop_stale_caches(package: Path) -> None:
    """Delete compiled code that is older than the sources of its folder.

    numba compares a function's compiled code with the function's own file only, and would go on using what was inlined
    from another file before that one changed.

    Args:
        package: The folder of the package.
    """
    for folder in _FOLDERS:
        newest = max((path.stat().st_mtime for path in (package / folder).glob("*.py")), default=0.0)
        for compiled_code in (package / folder / "__pycache__").glob("*.nb[ic]"):
            # Another process may have deleted it, and an installed package need not be writable.
            with suppress(OSError):
                if compiled_code.stat().st_mtime < newest:
                    compiled_code.unlink()


def compiled(**options: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` with a cache on disk, or without one where there is no place to write it.

    Args:
        **options: Of `numba.njit`.

    Returns:
        The decorator.
    """

    def decorate(function: _Function) -> _Function:
        made: _Function
        try:
            made = numba.njit(cache=True, **options)(function)
        except RuntimeError:
            made = numba.njit(**options)(function)
        return made

    return decorate


drop_stale_caches(Path(__file__).parents[1])
