import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stackroute import Game
from stackroute.envs import rendering

BLOCKS = ("game", "commitment", "history")
OBSERVED: list[dict[str, Any]] = [
    {},
    {"observe": {"provider": BLOCKS, "user": BLOCKS}},
    {"observe": {"user": ["game", "history"]}},
]


def games_of(models: int) -> Game:
    """Four games in whose orders a dearer model is the better one."""
    generator = np.random.default_rng(models)
    success, cost, latency = np.sort(generator.uniform(0.1, 0.9, (3, 4, models)))
    return Game(success, cost, latency, generator.uniform(1, 3, 4), generator.uniform(0, 3, 4))


def variants() -> Iterator[Any]:
    """Every number of models with every routing, action and power to delay; the other options take turns."""
    choices = itertools.product((1, 2, 3, 5), ("cascade", "lottery", "pass"), (True, False), ("box", "grid"))
    for turn, (models, routing, throttling, action) in enumerate(choices):
        several = (turn + turn // 4) % 2 == 1
        games = {"game": games_of(models), "reward_unit": "relative"} if several else {"game": games_of(models)[0]}
        kind = (turn + turn // 12) % 3
        options = {"routing": routing, "throttling": throttling, "action": action, **OBSERVED[kind], **games}
        words = (models, routing, "delays" if throttling else "", action, f"observed{kind}", "many" if several else "")
        yield pytest.param(options, id="-".join(str(word) for word in words if word))


@pytest.fixture(params=list(variants()))
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One of 48 sets of options."""
    return dict(request.param)


@pytest.fixture(params=[one for one in variants() if one.values[0]["routing"] != "pass"])
def committed(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One of those where the provider commits, as that of User-v0 has to."""
    return dict(request.param)


@pytest.fixture
def hopeless() -> Game:
    """A game whose passes fail, of numbers that floats add exactly."""
    return Game([1e-12, 2e-12], [0.125, 0.5], [0.25, 0.5], value=2, churn_penalty=4)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen that nobody sees, and frames that nobody waits for."""
    pygame = pytest.importorskip("pygame")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(rendering, "FRAMES_PER_SECOND", 10_000)
    yield
    pygame.quit()
