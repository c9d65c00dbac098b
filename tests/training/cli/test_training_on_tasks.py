"""Training on measured tasks by name: what is written is what the ladders are worth, and a run goes on where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stackroute.analytic import solve_traffic
from stackroute.configs.traffic import load_traffic_settings, traffic_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from stackroute.analytic import Traffic

    Stackroute = Callable[..., tuple[int, str, str]]

TINY = str(Path(__file__).parents[1] / "tiny_shadow_price.yaml")
IN_FULL = "--models GPT-4o,o1 --cost 1,4.8 --latency 1,5.5 --value 30 --churn-penalty 1.5"


@pytest.fixture
def finished(stackroute: Stackroute, tmp_path: Path) -> Path:
    code, shown, errors = stackroute("train", "metr", "--settings", TINY, "--out", "run")
    assert (code, errors) == (0, "")
    for row in ("random ladders", "best single model", "step 0", "learned", "exact optimum", "stop after"):
        assert row in shown
    assert "processor seconds" in shown
    return tmp_path / "run"


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def attempt_by_attempt(traffic: Traffic, ladders: list[tuple[list[int], float]], stop: int) -> tuple[float, float]:
    """The cost and the utility of a mixture of ladders, without the package's formulas."""
    games = traffic.games
    cost = utility = 0.0
    for models, chance in ladders:
        left = traffic.weight * chance
        for k in models[:stop]:
            cost += left @ games.cost[:, k]
            utility += left @ (games.success[:, k] * games.value - games.latency[:, k])
            left = left * (1 - games.success[:, k])
        cost += left @ games.churn_penalty
    return cost, utility


def test_what_is_written_is_what_the_ladders_are_worth(finished: Path, stackroute: Stackroute) -> None:
    report, kept = read(finished, "report.json"), read(finished, "ladders.json")
    traffic = load_traffic_settings("metr").traffic()
    (shares,) = kept["shares"].values()
    mixed = [
        ([["GPT-4o", "o1"].index(label) for label in ladder], share)
        for ladder, share in zip(kept["ladders"], shares, strict=True)
    ]
    worth = [attempt_by_attempt(traffic, mixed, stop) for stop in range(1, 5)]
    exact = int(np.argmax([utility for _, utility in worth])) + 1
    assert report["stop"]["exact"] == [exact]
    assert report["provider_cost"]["learned"] == pytest.approx(worth[exact - 1][0])
    best = float(solve_traffic(traffic, 4).provider_cost[0])
    assert report["provider_regret"] == pytest.approx(worth[exact - 1][0] / best - 1)
    (learned,) = kept["stop"]
    lost = (worth[exact - 1][1] - worth[learned - 1][1]) / 30
    assert report["user_regret"] == pytest.approx(lost, abs=1e-9)
    alone = [attempt_by_attempt(traffic, [([k] * 4, 1.0)], stop) for k in range(2) for stop in range(1, 5)]
    costs = [alone[4 * k + int(np.argmax([u for _, u in alone[4 * k : 4 * k + 4]]))][0] for k in range(2)]
    assert report["single_model"] == ["GPT-4o", "o1"][int(np.argmin(costs))]
    assert report["single_model_regret"] == pytest.approx(min(costs) / best - 1)
    code, shown, _ = stackroute("evaluate", str(finished), "--json")
    found = json.loads(shown)
    assert code == 0
    units = found.pop("units")
    assert (units["provider_cost"], units["user_regret"]) == ("money per task", "share of the value of a solved task")
    assert found == report
    words = stackroute("evaluate", str(finished))[1]
    assert ("Draw for each task" if len(mixed) > 1 else "Serve") in words


def test_contexts_are_served_by_their_ladders(stackroute: Stackroute, tmp_path: Path) -> None:
    shown = stackroute("train", "bfcl", "--settings", TINY, "--out", "run")[1]
    kept = read(tmp_path / "run", "ladders.json")
    assert len(kept["shares"]) == 12
    # Contexts with the same ladders are named together.
    for label, shares in kept["shares"].items():
        together = [other for other, same in kept["shares"].items() if same == shares]
        assert f"{', '.join(together)}: {'Draw' if max(shares) < 1 else 'Serve'}" in shown, label


def test_a_run_that_was_cut_off_ends_alike(finished: Path, stackroute: Stackroute) -> None:
    before = {name: read(finished, name) for name in ("report.json", "ladders.json", "curves.json")}
    for name in before:
        (finished / name).unlink()
    (finished / "stages" / "choice.bin").unlink()
    marked = (finished / "stages" / "provider.bin").stat().st_mtime_ns
    code, _, errors = stackroute("train", "--resume", str(finished))
    assert (code, errors) == (0, "")
    assert {name: read(finished, name) for name in before} == before
    assert (finished / "stages" / "provider.bin").stat().st_mtime_ns == marked


def test_a_run_is_drawn(finished: Path, stackroute: Stackroute) -> None:
    (finished / "learning_curves.png").unlink()
    assert stackroute("plot", str(finished))[0] == 0
    assert (finished / "learning_curves.png").read_bytes().startswith(b"\x89PNG")


def test_options_in_full_are_the_packaged_ones(finished: Path, stackroute: Stackroute) -> None:
    assert stackroute("train", "metr", *IN_FULL.split(), "--settings", TINY, "--out", "full")[0] == 0
    full = finished.parent / "full"
    assert (full / "run.json").read_bytes() == (finished / "run.json").read_bytes()
    assert (full / "report.json").read_bytes() == (finished / "report.json").read_bytes()
    dearer = ("--churn-penalty", "40", "--out", "dearer")
    assert stackroute("train", "metr", *dearer, "--settings", TINY)[0] == 0
    assert read(full.parent / "dearer", "run.json")["traffic"] != read(full, "run.json")["traffic"]


def test_packaged_tasks_can_be_used() -> None:
    for name in traffic_names():
        settings = load_traffic_settings(name)
        traffic = settings.traffic()
        assert traffic.models == len(settings.models) == len(settings.cost) == len(settings.latency)


REFUSED: list[tuple[list[str], str]] = [
    (["train", "metr", "--throttling"], "routing, throttling: are for games; 'metr' holds measured outcomes"),
    (["train", "g1", "--value", "3"], "value: is for measured outcomes; 'g1' is a game"),
    (["train", "metr", "--settings", "follower_first"], "scheme: 'follower_first' is for games"),
    (["train", "metr", "--models", "GPT-4o"], "value: missing"),
    (["train", "metr", "--context", "colour"], "context: 'colour' is not a feature of metr"),
    (["train", "g1", "--settings", "shadow_price"], "scheme: 'shadow_price' is not allowed"),
    (["train", "metr", "--out", "run"], "run: holds a run already"),
    (["evaluate", "run", "--game", "g1"], "are for games; run is a run on measured tasks"),
    (["evaluate", "run", "other", "--game", "g1"], "run: is a run on measured tasks; expected one on a game"),
    (["train", "--resume", "other"], "traffic.npz: cannot be used"),
]


def test_what_cannot_be_done_is_a_line(finished: Path, stackroute: Stackroute) -> None:
    shutil.copytree(finished, finished.parent / "other")
    (finished.parent / "other" / "traffic.npz").write_bytes(b"no tasks")
    for arguments, message in REFUSED:
        code, shown, errors = stackroute(*arguments)
        assert (code, shown, len(errors.splitlines())) == (2, "", 1), arguments
        assert message in errors
