"""Compilation by numba, with machine code kept in the user's cache folder.

The folder is named after the version and a hash of the sources, so that no change of a source finds old machine code:
numba itself compares a function's code with the function's own file only, not with what was inlined from others.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
from filelock import FileLock
from numba.core import caching
from platformdirs import user_cache_path

from stackroute._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Function = TypeVar("_Function")

_numba: Any = numba

PACKAGE = Path(__file__).parents[1]
SOURCES = ("analytic/compiling.py", "analytic/kernels.py", "envs/rules.py")
"""All that machine code is made of."""

_Cache: Any = caching.Cache


@cache
def cache_folder() -> Path | None:
    """The folder of these sources' machine code, in NUMBA_CACHE_DIR or the user's cache; None if not writable."""
    sources = hashlib.sha256()
    for name in SOURCES:
        sources.update((PACKAGE / name).read_bytes())
    try:
        base = Path(_numba.config.CACHE_DIR, "stackroute") if _numba.config.CACHE_DIR else user_cache_path("stackroute")
        folder = base / f"{__version__}-{sources.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):
        return None


@contextmanager
def _caching() -> Iterator[bool]:
    """Set numba's folder while a function is decorated or compiled; gives whether there is one.

    A cache that is damaged or cannot be written to is none: numba alone would end with an error.
    NUMBA_DISABLE_JIT is for the functions of others: Python cannot run these, on records and words of 64 bits.
    """
    folder, config = cache_folder(), _numba.config
    others = config.CACHE_DIR, config.DISABLE_JIT, _Cache.load_overload, _Cache.save_overload
    load, save = others[2:]

    def load_or_discard(cache: Any, signature: Any, context: Any) -> Any:
        try:
            return load(cache, signature, context)
        except Exception:
            with suppress(OSError):
                cache.flush()
            return None

    def save_if_possible(cache: Any, signature: Any, machine_code: Any) -> None:
        with suppress(Exception):
            save(cache, signature, machine_code)

    config.CACHE_DIR, config.DISABLE_JIT = str(folder or ""), 0
    _Cache.load_overload, _Cache.save_overload = load_or_discard, save_if_possible
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR, config.DISABLE_JIT, _Cache.load_overload, _Cache.save_overload = others


def _made(make: Callable[[bool], Any]) -> Any:
    """What `make` gives with a cache, or without one where numba cannot have one."""
    with _caching() as cached:
        try:
            return make(cached)
        except (OSError, RuntimeError):
            return make(False)


def compiled(**options: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` with a cache on disk, or without one where there is no place to write it.

    Args:
        **options: Of `numba.njit`.

    Returns:
        The decorator.
    """

    def decorate(function: _Function) -> _Function:
        made = _made(lambda cached: numba.njit(cache=cached, **options)(function))
        # It compiles when it is called.
        made._compile_for_args = _caching()(made._compile_for_args)
        return cast("_Function", made)

    return decorate


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A folder that no other process has at this time, as far as it can be locked."""
    lock = FileLock(folder / "lock")
    with suppress(OSError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Vectorised:
    """A function of single games that broadcasts over batches: a `numba.guvectorize`, compiled at the first call."""

    def __init__(self, function: Callable[..., None], signature: str, layout: str) -> None:
        self.__doc__ = function.__doc__
        self._function, self._signature, self._layout = function, signature, layout

    def __call__(self, *arrays: Any) -> Any:
        """Arrays in, arrays out, as for any generalised ufunc of numpy."""
        # Compiled code may compute both sides of a choice, and numpy would warn of the one that is not taken.
        with np.errstate(all="ignore"):
            return self._compiled(*arrays)

    @cached_property
    def _compiled(self) -> Any:
        folder, made = cache_folder(), _numba.guvectorize
        # numba keeps the function and the loop around it in two files: written by two processes, they may not match.
        with _locked(folder) if folder else nullcontext():
            return _made(
                lambda cached: made([self._signature], self._layout, nopython=True, cache=cached)(self._function)
            )


def vectorised(signature: str, layout: str) -> Callable[[Callable[..., None]], Vectorised]:
    """Make a `Vectorised` of a function that writes its results into its last arguments.

    Args:
        signature: The types, as for `numba.guvectorize`.
        layout: The shapes, as for `numba.guvectorize`, such as "(n),(n)->()".

    Returns:
        The decorator.
    """
    return lambda function: Vectorised(function, signature, layout)
