import os
from pathlib import Path

import numba
import pytest

from stackroute.analytic.compiling import compiled, drop_stale_caches


def test_compiled_code_that_is_older_than_a_source_of_its_folder_is_dropped(tmp_path: Path) -> None:
    for folder in ("analytic", "envs"):
        cache = tmp_path / folder / "__pycache__"
        cache.mkdir(parents=True)
        (tmp_path / folder / "rules.py").touch()
        (cache / "kernels.step-1.py311.nbi").touch()
        (cache / "kernels.step-1.py311.1.nbc").touch()
        (cache / "rules.cpython-311.pyc").touch()
    old, new = 1_000_000_000, 2_000_000_000
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (old, old))
    os.utime(tmp_path / "envs" / "rules.py", (new, new))
    drop_stale_caches(tmp_path)
    assert len(list((tmp_path / "analytic" / "__pycache__").iterdir())) == 3
    assert [path.name for path in (tmp_path / "envs" / "__pycache__").iterdir()] == ["rules.cpython-311.pyc"]


def test_without_a_place_for_the_cache_the_code_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit

    def without_place(*given: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*given, **options)

    monkeypatch.setattr(numba, "njit", without_place)

    @compiled(inline="always")
    def twice(number: float) -> float:
        return 2 * number

    assert twice(1.5) == 3.0
