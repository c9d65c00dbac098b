from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stackroute

SOLVE = """
import numba
from stackroute.analytic import Game, solve, cascade_thresholds
print(cascade_thresholds(Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], 1.1, 5)).low, numba.config.CACHE_DIR)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the part of the package that solves games."""
    copy = tmp_path / "installed" / "stackroute"
    for folder in ("analytic", "envs"):
        source = Path(stackroute.__file__).parent / folder
        shutil.copytree(source, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(stackroute.__file__).parent / "_version.py", copy)
    (copy / "__init__.py").touch()
    return copy


def run(package: Path, *, script: str = SOLVE, **variables: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG", "HOME"))}
    environment = {**kept, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=package.parent)
    return ran.stdout.split()


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_machine_code_follows_the_sources_and_stays_out_of_the_package(package: Path, tmp_path: Path) -> None:
    cache, sources = tmp_path / "cache", files(package)
    assert run(package, XDG_CACHE_HOME=str(cache)) == ["0.3076923076923075"]
    first = files(cache)
    assert any(path.suffix == ".nbc" for path in first)
    times = {path: path.stat().st_mtime_ns for path in first}
    assert run(package, XDG_CACHE_HOME=str(cache)) == ["0.3076923076923075"]
    assert {path: path.stat().st_mtime_ns for path in files(cache)} == times, "used again"

    kernels = package / "analytic" / "kernels.py"
    stat = kernels.stat()
    kernels.write_text(kernels.read_text().replace("return x1 * p2 / (x2", "return 2.0 * x1 * p2 / (x2"))
    os.utime(kernels, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**18))
    assert run(package, XDG_CACHE_HOME=str(cache)) == ["0.615384615384615"]
    assert first < (second := files(cache)), "nothing is deleted"
    game = package / "analytic" / "game.py"
    game.write_text(game.read_text() + "# Nothing compiled is here.\n")
    run(package, XDG_CACHE_HOME=str(cache))
    assert files(cache) == second
    assert files(package) == sources


def test_kernels_are_compiled_where_numba_is_to_compile_nothing_else() -> None:
    play = """
import numba, numpy
import stackroute
print(stackroute.envs.RoutingBatch("g1", size=3, seed=3, throttling=False).step([[0.0, 0.5]] * 3, [0] * 3).terminated)
print(numba.config.DISABLE_JIT, isinstance(numba.njit(lambda x: x), numba.core.dispatcher.Dispatcher))
"""
    ran = subprocess.run(
        [sys.executable, "-c", play],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "[False  True False]\n1 False\n"


@pytest.mark.parametrize("damage", ["empty", "truncated", "folders in their place", "no space"])
def test_a_cache_that_cannot_be_used_is_made_anew(package: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    # No file may grow beyond 100 bytes: what a full disk looks like to a program.
    full = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    if damage == "no space":
        assert run(package, script=full + SOLVE, NUMBA_CACHE_DIR=str(cache))[0] == "0.3076923076923075"
        assert all(path.stat().st_size <= 100 for path in files(cache))
        return
    run(package, NUMBA_CACHE_DIR=str(cache))
    for path in files(cache):
        if damage == "folders in their place":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(b"" if damage == "empty" else path.read_bytes()[: path.stat().st_size // 2])
    assert run(package, NUMBA_CACHE_DIR=str(cache))[0] == "0.3076923076923075"
    if damage != "folders in their place":
        renewed = {path: path.stat().st_mtime_ns for path in files(cache) if path.suffix == ".nbc"}
        assert all(path.stat().st_size > 0 for path in renewed)
        run(package, NUMBA_CACHE_DIR=str(cache))
        assert {path: path.stat().st_mtime_ns for path in renewed} == renewed, "used again"


def test_numba_s_own_setting_is_honoured_and_kept(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "numba"
    assert run(package, NUMBA_CACHE_DIR=str(cache), XDG_CACHE_HOME=str(tmp_path / "no")) == [
        "0.3076923076923075",
        str(cache),
    ]
    assert any(path.suffix == ".nbc" for path in files(cache / "stackroute"))
    assert not (tmp_path / "no").exists()


def test_without_a_place_for_the_cache_there_is_none(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = files(tmp_path)
    # Root may write to a read-only folder, but nobody below a file.
    assert run(package, XDG_CACHE_HOME=str(tmp_path / "file")) == ["0.3076923076923075"]
    assert files(tmp_path) == before
