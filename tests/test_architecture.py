import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "analytic": {"_version"},
    "configs": {"analytic"},
    "envs": {"analytic", "configs", "_extras"},
    "agents": {"analytic", "configs", "envs", "_extras"},
    "training": {"analytic", "configs", "envs", "agents", "_extras", "_version"},
}
COMPILED = ("analytic/kernels.py", "envs/rules.py")
"""All compiled code of a folder is in one file, however long: its machine code then follows its source."""

HEAVY = ("torch", "stable_baselines3", "matplotlib", "streamlit", "tensorboard")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_go_one_way(folder: str) -> None:
    for path in sources(folder):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "stackroute" and len(parts) > 1:
                    assert parts[1] in MAY_IMPORT[folder] | {folder}, f"{path}: {name}"


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_modules_stay_small(folder: str) -> None:
    for path in sources(folder):
        if path.relative_to(ROOT).as_posix() not in COMPILED:
            assert len(path.read_text().splitlines()) <= 400, path


def test_the_package_imports_without_the_learners() -> None:
    check = f"import sys, stackroute.training.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
