"""The theory's pictures: their files, and the data behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute.analytic import Game, Regime, Route, misalignment, regime, solve, throttling_gain
from stackroute.configs import load_game
from stackroute.configs.tables import read_models
from stackroute.training.figures import planes, style
from stackroute.training.figures import theory as figures
from stackroute.training.figures.frontier import market_game
from stackroute.training.figures.planes import (
    DEVELOPER,
    REASONING_CHEAPER,
    STANDARD_CHEAPER,
    market_plane,
    minutes,
    money,
    net_value_plane,
)
from stackroute.training.figures.style import widest_place
from stackroute.training.figures.theory import LOOKS, NAMES, Policy, policies
from stackroute.training.figures.throttling import how_it_pays

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = [
    f"{name}{ending}"
    for name in ("response", "policy_plane", "misalignment", "throttling", "frontier")
    for ending in (".png", ".svg")
]


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Pictures of few dots over planes of few games: the same code in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DOTS_PER_INCH", 40)
        patch.setattr(planes, "ROWS", 30)
        patch.setattr(planes, "COLUMNS", 40)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return list(figures.draw_figures(tmp_path_factory.mktemp("figures") / "new"))


def test_every_picture_is_written_as_png_and_svg(drawn: list[Path]) -> None:
    assert [path.name for path in drawn] == FILES
    assert sorted(drawn[0].parent.iterdir()) == sorted(drawn)
    for path in drawn:
        start = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(start), path


def test_a_second_run_writes_the_same_bytes(drawn: list[Path], tmp_path: Path) -> None:
    # One picture with everything that could differ: hatches, clip paths and outlined text.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "PICTURES", {"throttling": figures.PICTURES["throttling"]})
        files = list(figures.draw_figures(tmp_path))
    assert len(files) == 2
    for path in files:
        assert path.read_bytes() == drawn[0].with_name(path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("g1", Policy.STANDARD),
        ("g2", Policy.REASONING),
        ("g3", Policy.REASONING_ABANDONED),
        ("g4b", Policy.CASCADE_TO_KEEP),
        ("g5", Policy.CASCADE_TO_THE_LIMIT),
        ("g6", Policy.STANDARD_ABANDONED),
        ("gpt-4.1-o3-dev", Policy.REASONING),
        ("gpt-4.1-o3-cascade", Policy.CASCADE_TO_THE_LIMIT),
        ("gpt-4.1-nano-gpt-4.1-cascade", Policy.CASCADE_TO_KEEP),
    ],
)
def test_the_policy_of_a_packaged_game(name: str, policy: Policy) -> None:
    assert policies(load_game(name).game) == policy


def test_the_planes_show_all_policies_and_each_cascade_in_one_pair_only() -> None:
    pairs = [net_value_plane(**pair) for pair in (STANDARD_CHEAPER, REASONING_CHEAPER)]
    seen = [{Policy(policy) for policy in policies(plane.games)[plane.shown]} for plane in pairs]
    assert seen[0] | seen[1] == set(Policy) == set(LOOKS)
    assert Policy.CASCADE_TO_THE_LIMIT not in seen[0]
    assert Policy.CASCADE_TO_KEEP not in seen[1]


def test_a_net_value_plane_has_the_net_values_of_its_axes() -> None:
    plane = net_value_plane(**STANDARD_CHEAPER)
    first, second = np.meshgrid(plane.x, plane.y)
    assert plane.games.net_value == pytest.approx(np.stack([first, second], axis=-1), abs=1e-12)
    plane.games[plane.shown].check_orders()


def test_a_cascade_happens_only_where_one_model_is_worth_the_wait(random_games: Game) -> None:
    cascades = np.isin(policies(random_games), (Policy.CASCADE_TO_KEEP, Policy.CASCADE_TO_THE_LIMIT))
    assert cascades.any()
    assert np.isin(regime(random_games)[cascades], (Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH)).all()


def test_a_scenario_has_its_place_by_the_time_its_value_is_worth() -> None:
    scenario, pair = load_game("gpt-4.1-o3-cascade"), load_game(DEVELOPER)
    value = money(minutes(scenario.value, scenario), pair)
    assert value == pytest.approx(0.469 * 64 / 12)
    game = pair.game
    moved = Game(game.success, game.cost, game.latency, value, scenario.churn_penalty)
    assert policies(moved) == policies(scenario.game)
    assert not throttling_gain(moved).pays
    assert not throttling_gain(scenario.game).pays
    gaps = [minutes(misalignment(g).gap, c) for g, c in ((moved, pair), (scenario.game, scenario))]
    assert gaps[0] == pytest.approx(gaps[1])


def test_the_gap_of_the_developer_is_the_difference_of_the_waits() -> None:
    config = load_game(DEVELOPER)
    waits = [model.latency / model.success / 60 for model in config.models]
    assert minutes(misalignment(config.game).gap, config) == pytest.approx(waits[1] - waits[0])


def test_the_response_pictures_are_of_the_four_regimes() -> None:
    assert {int(regime(load_game(name).game)) for name in NAMES} == set(Regime)


def test_how_throttling_pays_changes_with_the_churn_penalty() -> None:
    game = load_game(DEVELOPER).game
    slope = np.diff(game.cost)[0] / np.diff(game.success)[0]
    games = market_plane(load_game(DEVELOPER), (0.5, 20), (0.01, 1)).games
    pays = (games.net_value > 0).all(axis=-1) & (games.churn_penalty < game.cost_of_pass.min())
    how = np.where(games.churn_penalty <= slope, Route.LEAVE_BY_THREAT, Route.LEAVE_BY_DELAY)
    assert (how_it_pays(throttling_gain(games)) == np.where(pays, how, Route.STATIC)).all()


def test_a_label_goes_where_there_is_room() -> None:
    region = np.zeros((30, 40), dtype=bool)
    region[10:20, 5:35] = True
    row, column, room = widest_place(region)
    assert (row, column) in {(14, c) for c in range(5, 35)} | {(15, c) for c in range(5, 35)}
    assert 0 < room <= 15 / 40


def test_the_market_of_the_frontier_serves_retries_by_two_models_of_the_hull() -> None:
    best = solve(market_game(read_models("aider")), "free")
    served = best.commitment.transition[0] > 0
    assert served.sum() == 2
    assert best.hull[served].all()
