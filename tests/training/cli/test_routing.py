from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stackroute.agents.routers.saving import load_router, save_router
from stackroute.configs.outcome_files import read_outcomes
from stackroute.training.cli import console, market, routing
from stackroute.training.cli.advice import explain_advice
from stackroute.training.cli.display import in_per_cent
from stackroute.training.routers.advice import advise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Stackroute = Callable[..., tuple[int, str, str]]

FAST = ("--routers", "best single model,logistic regression")
SCENARIO = ("--value", "2", "--churn-penalty", "1.5", "--waiting-cost", "72", "--horizon", "3")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """60 tasks of two kinds, each of which another model solves; what is known of them, and new ones."""
    rng = np.random.default_rng(0)
    outcomes, known = ["task,model,attempts,successes,cost,seconds"], ["task,kind,level,served_by"]
    for k in range(60):
        kind = k % 2
        known.append(f"t{k},{('sum', 'proof')[kind]},{k % 3},{('quick', 'careful')[k % 5 > 2]}")
        for model, p, cost, seconds in (("quick", 0.9 - 0.8 * kind, 0.1, 5), ("careful", 0.1 + 0.8 * kind, 0.3, 20)):
            outcomes.append(f"t{k},{model},8,{rng.binomial(8, p)},{cost} USD,{seconds}")
    (tmp_path / "log.csv").write_text("\n".join(outcomes))
    (tmp_path / "known.csv").write_text("\n".join(known))
    (tmp_path / "new.csv").write_text("task,level,kind\nn1,0,sum\nn2,1,proof\nn2,,proof\nn3,2,unheard\n")
    return tmp_path


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without report and picture, which take long."""
    monkeypatch.setattr(routing, "_write", lambda game, advice, out: [save_router(advice.saved, out)])


def test_a_router_is_found_saved_and_applied(log: Path, stackroute: Stackroute) -> None:
    route = ("route", "log.csv", "--features", "known.csv", "--current", "served_by", *FAST, *SCENARIO)
    code, shown, error = stackroute(*route, "--out", "folder/router.npz")
    assert code == 0, error
    assert shown.startswith("- With the best router, logistic regression, a task costs you ")
    for words in (
        " % less than with the best single model, ",
        " % less than with the best fixed ladder, which serves all tasks alike: 1 x quick, 1 x careful, then quick (",
        "The last is what knowing the task brings.",
        "First answers: ",
        " Second attempts are most often by careful (",
        "The router, logistic regression, serves so by ",
        "against what serves today, ",
        'The router "best single model" may serve re-prompts by other models.',
        "Sorted by the choice: what a task costs (USD) where the router was chosen.",
        "Routers learned from 36 tasks, knobs and router were chosen on 12, all numbers are exact for 12 others",
        "That is few",
        "Features: 2 columns.",
        "Wrote folder/router.npz Wrote folder/router.png Wrote folder/router.md",
    ):
        assert words in shown
    assert "correlation" not in shown
    report = (log / "folder" / "router.md").read_text()
    assert "- With the best router, logistic regression, a task costs you " in report
    assert "![router](router.png)" in report
    assert "| only quick " in report or "| only careful " in report
    assert (log / "folder" / "router.png").stat().st_size > 5_000
    saved = load_router(log / "folder" / "router.npz")
    assert saved.encoder.columns == ["level", "kind"]

    _, shown, warned = stackroute("route", "--apply", "folder/router.npz", "new.csv", "--json")
    assert warned == (
        "warning: new.csv: 1 of 4 tasks have categories that the router did not learn from, of which it knows nothing: "
        "kind 'unheard'\n"
    )
    tasks = json.loads(shown)["tasks"]
    assert json.loads(shown)["router"] == "logistic regression"
    assert [row["task"] for row in tasks] == ["n1", "n2", "n2", "n3"]
    assert [row["model"] for row in tasks[:3]] == ["quick", "careful", "careful"]
    _, shown, _ = stackroute("route", "--apply", "folder/router.npz", "new.csv")
    assert shown.startswith("task,model,reprompts n1,quick,")


def test_json_has_all_routers_and_what_they_save(log: Path, stackroute: Stackroute) -> None:
    route = ("route", "log.csv", "--features", "known.csv", "--current", "served_by", *FAST, *SCENARIO)
    found = json.loads(stackroute(*route, "--json")[1])
    assert found["best"] == "logistic regression"
    rules = [(one["name"], one["rule"]) for one in found["routers"]]
    assert rules == [("best single model", "own"), *(("logistic regression", rule) for rule in ("own", "user-aware"))]
    for one in found["routers"]:
        assert {"name", "knob", "rule", "cost", "user_utility", "leave"} <= set(one)
        assert 0 <= one["leave"] <= 1
    (best,) = (one for one in found["routers"] if one["name"] == found["best"] and one["rule"] == found["rule"])
    assert best["validation_cost"] == min(one["validation_cost"] for one in found["routers"])
    for rival in found["savings"].values():
        assert rival["saved"] == pytest.approx(rival["cost"] - best["cost"])
        assert rival["share"] == pytest.approx(rival["saved"] / rival["cost"])
    assert set(found["savings"]) == {"best single model", "best fixed ladder", "today"}
    assert found["savings"]["best fixed ladder"]["ladder"] == ["quick", "careful", "quick"]
    assert [sum(shares.values()) for shares in found["served"]] == pytest.approx([1] * best["stop"])
    assert found["scenario"] == {
        "value": 2,
        "waiting_cost": pytest.approx(72),
        "churn_penalty": 1.5,
        "models": ["quick", "careful"],
        "correlation": None,
        "horizon": 3,
    }
    assert found["units"]["cost"] == "USD per task"
    assert found["tasks"] == {"train": 36, "validation": 12, "test": 12}


def test_csv_has_a_row_for_each_router_and_rule(log: Path, stackroute: Stackroute) -> None:
    _, shown, _ = stackroute("route", "log.csv", *FAST, *SCENARIO, "--csv")
    header = shown.split(" best single")[0]
    assert {"cost (USD per task)", "name", "rule"} <= set(next(csv.reader(io.StringIO(header))))
    assert shown.count("logistic regression,") == 2


def test_without_features_or_gain_that_is_said(log: Path, stackroute: Stackroute) -> None:
    _, shown, _ = stackroute("route", "log.csv", "--routers", "best single model", "--horizon", "1")
    assert "Features: none, so that all tasks look alike" in shown
    assert "The router saves nothing against the best single model, " in shown
    assert "Knowing the task brings nothing measurable over that ladder, which is the simpler choice." in shown
    usual = {name: one.default for name, one in signature(market.advise_command).parameters.items()}
    assert f"a solved task is worth {usual['value']} USD to users, an hour of waiting costs them 64 USD" in shown
    assert f"an abandoned task costs you {usual['churn_penalty']} USD" in shown
    assert "stackroute route --apply router.npz TASKS.csv" in shown


def test_single_attempts_and_bad_rows_are_said(log: Path, stackroute: Stackroute) -> None:
    rows = (log / "log.csv").read_text().replace(",8,", ",1,")
    rows = "\n".join(line.replace(",1,0,", ",1,9,") if line.startswith("t7,") else line for line in rows.splitlines())
    ones = [line.split(",") for line in rows.splitlines()]
    ones = [[*one[:3], str(min(int(one[3]), 1)) if one[0] not in ("task", "t7") else one[3], *one[4:]] for one in ones]
    (log / "log.csv").write_text("\n".join(",".join(one) for one in ones))
    _, shown, _ = stackroute("route", "log.csv", *FAST[:1], "best single model", "--correlation", "0.3")
    assert "A correlation of 0.3 between attempts at a task is assumed" in shown
    assert "rows were not used; the first: line " in shown


@pytest.mark.usefixtures("no_report")
def test_a_router_that_draws_draws_by_the_seed(log: Path, stackroute: Stackroute) -> None:
    route = ("route", "log.csv", "--features", "known.csv", "--routers", "random", *SCENARIO)
    assert stackroute(*route, "--out", "r.npz")[0] == 0
    (log / "new.csv").write_text("task,kind,level,served_by\n" + "".join(f"n{k},sum,0,quick\n" for k in range(40)))
    first, again, other = (stackroute("route", "--apply", "r.npz", "new.csv", "--seed", seed)[1] for seed in "112")
    assert first == again != other
    assert '"50 % quick, 50 % careful"' in first
    assert 8 < first.count(",quick,") < 32


@pytest.mark.usefixtures("no_report")
def test_known_categories_are_no_warning(log: Path, stackroute: Stackroute) -> None:
    route = ("route", "log.csv", "--features", "known.csv", "--routers", "random", *SCENARIO, "--out", "r.npz")
    assert stackroute(*route)[0] == 0
    assert stackroute("route", "--apply", "r.npz", "known.csv")[2] == ""


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1e-4, "<0.1 %"),
        (0.009, "0.9 %"),
        (0.94, "94.0 %"),
        (0.4725, "47.2 %"),
        (0.9999, ">99.9 %"),
        (1 - 1e-12, "100 %"),
    ],
)
def test_percentages_have_one_form(share: float, text: str) -> None:
    assert in_per_cent(share, 1) == text


@pytest.mark.parametrize(
    ("saved", "error", "sure"),
    [
        (0.1, 0.06, "So few tasks do not show which of them costs less"),
        (0.1, 0.049, "That is little more than its error: it may be anything from 0.002 USD to 0.198 USD."),
        (0.1, 0.01, None),
    ],
)
def test_how_sure_a_gain_is(log: Path, monkeypatch: pytest.MonkeyPatch, saved: float, error: float, sure: str) -> None:
    monkeypatch.chdir(log)
    game = routing._game(read_outcomes("log.csv", {}, {}, None, None), "log.csv", {"horizon": "1"})
    found = advise(game, ["best single model"])
    doubtful = replace(found, single=found.single._replace(saved=saved, error=error))
    (said,) = (text for text in explain_advice(game, doubtful) if text.startswith("The router saves you 0.1 USD"))
    assert said.endswith("%.") if sure is None else sure in said


def test_packaged_features_are_used(stackroute: Stackroute) -> None:
    pair = ("--models", "GPT-4o,o1", "--cost", "1,5", "--routers", "UniRoute", "--value", "30", "--horizon", "3")
    found = json.loads(stackroute("route", "metr", *pair, "--json")[1])
    assert found["features"] == ["human_minutes", "family"]
    assert found["units"]["cost"] == "money per task"


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "metr --models GPT-4o,o1",
            "cost: metr has none of GPT-4o, o1; expected --cost X,Y, money of an attempt by model",
        ),
        ("evalperf --cost 1", "cost: 1 is not allowed; expected 34 numbers, by model"),
        ("log.csv --models quick", "models: quick is not allowed; expected at least 2"),
        ("log.csv --models quick,gpt", "models: 'gpt' is not in log"),
        ("log.csv --routers UniRout", "routers: 'UniRout' is not one; did you mean 'UniRoute'?"),
        ("log.csv --current served_by", "current: 'served_by' is not a column of the features; expected features with"),
        (
            "log.csv --features known.csv --current kind",
            "current: kind of task t0: 'sum' is no model; expected one of quick",
        ),
        ("log.csv --features few.csv", "features: few.csv has none of t1, t2, "),
        ("log.csv --features none.csv", "none.csv: no such file"),
        ("few-tasks.csv", "tasks: 4 are not allowed; expected at least 5"),
        ("log.csv --value 0", "value: 0 is not allowed; expected a number > 0"),
        ("log.csv --waiting-cost x", "waiting-cost: 'x' is not allowed"),
        ("log.csv --waiting-cost 0", "waiting-cost: 0 is not allowed"),
        ("log.csv --churn-penalty -1", "churn_penalty: -1"),
        ("log.csv --json --csv", "json, csv: expected one of them"),
        ("log.csv --out known.csv/router.npz", "known.csv: not a folder that can be written to"),
        ("log.csv --out router", "out: router is not allowed; expected a name that ends in .npz"),
        ("none.csv", "none.csv: no such file"),
        ("log.csv --prices none.json", "prices: is for logs of requests with tokens; 'log.csv' holds outcomes by task"),
        ("requests.csv --prices prices.json", "prices: prices.json has no 'quick'; expected an entry"),
        ("--apply none.npz new.csv", "none.npz: cannot be used (No such file"),
        ("--apply log.csv new.csv", "log.csv: not a saved router"),
        ("--apply none.npz new.csv --value 2 --out x", "value, out: is for fitting routers"),
        ("--apply router.npz log.csv", "log.csv: no column level, kind, served_by; the router was fitted with it"),
        ("--apply router.npz none.csv", "none.csv: no such file"),
        ("--apply router.npz empty.csv", "empty.csv: no tasks"),
        ("--apply router.npz long.csv", "long.csv: line 2: "),
    ],
)
def test_bad_input_is_one_clear_error(log: Path, stackroute: Stackroute, words: str, message: str) -> None:
    (log / "requests.csv").write_text("task,model,ok,tokens_in,tokens_out\nt0,quick,1,10,10\n")
    (log / "prices.json").write_text("{}")
    (log / "few.csv").write_text("task,size\nt0,1\n")
    (log / "empty.csv").write_text("task,kind,level,served_by\n")
    (log / "long.csv").write_text("task,kind,level,served_by\nn,sum,1,quick,2\n")
    lines = (log / "log.csv").read_text().splitlines()
    (log / "few-tasks.csv").write_text("\n".join(lines[:9]))
    if "router.npz" in words and "apply" in words:
        made = ("route", "log.csv", "--features", "known.csv", "--routers", "best single model", "--out", "router.npz")
        assert stackroute(*made)[0] == 0
    code, shown, error = stackroute("route", *words.split())
    assert (code, shown) == (2, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("no_report")
def test_numbers_that_are_names_of_categories_stay_names(log: Path, stackroute: Stackroute) -> None:
    # In the log the column has words too; among the new tasks only numbers.
    known = (log / "known.csv").read_text().replace(",sum,", ",1,")
    (log / "known.csv.gz").write_bytes(gzip.compress(known.encode()))
    route = ("route", "log.csv", "--features", "known.csv.gz", "--current", "served_by", *FAST, *SCENARIO)
    assert stackroute(*route, "--out", "r.npz")[0] == 0
    (log / "new.csv").write_text("task,level,kind\nn1,0,1\n")
    assert "n1,quick," in stackroute("route", "--apply", "r.npz", "new.csv")[1]


def test_the_extra_is_named(stackroute: Stackroute, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.importlib.util, "find_spec", lambda name: None if name == "sklearn" else name)
    code, _, error = stackroute("route", "bfcl")
    assert code == 2
    assert "this command needs sklearn" in error
    assert "[routers]" in error
