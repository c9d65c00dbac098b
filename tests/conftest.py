import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stackroute import Game

# Read when PyTorch is first imported: its threads only wait for each other with networks as small as these.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def cascade_game() -> Game:
    """Only the reasoning model is worth the wait; the optimum is a cascade at s0 = 0.30769."""
    return Game([0.5, 0.8], [0.1, 0.8], [0.65, 0.7], value=1.1, churn_penalty=5)


@pytest.fixture
def random_games() -> Game:
    """300 games in the paper's orders, from all four regimes."""
    generator = np.random.default_rng(20260209)
    success = np.sort(generator.uniform(0.1, 0.95, (300, 2)))
    cost = np.sort(generator.uniform(0.01, 1, (300, 2)))
    latency = np.sort(generator.uniform(0.01, 1, (300, 2)))
    return Game(success, cost, latency, generator.uniform(0.2, 3, 300), generator.uniform(0, 4, 300))


@pytest.fixture
def stackroute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in the test's own folder; gives its code, its output with single spaces, and its errors."""
    from stackroute.training.cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["stackroute", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, " ".join(shown.out.split()), shown.err  # type: ignore[return-value]

    return run
