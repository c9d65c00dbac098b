from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackroute.configs import ConfigError, load_game
from stackroute.configs.training import load_training_settings

GOOD: dict[str, Any] = {
    "name": "mine",
    "description": "a game",
    "units": {"money": "USD", "latency": "seconds"},
    "models": {
        "standard": {"label": "small", "success": 0.2, "cost": 0.02, "latency": 11},
        "reasoning": {"label": "large", "success": 0.4, "cost": 0.04, "latency": 60},
    },
    "waiting_cost_per_hour": 64,
    "value": 5,
    "churn_penalty": 0.1,
    "sources": ["a test"],
}
NAN, INF = float("nan"), float("inf")
DROP = object()


def message(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_game(path)
    text = str(caught.value)
    assert text.strip()
    assert len(text.splitlines()) == 1
    assert path.name in text
    return text


def changed(key: str, value: object) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        place = place[parent]
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_unchanged_file_is_fine(path: Path) -> None:
    assert load_game(write(path, GOOD)).name == "mine"


@pytest.mark.parametrize(
    ("key", "value", "named", "allowed"),
    [
        ("models.standard.success", 1.2, "1.2", "less than 1"),
        ("models.standard.success", 0, "0", "greater than 0"),
        ("models.reasoning.success", 1, "1", "less than 1"),
        ("models.standard.success", NAN, "nan", "finite number"),
        ("models.standard.cost", -0.1, "-0.1", "greater than or equal to 0"),
        ("models.standard.cost", "cheap", "'cheap'", "valid number"),
        ("models.standard.cost", "0.02", "'0.02'", "valid number"),
        ("models.standard.cost", True, "True", "valid number"),
        ("models.standard.cost", None, "None", "valid number"),
        ("models.reasoning.latency", INF, "inf", "finite number"),
        ("models.reasoning.latency", [60], "[60]", "valid number"),
        ("models.standard.label", 4, "4", "valid string"),
        ("models.standard", 4, "4", "Model"),
        ("units.money", "JPY", "'JPY'", "USD"),
        ("units.latency", "hours", "'hours'", "minutes"),
        ("value", 0, "0", "greater than 0"),
        ("churn_penalty", -1, "-1", "greater than or equal to 0"),
        ("waiting_cost_per_hour", 0, "0", "greater than 0"),
        ("sources", [], "[]", "at least 1 item"),
        ("sources", "a test", "'a test'", "valid list"),
    ],
)
def test_value_that_is_not_allowed(path: Path, key: str, value: object, named: str, allowed: str) -> None:
    text = message(write(path, changed(key, value)))
    assert f"{key}: {named}" in text
    assert allowed in text


@pytest.mark.parametrize(
    "key", ["name", "units", "units.latency", "models.reasoning", "models.reasoning.cost", "value", "sources"]
)
def test_missing_key(path: Path, key: str) -> None:
    text = message(write(path, changed(key, DROP)))
    assert f"{key}: missing key" in text
    assert "allowed keys: " in text


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("churn_penalti", "churn_penalty"),
        ("waiting_cost", "waiting_cost_per_hour"),
        ("models.standard.sucess", "success"),
        ("units.mony", "money"),
    ],
)
def test_misspelt_key_is_suggested(path: Path, key: str, meant: str) -> None:
    text = message(write(path, changed(key, 1)))
    assert f"{key}: unknown key" in text
    assert f"did you mean '{meant}'?" in text
    assert "allowed keys: " in text


def test_unknown_key_without_a_suggestion(path: Path) -> None:
    text = message(write(path, changed("zzz", 1)))
    assert "zzz: unknown key" in text
    assert "did you mean" not in text


@pytest.mark.parametrize("field", ["success", "cost", "latency"])
def test_orders_violated(path: Path, field: str) -> None:
    standard = GOOD["models"]["standard"][field]
    text = message(write(path, changed(f"models.reasoning.{field}", standard / 2)))
    assert f"models.reasoning.{field}: {standard / 2} is not allowed" in text
    assert "more than the standard model's" in text
    assert str(standard) in text


def test_waiting_cost_is_needed_where_latency_is_in_time(path: Path) -> None:
    text = message(write(path, changed("waiting_cost_per_hour", DROP)))
    assert "waiting_cost_per_hour: missing key" in text
    assert "'seconds'" in text


def test_waiting_cost_is_forbidden_where_latency_is_utility(path: Path) -> None:
    text = message(write(path, changed("units.latency", "value")))
    assert "waiting_cost_per_hour: unknown key" in text
    assert "'seconds' or 'minutes'" in text


def test_absent_file(path: Path) -> None:
    assert "no such file" in message(path)


def test_directory_instead_of_a_file(path: Path) -> None:
    path.mkdir()
    assert "cannot be read" in message(path)


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "\tname: x", "a: !!python/object:os.system x", "a: \x00"])
def test_invalid_yaml(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert "not valid YAML" in message(path)


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n- b", "list"), ("just text", "str"), ("4", "int")])
def test_file_that_is_not_a_mapping(path: Path, text: str, kind: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert f"{kind} is not allowed; expected keys and values" in message(path)


def test_key_that_is_not_text(path: Path) -> None:
    message(write(path, GOOD | {1: 2}))


def test_file_that_is_not_utf8(path: Path) -> None:
    path.write_bytes("name: caf\u00e9".encode("latin-1"))
    assert "UTF-8" in message(path)


def test_value_of_several_lines_is_quoted_on_one(path: Path) -> None:
    message(write(path, changed("value", "five\nor six")))
    message(write(path, changed("two\nlines", 1)))


@pytest.mark.parametrize(("name", "near"), [("gpt-4.1-o3-dv", "gpt-4.1-o3-dev"), ("g44", "g4"), ("claude", None)])
def test_unknown_packaged_name(name: str, near: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        load_game(name)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.startswith(f"'{name}' is not a packaged name")
    assert (f"did you mean '{near}'?" in text) == (near is not None)
    assert "g4b" in text
    assert ".yaml file" in text


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [("steps", 0, "user.steps: 0"), ("hidden_layers", [0], "user.hidden_layers.0: 0"), ("stepz", 1, "user.stepz")],
)
def test_training_settings_are_checked_alike(tmp_path: Path, key: str, value: object, named: str) -> None:
    content = load_training_settings().model_dump()
    content["user"][key] = value
    with pytest.raises(ConfigError) as caught:
        load_training_settings(write(tmp_path / "mine.yaml", content))
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
