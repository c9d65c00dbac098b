import json
from pathlib import Path

import pytest

from stackroute.training.output import OutputError, output_folder, replacing, write_json


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
