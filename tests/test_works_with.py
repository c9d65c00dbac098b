"""The examples of docs/examples run, each in a process of its own; those whose library is not installed are skipped."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def run(name: str, *options: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(library: str, extra: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"{library} is not installed: make install-{extra}")


@pytest.mark.convergence
@pytest.mark.parametrize(("game", "bar"), [("g4b", 0.002), ("g5", 0.002)])
def test_ppo_in_one_file_learns_when_to_give_up(game: str, bar: float) -> None:
    # 400,000 transitions; never giving up loses three and twelve times the bar.
    printed = run("ppo_vector.py", "--game", game, "--steps", "400000")
    learned, always = map(float, re.findall(r"\d\.\d{4}", printed))
    assert learned < bar
    assert always > 2.5 * bar


@needs("torchrl", "torchrl")
def test_torchrl_checks_its_specs_and_plays() -> None:
    lines = [line for line in run("torchrl_pettingzoo.py").splitlines() if "tasks in" in line]
    assert [line.split(":")[0] for line in lines] == ["AEC", "parallel"]
    assert all(re.search(r"[1-9]\d* tasks in 200 steps", line) for line in lines)


@needs("ray", "rllib")
def test_rllib_trains_both_players() -> None:
    printed = run("rllib_pettingzoo.py", "--iterations", "1", "--steps", "64")
    assert re.search(r"iteration 0: [1-9]\d* tasks, mean returns .*provider_0.*user_0", printed)
