"""Training of both players, exact evaluation, the benchmark, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackroute._extras import install

if TYPE_CHECKING:
    from stackroute.training.benchmark.algorithms import register_algorithm as register_algorithm
    from stackroute.training.benchmark.problem import Problem as Problem
    from stackroute.training.benchmark.problem import Solution as Solution

_OF_THE_BENCHMARK = {"register_algorithm": "algorithms", "Problem": "problem", "Solution": "problem"}


def __getattr__(name: str) -> Any:
    """Import what an algorithm of the benchmark needs on first use: it needs the [train] extra."""
    if name not in _OF_THE_BENCHMARK:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        module = importlib.import_module(f"stackroute.training.benchmark.{_OF_THE_BENCHMARK[name]}")
    except ImportError as error:
        raise ImportError(f"{name} needs the training extra: {install('train')}") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_THE_BENCHMARK})
