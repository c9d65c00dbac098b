"""Every example in docstrings, in the README and in docs/ runs."""

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
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{index}")
    for page in PAGES
    for index, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
]


def test_all_modules_and_blocks_are_found() -> None:
    assert len(BLOCKS) >= 6
    assert {"stackroute.analytic.equilibrium", "stackroute.envs.rules", "stackroute.training.runs"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("block", BLOCKS)
def test_page_examples(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if ">>>" in block:
        test = doctest.DocTestParser().get_doctest(block, {}, "block", "page", 0)
        assert doctest.DocTestRunner().run(test).failed == 0
    else:
        exec(compile(block, "block", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_finished(page: Path) -> None:
    assert not re.search(r"^[A-Z_]{6,}$|TODO|FIXME", page.read_text(), re.MULTILINE)
