"""The page, run without a browser by streamlit's own test of apps."""

import base64
import io
import json
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.logger import set_log_level
from streamlit.testing.v1 import AppTest

from stackroute import Commitment, load_game, solve
from stackroute.agents import FixedPatienceUser, StaticProvider, save_policy
from stackroute.analytic import InvalidGameError
from stackroute.configs.loading import as_yaml
from stackroute.training.cli import console, exploring
from stackroute.training.explorer import app
from stackroute.training.explorer.asked import Asked
from stackroute.training.explorer.pictures import mixed, response
from stackroute.training.explorer.plane import SIDE, chart, legend, plane_of
from stackroute.training.explorer.state import Source, State, as_link, from_link
from stackroute.training.figures.scenario import read_game
from stackroute.training.market.thresholds import kinds_of_serving, serving_in_words

Stackroute = Callable[..., tuple[int, str, str]]
DEV, PLANE = "gpt-4.1-o3-dev", "Value and penalty"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    # It warns that no server runs, to a stream that may be closed by then.
    set_log_level("ERROR")


def script(asked: str) -> None:
    from stackroute.training.explorer.app import show
    from stackroute.training.explorer.asked import Asked

    show(Asked.from_argument(asked))


def page(name: str | None = DEV, picture: str = PLANE, run: str = "", **parameters: str) -> AppTest:
    test = AppTest.from_function(script, args=(Asked(name, run=run).as_argument(),), default_timeout=60)
    # Of the pictures the plane is drawn fastest.
    for key, value in {"picture": picture, **parameters}.items():
        test.query_params[key] = value
    return run_of(test)


def run_of(test: AppTest) -> AppTest:
    test.run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    return re.sub(r"\\(.)", r"\1", "\n".join(text.value for text in test.main.markdown))


def policies(test: AppTest) -> pd.DataFrame:
    return test.table[0].value.astype(float)


def slide(test: AppTest, label: str, value: float, which: int = 0) -> AppTest:
    found = [slider for slider in test.select_slider if slider.label.startswith(label)]
    # What is no place of the slider is passed over without an error.
    assert f"{value:g}" in found[which].options
    found[which].set_value(value)
    return run_of(test)


def link_of(test: AppTest) -> str:
    value = test.query_params["state"]
    return value if isinstance(value, str) else value[0]


def write_game(folder: Path, **changes: Any) -> str:
    usual = load_game(DEV).model_dump(exclude_none=True) | {"name": "mine"}
    for key, value in changes.pop("both", {}).items():
        for model in usual["models"]:
            model[key] = value
    path = folder / "mine.yaml"
    path.write_text(json.dumps(usual | changes))
    return str(path)


def test_the_page_says_first_what_solve_says(stackroute: Stackroute) -> None:
    test = page()
    _, shown, _ = stackroute("solve", DEV)
    sentences = [line.removeprefix("- ") for line in said(test).splitlines() if line.startswith("- ")]
    assert all(" ".join(sentence.split()) in shown for sentence in sentences[:4])
    assert test.title[0].value == re.sub(r"([-.])", r"\\\1", DEV)
    assert "state" not in test.query_params


def test_a_slider_changes_the_answer() -> None:
    test = page()
    o3 = load_game(DEV).models[1]
    test = slide(test, "Success", 0.9, which=1)
    assert f"costs you {o3.cost / 0.9:.4g} USD" in said(test)
    assert policies(test).loc["only o3"].iloc[0] == pytest.approx(o3.cost / 0.9, rel=1e-3)
    # Of no use to users, who leave: the provider pays a pass and, where it fails, the penalty.
    test = slide(slide(test, "Value", 0.156), "Cost of an abandoned", 1.6)
    both = load_game(DEV).models
    costs = [both[0].cost + (1 - both[0].success) * 1.6, o3.cost + 0.1 * 1.6]
    assert policies(test)["cost of a task (USD)"].iloc[[1, 2]].tolist() == pytest.approx(costs, rel=1e-3)
    assert "users leave" in said(test)


def test_numbers_are_typed() -> None:
    test = slide(page(), "Value", 4.59)
    test.toggle[0].set_value(True)
    test = run_of(test)
    assert not test.select_slider
    first = test.number_input[0]
    assert first.value == 4.59
    first.set_value(4.321)
    test = run_of(test)
    assert json.loads(link_of(test))["value"] == 4.321
    test.toggle[0].set_value(False)
    test = run_of(test)
    assert test.select_slider[0].value == 4.321
    test.button[0].click()
    assert run_of(test).select_slider[0].value == load_game(DEV).value


def test_a_table_takes_the_models_that_may_be_needed(stackroute: Stackroute) -> None:
    test = page("aider")
    _, shown, _ = stackroute("advise", "aider", "--value", "1")
    answer = said(test).split("\n- ")[1]
    assert len(test.multiselect[0].value) == 7
    assert answer.removeprefix("- ").split(" You")[0].split(". ")[0] in shown
    assert "How sure it is" in [heading.value for heading in test.subheader]
    assert "Errors of measurement: of 1,000 draws" in said(test)
    test.multiselect[0].set_value(["gpt-5 (high)"])
    test = run_of(test)
    model = next(one for one in read_game("aider").models if one.label == "gpt-5 (high)")
    alone = model.cost + (1 - model.success) * 0.1
    assert policies(test).iloc[0, 0] == pytest.approx(alone, rel=1e-3)
    test.multiselect[0].set_value([])
    assert "expected at least one" in run_of(test).error[0].value


def test_what_is_typed_was_not_measured() -> None:
    test = page("aider")
    test.multiselect[0].set_value(["gpt-5 (high)"])
    assert "1,000 draws" in said(run_of(test))
    assert "1,000 draws" not in said(slide(test, "Success", 0.5))


def test_models_are_slowed() -> None:
    test = page("gpt-4.1-o3-dev-low-p")
    test.toggle[1].set_value(True)
    test = run_of(test)
    game = load_game("gpt-4.1-o3-dev-low-p").game
    assert policies(test).iloc[0, 0] == pytest.approx(float(solve(game, throttling=True).provider_cost), rel=1e-3)
    assert "Slow down" in said(test)
    assert sum(slider.label.startswith("Delay") for slider in test.select_slider) == 2


def test_a_commitment_of_ones_own_is_judged() -> None:
    test = page()
    test.selectbox[0].set_value("gpt-4.1")
    test = slide(run_of(test), "Each retry moves on", 0.0)
    table = policies(test)
    assert table.loc["your commitment"].tolist() == pytest.approx(table.loc["only gpt-4.1 (users' favourite)"].tolist())
    test.radio[0].set_value("free")
    test = slide(slide(run_of(test), "Retries by gpt", 0.0), "Retries by o3", 0.25)
    table, (first, second) = policies(test), load_game(DEV).models
    expected = first.cost + (1 - first.success) * second.cost / second.success
    assert table.loc["your commitment"].iloc[0] == pytest.approx(expected, rel=1e-3)
    assert "your commitment" not in policies(slide(test, "Retries by o3", 0.0)).index


def test_a_link_restores_everything() -> None:
    test = slide(page(), "Value", 1.77)
    test.radio[0].set_value("free")
    test.toggle[1].set_value(True)
    test = slide(slide(run_of(test), "Retries by o3", 0.2), "Delay of o3", 32)
    link = link_of(test)
    again = page(state=link)
    assert not again.error
    assert said(again) == said(test)
    assert policies(again).equals(policies(test))
    assert link_of(again) == link
    assert again.radio[0].value == "free"


def edited(**changes: Any) -> str:
    return json.dumps(State.of(load_game(DEV)).model_dump() | changes)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("{", "it holds no numbers"),
        ("[" * 9_000, "it holds no numbers"),
        ("x" * 10_001, "10,001 characters"),
        (edited(game="aider"), "this page shows"),
        (edited(run="/etc"), "run: unknown key"),
        (edited(value=-1), "value"),
        (edited(value=float("nan")), "value"),
        (edited(churn_penalty=1e300), "churn_penalty"),
        (edited(first="o4"), "first: 'o4'"),
        (edited(retries=[1.0]), "retries"),
        (edited(models=[]), "models"),
        (edited(waiting_cost_per_hour=None), "waiting_cost_per_hour"),
        (edited(routing="any"), "routing"),
    ],
    ids=str.split("brace deep long game run value nan huge first retries models waiting routing"),
)
def test_a_bad_link_is_an_error(link: str, reason: str) -> None:
    from stackroute.configs import ConfigError

    with pytest.raises(ConfigError, match=re.escape(reason)) as error:
        from_link(link, Source(load_game(DEV)))
    assert len(str(error.value)) < 400


def test_a_bad_link_leaves_the_game_as_it_is() -> None:
    other = load_game("g5")
    test = page(state=as_link(State.of(other)))
    assert "The link cannot be used" in re.sub(r"\\(.)", r"\1", test.error[0].value)
    assert said(test) == said(page())
    assert "state" not in test.query_params


def test_a_game_is_chosen_among_the_packaged_ones() -> None:
    test = page(None, game="g5")
    assert test.title[0].value == "g5"
    slide(test, "Value", float(test.select_slider[0].options[3]))
    test.selectbox(key="game").set_value("g7")
    test = run_of(test)
    assert test.title[0].value == "g7"
    assert policies(test).iloc[0, 0] == pytest.approx(float(solve(load_game("g7").game).provider_cost), rel=1e-3)
    assert page(None, game="../../secret").title[0].value != "secret"


def test_what_is_downloaded_is_what_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files: dict[str, Any] = {}
    monkeypatch.setattr(app.st, "download_button", lambda _, content, name, **__: files.update({name: content}))
    test = slide(page(picture="When users stay"), "Value", 2.5)
    path = tmp_path / "taken.yaml"
    path.write_text(files[f"{DEV}.yaml"])
    taken = load_game(path)
    changed = load_game(DEV).model_copy(update={"value": 2.5})
    assert taken.game.value == 2.5
    assert as_yaml(taken.model_copy(update={"sources": changed.sources})) == as_yaml(changed)
    assert "changed" in taken.sources[-1]
    numbers, table = json.loads(files[f"{DEV}.json"]), pd.read_csv(io.StringIO(files[f"{DEV}.csv"]), index_col=0)
    exact = float(solve(changed.game).provider_cost)
    assert numbers["provider_cost"] == numbers["policies"]["equilibrium"]["provider_cost"] == exact
    assert numbers["units"]["provider_cost"] == "USD per task"
    assert table["cost of a task (USD)"].iloc[0] == exact
    assert policies(test).index.tolist() == table.index.tolist()
    for ending, begins in {"png": b"\x89PNG", "svg": b"<?xml"}.items():
        assert files[f"{DEV}.{ending}"]().startswith(begins)


def test_a_learned_provider_is_judged_in_the_game_that_is_shown(tmp_path: Path) -> None:
    save_policy(StaticProvider(Commitment.static(0)), tmp_path / "provider.npz")
    save_policy(FixedPatienceUser(1.0), tmp_path / "user.npz")
    test = slide(page(run=str(tmp_path)), "Success", 0.22)
    cost = load_game(DEV).models[0].cost
    assert policies(test).loc["learned"].iloc[0] == pytest.approx(cost / 0.22, rel=1e-3)
    (tmp_path / "provider.npz").write_text("import os")
    test = run_of(test)
    assert "learned" not in policies(test).index
    assert "not a saved policy" in test.error[0].value.replace("\\", "")
    test.text_input(key="run").set_value(str(tmp_path / "none"))
    assert "no such file" in run_of(test).error[0].value


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [{"label": "*one* $x$ <b>", "success": 0.5, "cost": 0.1, "latency": 3.0}]},
        {"both": {"success": 0.4, "cost": 0.02, "latency": 5.0}},
        {"both": {"success": 1e-6}},
        {"both": {"success": 0.999999}},
        {"churn_penalty": 0.0},
        {"both": {"cost": 0.0, "latency": 0.0}},
    ],
    ids=str.split("one equal rare sure free nothing"),
)
def test_odd_games_are_shown(changes: dict[str, Any], tmp_path: Path) -> None:
    name = write_game(tmp_path, **changes)
    test, config = page(name), load_game(name)
    found = solve(config.game, test.session_state.now.routing)
    assert policies(test).iloc[0, 0] == pytest.approx(float(found.provider_cost), rel=1e-3)
    assert response(config, "free").axes
    assert [one.label.replace("\\", "") for one in test.expander][: len(config.labels)] == list(config.labels)


def test_models_for_which_there_are_no_cascades_are_said(tmp_path: Path) -> None:
    first, second = load_game(DEV).model_dump()["models"]
    name = write_game(tmp_path, models=[second, first])
    with pytest.raises(InvalidGameError):
        solve(load_game(name).game)
    test = page(name)
    assert "Choose any lottery" in test.error[0].value
    test.radio[0].set_value("free")
    test = run_of(test)
    assert not test.error
    assert policies(test).iloc[0, 0] == pytest.approx(float(solve(load_game(DEV).game, "free").provider_cost), rel=1e-3)


@pytest.mark.parametrize("picture", ["Cost and waiting", "When users stay"])
def test_pictures_are_shown_by_their_tabs(picture: str) -> None:
    test = page(picture=picture)
    (image,) = test.get("image")
    assert picture in image.proto.imgs[0].alt


@pytest.mark.parametrize(("name", "routing", "throttling"), [(DEV, "cascade", True), ("aider", "free", False)])
def test_the_plane_shows_the_answer_of_each_game(name: str, routing: Any, throttling: bool) -> None:
    config = read_game(name)
    plane = plane_of(config, config, routing, throttling)
    rng = np.random.default_rng(5)
    for row, column in rng.integers(0, SIDE, (12, 2)):
        game = config.game.with_valid(value=plane.values[column], churn_penalty=plane.penalties[row])
        best = solve(game, routing, throttling)
        (kind,), _ = kinds_of_serving(
            best.commitment.start[None],
            best.commitment.transition[best.commitment.first_model][None],
            np.array([[best.patience > 0]]),
        )
        found = plane.grid[row, column]
        words = serving_in_words(kind, config.labels)
        assert (plane.words[found] == words) if found < len(plane.words) else (words not in plane.words)
    drawn = chart(plane, config)
    png = io.BytesIO(base64.b64decode(drawn["layer"][0]["data"]["values"][0]["url"].split(",")[1]))
    pixels = np.asarray(Image.open(png))
    assert pixels.shape == (SIDE, SIDE, 3)
    shown = legend(plane)
    assert all(words in shown for words in plane.words)
    assert plane.leaves == ["leave" in words for words in plane.words]
    # But for hatches and the black borders, colours are the same exactly where the answers are.
    inside = pixels[::-1].any(axis=2) & ~(pixels[::-1] == 255).all(axis=2)
    colours = {
        k: {*map(tuple, pixels[::-1][inside & (plane.grid == k)].tolist())} for k in np.unique(plane.grid).tolist()
    }
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def test_kinds_of_serving_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(1)
    start, lottery, stays = rng.random((500, 3)) > 0.5, rng.random((500, 3)) > 0.5, rng.random((500, 2)) > 0.5
    kinds, which = kinds_of_serving(start.astype(float), lottery.astype(float), stays)
    for row, k in enumerate(which.tolist()):
        retries = tuple(np.flatnonzero(lottery[row]).tolist()) if stays[row].any() else ()
        assert kinds[k] == (tuple(np.flatnonzero(start[row]).tolist()), retries, tuple(stays[row].tolist()))
    count = np.bincount(which)
    assert (np.diff(count) <= 0).all()
    assert len(kinds) == len(set(kinds))


def test_the_response_changes_where_users_are_indifferent() -> None:
    config = read_game("aider")
    one, other = mixed(config.game, "free")
    axes = response(config, "free").axes[0]
    share, leaves = axes.lines[0].get_data()
    xi = config.game.net_value
    assert (leaves == 1.0).tolist() == ((1 - share / 100) * xi[one] + share / 100 * xi[other] < 0).tolist()
    assert 0 < leaves.sum() < len(leaves)
    assert mixed(load_game(DEV).game, "free") == (0, 1)
    assert "cascade probability" in response(load_game("g3"), "cascade").get_supxlabel()
    assert "retries by" in response(load_game("g3"), "free").axes[0].get_xlabel()


def test_the_command_serves_this_machine_only(stackroute: Stackroute, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(exploring.subprocess, "run", lambda command, **_: started.append(command))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    code, shown, _ = stackroute("explore", "aider", "--value", "2", "--port", port, "--no-browser")
    assert code == 0
    assert f"http://localhost:{port}" in shown
    (command,) = started
    wanted = {"server.address=localhost", "browser.gatherUsageStats=false", "server.headless=true"}
    assert {f"--{one}" for one in wanted} <= set(command)
    assert Asked.from_argument(command[-1]) == Asked("aider", changes=["value=2"])
    assert Source.read("aider", {}, {}, None, ["value=2"]).config.value == 2
    assert Path(command[command.index("--") - 1]).is_file()


def test_what_cannot_be_explored_is_an_error(
    stackroute: Stackroute, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(exploring.subprocess, "run", pytest.fail)
    assert "not a packaged name" in stackroute("explore", "none")[2]
    assert "measured outcomes" in stackroute("explore", "bfcl")[2]
    assert "no such file" in stackroute("explore", DEV, "--run", str(tmp_path))[2]
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        assert "is in use" in stackroute("explore", DEV, "--port", str(taken.getsockname()[1]))[2]
    monkeypatch.setattr(console.importlib.util, "find_spec", lambda name: None if name == "streamlit" else name)
    code, _, errors = stackroute("explore", DEV)
    assert code == 2
    assert "this command needs streamlit" in errors


def test_an_end_with_an_error_is_said(stackroute: Stackroute, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(3, command)

    monkeypatch.setattr(exploring, "_check_free", lambda _: None)
    monkeypatch.setattr(exploring.subprocess, "run", end)
    assert stackroute("explore", DEV)[0] == 2
