import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from stackroute import __version__
from stackroute.configs import game_names
from stackroute.training.cli.console import console, to_errors
from stackroute.training.cli.display import table_of
from stackroute.training.cli.main import app

GOOD = """
name: mine
description: two models
units: {money: USD, latency: seconds}
models:
  - {label: small, success: 0.4, cost: 0.01, latency: 5}
  - {label: large, success: 0.7, cost: 0.05, latency: 40}
waiting_cost_per_hour: 30
value: 1.0
churn_penalty: 0.2
sources: [invented]
"""

Stackroute = Callable[..., tuple[int, str, str]]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("success: 0.4", "success: 1.2", ["models.0.success", "1.2", "less than 1"]),
        ("churn_penalty: 0.2\n", "", ["churn_penalty", "missing key"]),
        ("latency: seconds", "latency: years", ["units.latency", "'years'", "seconds, minutes or value"]),
    ],
)
@pytest.mark.parametrize("command", ["solve", "train"])
def test_a_bad_game_file_is_one_line_and_nothing_is_written(
    stackroute: Stackroute, tmp_path: Path, command: str, old: str, new: str, names: list[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(old, new))
    code, shown, errors = stackroute(command, "mine.yaml")
    assert (code, shown, errors.count("\n")) == (2, "", 1)
    for name in ["mine.yaml", *names]:
        assert name in errors
    assert files(tmp_path) == {"mine.yaml"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "absent.yaml"], "absent.yaml: no such file"),
        (["solve", "gpt-4.1-o3-def"], "did you mean 'gpt-4.1-o3-dev'?"),
        (["train", "g1", "--out", "taken"], "taken: not a folder that can be written to"),
        (["train", "g1", "--out", "taken/below"], "taken/below: not a folder that can be written to"),
        (["train"], "GAME: give either a game or --resume DIR"),
        (["quickstart", "--out", "taken"], "taken: not a folder that can be written to"),
        (["train", "g1", "--settings", "fast"], "'fast' is not a packaged name"),
        (["figures", "--out", "taken"], "taken: not a folder that can be written to"),
        (["figures", "free_routing", "--game", "aider"], "free_routing: cannot be drawn for aider, of 51 models"),
        (["figures", "--set", "value=3"], "expected --game GAME with them"),
    ],
)
def test_bad_arguments_are_one_line_and_nothing_is_written(
    stackroute: Stackroute, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "taken").write_text("a file")
    code, _, errors = stackroute(*arguments)
    assert (code, errors.count("\n")) == (2, 1)
    assert message in errors
    assert files(tmp_path) == {"taken"}


def test_solve_prints_a_table_and_json(stackroute: Stackroute, tmp_path: Path) -> None:
    # Brackets in texts are texts.
    (tmp_path / "mine.yaml").write_text(GOOD.replace("two models", '"x [/b] [red] y"').replace("small", '"[/x]"'))
    code, shown, _ = stackroute("solve", "mine.yaml")
    assert code == 0
    for text in ("x [/b] [red] y", "[/x]"):
        assert text in shown
    _, shown, _ = stackroute("solve", "gpt-4.1-o3-dev-low-p", "--throttling", "--json")
    found = json.loads(shown)
    assert (found["start"]["gpt-4.1"], found["route"], found["regime"]) == (1, "leave_by_threat", "both_worth")
    assert found["provider_cost"] == pytest.approx(0.024335 + 0.05 * 0.8)


MODELS = GOOD[GOOD.index("  - {label: small") : GOOD.index("waiting")]
SLOW_AND_DEAR = "  - {label: one, success: 0.4, cost: 0.05, latency: 50}\n"
QUICK_AND_CHEAP = "  - {label: other, success: 0.6, cost: 0.04, latency: 5}\n"


@pytest.mark.parametrize(
    ("models", "first", "cost", "said"),
    [
        # The cost of a solved task where users stay, c / p; delayed until they leave c + P (1 - p).
        (SLOW_AND_DEAR.replace("50}", "5}"), "one", 0.05 / 0.4, "Slowing down would not pay (now 0.2 USD)."),
        (SLOW_AND_DEAR + QUICK_AND_CHEAP, "other", 0.04 / 0.6, "Slowing down would not pay (now 0.2 USD)."),
    ],
)
def test_solve_takes_games_without_the_papers_orders(
    stackroute: Stackroute, tmp_path: Path, models: str, first: str, cost: float, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace(MODELS, models))
    found = json.loads(stackroute("solve", "mine.yaml", "--json")[1])
    assert (found["start"][first], found["patience"], found["throttling_gain"]["pays"]) == (1, 1, False)
    assert found["provider_cost"] == pytest.approx(cost)
    assert said in stackroute("solve", "mine.yaml")[1]
    _, shown, _ = stackroute("solve", "mine.yaml", "--throttling", "--set", "churn_penalty=0.01")
    assert "it saves you" in shown


def test_solve_says_what_any_commitment_is_worth(stackroute: Stackroute, tmp_path: Path) -> None:
    _, shown, _ = stackroute("solve", "g5", "--routing", "free")
    assert "First answer by reasoning; retries: 61.91 % reasoning, 38.09 % standard, just" in " ".join(shown.split())
    assert "32.5% less" in shown
    found = json.loads(stackroute("solve", "g5", "--routing", "free", "--json")[1])
    assert (found["start"]["reasoning"], found["route"], found["patience"]) == (1, "lottery", 1)
    assert found["retries"] == pytest.approx({"reasoning": 0.619165, "standard": 0.380835}, abs=1e-6)
    assert found["provider_cost"] == pytest.approx(0.169387, abs=1e-6)
    # More than two models have no paper's solution.
    (tmp_path / "mine.yaml").write_text(GOOD.replace(MODELS, MODELS + QUICK_AND_CHEAP))
    found = json.loads(stackroute("solve", "mine.yaml", "--json")[1])
    assert (found["routing"], found["start"]) == ("free", {"small": 1, "large": 0, "other": 0})
    code, shown, errors = stackroute("solve", "mine.yaml", "--routing", "cascade")
    assert (code, shown) == (2, "")
    assert errors == "error: models: 3 is not allowed; expected one or two, for routing='cascade'\n"


def test_games_lists_every_packaged_game(stackroute: Stackroute) -> None:
    _, shown, _ = stackroute("games")
    for name in ("g1", "g4b", "gpt-4.1-o3-cascade", "claude-3.7-sonnet-thinking-dev", "gpt-4.1-nano-gpt-4.1-cascade"):
        assert name in shown


@pytest.mark.parametrize(
    ("options", "listed"),
    [
        (["--models", "4"], {"gpt-4.1-family-o3"}),
        (["--regime", "only-reasoning"], {"g4", "g4b", "gpt-4.1-nano-gpt-4.1-cascade"}),
    ],
)
def test_games_are_filtered(stackroute: Stackroute, options: list[str], listed: set[str]) -> None:
    code, shown, _ = stackroute("games", *options)
    assert code == 0
    assert listed == {*game_names()} & {*shown.split()}
    assert stackroute("games", "--models", "4", "--regime", "both")[0] == 2


@pytest.mark.parametrize("command", [*get_command(app).commands])
def test_every_command_has_help_that_fills_80_columns(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, [command, "--help"], prog_name="stackroute").output
    assert f"stackroute {command} [OPTIONS]" in shown
    assert "…" not in shown
    for line, following in pairwise(shown.partition("╭")[0].splitlines()):
        if line.strip() and following.strip():
            assert len(f"{line.rstrip()} {following.split()[0]}") >= 80


def run(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{script}; from stackroute.training.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], ["numba", "scipy", "pandas", "pydantic", "matplotlib", "torch", "stable_baselines3"]),
        (
            ["benchmark", "--list"],
            ["torch", "stable_baselines3", "sb3_contrib", "matplotlib", "joblib", "cma", "pyarrow", "tensorboard"],
        ),
        (
            ["solve", "g1"],
            ["scipy.optimize", "scipy.special", "torch", "stable_baselines3", "matplotlib", "tensorboard"],
        ),
    ],
)
def test_commands_load_only_what_they_need(tmp_path: Path, arguments: list[str], unneeded: list[str]) -> None:
    result = run(f"import sys; sys.modules.update(dict.fromkeys({unneeded!r}))", *arguments, folder=tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    hide = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, p=None: n != 'sb3_contrib' and f(n, p)"
    result = run(hide, "train", "g1", folder=tmp_path)
    assert result.returncode == 2
    clone = Path(__file__).parents[3]
    command = shlex.split(result.stderr.removeprefix("error: this command needs sb3_contrib: "))
    assert command == [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-c",
        f"{clone}/constraints.txt",
        "-e",
        f"{clone}[train,plot]",
    ]
    assert (clone / "pyproject.toml").exists()


def test_what_is_asked_of_the_program_itself(tmp_path: Path) -> None:
    def ask(*command: str) -> str:
        options = {"capture_output": True, "text": True, "check": True, "cwd": tmp_path}
        return subprocess.run([sys.executable, *command], **options).stdout

    assert ask("-m", "stackroute", "--version") == f"stackroute {__version__}\n"
    assert "LearnedUser" in ask("-c", "from stackroute import agents; print(dir(agents))")
    assert "Problem" in ask("-c", "from stackroute import training; print(dir(training))")


def test_text_of_a_file_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31m red\u202e [bold]:bug:[/bold]"
    console.print(text)
    console.print(table_of(("name",), [(text,)], text))
    to_errors(text)
    shown = capsys.readouterr()
    assert shown.err == "\\x1b[31m red\\u202e [bold]:bug:[/bold]\n"
    assert shown.out.count("\\x1b[31m red\\u202e [bold]:bug:[/bold]") == 3
    assert "\x1b" not in shown.out


def command(folder: Path, *arguments: str, out: int | IO[str] = subprocess.PIPE, **variables: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", "from stackroute.training.cli.main import main; main()", *arguments],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        check=False,
    )


@pytest.mark.parametrize(
    ("encoding", "columns", "arguments", "shown"),
    [
        ("ascii", "80", ["train", "--help"], "--settings"),
        ("cp1252", "0", ["solve", "mine.yaml"], "retries by"),
        ("ascii", "5", ["solve", "mine.yaml"], "retries by"),
    ],
)
def test_any_encoding_and_width_of_the_output_will_do(
    tmp_path: Path, encoding: str, columns: str, arguments: list[str], shown: str
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("small", "\u901a\u4e49"), encoding="utf-8")
    result = command(tmp_path, *arguments, PYTHONIOENCODING=encoding, COLUMNS=columns)
    assert (result.returncode, result.stderr) == (0, "")
    assert shown in result.stdout


@pytest.mark.parametrize("arguments", [["solve", "g1", "--json"], ["--help"]])
def test_an_output_that_is_full_is_one_error(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = command(tmp_path, *arguments, out=full)
    assert (result.returncode, result.stderr) == (2, "error: the output cannot be written (No space left on device)\n")


@pytest.mark.parametrize("path", ["x" * 300, "loop", "loop/below"])
@pytest.mark.parametrize(
    "arguments", [["train", "g1", "--out"], ["train", "--resume"], ["report"], ["benchmark", "quick", "--out"]]
)
def test_paths_that_the_file_system_refuses_are_one_line(
    stackroute: Stackroute, tmp_path: Path, arguments: list[str], path: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    code, shown, errors = stackroute(*arguments, path)
    assert (code, shown, errors.count("\n")) == (2, "", 1)
