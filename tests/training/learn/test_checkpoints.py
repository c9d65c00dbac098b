import errno
import hashlib
import io
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from stackroute.training.learn.checkpoints import Checkpoints, CorruptCheckpointWarning
from stackroute.training.output import OutputError, RunError

LATEST, PREVIOUS = "checkpoint.bin", "checkpoint-previous.bin"
CONTENT: dict[str, Any] = {
    "finished": {"user": {"weights": torch.arange(6.0).reshape(2, 3), "curve": [0.5, 0.25], "reason": None}},
    "stage": "provider",
    "state": {"rounds": 3, "full": True, "empty": {}, "nested": [{"a": [1, "b"]}], "regret": float("inf")},
}


def generations(folder: Path, *, count: int = 2) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for number in range(1, count + 1):
        checkpoints.save({"number": number, "weights": torch.full((50,), float(number))})
    return checkpoints


def whole(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damaged(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    elif how == "digest":
        content[0] ^= 1
    elif how == "truncated":
        del content[-1:]
    else:
        content.clear()
    path.write_bytes(content)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(CONTENT)
    loaded = Checkpoints(tmp_path).load()
    assert loaded is not None
    weights = loaded["finished"]["user"].pop("weights")
    assert torch.equal(weights, torch.tensor([[0.0, 1, 2], [3, 4, 5]]))
    assert loaded["finished"]["user"] == {"curve": [0.5, 0.25], "reason": None}
    assert loaded["stage"] == "provider"
    assert loaded["state"] == CONTENT["state"]


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).load() is None


def test_two_generations_are_kept_and_no_more(tmp_path: Path) -> None:
    checkpoints = generations(tmp_path, count=3)
    assert set(whole(tmp_path)) == {LATEST, PREVIOUS}
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded["number"] == 3
    (tmp_path / LATEST).unlink()
    before = checkpoints.load()
    assert before is not None
    assert before["number"] == 2


def test_trimming_keeps_the_latest_and_removing_nothing(tmp_path: Path) -> None:
    checkpoints = generations(tmp_path)
    checkpoints.trim()
    assert set(whole(tmp_path)) == {LATEST}
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded["number"] == 2
    checkpoints.remove()
    checkpoints.remove()
    assert whole(tmp_path) == {}


@pytest.mark.parametrize("how", ["truncated", "flipped", "digest", "empty"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path, how: str) -> None:
    checkpoints = generations(tmp_path)
    damaged(tmp_path / LATEST, how)
    with pytest.warns(CorruptCheckpointWarning, match=r"checkpoint\.bin: cannot be read"):
        loaded = checkpoints.load()
    assert loaded is not None
    assert loaded["number"] == 1
    checkpoints.save({"number": 4})
    again = checkpoints.load()
    assert again == {"number": 4}


@pytest.mark.parametrize("how", ["truncated", "flipped"])
@pytest.mark.filterwarnings("ignore::stackroute.training.learn.checkpoints.CorruptCheckpointWarning")
def test_two_damaged_checkpoints_are_a_one_line_error(tmp_path: Path, how: str) -> None:
    checkpoints = generations(tmp_path)
    for name in (LATEST, PREVIOUS):
        damaged(tmp_path / name, how)
    with pytest.raises(RunError, match="no checkpoint can be read; start the run again") as caught:
        checkpoints.load()
    assert "\n" not in str(caught.value)
    assert LATEST in str(caught.value)
    assert PREVIOUS in str(caught.value)


def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = generations(tmp_path)
    before = whole(tmp_path)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"checkpoint\.bin: cannot be written \(No space left on device\)"):
        checkpoints.save({"number": 3})
    assert whole(tmp_path) == before
    monkeypatch.undo()
    checkpoints.save({"number": 3})
    assert checkpoints.load() == {"number": 3}


def test_a_limit_on_the_size_of_files_leaves_the_earlier_checkpoints(tmp_path: Path) -> None:
    checkpoints = generations(tmp_path)
    before = whole(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[LATEST]), hard))
    try:
        with pytest.raises(OutputError, match=r"cannot be written \(File too large\)"):
            checkpoints.save({"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert whole(tmp_path) == before


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore::stackroute.training.learn.checkpoints.CorruptCheckpointWarning")
def test_a_checkpoint_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    buffer = io.BytesIO()
    torch.save({"state": Exploit(ran)}, buffer)
    payload = buffer.getvalue()
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / LATEST).write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)
    with pytest.raises(RunError, match="no checkpoint can be read"):
        Checkpoints(folder).load()
    assert not ran.exists()
    torch.load(io.BytesIO(payload), weights_only=False)
    assert ran.exists()
