"""A run that was cut off ends as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackroute import __version__, load_game
from stackroute.configs.training import TrainingSettings, settings_from
from stackroute.training.learn.runs import RunSpec, read_spec, run_game, start
from stackroute.training.output import LOCK, RunError

TinySettings = Callable[..., TrainingSettings]
TinyContent = Callable[..., dict[str, Any]]
Stackroute = Callable[..., tuple[int, str, str]]

COMMAND = [sys.executable, "-c", "from stackroute.training.cli.main import main; main()"]
PLAYERS = ("user.npz", "provider.npz", "provider-network.npz")

pytestmark = pytest.mark.usefixtures("short_certificate")


class CutOffError(Exception):
    pass


def cut_off_in(stage: str) -> Callable[[str, int, int, float], None]:
    """A run with this callback ends in the middle of a stage."""

    def on_progress(name: str, done: int, *_: float) -> None:
        if name == stage and done > 0:
            raise CutOffError

    return on_progress


def assert_same(folder: Path, other: Path) -> None:
    for name in ("report.json", "curves.json", "places.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    for name in PLAYERS:
        with np.load(folder / name) as file, np.load(other / name) as same:
            assert set(file.files) == set(same.files)
            for array in file.files:
                np.testing.assert_array_equal(file[array], same[array], err_msg=f"{name} {array}")


CASES: dict[str, tuple[dict[str, object], list[str]]] = {
    "all stages": ({"refined": True, "features": "theory"}, ["user", "provider", "certificate"]),
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
    assert read_spec(tmp_path / "cut") == spec
    # What was finished is not learned again; once all is, nothing is.
    for expected in ({stages[-1]}, set()):
        again: list[str] = []
        run_game(spec, tmp_path / "cut", resume=True, on_progress=lambda stage, *_: again.append(stage))  # noqa: B023
        assert set(again) == expected
        assert_same(tmp_path / "cut", tmp_path / "whole")


def test_starting_again_forgets_the_earlier_run(tiny_settings: TinySettings, tmp_path: Path) -> None:
    run_game(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=5), tmp_path)
    assert {"run.json", "report.json", "stages", "tensorboard", *PLAYERS} < {path.name for path in tmp_path.iterdir()}
    start(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=6), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", ".lock"}
    assert read_spec(tmp_path).seed == 6


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
    written = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(written | change))
    with pytest.raises(RunError, match=message) as caught:
        read_spec(tmp_path)
    assert "\n" not in str(caught.value)
    assert "run.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "was changed after the run began"),
        ({"version": "0.0.1"}, "was changed after the run began"),
        ({"throttling": True}, "was changed after the run began"),
        ({"checksum": "0"}, "was changed after the run began"),
        ({"more": 1}, "was changed after the run began"),
    ],
)
def test_a_changed_specification_does_not_go_on(
    tiny_settings: TinySettings, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    spec = RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=0)
    start(spec, tmp_path)
    written = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(written | change))
    for resume in (True, False):
        with pytest.raises(RunError, match=message):
            run_game(spec, tmp_path, resume=resume)


def test_a_folder_of_another_run_is_left_alone(
    tiny_settings: TinySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(RunSpec(load_game("g1"), tiny_settings(), throttling=False, seed=0), tmp_path)
    before = (tmp_path / "run.json").read_text()
    for game, seed, version, message in (
        ("g1", 1, __version__, r"holds another run \(seed: 0, not 1\)"),
        ("g2", 0, __version__, r"holds another run \(game\)"),
        ("g1", 0, "99", rf"holds another run \(version: {__version__}, not 99\)"),
    ):
        monkeypatch.setattr("stackroute.training.learn.runs.__version__", version)
        for resume in (True, False):
            with pytest.raises(RunError, match=message):
                run_game(
                    RunSpec(load_game(game), tiny_settings(), throttling=False, seed=seed), tmp_path, resume=resume
                )
    assert (tmp_path / "run.json").read_text() == before


def begun(content: dict[str, Any], out: Path) -> tuple[subprocess.Popen[str], TrainingSettings]:
    """A training in a process of its own that has finished its first stage.

    Its provider learns in many short rounds, so that a signal meets it in the middle.
    """
    content["provider"] |= {"steps": 32 * 60, "rounds": 60}
    settings = out.with_suffix(".yaml")
    settings.write_text(json.dumps(content))
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
    return process, settings_from(content, "mine.yaml")


def test_a_killed_run_goes_on(tiny_content: TinyContent, tmp_path: Path, stackroute: Stackroute) -> None:
    process, settings = begun(tiny_content(), tmp_path / "killed")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "report.json").exists()
    run_game(RunSpec(load_game("g4b"), settings, throttling=False, seed=2), tmp_path / "whole")
    code, shown, errors = stackroute("train", "--resume", "killed")
    assert (code, errors) == (0, "")
    assert "after each stage: provider" in shown
    assert_same(tmp_path / "killed", tmp_path / "whole")


def test_ctrl_c_ends_with_a_hint_and_no_traceback(tiny_content: TinyContent, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    process, _ = begun(tiny_content(), out)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == f"stopped; go on with: stackroute train --resume {out}\n"
    assert {path.name for path in out.iterdir() if path.is_file()} == {"run.json", LOCK}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--resume", "absent"], "absent/run.json: no such file; expected the folder of a run"),
        (["train", "--resume", "."], "run.json: no such file; expected the folder of a run"),
        (["train", "g1", "--resume", "."], "GAME: give either a game or --resume DIR"),
        (["train"], "GAME: give either a game or --resume DIR"),
        (["plot", "absent"], "absent/run.json: no such file; expected the folder of a run of 'stackroute train'"),
        (["evaluate", "absent"], "absent/run.json: no such file; expected the folder of a run of 'stackroute train'"),
        (["plot", "file"], "file/run.json: no such file; expected the folder"),
        (["evaluate", "file"], "file/run.json: no such file; expected the folder"),
    ],
)
def test_what_is_no_run_is_named_in_a_line_and_left_alone(
    tmp_path: Path, stackroute: Stackroute, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    code, shown, errors = stackroute(*arguments)
    assert (code, shown) == (2, "")
    assert len(errors.splitlines()) == 1
    assert message in errors
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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
    tmp_path: Path, stackroute: Stackroute, options: list[str], folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "run.json").write_text("an earlier run")
    code, _, errors = stackroute("train", "g1", *options)
    assert code == 2
    advice = f"go on with --resume {folder}, or choose another folder by --out"
    assert errors == f"error: {folder}: holds a run already; {advice}\n"
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["run.json"]
