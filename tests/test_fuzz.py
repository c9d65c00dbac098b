"""A part of what `tests/fuzz.py` does for longer."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="no alarm ends a case that hangs")
def test_no_input_ends_a_command_otherwise_than_in_one_error() -> None:
    from fuzz import fuzz

    assert not fuzz(0, range(40))
