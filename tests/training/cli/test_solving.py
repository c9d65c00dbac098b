import io
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stackroute import Commitment, best_response, load_game, solve
from stackroute.analytic import provider_cost
from stackroute.configs import GameConfig, game_names, with_changes
from stackroute.configs.games import DisplayUnits
from stackroute.configs.loading import validated
from stackroute.training.cli import answers
from stackroute.training.cli.answers import Question, answer
from stackroute.training.cli.explanation import explain
from stackroute.training.cli.main import main
from stackroute.training.cli.quantities import as_csv, record, with_units

Stackroute = Callable[..., tuple[int, str, str]]

THREE = """
name: three
description: three models of a rival
units: {money: USD, latency: seconds}
models:
  - {label: small, success: 0.4, cost: 0.01, latency: 5}
  - {label: middle, success: 0.55, cost: 0.02, latency: 20}
  - {label: large, success: 0.7, cost: 0.05, latency: 40}
waiting_cost_per_hour: 30
value: 7
churn_penalty: 0.2
"""


def parsed(options: str) -> dict[str, Any]:
    words = options.split()
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def each(text: str | None, models: int) -> np.ndarray[Any, Any]:
    numbers = [float(part) for part in (text or "0").split(",")]
    return np.array(numbers * models if len(numbers) == 1 else numbers)


def played(config: GameConfig, options: str, found: dict[str, Any]) -> tuple[float, float]:
    """The cost and the utility of what was printed, added up pass by pass, without the package's formulas."""
    game, asked = config.game, parsed(options)
    n = game.models
    f, g = each(asked.get("false-accept"), n), each(asked.get("false-reject"), n)
    price = each(asked.get("price"), n) if asked.get("price") != "optimal" else np.full(n, found["price"])
    harm, outside = float(asked.get("harm", 0)), float(asked.get("outside-option", 0))
    right, wrong = game.success * (1 - g), (1 - game.success) * f
    fails = 1 - right - wrong
    retries, slow = np.array(list(found["retries"].values())), np.array(list(found["delay"].values()))
    reached, cost, utility = np.array(list(found["start"].values())), 0.0, 0.0
    for _ in range(3000):
        cost += reached @ (game.cost - price)
        utility += reached @ (right * game.value - wrong * harm - game.latency - slow - price)
        failed = reached @ fails
        left = failed * (1 - found["patience"])
        cost += left * game.churn_penalty
        utility += left * outside
        # Every lottery is the same from all models.
        reached = (failed - left) * retries
    return cost, utility


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gpt-4.1-o3-dev", "--price 0.05,0.2"),
        ("gpt-4.1-o3-dev", "--price 0.3 --outside-option 2.5"),
        ("gpt-4.1-o3-dev", "--false-accept 0.1 --false-reject 0.2,0.05 --harm 2"),
        ("gpt-4.1-o3-dev", "--false-accept 0.3 --harm 1 --price 0.1 --outside-option 1.5"),
        ("gpt-4.1-o3-dev", "--outside-option 4.9"),
        ("gpt-4.1-o3-cascade", "--false-reject 0.3"),
        ("g5", "--outside-option 0.1"),
        ("gpt-4.1-o3-dev", "--floor 3.5"),
        ("gpt-4.1-o3-dev", "--floor 3.5 --price 0.02"),
        ("gpt-4.1-o3-dev", "--floor 3 --outside-option 1"),
        ("gpt-4.1-o3-dev", "--price optimal"),
        ("gpt-4.1-o3-dev", "--price optimal --floor 1"),
        ("gpt-4.1-o3-dev", "--price optimal --outside-option 2 --false-accept 0.1"),
        ("gpt-4.1-o3-dev", "--rival gpt-4o-o1-dev"),
    ],
)
def test_the_answer_is_what_comes_of_it(stackroute: Stackroute, name: str, options: str) -> None:
    config = load_game(name)
    code, shown, errors = stackroute("solve", name, *options.split(), "--json")
    assert (code, errors) == (0, "")
    found = json.loads(shown)
    assert found["routing"] == "free"
    assert (found["provider_cost"], found["user_utility"]) == pytest.approx(played(config, options, found), abs=1e-8)
    # The user's patience is the best it has against the lottery.
    utilities = [played(config, options, found | {"patience": r})[1] for r in (0.0, 0.5, 1.0)]
    assert found["user_utility"] == pytest.approx(max(utilities), abs=1e-8)
    plain = solve(config.game, "free")
    assert found["without"]["provider_cost"] == float(plain.provider_cost)
    if "--floor" in options and "optimal" not in options:
        assert found["user_utility"] >= float(parsed(options)["floor"]) - 1e-9
    code, words, errors = stackroute("solve", name, *options.split())
    assert (code, errors) == (0, "")
    assert "without the changes" in words


def test_the_optimal_price_is_better_than_others() -> None:
    config = load_game("gpt-4.1-o3-dev")
    best = answer(config, Question(price="optimal", floor=1.0))
    assert best.price is not None
    for model in range(2):
        for price in np.linspace(0.0, 3.0, 61).tolist():
            numbers = (price, 3.0) if model == 0 else (3.0, price)
            other = answer(config, Question(price=numbers))
            if float(other.equilibrium.user_utility) >= 1.0:
                assert other.provider_cost >= best.provider_cost - 1e-9


def test_a_rival_has_its_models_and_your_users(stackroute: Stackroute, tmp_path: Any) -> None:
    (tmp_path / "three.yaml").write_text(THREE)
    _, shown, _ = stackroute("solve", "gpt-4.1-o3-dev", "--rival", "three.yaml", "--json")
    found = json.loads(shown)
    assert (found["game"], found["serves"]) == ("gpt-4.1-o3-dev", "three")
    assert list(found["start"]) == ["small", "middle", "large"]
    # The churn penalty is lost; users get what the provider could give at this cost, or more.
    assert found["provider_cost"] == 0.1
    users = {"value": 5.0, "waiting_cost_per_hour": 64.0}
    rival = load_game(tmp_path / "three.yaml").model_copy(update=users)
    assert found["user_utility"] >= found["offers"]["own"]
    assert found["offers"]["rival"] <= float((rival.game.net_value / rival.game.success).max()) + 1e-9
    _, words, _ = stackroute("solve", "gpt-4.1-o3-dev", "--rival", "three.yaml")
    assert "three serves: it would give users up to" in words
    assert "You lose every task, at 0.1 USD." in words
    # The price is the own provider's.
    _, shown, _ = stackroute("solve", "gpt-4.1-o3-dev", "--rival", "three.yaml", "--price", "0.3", "--json")
    assert json.loads(shown)["offers"]["rival"] == found["offers"]["rival"]
    assert json.loads(shown)["offers"]["own"] != found["offers"]["own"]
    # Of two that would give the same, the own game serves, at its full offer.
    _, shown, _ = stackroute("solve", "gpt-4.1-o3-dev", "--rival", "gpt-4.1-o3-dev", "--json")
    found = json.loads(shown)
    assert found["serves"] == "gpt-4.1-o3-dev"
    assert found["user_utility"] == found["offers"]["own"] == found["offers"]["rival"]
    assert found["provider_cost"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gpt-4.1-o3-dev --price -1", "price[0]: -1.0 is not allowed; expected at least 0"),
        ("gpt-4.1-o3-dev --price 1,2,3", "price: shape (3,) is not allowed; expected shape (..., 2)"),
        ("gpt-4.1-o3-dev --price much", "price: 'much' is not allowed; expected a number"),
        ("gpt-4.1-o3-dev --price nan", "price: 'nan' is not allowed; expected a number"),
        ("gpt-4.1-o3-dev --outside-option 5", "outside-option: 5.0 is not allowed; expected less than the value, 5"),
        ("gpt-4.1-o3-dev --outside-option 1,2", "outside-option: '1,2' is not allowed; expected one number"),
        ("gpt-4.1-o3-dev --false-accept 1.5", "false-accept[0]: 1.5 is not allowed; expected a probability"),
        ("gpt-4.1-o3-dev --false-reject 1", "false-reject[0]: 1.0 is not allowed; expected less than 1"),
        ("gpt-4.1-o3-dev --harm 1", "harm: has no effect without false-accept"),
        ("gpt-4.1-o3-dev --false-accept .1 --harm -1", "harm: -1.0 is not allowed"),
        ("gpt-4.1-o3-dev --floor 9", "floor: 9 is not allowed; expected at most 3.98"),
        ("gpt-4.1-o3-dev --floor 1 --routing cascade", "floor: not allowed with routing cascade"),
        ("gpt-4.1-o3-dev --price optimal --routing cascade", "price optimal: not allowed with routing cascade"),
        ("gpt-4.1-o3-dev --price 1 --routing cascade", "cost[0]: -0.9"),
        ("gpt-4.1-o3-dev --rival g1", "rival: g1 has the units money abstract, latency value; expected those of gpt"),
        ("gpt-4.1-o3-dev --rival gpt-4.1-o3-cascade --floor 1", "floor: not allowed with rival"),
        ("gpt-4.1-o3-dev --rival gpt-4o-o1-dev --set churn_penalty=0", "gpt-4o-o1-dev and gpt-4.1-o3-dev would both"),
        ("gpt-4.1-o3-dev --rival absent", "'absent' is not a packaged name"),
        ("gpt-4.1-o3-dev --json --csv", "json, csv: expected one of them"),
        ("mine.yaml --price 1", "price: has no unit in three; expected units.latency in seconds or minutes"),
    ],
)
def test_options_without_a_meaning_are_one_error(
    stackroute: Stackroute, tmp_path: Any, arguments: str, message: str
) -> None:
    mine = THREE.replace("latency: seconds", "latency: value").replace("waiting_cost_per_hour: 30\n", "")
    (tmp_path / "mine.yaml").write_text(mine)
    code, shown, errors = stackroute("solve", *arguments.split())
    assert (code, shown, errors.count("\n")) == (2, "", 1)
    assert message in errors


QUESTIONS = [
    Question(),
    Question(routing="free", throttling=True),
    Question(price=(0.0, 0.1), outside_option=0.1, false_accept=(0.1,), false_reject=(0.1, 0.0), harm=0.5),
    Question(floor=-100.0),
    Question(rival=load_game("gpt-4.1-o3-cascade")),
]


def numbers_of(contents: Any, names: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(contents, dict):
        return [path for name, value in contents.items() for path in numbers_of(value, (*names, name))]
    return [] if isinstance(contents, str | bool | list | None) else [names]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_number_of_the_json_has_a_unit(question: Question) -> None:
    config = load_game("gpt-4.1-o3-dev")
    without = answer(config, question.without_changes(config)) if question.changes else None
    contents = with_units(DisplayUnits.of(config), record(answer(config, question), without))
    units = contents.pop("units")
    paths = numbers_of(contents)
    assert len(paths) > 10
    for path in paths:
        assert any(name in units for name in path), path
    assert units["provider_cost"] == "USD per task"
    # A model may be called as a number is.
    odd = with_changes(config, ["models.0.label=patience"])
    table = pd.read_csv(io.StringIO(as_csv([(DisplayUnits.of(odd), record(answer(odd, Question())))])))
    assert "retries.patience (probability)" in table
    assert "delay.patience (USD of waiting per pass)" in table


def test_csv_is_the_python_api(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["g4b", "gpt-4.1-o3-dev-low-p", "g5", "gpt-4.1-o3-cascade"]
    monkeypatch.setattr("sys.argv", ["stackroute", "solve", *names, "--throttling", "--csv"])
    with pytest.raises(SystemExit):
        main()
    table = pd.read_csv(io.StringIO(capsys.readouterr().out), float_precision="round_trip")
    assert table["game"].tolist() == names
    for (_, row), name in zip(table.iterrows(), names, strict=True):
        config = load_game(name)
        exact = solve(config.game, throttling=True)
        money = "money" if config.units.money == "abstract" else config.units.money
        utility = "utility" if config.units.latency == "value" else config.units.money
        assert row[f"provider_cost ({money} per task)"] == float(exact.provider_cost)
        assert row[f"user_utility ({utility} per task)"] == float(exact.user_utility)
        assert row["patience (probability)"] == float(exact.patience)
        for k, label in enumerate(config.labels):
            delay = row[f"delay.{label} ({utility} of waiting per pass)"]
            moved = row[f"retries.{label} (probability)"]
            assert (delay, moved) == (
                exact.commitment.delay[k],
                exact.commitment.transition[exact.commitment.first_model, k],
            )
    assert table["provider_cost (USD per task)"].isna().tolist() == [True, False, True, False]


def changed(name: str, changes: str) -> GameConfig:
    return with_changes(load_game(name), changes.split())


@pytest.mark.parametrize(
    ("config", "question", "sentence"),
    [
        # A solved task costs 0.2 / 0.4 = 0.3 / 0.6 on both.
        (
            changed("g1", "models.0.success=0.4 models.1.success=0.6 models.0.cost=0.2 models.1.cost=0.3"),
            Question(),
            "A tie: tasks solved by standard and by reasoning cost you the same",
        ),
        # The churn penalty is the cost of a solved task, and delays make users leave.
        (
            changed("g1", "models.0.success=0.5 models.0.cost=0.25 models.1.cost=0.9 churn_penalty=0.5"),
            Question("free", True),
            "A tie: an abandoned task and one that standard solves cost you the same",
        ),
        (changed("g7", ""), Question(throttling=True), "A tie: longer delays cost you the same"),
        (changed("g1", ""), Question(throttling=True), "A tie: delays that users put up with cost you the same"),
    ],
)
def test_a_tie_of_the_provider_is_said_with_what_it_may_do_to_users(
    config: GameConfig, question: Question, sentence: str
) -> None:
    found = answer(config, question)
    said = " ".join(explain(found))
    assert sentence in said
    worst = float(found.equilibrium.user_utility_worst)
    assert worst < float(found.equilibrium.user_utility)
    assert f"may give users as little as {worst:.4g}" in said


def test_users_that_are_exactly_indifferent_are_said_to_be() -> None:
    # Waiting costs just what the answer is worth: xi = 0 on the only model; users stay for the provider's sake.
    alone = THREE[: THREE.index("  - {label: middle")] + THREE[THREE.index("waiting") :]
    content = YAML(typ="safe").load(alone) | {"waiting_cost_per_hour": 3600, "value": 12.5}
    config = validated(content, "alone", GameConfig)
    found = answer(config, Question())
    assert float(found.equilibrium.patience) == 1
    assert found.provider_cost == pytest.approx(0.01 / 0.4)
    assert found.provider_cost_pessimistic == pytest.approx(0.01 + 0.2 * 0.6)
    said = " ".join(explain(found))
    assert (
        "If they did the opposite, a task would cost you 0.13 USD. The least that you can be certain of is 0.13" in said
    )
    # With nothing at stake nothing is said.
    assert "A tie" not in " ".join(explain(answer(with_changes(config, ["value=20"]), Question())))


def test_equal_models_are_named() -> None:
    config = load_game("gpt-4.1-o3-dev")
    twins = config.model_copy(
        update={"models": [config.models[1], config.models[1].model_copy(update={"label": "o4"})]}
    )
    for question in (Question(), Question("free", True), Question(floor=1.0)):
        assert "Equal in success, cost and latency: o3, o4; the first" in " ".join(explain(answer(twins, question)))
    assert "Equal" not in " ".join(explain(answer(config, Question())))


@pytest.mark.parametrize("name", [name for name in game_names() if "cascade" in name or name in ("g4b", "g5")])
def test_a_lottery_works_at_the_digits_that_are_printed(name: str) -> None:
    config = load_game(name)
    found = answer(config, Question("free"))
    advice, exact = explain(found)[0], found.equilibrium
    if "just enough" not in advice:
        pytest.skip("no lottery")
    shares = {label: float(share) for share, label in re.findall(r"([\d.]+) % ([^,]+)", advice.split("retries:")[1])}
    lottery = np.array([shares.get(label, 0.0) / 100 for label in config.labels])
    followed = Commitment.lottery(exact.commitment.start, lottery)
    response = best_response(config.game, followed, "pessimistic")
    assert response == 1
    assert provider_cost(config.game, followed, response) == pytest.approx(found.provider_cost, rel=2e-3)


def test_warnings_are_a_line_without_the_code(stackroute: Stackroute, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(*arguments: Any) -> Any:
        warnings.warn("of two\nlines", stacklevel=1)
        return solve(*arguments)

    monkeypatch.setattr(answers, "solve", warned)
    warnings.simplefilter("always")
    code, _, errors = stackroute("solve", "g1", "--json")
    assert (code, errors) == (0, "warning: of two lines\n")
