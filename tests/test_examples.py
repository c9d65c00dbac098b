"""Every example in docstrings runs."""

import doctest
import importlib
import pkgutil

import pytest

import stackroute

MODULES = [
    info.name
    for info in pkgutil.walk_packages(stackroute.__path__, "stackroute.")
    if not info.name.startswith("stackroute.training.cli.main")
]


def test_all_modules_are_found() -> None:
    assert {"stackroute.analytic.equilibrium", "stackroute.envs.rules", "stackroute.training.learn.runs"} <= set(
        MODULES
    )


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
