"""The learning curves: stages in which nothing changes are said, not drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stackroute.training.figures import curves

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


USER, PROVIDER = "The user learns to answer", "The provider learns against that user"


@pytest.mark.parametrize(("last", "drawn"), [(0.02, [USER]), (0.5, [USER, PROVIDER])])
def test_a_stage_without_a_change_is_said_and_not_drawn(
    last: float, drawn: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = {"user": [0.5, 0.1], "provider": [0.02, last]}
    content = {stage: {"steps": [0, 1000], "regret": regret} for stage, regret in stages.items()}
    (tmp_path / curves.CURVES).write_text(json.dumps(content))
    report = {"scheme": "follower_first", "random_regret": 0.6, "untrained_regret": 0.25}
    (tmp_path / curves.REPORT).write_text(json.dumps(report))
    figures: list[Figure] = []
    monkeypatch.setattr(curves, "_scenario", lambda _: "A game.")
    monkeypatch.setattr(curves, "save", lambda figure, _: figures.append(figure))
    curves.draw_learning_curves(tmp_path, tmp_path / "curves.png")
    assert [axes.get_title(loc="left").strip() for axes in figures[0].axes] == drawn
    for axes in figures[0].axes:
        levels = {str(line.get_label()): line.get_ydata() for line in axes.lines}
        provider = axes.get_title(loc="left").strip() == PROVIDER
        named = {"random commitments: 60 %": 60, "step 0: 25 %": 25} if provider else {}
        assert {name: level[0] for name, level in levels.items() if ":" in name} == named
    below = figures[0].get_supxlabel()
    assert below == ("Without a change: provider at 2 %." if len(drawn) == 1 else "")
