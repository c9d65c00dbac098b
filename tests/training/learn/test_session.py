"""Finished stages in files: whole, or computed again."""

import hashlib
import io
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stackroute.training.learn.session import DamagedStageWarning, Session, derived_seed
from stackroute.training.output import OutputError

CONTENT: dict[str, Any] = {"curve": [0.5, float("inf")], "none": None, "nested": [{"a": [1, "b"]}], "empty": {}}


def computed(folder: Path | None, stage: str = "the user", content: Any = CONTENT) -> tuple[Any, int]:
    """What a new session gives for a stage, and how often it computed that."""
    calls = []

    def compute() -> Any:
        calls.append(stage)
        return content

    return Session(folder).stage(stage, compute), len(calls)


def whole(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_finished_stage_is_not_computed_again(tmp_path: Path) -> None:
    folder = tmp_path / "stages"
    weights = torch.arange(6.0).reshape(2, 3) / 7
    assert computed(folder, content=CONTENT | {"weights": weights})[1] == 1
    kept, times = computed(folder)
    assert times == 0
    assert torch.equal(kept.pop("weights"), weights)
    assert kept == CONTENT
    assert computed(folder, "provider") == (CONTENT, 1)
    assert computed(None) == computed(None) == (CONTENT, 1)


def test_the_time_of_earlier_sessions_is_counted(tmp_path: Path) -> None:
    first = Session(tmp_path)
    first.stage("user", lambda: sum(range(10**6)))
    second = Session(tmp_path)
    before = second.spent()
    second.stage("user", lambda: pytest.fail("it is finished"))
    assert all(second.spent()[unit] > before[unit] for unit in ("seconds", "cpu_seconds"))
    assert second.spent()["cpu_seconds"] > 0


def flipped(content: bytearray, place: int) -> None:
    content[place] ^= 1


DAMAGES: list[Callable[[bytearray], None]] = [
    lambda content: flipped(content, len(content) // 2),
    lambda content: flipped(content, 0),
    lambda content: content.pop() and None,
    bytearray.clear,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["in the middle", "in the digest", "cut off", "empty"])
def test_a_damaged_stage_is_computed_again(tmp_path: Path, damage: Callable[[bytearray], None]) -> None:
    computed(tmp_path)
    computed(tmp_path, "provider")
    path = tmp_path / "the-user.bin"
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    with pytest.warns(DamagedStageWarning, match=r"the-user\.bin: cannot be read"):
        assert computed(tmp_path) == (CONTENT, 1)
    assert computed(tmp_path)[1] == computed(tmp_path, "provider")[1] == 0


def test_a_limit_on_the_size_of_files_leaves_the_finished_stages(tmp_path: Path) -> None:
    computed(tmp_path)
    before = whole(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before["the-user.bin"]), hard))
    try:
        with pytest.raises(OutputError, match=r"cannot be written \(File too large\)"):
            computed(tmp_path, "provider", torch.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert whole(tmp_path) == before
    assert computed(tmp_path, "provider")[1] == 1


def test_a_stage_of_another_training_is_computed_again(tmp_path: Path) -> None:
    Session(tmp_path, key="one").stage("user", lambda: 1)
    with pytest.warns(DamagedStageWarning, match="damaged, or of another run"):
        assert Session(tmp_path, key="other").stage("user", lambda: 2) == 2


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    buffer = io.BytesIO()
    torch.save({"result": Exploit(ran), "spent": {}}, buffer)
    payload = buffer.getvalue()
    folder = tmp_path / "stages"
    folder.mkdir()
    (folder / "the-user.bin").write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)
    with pytest.warns(DamagedStageWarning):
        assert computed(folder) == (CONTENT, 1)
    assert not ran.exists()
    torch.load(io.BytesIO(payload), weights_only=False)
    assert ran.exists()


def test_seeds_of_parts_share_nothing() -> None:
    made = {derived_seed(seed, *path) for seed in range(20) for path in (("user",), ("provider",), ("round", 1), (1,))}
    assert len(made) == 80
    assert derived_seed(3, "round", 1) == derived_seed(3, "round", 1)
    assert all(0 <= seed < 2**32 for seed in made)
