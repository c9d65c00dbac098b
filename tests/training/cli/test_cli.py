import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stackroute.training.cli.main import main

GOOD = """
name: mine
description: two models
units: {money: USD, latency: seconds}
models:
  standard: {label: small, success: 0.4, cost: 0.01, latency: 5}
  reasoning: {label: large, success: 0.7, cost: 0.05, latency: 40}
waiting_cost_per_hour: 30
value: 1.0
churn_penalty: 0.2
sources: [invented]
"""


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["stackroute", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return call


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("success: 0.4", "success: 1.2", ["models.standard.success", "1.2", "less than 1"]),
        ("churn_penalty: 0.2\n", "", ["churn_penalty", "missing key"]),
        ("churn_penalty", "churn_penality", ["churn_penality", "unknown key", "did you mean 'churn_penalty'"]),
        ("value: 1.0", "value: much", ["value", "'much'", "valid number"]),
        ("latency: seconds", "latency: years", ["units.latency", "'years'", "seconds, minutes or value"]),
    ],
)
@pytest.mark.parametrize("command", ["solve", "train"])
def test_a_bad_game_file_is_one_line_and_nothing_is_written(
    run: Run, tmp_path: Path, command: str, old: str, new: str, names: list[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    result = run(command, "mine.yaml")
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    for name in ["mine.yaml", *names]:
        assert name in result.stderr
    assert files(tmp_path) == {"mine.yaml"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "absent.yaml"], "absent.yaml: no such file"),
        (["solve", "gpt-4.1-o3-def"], "did you mean 'gpt-4.1-o3-dev'?"),
        (["train", "g1", "--out", "taken"], "taken: not a folder that can be written to"),
        (["train", "g1", "--out", "taken/below"], "taken/below: not a folder that can be written to"),
        (["quickstart", "--out", "taken"], "taken: not a folder that can be written to"),
        (["train", "g1", "--settings", "fast"], "'fast' is not a packaged name"),
    ],
)
def test_bad_arguments_are_one_line_and_nothing_is_written(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    result = run(*arguments)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert files(tmp_path) == {"taken"}


def test_solve_prints_a_table_and_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    table = run("solve", "mine.yaml")
    assert table.returncode == 0
    assert "both models are worth the wait" in table.stdout
    assert "small" in table.stdout

    result = run("solve", "gpt-4.1-o3-dev-low-p", "--throttling", "--json")
    found = json.loads(result.stdout)
    assert (found["model"], found["throttled"], found["regime"]) == (1, True, "both_worth")
    assert found["provider_cost"] == pytest.approx(0.024335 + 0.05 * 0.8)


def test_brackets_in_texts_are_texts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("two models", '"x [/b] [red] y"').replace("small", '"[/x]"'))
    shown = run("solve", "mine.yaml").stdout
    assert "x [/b] [red] y" in shown
    assert "[/x]" in shown


def test_games_lists_every_packaged_game(run: Run) -> None:
    result = run("games")
    for name in ("g1", "g4b", "gpt-4.1-o3-cascade", "claude-3.7-sonnet-thinking-dev", "gpt-4.1-nano-gpt-4.1-cascade"):
        assert name in result.stdout


@pytest.mark.parametrize("command", ["solve", "train", "games", "figures", "quickstart"])
def test_help_teaches(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_solving_does_not_need_the_training_extra(tmp_path: Path) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(['torch', 'stable_baselines3', 'matplotlib', 'tensorboard']))"
    command = [sys.executable, "-c", f"{block}; from stackroute.training.cli.main import main; main()"]
    result = subprocess.run([*command, "solve", "g1"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr
