"""The command that advises, as a user calls it."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stackroute import Commitment, best_response, load_game, read_outcomes, solve
from stackroute.analytic import Game, Population, counting_response, provider_cost, solve_population, user_utility
from stackroute.configs.loading import as_yaml
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.tables import read_models
from stackroute.training.cli import outcomes_advice
from stackroute.training.cli.display import in_per_cent
from stackroute.training.market.market import Scenario
from stackroute.training.market.redrawing import redrawn

Stackroute = Callable[..., tuple[int, str, str]]

SIX = """Model,Success %,$/1k,p50 latency (ms),count
haiku,38,4.1,2100,400
sonnet,56,19,5200,400
opus,63,88,9800,400
mini,41,3.2,3900,400
flash,44,2.5,1800,400
o-large,71,140,31000,400
"""
OUTCOMES = "task,model,attempts,successes,cost,seconds\n" + "".join(
    f"t{k},{model},4,{solved},{cost},{seconds}\n"
    for k, each in enumerate([(4, 4), (0, 3), (1, 4), (0, 0), (3, 4), (0, 2), (4, 3), (2, 4)])
    for model, solved, cost, seconds in (("quick", each[0], 0.02, 5), ("careful", each[1], 0.1, 30))
)
FEATURES = "task,area\n" + "".join(f"t{k},{'web' if k % 2 else 'data'}\n" for k in range(8))


@pytest.fixture
def outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "outcomes.csv").write_text(OUTCOMES)
    (tmp_path / "measured" / "features.csv").write_text(FEATURES)
    monkeypatch.setattr(outcomes_advice, "_DRAWS", 2)
    monkeypatch.setattr(outcomes_advice, "_FACTORS", np.array([4.0]))
    return "measured"


def test_the_answer_comes_first_and_is_the_optimum(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "six.csv").write_text(SIX)
    code, shown, errors = stackroute("advise", "six.csv", "--value", "0.05", "--waiting-cost", "24")
    assert (code, errors.count("warning: cost: a pass of o-large costs 0.14")) == (0, 1)
    places = [
        shown.index(text)
        for text in (
            "Scenario, assumed and not measured: a solved task is worth 0.05 USD",
            "The answer - Serve flash to every prompt. A task then costs you 0.005682 USD on average.",
            "No task is abandoned. - The next best single model, haiku, would cost",
            "Dominated, as another model succeeds as often, costs no more and takes no longer: haiku (by flash)",
            "other models together serve at less cost, whatever users are like: opus.",
            "What would change it - Value of a solved task (now 0.05 USD): below 0.02727 USD: flash once, then users",
            "Users would choose the same.",
            "Slowing down would never pay",
            "of 1,000 draws",
            "Attempts are assumed to be independent, as the table has no repeated attempts",
            "(an intra-class correlation of 0.5), of flash, sonnet, o-large this is best: Serve flash",
        )
    ]
    assert places == sorted(places)
    assert not [path for path in tmp_path.iterdir() if path.name != "six.csv"]


def test_json_has_the_numbers_of_the_solver(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "six.csv").write_text(SIX)
    # Users stay for a mixture only, as the cheapest model is not worth their wait.
    _, shown, errors = stackroute("advise", "aider", "--value", "1", "--json")
    found = json.loads(shown)
    assert errors == ""
    table = read_models("aider").models
    game = Game(
        [model.success for model in table],
        [model.cost for model in table],
        [model.latency * 64 / 3600 for model in table],
        value=1,
        churn_penalty=0.1,
    )
    best = solve(game, "free")
    lottery = best.commitment.transition[best.commitment.first_model]
    assert found["first"] == table[best.commitment.first_model].label
    assert found["retries"] == {table[k].label: pytest.approx(lottery[k]) for k in lottery.nonzero()[0]}
    assert len(found["retries"]) == 2
    assert (found["cost"], found["user_utility"]) == (
        pytest.approx(float(best.provider_cost)),
        pytest.approx(float(best.user_utility)),
    )
    assert (found["leave"], found["scenario"]["value"]) == (0, 1)
    assert found["dominated"]["o1-2024-12-17 (high)"] == "DeepSeek-V3.2-Exp (Chat)"
    assert found["thresholds"]["waiting_cost"]["now"] == 64
    assert found["units"]["cost"] == "USD per task"
    assert found["units"]["leave"] == "share of tasks abandoned"
    _, shown, _ = stackroute("advise", "six.csv", "--value", "0.5", "--waiting-cost", "900", "--json")
    left = json.loads(shown)
    assert (left["first"], left["retries"], left["leave"]) == ("flash", {}, pytest.approx(0.56))


def test_a_pair_has_the_papers_cascades(stackroute: Stackroute) -> None:
    code, shown, errors = stackroute("advise", "aider", "--pair", "gpt-4.1:o3", "--value", "5")
    assert (code, errors) == (0, "")
    assert "You may commit to cascades, in which" in shown
    assert "Users would rather be served by gpt-4.1 at every prompt: worth 1.767 USD a task more to them." in shown
    assert "it pays below a churn penalty of P* = 0.09394 USD" in shown
    # The packaged result changes with measured second tries.
    assert "Second tries were measured" in shown
    assert "the answer would be another, gpt-4.1 throughout" in shown
    _, shown, _ = stackroute("advise", "aider", "--pair", "gpt-4.1:o3", "--value", "5", "--json")
    found, config = json.loads(shown), load_game("gpt-4.1-o3-dev")
    assert found["cost"] == pytest.approx(float(solve(config.game).provider_cost))
    assert found["throttling_gain"]["churn_penalty_high"] == pytest.approx(0.09394, abs=1e-5)


def test_everything_is_written_with_units(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "six.csv").write_text(SIX.replace("haiku", "<b>ha|ku</b>"))
    code, shown, _ = stackroute("advise", "six.csv", "--value", "5", "--out", "a/b")
    folder = tmp_path / "a" / "b"
    assert (code, shown.count("Wrote")) == (0, 8)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "<b>ha" not in page
    assert "&lt;b&gt;ha|ku&lt;/b&gt;" in page
    assert not re.search(r"<script|<link|src=\"(?!data:)|url\(|https?://", page)
    for wanted in ("color-scheme: light dark", "@media print", 'name="viewport"', "<h2>The answer</h2>"):
        assert wanted in page
    assert "<b>" not in (folder / "report.md").read_text()
    for picture in ("frontier.png", "plane.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
        assert f"({picture})" in (folder / "report.md").read_text()
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    config = load_game(folder / "games" / "six.yaml")
    assert [row["kind"] for row in rows].count("single model") == 6
    for row in rows:
        if row["kind"] == "single model":
            k = config.labels.index(row["policy"])
            static = Commitment.static(k, models=6)
            stays = best_response(config.game, static)
            cost, worth = (of(config.game, static, stays) for of in (provider_cost, user_utility))
            assert float(row["cost of a task (USD)"]) == pytest.approx(float(cost))
            assert float(row["utility of a task (USD)"]) == pytest.approx(float(worth))
        else:
            assert float(row["cost of a task (USD)"]) == pytest.approx(float(solve(config.game, "free").provider_cost))
    limits = {row["quantity"]: row for row in csv.DictReader((folder / "thresholds.csv").read_text().splitlines())}
    _, printed, _ = stackroute("advise", "six.csv", "--value", "5", "--json")
    found = json.loads(printed)
    for name, ends in found["thresholds"].items():
        assert [limits[name][end] for end in ("below", "above")] == [
            "" if ends[end] is None else repr(ends[end]) for end in ("low", "high")
        ]
    driven = found["driving_off"]["churn_penalty_high"]
    assert float(limits["churn_penalty, P*"]["below"]) == driven
    assert limits["misalignment gap"]["unit"] == "USD per task"
    assert json.loads((folder / "results.json").read_text()) == json.loads(printed)


def test_users_that_differ_are_served_alike(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "six.csv").write_text(SIX)
    users = ["--users", "patient=7:waiting-cost=12", "--users", "hurried=3:waiting-cost=900,churn-penalty=1"]
    code, shown, _ = stackroute("advise", "six.csv", "--value", "0.5", *users, "--out", "out")
    assert code == 0
    assert "First answer by sonnet; retries: flash." in shown
    assert "hurried (30%): a solved task is worth 0.5 USD to users, an hour of waiting costs them 900 USD" in shown
    assert "hurried (30% of users) will give up after the first failed answer" in shown
    assert "If you could tell users apart" in shown
    assert "An hour of waiting (as given for all users): below" in shown
    models = read_models(tmp_path / "six.csv").models
    game = Game(*([getattr(model, name) for model in models] for name in ("success", "cost", "latency")), 1, 0)
    types = Population([0.5, 0.5], [12 / 3600, 900 / 3600], [0.1, 1], [0.7, 0.3])
    best = solve_population(game, types)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["cost"] == pytest.approx(best.provider_cost)
    assert [one["user_utility"] for one in found["users"].values()] == pytest.approx(best.user_utility.tolist())
    assert [one["stays"] for one in found["users"].values()] == best.stays.tolist()
    assert found["leave"] == pytest.approx(0.3 * 0.44)
    games = tmp_path / "out" / "games"
    assert [load_game(games / f"{name}.yaml").waiting_cost_per_hour for name in ("patient", "hurried")] == [12, 900]


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ("solo,0.5,free,2", [], ["Serve solo to every prompt.", "There is no other model.", "not known"]),
        (
            "a,0.5,0.01,3600\nb,0.6,0.03,7200",
            ["--churn-penalty", "0"],
            ["every retry would go to a, which is not worth the wait", "50.0% of the tasks are abandoned.", "net loss"],
        ),
        (
            "a,0.5,0.01,5\nb,0.5,0.01,5",
            [],
            [
                "No model is dominated or never needed.",
                "Equal in success, cost and latency: a, b",
                "The next best single model, b",
            ],
        ),
    ],
)
def test_odd_tables_have_an_answer(
    stackroute: Stackroute, tmp_path: Path, table: str, options: list[str], said: list[str]
) -> None:
    (tmp_path / "odd.csv").write_text(f"model,success,cost,latency\n{table}\n")
    code, shown, _ = stackroute("advise", "odd.csv", *options)
    assert code == 0
    for words in said:
        assert words in shown


def test_outcomes_are_answered_as_they_depend(stackroute: Stackroute, tmp_path: Path, outcomes: str) -> None:
    options = ["--value", "2", "--churn-penalty", "1", "--horizon", "4"]
    code, shown, errors = stackroute("advise", outcomes, *options, "--segment", "area", "--out", "out")
    assert (code, errors) == (0, "")
    for words in ("The answer - ", "By segment - Answered by area", "web (50 % of tasks)", "After a failure the next"):
        assert words in shown
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["cost"] == pytest.approx(found["answer"]["provider_cost"])
    assert sum(one["share"] for one in found["segments"].values()) == pytest.approx(1)
    sure = found["certainty"]["cost"]
    assert sure["low"] <= sure["high"]
    for words in ("each fitted anew, in ", "of the tasks are solved", "At most 4 attempts at a task are looked at"):
        assert words in shown
    assert not re.search(r"[0-9]%", shown.partition("How attempts depend")[0])
    assert sum(found["retries"].values()) == pytest.approx(1)
    assert found["leave"] == pytest.approx(1 - found["answer"]["solved"])
    # The optimum costs no more than a ladder that is played, users' answer included.
    traffic = read_outcomes(tmp_path / outcomes).traffic(["quick", "careful"], 2, 1, seconds_price=64 / 3600)
    for k in range(2):
        (stop,), worth = counting_response(traffic, Commitment.static(k), 4)
        assert found["cost"] <= worth.provider_cost[0, stop - 1] + 1e-9
    assert (tmp_path / "out" / "ladder.png").exists()
    low = found["thresholds"]["churn_penalty"]["low"]
    assert low is None or low < 1
    _, shown, _ = stackroute("advise", outcomes, *options, "--models", "careful", "--cost", "0.2", "--json")
    assert json.loads(shown)["first"] == "careful"


def test_a_log_is_answered_by_the_features_that_are_given(
    stackroute: Stackroute, tmp_path: Path, outcomes: str
) -> None:
    log = "task_id,kind,model,ok,latency\n" + "".join(
        f"t{k},{'chat' if k % 3 else 'code'},{model},{ok},1\n"
        for k in range(30)
        for model, ok in (("quick", k % 5 > 1), ("careful", k % 5 > 0))
    )
    (tmp_path / "log.csv").write_text(log)
    options = ["--cost", "0.01,0.1", "--models", "quick,careful", "--segment", "kind"]
    code, _, errors = stackroute("advise", "log.csv", *options)
    assert (code, errors.count("\n")) == (2, 1)
    assert "segment: 'kind' is not a feature of log; expected one of task, or --features FILE" in errors
    (tmp_path / "kinds.csv").write_text("task,kind\n" + "".join(f"t{k},{'ab'[k % 2]}\n" for k in range(30)))
    for features, words in (("log.csv", "chat (67 % of tasks)"), ("kinds.csv", "a (50 % of tasks)")):
        code, shown, errors = stackroute("advise", "log.csv", *options, "--features", features)
        assert (code, errors) == (0, "")
        assert words in shown


def test_draws_of_tasks_are_fitted_anew_and_cost_as_much_on_average(outcomes: str, tmp_path: Path) -> None:
    read = read_outcomes(tmp_path / outcomes)
    game = MeasuredGame(read, ("quick", "careful"), 2.0, 1.0, second_price=64 / 3600, horizon=2)
    advice = outcomes_advice.OutcomesAdvice(game, Scenario(64, 2, 1, "USD"), None)
    drawn = [redrawn(game, np.random.default_rng(seed)) for seed in range(30)]
    assert len({one.outcomes.fit()["quick"].success for one in drawn}) > 10
    means = [(one.outcomes.successes / 4).mean(axis=0) for one in drawn]
    # Five standard errors of means over 8 tasks and 30 draws.
    np.testing.assert_allclose(np.mean(means, axis=0), (read.successes / 4).mean(axis=0), atol=5 * 0.4 / np.sqrt(240))
    low, high = advice.sure.cost
    assert low < high


def test_rejected_rows_are_listed(stackroute: Stackroute, tmp_path: Path) -> None:
    rows = ["who,p,usd,s", "small,0.3,0.01,5", "big,0.6,0.05,30", "broken,1.5,1,1"]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    given = ["--columns", "model=who,success=p,cost=usd,latency=s", "--unit", "success=share"]
    code, shown, _ = stackroute("advise", "mine.csv", *given)
    assert code == 0
    assert "Rows that were not used - line 4, broken: success: 1.5 is not allowed" in shown
    _, shown, _ = stackroute("advise", "mine.csv", *given, "--json")
    assert json.loads(shown)["rejected"][0]["label"] == "broken"


def test_a_game_and_prices_of_tokens_are_refused_with_what_to_do(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "dash.yaml").write_text(as_yaml(load_game("g1")))
    _, _, errors = stackroute("advise", "dash.yaml")
    assert errors == "error: 'dash.yaml' is a game, not a table of models; 'stackroute solve dash.yaml' answers it\n"
    (tmp_path / "tokens.csv").write_text("model,success,input_per_token,latency\na,0.5,1e-6,2\n")
    _, _, errors = stackroute("advise", "tokens.csv")
    assert errors.endswith("; prices of tokens are not accepted: expected the cost of a pass\n")


def test_units_are_said_and_odd_numbers_warned_of(stackroute: Stackroute, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("model,success,cost,latency\na,41.2,€21.7,14800\nb,56,€30,20000\n")
    units = ["--unit", "success=percent", "--unit", "cost=/1k,latency=ms"]
    code, shown, errors = stackroute("advise", "mine.csv", *units)
    assert (code, errors) == (0, "")
    assert "Understood: success in percent, cost in EUR for 1,000 passes, latency in milliseconds" in shown
    assert "a solved task is worth 1 EUR to users" in shown
    code, _, errors = stackroute("advise", "mine.csv", "--unit", "success=percent")
    assert errors.startswith("warning: latency: the median is 17400 seconds")
    assert "warning: cost: a pass of b costs 30" in errors
    code, _, errors = stackroute("advise", "mine.csv", *units, "--money", "USD")
    assert (code, errors) == (2, "error: money: 'USD' is not allowed; the costs of mine are in EUR\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["g1"], "'g1' is a game, not a table of models; 'stackroute solve g1' answers it"),
        (["nowhere.csv"], "nowhere.csv: no such file; expected a CSV file"),
        (["aider", "--value", "0"], "value: '0' is not allowed; expected a number > 0"),
        (["aider", "--value", "1,5"], "value: '1,5' is not allowed; expected one number"),
        (["aider", "--value", "1e308"], "value: '1e308' is not allowed"),
        (["aider", "--churn-penalty", "-1"], "churn-penalty: '-1' is not allowed; expected a number >= 0"),
        (["aider", "--waiting-cost", "ten"], "waiting-cost: 'ten' is not allowed"),
        (["aider", "--unit", "success"], "unit: 'success' is not allowed; expected COLUMN=NAME"),
        (["aider", "--unit", "price=usd"], "unit: 'price' is not allowed; expected one of success"),
        (["aider", "--money", "gold"], "advise: money: 'gold' is not allowed; expected USD, EUR, GBP or abstract"),
        (["aider", "--columns", "success"], "columns: 'success' is not allowed; expected COLUMN=NAME"),
        (["aider", "--pair", "o3:gpt-4.1"], "pair: 'o3:gpt-4.1' is not allowed"),
        (["aider", "--users", "a"], "users: 'a' is not allowed; expected NAME=SHARE"),
        (["aider", "--users", "a=0"], "users: 'a=0' is not allowed"),
        (["aider", "--users", "a=1:wait=2"], "users: 'wait=2' is not allowed; expected NAME=SHARE"),
        (["aider", "--users", "a=1:value=0"], "value: '0' is not allowed"),
        (["aider", "--users", "a=1", "--users", "A=1"], "users: expected a name of its own for each type"),
        (["aider", "--users", "a=1", "--pair", "gpt-4.1:o3"], "users: not allowed with pair"),
        (["aider", "--segment", "area"], "segment: is for measured outcomes; 'aider' is a table of models"),
        (["metr"], "cost: metr has none of"),
        (["metr", "--cost", "1,2"], "models: missing; needed with cost"),
        (["metr", "--pair", "a:b"], "pair: is for tables of models; 'metr' holds measured outcomes"),
        (
            ["metr", "--models", "o1", "--cost", "1", "--segment", "size"],
            "segment: 'size' is not a feature of metr; expected one of task, family",
        ),
    ],
)
def test_errors_are_one_line(stackroute: Stackroute, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, errors = stackroute("advise", *arguments, "--out", "out")
    assert code == 2
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.0002, "<0.1 %"),
        (0.004, "0.4 %"),
        (0.43, "43 %"),
        (0.996, "99.6 %"),
        (0.9999, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_shares_that_are_nearly_all_are_not_all(share: float, text: str) -> None:
    assert in_per_cent(share) == text
