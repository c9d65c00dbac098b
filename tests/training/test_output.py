import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stackroute.training.output import OutputError, file_name, locked, output_folder, replacing, write_json


def test_json_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for content in ({"a": 1}, {"a": 2}):
        write_json(path, content)
        assert json.loads(path.read_text()) == content
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_failure_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(ZeroDivisionError), replacing(path) as unfinished:
        unfinished.write_text(f"half {1 / 0}")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="not a folder that can be written to") as caught:
            output_folder(path)
        assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_json(tmp_path / "absent" / "report.json", {})


@pytest.mark.parametrize("name", ["x" * 300, "é" * 200, "a/b", "a\nb", "{'a': [1]}", "seed=1"])
def test_every_text_has_a_file_name(tmp_path: Path, name: str) -> None:
    made = {file_name(text) for text in (name, name + "x", name + "y")}
    assert len(made) == 3
    for one in made:
        write_json(tmp_path / f"{one}.json", {})
    assert len(list(tmp_path.iterdir())) == 3


def looping(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


@pytest.mark.parametrize(
    "path",
    [lambda folder: folder / ("x" * 300), looping, lambda folder: looping(folder) / "below"],
    ids=["long", "loop", "below a loop"],
)
def test_what_the_file_system_refuses_is_one_clean_error(tmp_path: Path, path: Callable[[Path], Path]) -> None:
    place = path(tmp_path)
    with pytest.raises(OutputError, match="not a folder that can be written to"):
        output_folder(place)
    with pytest.raises(OutputError, match="not a folder that can be written to"), locked(place):
        pass
    with pytest.raises(OutputError, match="cannot be written"):
        write_json(place / "report.json", {})


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal
from stackroute.training.output import replacing
with replacing(pathlib.Path({str(tmp_path / "report.json")!r})) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "mine.json") as unfinished:
        unfinished.write_text("whole")
        output_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(OutputError, match=rf"in use by process {os.getpid()} on "), locked(tmp_path):
        pass
    with locked(tmp_path):
        (tmp_path / "free").touch()


def test_a_folder_is_no_name_of_a_file() -> None:
    with pytest.raises(OutputError, match="expected the name of a file"), replacing(Path()):
        pass
