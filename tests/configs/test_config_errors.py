from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stackroute.configs import ConfigError, GameConfig, load_game
from stackroute.configs.loading import as_yaml

GOOD: dict[str, Any] = {
    "name": "mine",
    "description": "a game",
    "units": {"money": "USD", "latency": "seconds"},
    "models": [
        {"label": "small", "success": 0.2, "cost": 0.02, "latency": 11},
        {"label": "large", "success": 0.4, "cost": 0.04, "latency": 60},
    ],
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
    place: Any = content
    for parent in parents:
        place = place[int(parent) if parent.isdecimal() else parent]
    if value is DROP:
        del place[last]
    else:
        place[int(last) if last.isdecimal() else last] = value
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def write(path: Path, content: object) -> Path:
    YAML(typ="safe", pure=True).dump(content, path)
    return path


@pytest.mark.parametrize(
    ("key", "value", "named", "allowed"),
    [
        ("models.0.success", 1.2, "1.2", "less than 1"),
        ("models.0.success", 0, "0", "greater than 0"),
        ("models.1.success", 1, "1", "less than 1"),
        ("models.0.success", NAN, "nan", "finite number"),
        ("models.0.cost", -0.1, "-0.1", "greater than or equal to 0"),
        ("models.0.cost", "cheap", "'cheap'", "valid number"),
        ("models.0.cost", "0.02", "'0.02'", "valid number"),
        ("models.0.cost", True, "True", "valid number"),
        ("models.0.cost", None, "None", "valid number"),
        ("models.1.latency", 1e308, "1e+308", "less than or equal to 1000000000000"),
        ("value", 1e13, "10000000000000.0", "less than or equal to 1000000000000"),
        ("models.1.latency", INF, "inf", "finite number"),
        ("models.1.latency", [60], "[60]", "valid number"),
        ("models.0.label", 4, "4", "valid string"),
        ("models.0", 4, "4", "Model"),
        ("units.money", "JPY", "'JPY'", "USD"),
        ("units.latency", "hours", "'hours'", "minutes"),
        ("name", "../escaped", "'../escaped'", "pattern"),
        ("name", ["mine"], "['mine']", "valid string"),
        ("value", 0, "0", "greater than 0"),
        ("churn_penalty", -1, "-1", "greater than or equal to 0"),
        ("waiting_cost_per_hour", 0, "0", "greater than 0"),
        ("models", [], "[]", "at least 1 item"),
        ("models.1.label", "small", "'small'", "a label of its own"),
        ("sources", "a test", "'a test'", "valid list"),
        ("name", DROP, "missing key", ""),
        ("units", DROP, "missing key", ""),
        ("units.latency", DROP, "missing key", ""),
        ("models.1.cost", DROP, "missing key", ""),
        ("waiting_cost_per_hour", DROP, "missing key", "units.latency is 'seconds'"),
        ("churn_penalti", 1, "unknown key", "did you mean 'churn_penalty'?"),
        ("waiting_cost", 1, "unknown key", "did you mean 'waiting_cost_per_hour'?"),
        ("models.0.sucess", 1, "unknown key", "did you mean 'success'?"),
        ("zzz", 1, "unknown key; allowed keys: name, description", "sources"),
        ("units.mony", 1, "unknown key; allowed keys: money, latency", "did you mean 'money'?"),
    ],
)
def test_value_that_is_not_allowed(path: Path, key: str, value: object, named: str, allowed: str) -> None:
    text = message(write(path, changed(key, value)))
    assert f"{key}: {named}" in text
    assert allowed in text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_game_has_any_number_of_models_in_any_order(path: Path, count: int) -> None:
    models = [{"label": str(k), "success": 0.9 - 0.1 * k, "cost": 9.0 - k, "latency": 9.0 - k} for k in range(count)]
    loaded = load_game(write(path, GOOD | {"models": models}))
    assert loaded.game.models == count
    assert loaded.labels == tuple(map(str, range(count)))


def test_waiting_cost_is_forbidden_where_latency_is_utility(path: Path) -> None:
    text = message(write(path, changed("units.latency", "value")))
    assert "waiting_cost_per_hour: unknown key" in text
    assert "'seconds' or 'minutes'" in text


def test_no_file_and_a_directory_instead(path: Path) -> None:
    assert "no such file" in message(path)
    path.mkdir()
    assert "cannot be read" in message(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "at line 1, column 9: expected ',' or ']'"),
        ("b: 1\na: b: c", "at line 2, column 5: mapping values are not allowed here"),
        ("\tname: x", "at line 1, column 1: found character '\\t'"),
        ("a: \x00", "special characters are not allowed"),
        ("a: 2024-99-99", "month must be in 1..12"),
        ("a: " + "9" * 5000, "a number of 5000 digits"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("? {a: b}\n: c", "unhashable key"),
        ("a: 1\n---\nb: 2", "another document"),
        ("b: 1\na: 1\na: 2", 'at line 3, column 1: found duplicate key "a"'),
        ("a: {b: 1, b: 2}", 'found duplicate key "b"'),
        ("a: !!python/object:os.system x", "at line 1, column 4: anchors, aliases, tags and versions are not allowed"),
        ("a: !!bool x", "tags"),
        ("a: 1\nb: &many [1, 2]", "at line 2, column 4: anchors"),
        ("%YAML 1.1\n---\na: 1", "versions"),
        ("a: {cost: 0,03}", "at line 1, column 13: 03 is not allowed; expected a number without leading zeros"),
        ("a: !!timestamp x", "tags"),
        ("models:\n" + "- 1\n" * 12_000, "more than 10000 keys and values are not allowed"),
        (f"models: [{'1,' * 12_000}]", "more than 10000 keys and values are not allowed"),
        ("a: " + "x y " * 500_000, "2000003 characters are not allowed; expected at most 200000"),
        ("[" * 3000, "at line 1, column 21: nested too deeply"),
        ("a: 0x" + "f" * 5000, "at line 1, column 4: a number of 5002 digits is not allowed"),
        ('a: "\\UFFFFFFFF"', "too large"),
        ('a: "\\ud800"', "a character that is half of another"),
        ("{{a: 1}: 2}", "unhashable"),
        ("a: 010", "at line 1, column 4: 010 is not allowed; expected a number without leading zeros"),
    ],
)
def test_invalid_yaml(path: Path, text: str, problem: str) -> None:
    path.write_text(text, encoding="utf-8")
    found = message(path)
    assert "not valid YAML" in found
    assert problem in found


@pytest.mark.parametrize("text", ["1:30", "yes", "2024-01-01", "~", "'5'", ".inf", "nan"])
def test_what_is_no_number_in_yaml_is_refused(path: Path, text: str) -> None:
    write(path, GOOD)
    path.write_text(path.read_text().replace("value: 5", f"value: {text}"))
    assert "value: " in message(path)


@pytest.mark.parametrize(("text", "number"), [("1e-3", 1e-3), ("5", 5), ("1E+2", 100), (".5", 0.5), ("1_000", 1000)])
def test_numbers(path: Path, text: str, number: float) -> None:
    write(path, GOOD)
    path.write_text(path.read_text().replace("value: 5", f"value: {text}"))
    assert load_game(path).value == number


def test_a_game_reads_back_as_it_was_written(path: Path) -> None:
    config = GameConfig.model_validate(
        changed("models.0.cost", 1e-7) | {"description": "a: b, 'c' # d\u00e9 " + "long " * 50}
    )
    path.write_text(as_yaml(config), encoding="utf-8")
    assert load_game(path) == config


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n- b", "list"), ("just text", "str"), ("4", "int")])
def test_file_that_is_not_a_mapping(path: Path, text: str, kind: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert f"{kind} is not allowed; expected keys and values" in message(path)


@pytest.mark.parametrize("ending", ["YAML", "Yml"])
def test_the_ending_of_a_file_may_be_in_capitals(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"MINE.{ending}", changed("sources", DROP))
    assert load_game(path).sources == []


def test_a_number_with_a_comma_in_braces_is_explained(path: Path) -> None:
    write(path, GOOD)
    path.write_text(path.read_text().replace("cost: 0.02", "cost: 0,2"))
    assert "models.0.2: unknown key; allowed keys: label, success, cost, latency; decimals follow a point" in message(
        path
    )


def test_key_that_is_not_text(path: Path) -> None:
    message(write(path, GOOD | {1: 2}))


def test_file_that_is_not_utf8(path: Path) -> None:
    path.write_bytes("name: caf\u00e9".encode("latin-1"))
    assert "UTF-8" in message(path)


def test_a_file_cannot_command_the_terminal(path: Path) -> None:
    text = message(write(path, changed("units.money", "\x1b[31m")))
    text += message(write(path, changed("red\x1b[31m\u202e", 1)))
    assert "\x1b" not in text
    assert "\u202e" not in text


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
    assert ".yaml file" in text
    assert "stackroute games" in text
    assert len(text) < 200
