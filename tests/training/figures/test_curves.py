"""The learning curves: stages in which nothing changes are said, not drawn, and what was checked by play is."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.text import Text

from stackroute import Commitment, load_game
from stackroute.analytic import best_response, cascade_thresholds, provider_cost
from stackroute.training.figures import curves
from stackroute.training.figures.places import _limits, checked_alone, walked_line
from stackroute.training.learn.evaluation import evaluate
from stackroute.training.learn.lines import all_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Drawn = Callable[..., Figure]

USER, PROVIDER = "The user learns to answer", "The provider learns against that user"
PLACES = "Places compared and checked by play"


def spec(game: str) -> Any:
    return SimpleNamespace(config=load_game(game), routing="cascade", throttling=False, seed=0)


def walk(*checked: tuple[float, float, bool], models: tuple[int, int] = (0, 1), delay: float = 0.0) -> dict[str, Any]:
    places = [dict(zip(("share", "cost", "sure"), one, strict=True)) | {"tasks": 200_000} for one in checked]
    compared = [{"share": 0.75, "cost": 0.9}]
    start = [1.0, 0.0] if models[0] == 0 else [0.0, 1.0]
    return {"start": start, "delay": [delay, 0.0], "models": list(models), "compared": compared, "checked": places}


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Draws curves of a run on g4b whose choice is a cascade probability."""
    figures: list[Figure] = []
    monkeypatch.setattr(curves, "save", lambda figure, _: figures.append(figure))
    monkeypatch.setattr(curves, "read_spec", lambda _: spec("g4b"))

    def draw(regrets: dict[str, list[float]], walks: list[dict[str, Any]], cascade: float = 0.5) -> Figure:
        made = Commitment.cascade(0, cascade)
        learned = asdict(evaluate(load_game("g4b").game, made, np.float64(1.0), throttling=False).learned)
        report = {"scheme": "follower_first", "random_regret": 0.6, "untrained_regret": 0.25, "learned": learned}
        content = {stage: {"steps": [0, 1000], "regret": regret} for stage, regret in regrets.items()}
        files = {curves.CURVES: content, curves.REPORT: report, curves.PLACES: walks}
        for name, one in files.items():
            (tmp_path / name).write_text(json.dumps(one))
        curves.draw_learning_curves(tmp_path, tmp_path / "curves.png")
        return figures[-1]

    return draw


def heading(axes: Axes) -> str:
    return axes.get_title(loc="left").strip()


@pytest.mark.parametrize(("last", "titles"), [(0.02, [USER]), (0.5, [USER, PROVIDER])])
def test_a_stage_without_a_change_is_said_and_not_drawn(last: float, titles: list[str], drawn: Drawn) -> None:
    figure = drawn({"user": [0.5, 0.1], "provider": [0.02, last]}, [])
    assert [heading(axes) for axes in figure.axes] == titles
    for axes in figure.axes:
        levels = {str(line.get_label()): np.asarray(line.get_ydata()) for line in axes.lines}
        beside = {"random commitments: 60 %": 60, "step 0: 25 %": 25} if heading(axes) == PROVIDER else {}
        assert {name: level[0] for name, level in levels.items() if ":" in name} == beside
    below = figure.get_supxlabel()
    assert below == ("Without a change: provider at 2 %." if len(titles) == 1 else "")


def test_what_was_checked_is_drawn_against_the_exact_costs(drawn: Drawn) -> None:
    game = load_game("g4b").game
    walks = [walk((0.5, 0.46, True), (0.25, 2.6, False), (0.6, 0.5, True)), walk((0.0, 0.7, True), models=(1, 1))]
    figure = drawn({"user": [0.5, 0.1]}, walks)
    assert [heading(axes) for axes in figure.axes] == [USER, PLACES]
    lines = {str(line.get_label()): line for line in figure.axes[1].lines}
    # Away from the choice, .5.
    assert lines["checked, not sure"].get_xydata().tolist() == [[-0.25, 2.6]]  # type: ignore[union-attr]
    assert lines["checked, not sure"].get_markerfacecolor() == "white"
    assert np.asarray(lines["checked, sure"].get_xdata()) == pytest.approx([0.0, 0.1])
    assert np.asarray(lines["compared in the overview"].get_xdata()) == pytest.approx([0.25])
    low = float(cascade_thresholds(game).low)
    assert np.asarray(lines["users' exact limit"].get_xdata()) == pytest.approx([low - 0.5] * 2)
    assert np.asarray(lines["equilibrium's place"].get_xdata()) == pytest.approx([low - 0.5] * 2)
    made = Commitment.cascade(0, 0.5)
    exact = float(provider_cost(game, made, best_response(game, made)))
    assert lines["chosen"].get_xydata().tolist() == [[0.0, exact]]  # type: ignore[union-attr]
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and re.search("[a-z]", text.get_text())]
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    assert len(boxes) > 15
    assert not [said for said, box in boxes.items() if min(box.x0, box.y0, figure.bbox.x1 - box.x1) < -1]
    assert figure.get_supxlabel().startswith("Checked by play: reasoning alone: sure how users answer after 200,000")


@pytest.mark.parametrize("name", ["g4b", "g5"])
def test_limits_are_the_thresholds(name: str) -> None:
    game = load_game(name).game
    (line, _), shares = all_lines(2, "cascade", np.zeros(2)), np.linspace(0, 1, 101)
    thresholds = cascade_thresholds(game)
    known = sorted({float(thresholds.low), float(thresholds.high)})
    assert _limits(game, line, shares, best_response(game, line.at(shares))) == pytest.approx(known, abs=1e-3)


def test_the_line_drawn_is_that_of_the_choice() -> None:
    walks = [walk((0.1, 1.0, True), delay=0.2), walk((0.2, 2.0, True)), walk((0.0, 3.0, True), models=(1, 1))]
    slow, plain = Commitment.cascade(0, 0.1, [0.2, 0.0]), Commitment.cascade(0, 0.25)
    for chosen, place in ((slow, walks[0]), (plain, walks[1])):
        found = walked_line(spec("g4b"), walks, chosen)
        assert found is not None
        assert found.checked == place["checked"]
        assert found.choice == pytest.approx(chosen.cascade_probability[0])
    # One model alone is beside the line without delays.
    found = walked_line(spec("g4b"), walks, Commitment.static(1))
    assert found is not None
    assert (found.choice, found.checked) == (None, walks[1]["checked"])
    assert walked_line(spec("g4b"), walks[2:], Commitment.static(1)) is None
    assert checked_alone(load_game("g4b"), walks[:2]) == ""
