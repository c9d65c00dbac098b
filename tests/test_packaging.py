import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import stackroute
from stackroute import _extras

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"agents", "analytic", "configs", "envs", "training"}
NESTED = {"agents.routers"} | {
    f"training.{folder}" for folder in ("benchmark", "cli", "explorer", "figures", "learn", "market", "routers")
}


def test_the_package_list_equals_the_disk() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    assert set(setuptools["packages"]) == {"stackroute", *(f"stackroute.{folder}" for folder in FOLDERS | NESTED)}
    for package, folder in setuptools["package-dir"].items():
        assert (ROOT / folder / "__init__.py").is_file(), package
    on_disk = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert on_disk == {"stackroute", *FOLDERS}
    nested = [path.parent for folder in FOLDERS for path in (ROOT / folder).glob("*/**/__init__.py")]
    assert {".".join(path.relative_to(ROOT).parts) for path in nested} == NESTED


def test_the_links_serve_type_checkers() -> None:
    for folder in FOLDERS:
        link = ROOT / "stackroute" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {stackroute.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {stackroute.__version__} (" in (ROOT / "CHANGELOG.md").read_text()


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {name.lower().replace("_", "-") for name in pins}
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    for requirement in wanted:
        assert requirement.split(">=")[0].lower().replace("_", "-") in pinned, requirement
    assert pins["torch"] == "2.13.0"


def test_extras_are_added_to_the_clone_itself_or_to_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, *words = shlex.split(_extras.install("train", "plot"))
    assert python == sys.executable
    assert words == ["-m", "pip", "install", "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[train,plot]"]
    monkeypatch.setattr(_extras, "__file__", str(tmp_path / "stackroute" / "_extras.py"))
    assert shlex.split(_extras.install("train"))[1:] == ["-m", "pip", "install", "stackroute[train]"]


@pytest.mark.packaging
def test_the_wheel_holds_every_source_and_game_and_can_be_published(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    made = [str(path) for path in tmp_path.iterdir()]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *made], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    kinds = (".py", ".yaml", ".csv", ".gz", ".md")
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    expected = {f"stackroute/{path.relative_to(ROOT)}" for path in sources}
    expected |= {f"stackroute/{path.name}" for path in (ROOT / "stackroute").iterdir() if path.is_file()}
    assert {name for name in held if ".dist-info/" not in name} == expected
