"""A run that was cut off ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stackroute import load_game
from stackroute.configs.training import TrainingSettings, settings_from
from stackroute.training.learn.runs import RunSpec, read_spec, run_game, start
from stackroute.training.output import RunError

TinySettings = Callable[..., TrainingSettings]
TinyContent = Callable[..., dict[str, object]]

COMMAND = [sys.executable, "-c", "from stackroute.training.cli.main import main; main()"]
PLAYERS = ("user.npz", "provider.npz", "provider-network.npz")

pytestmark = pytest.mark.usefixtures("short_certificate")


class CutOffError(Exception):
    pass


def cut_off_in(stage: str) -> Callable[[str, int, int, float], None]:
    """A run with this callback ends in the middle of a stage."""

    def on_progress(name: str, done: int, total: int, regret: float) -> None:
        if name == stage and done > 0:
            raise CutOffError

    return on_progress


def assert_same(folder: Path, other: Path) -> None:
    for name in ("report.json", "curves.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    for name in PLAYERS:
        with np.load(folder / name) as file, np.load(other / name) as same:
            assert set(file.files) == set(same.files)
            for array in file.files:
                np.testing.assert_array_equal(file[array], same[array], err_msg=f"{name} {array}")


CASES: dict[str, tuple[dict[str, object], list[str]]] = {
    "all stages": ({"refined": True, "features": "theory"}, ["user", "provider", "overview", "certificate"]),
    "off-policy": ({"provider_algorithm": "sac", "user_algorithm": "sac", "user_action": "box"}, ["provider"]),
    "pass by pass": ({"user_algorithm": "dqn", "user_action": None, "provider_algorithm": "dqn"}, ["provider"]),
    "simultaneous": ({"scheme": "simultaneous"}, ["both players"]),
    "blind": ({"scheme": "simultaneous_blind", "features": "theory"}, ["both players"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    tiny_settings: TinySettings, tmp_path: Path, case: str
) -> None:
    options, stages = CASES[case]
    spec = RunSpec(load_game("g4b"), tiny_settings(**options), throttling=True, seed=7)
    run_game(spec, tmp_path / "whole")
    for number, stage in enumerate(stages):
        with pytest.raises(CutOffError):
            run_game(spec, tmp_path / "cut", resume=number > 0, on_progress=cut_off_in(stage))
        assert not (tmp_path / "cut" / "report.json").exists()
    again: list[str] = []
    run_game(spec, tmp_path / "cut", resume=True, on_progress=lambda stage, *_: again.append(stage))
    # What was finished is not learned again.
    assert set(again) == {stages[-1]}
    assert_same(tmp_path / "cut", tmp_path / "whole")


def test_a_finished_run_gives_the_same_report(tiny_settings: TinySettings, tmp_path: Path) -> None:
    spec = RunSpec(load_game("g4b"), tiny_settings(refined=True), throttling=False, seed=3)
    first = run_game(spec, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("report.json", "curves.json")}
    reported: list[str] = []
    again = run_game(spec, tmp_path, resume=True, on_progress=lambda stage, *_: reported.append(stage))
    assert reported == []
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert again.report() == first.report()
    assert read_spec(tmp_path) == spec


def test_starting_again_forgets_the_earlier_run(tiny_settings: TinySettings, tmp_path: Path) -> None:
    run_game(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=5), tmp_path / "run")
    other = RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=6)
    start(other, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    run_game(other, tmp_path / "run", resume=True)
    run_game(other, tmp_path / "other")
    assert_same(tmp_path / "run", tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "x"}, "is no specification of a run"),
        ({"settings": {"scheme": "guess"}}, "scheme: 'guess' is not allowed"),
        ({"settings": None}, "is no specification of a run"),
        ({"game": {}}, "is no specification of a run"),
    ],
)
def test_a_specification_that_cannot_be_used_is_a_one_line_error(
    tiny_settings: TinySettings, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    spec = RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=0)
    start(spec, tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(spec.as_json() | change))
    with pytest.raises(RunError, match=message) as caught:
        read_spec(tmp_path)
    assert "\n" not in str(caught.value)
    assert "run.json" in str(caught.value)


def long_provider(tiny_content: TinyContent, folder: Path) -> tuple[Path, TrainingSettings]:
    """A run in which the provider learns in many short rounds, so that a signal meets it in the middle."""
    content = tiny_content("follower_first")
    content["provider"] |= {"steps": 32 * 300, "rounds": 300}  # type: ignore[operator]
    path = folder / "mine.yaml"
    path.write_text(json.dumps(content))
    return path, settings_from(content, "mine.yaml")


def begun(settings: Path, out: Path) -> subprocess.Popen[str]:
    """A training in a process of its own that has finished its first stage."""
    options = ["--settings", str(settings), "--seed", "2", "--out", str(out)]
    process = subprocess.Popen(
        [*COMMAND, "train", "g4b", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # Whoever runs the tests in the background may have them ignore Ctrl-C, which a child would inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (out / "stages" / "user.bin").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def test_a_killed_run_goes_on(
    tiny_content: TinyContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, settings = long_provider(tiny_content, tmp_path)
    process = begun(path, tmp_path / "killed")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "report.json").exists()
    run_game(RunSpec(load_game("g4b"), settings, throttling=False, seed=2), tmp_path / "whole")
    code, shown, errors = stackroute(monkeypatch, capsys, "train", "--resume", str(tmp_path / "killed"))
    assert (code, errors) == (0, "")
    assert "Provider's regret after each stage: provider" in " ".join(shown.split())
    assert_same(tmp_path / "killed", tmp_path / "whole")


def test_ctrl_c_ends_with_a_hint_and_no_traceback(tiny_content: TinyContent, tmp_path: Path) -> None:
    path, _ = long_provider(tiny_content, tmp_path)
    out = tmp_path / "stopped"
    process = begun(path, out)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == f"stopped; go on with: stackroute train --resume {out}\n"
    assert {path.name for path in out.iterdir() if path.is_file()} == {"run.json"}


def stackroute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    from stackroute.training.cli.main import main

    monkeypatch.setattr(sys, "argv", ["stackroute", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "absent"], "absent/run.json: no such file; expected the folder of a run"),
        (["--resume", "."], "run.json: no such file; expected the folder of a run"),
        (["g1", "--resume", "."], "GAME: give either a game or --resume DIR"),
        ([], "GAME: give either a game or --resume DIR"),
    ],
)
def test_resuming_without_a_run_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, shown, errors = stackroute(monkeypatch, capsys, "train", *arguments)
    assert (code, shown) == (2, "")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--out", "mine"], "mine"),
        ([], "runs/g1-seed0"),
        (
            ["--throttling", "--set", "provider=provider_sac", "--seed", "3"],
            "runs/g1-throttling-provider=provider_sac-seed3",
        ),
        (["--settings", "simultaneous"], "runs/g1-simultaneous-seed0"),
    ],
)
def test_training_does_not_replace_a_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: list[str],
    folder: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "run.json").write_text("an earlier run")
    code, _, errors = stackroute(monkeypatch, capsys, "train", "g1", *options)
    assert code == 2
    assert (
        errors
        == f"error: {folder}: holds a run already; go on with --resume {folder}, or choose another folder by --out\n"
    )
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["run.json"]


@pytest.mark.parametrize("command", ["plot", "evaluate"])
def test_what_is_no_run_is_named_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = stackroute(monkeypatch, capsys, command, "absent")
    assert (code, errors.count("\n")) == (2, 1)
    assert "absent/run.json: no such file; expected the folder of a run of 'stackroute train'" in errors
    assert list(tmp_path.iterdir()) == []
    Path("provider.npz").touch()
    assert (
        "provider.npz/run.json: no such file; expected the folder"
        in stackroute(monkeypatch, capsys, command, "provider.npz")[2]
    )
