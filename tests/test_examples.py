"""Every example in docstrings and in the README runs."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import stackroute

ROOT = Path(__file__).parent.parent
MODULES = [
    info.name
    for info in pkgutil.walk_packages(stackroute.__path__, "stackroute.")
    if not info.name.startswith("stackroute.training.cli")
]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_all_modules_and_blocks_are_found() -> None:
    assert len(BLOCKS) >= 3
    assert {"stackroute.analytic.equilibrium", "stackroute.envs.rules", "stackroute.training.runs"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_readme_examples(index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = BLOCKS[index]
    if ">>>" in block:
        test = doctest.DocTestParser().get_doctest(block, {}, f"README block {index}", "README.md", 0)
        assert doctest.DocTestRunner().run(test).failed == 0
    else:
        exec(compile(block, f"README block {index}", "exec"), {})


def test_the_readme_names_files_that_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
