"""The theory's pictures: their files, and the data behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.legend import Legend
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from stackroute.analytic import (
    Commitment,
    Game,
    Population,
    Regime,
    Route,
    best_response,
    compare_routing,
    misalignment,
    priced_equilibrium,
    provider_cost,
    regime,
    regulate,
    solve,
    solve_population,
    solve_traffic,
    throttling_gain,
)
from stackroute.configs import ConfigError, GameConfig, load_game, read_outcomes, with_changes
from stackroute.configs.measured import MeasuredGame
from stackroute.training.figures import discipline, pictures, plane, planes, style
from stackroute.training.figures.discipline import under_floor, under_price, under_rival
from stackroute.training.figures.measured import attempts_picture, ladder_picture
from stackroute.training.figures.pictures import PICTURES, draw_figures, undrawable
from stackroute.training.figures.planes import DEVELOPER, PAIRS, market_plane, minutes, money, net_value_plane
from stackroute.training.figures.population import kept_cost, users_of
from stackroute.training.figures.routing import changes
from stackroute.training.figures.scenario import read_game, scenario, short_name, waiting_unit
from stackroute.training.figures.style import widest_place
from stackroute.training.figures.theory import LOOKS, NAMES, Policy, policies
from stackroute.training.figures.throttling import how_it_pays
from stackroute.training.market.thresholds import answers as answered
from stackroute.training.market.thresholds import serving_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

OF_A_GAME = ("response", "policy_plane", "frontier", "plane", "free_routing", "discipline", "population")
FILES = [f"{name}{ending}" for name in PICTURES for ending in (".png", ".svg")]
TABLE = "model,success,cost,latency\nfast,0.2,0.02,5\nmid,0.41,0.04,60\nslow,0.6,0.2,200\n"


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Pictures of few dots over planes of few games: the same code in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DOTS_PER_INCH", 40)
        patch.setattr(planes, "ROWS", 30)
        patch.setattr(planes, "COLUMNS", 40)
        patch.setattr(discipline, "_RIVALS", 25)
        patch.setattr(plane, "_COLUMNS", 40)
        patch.setattr(plane, "_ROWS", 30)
        yield


TEXTS: list[tuple[list[tuple[str, Bbox]], Bbox]] = []
"""Of each picture in turn: its texts with their places, and its own place."""


ENDINGS = ("png", "svg", "csv")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    def save(figure: Figure, *paths: Path) -> None:
        style.save(figure, *paths)
        # As many dots as pictures have, for letters of their true width.
        figure.set_dpi(150)
        figure.draw_without_rendering()
        TEXTS.append((list(shown_texts(figure)), figure.bbox.frozen()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "save", save)
        return list(draw_figures(tmp_path_factory.mktemp("figures") / "new"))


def shown_texts(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """The texts that a picture shows, with the places of their letters."""
    hidden = {
        id(label)
        for axis in figure.findobj(Axis)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval()) + 1e-9
    }
    for text in figure.findobj(Text):
        said = text.get_text()
        if said.strip() and text.get_visible() and id(text) not in hidden:
            box = Text.get_window_extent(text)
            # Lines without letters keep the place of others.
            empty = box.height * (1 - len(said.rstrip("\n").split("\n")) / len(said.split("\n")))
            yield said, Bbox.from_extents(box.x0, box.y0 + empty, box.x1, box.y1)


def test_every_picture_is_written_as_png_and_svg(drawn: list[Path]) -> None:
    assert [path.name for path in drawn] == FILES
    assert sorted(drawn[0].parent.iterdir()) == sorted(drawn)
    for path in drawn:
        start = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(start), path


@pytest.mark.parametrize("number", range(len(PICTURES)), ids=list(PICTURES))
def test_no_text_is_cut_or_hides_another(number: int, drawn: list[Path]) -> None:
    assert len(drawn) == 2 * len(TEXTS)
    texts, figure = TEXTS[number]
    assert len(texts) > 10
    for k, (said, box) in enumerate(texts):
        assert min(box.x0, box.y0, figure.x1 - box.x1, figure.y1 - box.y1) > -1, said
        for other, beside in texts[k + 1 :]:
            shared = Bbox.intersection(box, beside)
            assert not (shared and min(shared.size) > 4), (said, other)


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    # One picture with everything that could differ: hatches, clip paths and outlined text.
    first, second = (list(draw_figures(tmp_path / each, ["throttling"])) for each in ("first", "second"))
    assert len(first) == 2
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


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
    assert policies(solve(load_game(name).game)) == policy


def test_the_planes_show_all_policies_and_each_cascade_in_one_pair_only() -> None:
    pairs = [net_value_plane(game) for game in PAIRS.values()]
    seen = [{Policy(policy) for policy in policies(solve(plane.games))[plane.shown]} for plane in pairs]
    assert seen[0] | seen[1] == set(Policy) - {Policy.REVERSE} == set(LOOKS)
    assert Policy.CASCADE_TO_THE_LIMIT not in seen[0]
    assert Policy.CASCADE_TO_KEEP not in seen[1]


def test_a_net_value_plane_has_the_net_values_of_its_axes() -> None:
    plane = net_value_plane(PAIRS["Standard"])
    first, second = np.meshgrid(plane.x, plane.y)
    assert plane.games.net_value == pytest.approx(np.stack([first, second], axis=-1), abs=1e-12)
    plane.games[plane.shown].check_orders()


def test_a_cascade_happens_only_where_one_model_is_worth_the_wait(random_games: Game) -> None:
    cascades = np.isin(policies(solve(random_games)), (Policy.CASCADE_TO_KEEP, Policy.CASCADE_TO_THE_LIMIT))
    assert cascades.any()
    assert np.isin(regime(random_games)[cascades], (Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH)).all()


def test_a_scenario_has_its_place_by_the_time_its_value_is_worth() -> None:
    scenario, pair = load_game("gpt-4.1-o3-cascade"), load_game(DEVELOPER)
    value = money(minutes(scenario.value, scenario), pair)
    assert value == pytest.approx(0.469 * 64 / 12)
    game = pair.game
    moved = Game(game.success, game.cost, game.latency, value, scenario.churn_penalty)
    assert policies(solve(moved)) == policies(solve(scenario.game))
    assert not throttling_gain(moved).pays
    assert not throttling_gain(scenario.game).pays
    gaps = [minutes(misalignment(g).gap, c) for g, c in ((moved, pair), (scenario.game, scenario))]
    assert gaps[0] == pytest.approx(gaps[1])


def test_the_gap_of_the_developer_is_the_difference_of_the_waits() -> None:
    config = load_game(DEVELOPER)
    waits = [model.latency / model.success / 60 for model in config.models]
    assert minutes(misalignment(config.game).gap, config) == pytest.approx(waits[1] - waits[0])


def test_the_response_pictures_are_of_the_regimes_in_which_the_cascade_matters() -> None:
    found = [Regime(int(regime(load_game(name).game))) for name in NAMES]
    assert found == [Regime.ONLY_REASONING_WORTH, Regime.ONLY_STANDARD_WORTH]


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
    best = solve(read_game("aider").game, "free")
    served = best.commitment.transition[0] > 0
    assert served.sum() == 2
    assert best.hull[served].all()


NEAR = """model,success,cost,latency
nano,0.30,0.0012,9
mini,0.62,0.0019,4.2
flash,0.66,0.0021,4.0
standard,0.74,0.006,9
reason,0.85,0.03,35
reason-max,0.9,0.11,180
"""


def near(tmp_path: Path, value: float) -> GameConfig:
    (tmp_path / "near.csv").write_text(NEAR)
    return with_changes(read_game(str(tmp_path / "near.csv")), [f"value={value}", "waiting_cost_per_hour=24"])


@pytest.mark.parametrize("value", [0.5, 1, 2, 5])
def test_names_of_points_that_nearly_coincide_hide_none(value: float, tmp_path: Path) -> None:
    with style.style():
        figure = PICTURES["frontier"].draw(near(tmp_path, value))
    figure.draw_without_rendering()
    boxes = [text.get_bbox_patch().get_window_extent() for text in figure.axes[0].texts if isinstance(text, Annotation)]
    assert len(boxes) == 6
    for k, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[k + 1 :])


@pytest.mark.parametrize("name", ["aider", "gpt-4.1-family-o3", "gpt-4.1-o3-dev", "gpt-4.1-o3-cascade", "g5"])
def test_the_frontier_says_who_serves_and_what_users_want_and_hides_nothing(name: str) -> None:
    config = read_game(name)
    with style.style():
        figure = PICTURES["frontier"].draw(config)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    names = [text for text in axes.texts if isinstance(text, Annotation)]
    said = " ".join(text.get_text() for text in names)
    game, lottery = config.game, solve(config.game, "free").commitment.transition[0]
    served = {short_name(config, k) for k in np.flatnonzero(lottery).tolist()}
    wanted = short_name(config, int(np.argmin(game.latency / game.success)))
    assert all(label in said.partition("the provider serves")[2] for label in served)
    assert wanted in said.partition("users ")[2].partition("\n")[2] or {wanted} == served
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    points = axes.transData.transform([text.xy for text in names])
    for k, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[k + 1 :])
        assert not box.count_contains(points)
        assert all(axes.bbox.contains(*corner) for corner in box.corners())


def test_the_plane_names_what_is_best_now_and_hatches_where_users_leave() -> None:
    with style.style():
        figure = PICTURES["plane"].draw(read_game("aider"))
    (legend,) = figure.findobj(Legend)
    said = {text.get_text(): patch for text, patch in zip(legend.texts, legend.legend_handles, strict=True)}
    assert any("retries by DeepSeek" in words.replace("\n", " ") for words in said)
    others = {words: patch for words, patch in said.items() if "other answer" not in words}
    assert {("then users leave" in words) == bool(patch.get_hatch()) for words, patch in others.items()} == {True}
    assert len(others) > 3


@pytest.mark.parametrize("name", ["g5", "gpt-4.1-o3-cascade", "gpt-4.1-o3-dev"])
def test_the_plane_shows_what_free_routing_changes(name: str) -> None:
    plane = net_value_plane(load_game(name).game)
    compared = compare_routing(plane.games)
    found = changes(compared, plane.shown)
    # The paper's provider never starts on the second model to serve retries by the first.
    assert {after for _, after in found} == {Policy.REVERSE}
    assert Policy.REVERSE not in policies(compared.cascade)
    saved = compared.cascade.provider_cost - compared.free.provider_cost
    regions = np.logical_or.reduce(list(found.values()))
    assert (saved[regions] > 0).all()
    assert saved[plane.shown & ~regions] == pytest.approx(0, abs=1e-9)
    assert (regime(plane.games)[regions] == Regime.ONLY_STANDARD_WORTH).all()


def test_nothing_changes_where_the_standard_model_is_cheaper_to_solve_with() -> None:
    plane = net_value_plane(load_game("gpt-4.1-nano-gpt-4.1-cascade").game)
    assert not changes(compare_routing(plane.games), plane.shown)


def test_the_profit_under_a_price_peaks_at_the_price_of_the_provider() -> None:
    game = load_game("gpt-4.1-o3-cascade").game
    chosen = priced_equilibrium(game)
    price = np.sort(np.append(np.linspace(0, 0.1, 1001), chosen.price * (1 - 1e-12)))
    profit, utility = under_price(game, price)
    enters = utility >= -1e-9
    best = profit[enters].argmax()
    assert price[enters][best] == pytest.approx(float(chosen.price))
    assert profit[enters][best] == pytest.approx(float(chosen.profit))
    assert -profit[0] == pytest.approx(float(solve(game, "free").provider_cost))


def test_a_rival_takes_the_task_or_disciplines() -> None:
    game = load_game("gpt-4.1-o3-cascade").game
    profit, utility, served = under_rival(game, np.array([0.01, 0.7, 1.2]))
    alone = solve(game, "free")
    assert (profit[0], utility[0]) == pytest.approx((-float(alone.provider_cost), float(alone.user_utility)))
    offered = under_floor(Game(0.7 * game.success, game.cost, game.latency, game.value, 0.4), np.array([utility[1]]))
    assert -offered[0] <= 0.4
    assert utility[1] > utility[0]
    assert profit[1] == pytest.approx(-regulate(game, user_utility=float(utility[1])))
    assert profit[2] == -0.4
    assert served.tolist() == [False, False, True]
    assert utility[2] == pytest.approx(float(under_rival(game, np.array([1.0]))[1][0]))


def test_no_provider_competes_where_a_lost_task_is_cheaper() -> None:
    assert np.isnan(under_rival(load_game("gpt-4.1-o3-dev-low-p").game, np.array([0.5, 1.0]))[0]).all()


def test_a_floor_costs_what_the_frontier_says() -> None:
    game = load_game("g5").game
    floor = np.linspace(float(solve(game, "free").user_utility), 0.45, 7)
    profit, utility = under_floor(game, floor)
    assert -profit == pytest.approx([regulate(game, user_utility=one) for one in floor.tolist()])
    assert (utility >= floor - 1e-12).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_cost_of_those_that_are_kept_is_that_of_the_lottery_and_least_at_the_optimum(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = 2 + seed % 3, int(random.integers(1, 5))
    game = Game(random.uniform(0.1, 0.9, n), random.uniform(0.1, 1, n), random.uniform(0.1, 1, n), 1, 0)
    users = Population(random.uniform(0.5, 3, m), [1] * m, random.uniform(0, 2, m), random.uniform(0.1, 1, m))
    tau = game.latency / game.success
    # The corners of the hull, the types' limits, and a hair beyond, where those of a limit have left.
    levels = np.r_[tau, users.value, users.value * (1 + 1e-9), np.linspace(tau.min(), tau.max(), 50)]
    waiting = levels[(levels >= tau.min()) & (levels <= tau.max())]
    costs, best = kept_cost(game, users, waiting), solve_population(game, users)
    assert costs.min() == pytest.approx(best.provider_cost, rel=1e-6)
    assert (costs >= best.provider_cost - 1e-12).all()
    # Played by each type, its own answer included: no closed form of populations.
    every = np.eye(n)
    shares = random.dirichlet(np.ones(n), 50)
    waits = (shares @ game.latency) / (shares @ game.success)
    totals = []
    for first in range(n):
        played = Commitment.lottery(np.broadcast_to(every[first], shares.shape), shares)
        total = np.zeros(len(shares))
        for share, value, lost in zip(users.share, users.value, users.churn_penalty, strict=True):
            one = Game(game.success, game.cost, game.latency, value, lost)
            total += share * provider_cost(one, played, best_response(one, played))
        totals.append(total)
    least = np.min(totals, axis=0)
    assert (least >= kept_cost(game, users, waits) - 1e-9).all()
    if n == 2:
        # Every lottery of two models is the cheapest of its waiting.
        assert least == pytest.approx(kept_cost(game, users, waits))


def test_the_users_of_a_population_wait_as_long_as_their_patience() -> None:
    config = load_game("gpt-4.1-o3-dev")
    users = users_of(config)
    alone = solve_population(config.game, Population(users.value[2], users.waiting_cost[2], users.churn_penalty[2], 1))
    assert alone.provider_cost == pytest.approx(float(solve(config.game, "free").provider_cost))
    assert users.waiting_cost.tolist() == [0.25, 0.5, 1, 2, 4]


def test_a_game_of_ones_own_is_drawn_where_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(TABLE)
    config = read_game(str(tmp_path / "mine.csv"))
    assert scenario(config) == (
        "mine: a solved task is worth 1 USD to users and an hour of waiting costs them 64 USD; "
        "an abandoned task costs the provider 0.1 USD."
    )
    assert waiting_unit(config) == (pytest.approx(64 / 60), "minutes")
    refused = undrawable([], config)
    assert [name for name in PICTURES if name not in refused] == ["frontier", "plane", "discipline", "population"]
    drawn = list(draw_figures(tmp_path / "drawn", ["frontier", "plane"], config, numbers=True))
    assert [path.name for path in drawn] == [f"{name}.{end}" for name in ("frontier", "plane") for end in ENDINGS]
    points, answers = (pd.read_csv(path) for path in drawn if path.suffix == ".csv")
    assert points["cost of a solved task (USD)"].tolist() == pytest.approx(config.game.cost_of_pass.tolist())
    row = answers.iloc[777]
    there = config.game.with_valid(value=np.array(row.iloc[0]), churn_penalty=np.array(row.iloc[1]))
    (serving,), _ = answered(there[None])
    assert row["answer"] == serving_in_words(serving, config.labels)
    for name in ("discipline", "population"):
        PICTURES[name].draw(config)
    for name in OF_A_GAME:
        PICTURES[name].draw(load_game("g5"))


@pytest.mark.parametrize(
    "numbers",
    [
        {"models": [{"label": "$ one", "success": 0.5, "cost": 0.1, "latency": 1}]},
        {"models": [{"label": k, "success": 0.5, "cost": 0, "latency": 0} for k in "ab"]},
        {"value": 1e9},
        {"value": 1e-9},
        {"churn_penalty": 0},
    ],
)
def test_odd_games_are_drawn(numbers: dict[str, Any]) -> None:
    config = GameConfig.model_validate(load_game("g5").model_dump() | numbers)
    refused = undrawable([], config)
    for name in set(OF_A_GAME) - set(refused):
        PICTURES[name].draw(config)
    assert "frontier" not in refused


@pytest.mark.parametrize(
    ("name", "game", "message"),
    [
        ("free_routing", "aider", "free_routing: cannot be drawn for aider, of 51 models: it needs two models"),
        ("throttling", "g5", "throttling: cannot be drawn for g5, of 2 models: it shows games of its own"),
        ("routing", "g5", "'routing' is not a picture; expected one of idea, response, "),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_an_error_and_nothing_is_written(
    name: str, game: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        list(draw_figures(tmp_path / "new", ["frontier", name], read_game(game)))
    assert not (tmp_path / "new").exists()


def test_columns_and_units_are_for_tables() -> None:
    with pytest.raises(ConfigError, match="columns, units, decimal: are for tables; 'g5' is a game"):
        read_game("g5", {"success": "p"})


def measured_game(outcomes: str = "metr", *labels: str, **options: Any) -> MeasuredGame:
    cost, latency = ({name: scale * k for k, name in enumerate(labels, 1)} for scale in (1.0, 1.5))
    return MeasuredGame(
        read_outcomes(outcomes), labels, **({"value": 30, "churn_penalty": 40} | options), cost=cost, latency=latency
    )


def test_the_success_over_attempts_is_measured_fitted_and_independent() -> None:
    game = measured_game("metr", "GPT-4o", "o1")
    figure = attempts_picture(game)
    # What the lines are stands below the panels, not on them.
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["if independent", "by the fit", "measured"]
    figure.draw_without_rendering()
    assert all(figure.legends[0].get_window_extent().y1 < axes.get_window_extent().y0 for axes in figure.axes)
    assert all(axes.get_legend() is None for axes in figure.axes)
    for axes, fit in zip(figure.axes, game.outcomes.fit(game.labels).values(), strict=True):
        independent, beta, measured = (np.asarray(line.get_ydata()) for line in axes.lines)
        assert (independent == fit.success).all()
        assert beta == pytest.approx(fit.success * (fit.a + fit.b) / (fit.a + fit.b + np.arange(8)))
        assert measured[0] == pytest.approx((fit.successes / fit.attempts).mean())
        assert measured == pytest.approx(beta, abs=0.03)


def test_the_stop_is_marked_where_users_gain_most() -> None:
    game = measured_game("metr", "GPT-4o", "o1")
    best = solve_traffic(game.traffic)
    upper, middle, lower = ladder_picture(game).axes
    for axes, at in ((upper, best.user_utility[0]), (middle, best.provider_cost[0])):
        curve, diamond = axes.lines[:2]
        assert (diamond.get_xdata(), diamond.get_ydata()) == (best.stop[0], pytest.approx(at))
        assert len(curve.get_xdata()) == 12
    assert np.asarray(upper.lines[0].get_ydata()).max() == pytest.approx(best.user_utility[0])
    # Each attempt is served by someone.
    heights = np.zeros(12)
    for bar in lower.patches:
        heights[round(bar.get_x() + 0.5) - 1] += bar.get_height()
    assert heights == pytest.approx(1)


@pytest.mark.parametrize(
    ("outcomes", "labels", "options"),
    [
        ("metr", ("o1",), {"horizon": 1}),
        ("metr", ("davinci-002", "gpt-3.5-turbo-instruct", "o1"), {"horizon": 3, "churn_penalty": 0}),
        ("metr", ("GPT-4o", "o1", "o1-preview", "GPT-4 Turbo"), {"horizon": 4}),
        ("one.csv", ("$ one",), {"value": 1e9, "horizon": 2}),
    ],
)
def test_odd_outcomes_are_drawn(
    outcomes: str, labels: tuple[str, ...], options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.csv").write_text("task,model,attempts,successes\na,$ one,1,1\n")
    game = measured_game(outcomes, *labels, **options)
    names = ["attempts", "ladder"]
    assert sorted(set(PICTURES) - set(undrawable([], game))) == names
    assert len(list(draw_figures(tmp_path / "drawn", names, game))) == 4
