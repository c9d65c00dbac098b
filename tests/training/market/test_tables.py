"""Tables of models: what is read, what is refused, and in which words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackroute import load_game
from stackroute.configs import ConfigError
from stackroute.configs.tables import COLUMNS, MeasuredModel, read_models, table_names

HEADER = "model,success,cost,latency\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    return path


def test_the_packaged_table_is_that_of_the_packaged_games() -> None:
    assert table_names() == ["aider"]
    table = read_models("aider")
    assert (len(table.models), table.rejected) == (51, ())
    assert "Aider-AI/aider" in table.source
    models = {model.label: model for model in table.models}
    config = load_game("gpt-4.1-o3-dev")
    for packaged, label in ((config.models[0], "gpt-4.1"), (config.models[1], "o3")):
        measured = models[label]
        assert (measured.success, measured.cost, measured.latency) == (
            packaged.success,
            packaged.cost,
            packaged.latency,
        )
    assert models["o3"].count == 225
    assert models["o3"].second_success == 0.609


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_by_any_name_and_delimiter(tmp_path: Path, delimiter: str) -> None:
    lines = [
        ["name", "p", "usd", "s", "n", "other"],
        ["small", "0.25", "1e-3", "2", "40", "x"],
        ["big", ".5", "1", "9", "", ""],
    ]
    path = written(tmp_path, "\ufeff" + "\n".join(delimiter.join(line) for line in lines))
    columns = {"model": "name", "success": "p", "cost": "usd", "latency": "s", "count": "n"}
    table = read_models(path, columns)
    assert table.models == (MeasuredModel("small", 0.25, 0.001, 2.0, count=40.0), MeasuredModel("big", 0.5, 1.0, 9.0))
    assert table.name == "mine"


@pytest.mark.parametrize("name", ["count", "n", "N", "samples", "Sample size", "n_tasks", "questions", "Anzahl"])
def test_counts_by_their_usual_names(tmp_path: Path, name: str) -> None:
    table = read_models(written(tmp_path, f"model,success,cost,latency,{name},notes\nbig,0.5,1,9,40,x\n"))
    assert table.models == (MeasuredModel("big", 0.5, 1.0, 9.0, count=40.0),)
    assert (f"count ('{name}')" in table.understood) == (name != "count")
    assert table.understood.endswith("; columns not used: notes")


def test_one_bad_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    rows = [
        "good,0.5,1,2",
        "sure,1,1,2",
        "words,half,1,2",
        "below,0.5,-1,2",
        "nothing,0.5,0,2",
        "unknown,0.5,n/a,2",
        "given away,0.55,free,2",
        "endless,0.5,1,1e999",
        "huge,0.5,1,1e308",
        "empty,0.5,,2",
        ",0.5,1,2",
        "good,0.6,1,2",
        "short,0.5",
        "",
        "long,0.6,2,3,4",
        "fine,0.6,2,3",
        "sure,0,1,2",
    ]
    table = read_models(written(tmp_path, HEADER + "\n".join(rows)))
    assert [model.label for model in table.models] == ["good", "given away", "fine"]
    assert table.models[1].cost == 0
    assert [(row.line, row.label, row.reason) for row in table.rejected] == [
        (3, "sure", "success: 1 is not allowed; expected less than 1"),
        (4, "words", "success: half is not allowed; expected a number"),
        (5, "below", "cost: -1 is not allowed; expected greater than or equal to 0"),
        (6, "nothing", "cost: 0 may mean that it is not known; expected more than 0, or 'free'"),
        (7, "unknown", "cost: is empty; expected a number"),
        (9, "endless", "latency: 1e999 is not allowed; expected a finite number"),
        (10, "huge", "latency: 1e308 is not allowed; expected less than or equal to 1000000000000"),
        (11, "empty", "cost: is empty; expected a number"),
        (12, "(no name)", "model: is empty; expected a name"),
        (13, "good", "model: stands in the table twice; the first row is used"),
        (14, "short", "cost: is empty; expected a number"),
        (16, "long", "5 cells are not allowed; expected 4, as in the header"),
        (18, "sure", "success: 0 is not allowed; expected greater than 0"),
    ]


A_AND_B = ((0.412, 0.0217, 14.8), (0.009, 0.03, 1234.5))
READ: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "units by options": (
        HEADER + "a,41.2,21.7,14800\nb,0.9,30,1234500",
        {"units": {"success": "percent", "cost": "usd/1k", "latency": "ms"}},
    ),
    "units in headers": ("model,Success %,$/1k,p50 latency (ms)\na,41.2,21.7,14800\nb,0.9,30,1234500", {}),
    "words in headers": (
        "Model,success_percent,cost_usd_per_1k,latencyMs\na,41.2,21.7,14800\nb,0.9,30,1234500",
        {},
    ),
    "a header by another name": (
        'model,"pass rate, %","price per 1,000 requests ($)",time [min]\n'
        "a,41.2,21.7,0.24666666666666667\nb,0.9,30,20.575",
        {"columns": {"cost": "price per 1,000 requests ($)", "latency": "time [min]"}},
    ),
    "units in cells": (HEADER + "a,41.2%,$0.0217,14800 ms\nb,0.9 %,$0.03,1234500ms", {}),
    "a header and signs": ("model,success,cost/1k,latency\na,41.2%,$21.7,14.8 s\nb,.9%,$30,1234.5 s", {}),
    "cents": ("model,success (%),cost (cents),latency_s\na,41.2,2.17,14.8\nb,0.9,3,1234.5", {}),
    "decimal commas": (HEADER.replace(",", ";") + "a;0,412;0,0217;14,8\nb;0,009;0,03;1.234,5", {}),
    "sep= and CRLF": ("sep=;\r\nmodel;success;cost;latency\r\na;0,412;0,0217;14,8\r\nb;0,009;0,03;1234,5\r\n", {}),
    "CR": ((HEADER + "a,0.412,0.0217,14.8\nb,0.009,0.03,1234.5\n").replace("\n", "\r"), {}),
    "groups": (HEADER + 'a,0.412,0.0217,14.8\nb,0.009,0.03,"1,234.5"', {}),
    "UTF-16": (("\ufeff" + HEADER + "a,0.412,0.0217,14.8\nb,0.009,0.03,1234.5").encode("utf-16-be"), {}),
    "cp1252": ("model;success;cost;latency\na;41,2 %;€ 0,0217;14,8\nb;0,9 %;0,03 €;1.234,5".encode("cp1252"), {}),
}


@pytest.mark.parametrize("case", READ)
def test_numbers_are_read_in_their_units(tmp_path: Path, case: str) -> None:
    content, options = READ[case]
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_models(path, **options)
    numbers = [(one.success, one.cost, one.latency) for one in table.models]
    np.testing.assert_allclose(numbers, A_AND_B, rtol=1e-12)
    assert table.rejected == ()
    assert "a has success 0.412, cost 0.0217 and latency 14.8 s" in table.understood
    assert table.money == ("EUR" if case == "cp1252" else "USD" if re.search("[$]|usd", str(READ[case])) else None)


@pytest.mark.parametrize(
    ("text", "options", "column", "settled"),
    [
        (HEADER + "a,0.4,1,2\nb,0.9,1,2\nc,22.2,1,2\nd,51.6,1,2", {}, "success", "--unit success=percent"),
        (HEADER + "a,41.2,1,2\nb,56,1,2", {}, "success", "--unit success=share"),
        (HEADER + "a,41.2%,1,2\nb,0.56,1,2", {}, "success", "--unit success=UNIT"),
        ("model,Success %,cost,latency\na,0.41,1,2\nb,0.56,1,2", {}, "success", "--unit success=percent"),
        (HEADER + "a,0.4,$1,2\nb,0.5,2,3", {}, "cost", "--unit cost=UNIT"),
        (HEADER + "a,0.4,$1,2\nb,0.5,€2,3", {}, "cost", "expected one unit"),
        (HEADER + "a,0.4,1,300 ms\nb,0.5,2,2 s", {}, "latency", "expected one unit"),
        ("model,success,cost,latency_ms\na,0.4,1,2 s", {}, "latency", "expected one of them"),
        (HEADER + "a,41 %,1,2", {"units": {"success": "share"}}, "success", "expected one of them"),
        ("model,success,cost,min latency (s)\na,0.4,1,2", {}, "latency", "--unit latency=UNIT"),
        (
            "model,success,cost ($ per 1M tokens),latency\na,0.4,1,2",
            {"columns": {"cost": "cost ($ per 1M tokens)"}},
            "cost",
            "--unit cost=UNIT",
        ),
        ("model,success,cost per 1.5k ($),latency\na,0.4,1,2", {}, "cost", "--columns cost=NAME"),
        (f"model,success,cost per {'9' * 5000},latency\na,0.4,1,2", {}, "cost", "--columns cost=NAME"),
        ("model,success,success_error,cost,latency\na,41%,0.03,1,2", {}, "success_error", "--unit success_error=share"),
        ("model,success,success_error,cost,latency\na,.41,2.8,1,2", {}, "success_error", "success_error=percent"),
        (HEADER + 'a,40%,1,"1,234"\nb,41%,2,"2,345"', {}, "latency", "--decimal point or --decimal comma"),
        ("model;success;cost;latency\na;40%;1;1.234", {}, "latency", "--decimal point or --decimal comma"),
        ("model;success;cost;latency\na;0.4;0,1;2", {}, "success", "--decimal point or --decimal comma"),
        ("model,success,success,cost,latency\na,0.3,0.4,1,2", {}, "success", "a name of its own for each"),
        ("model,success,Success %,cost,latency\na,0.3,30,1,2", {}, "success", "--columns success=NAME"),
        ("model,success,cost,latency\na,0.3,1,2", {"units": {"latency": "fortnight"}}, "latency", "ms, s, min or h"),
        ("model,success,cost,latency\na,0.3,1,2", {"units": {"cost": "usd/1k tokens"}}, "cost", "as in usd/1k"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any], column: str, settled: str
) -> None:
    with pytest.raises(ConfigError, match=column) as raised:
        read_models(written(tmp_path, text), **options)
    assert settled in str(raised.value)


@pytest.mark.parametrize(("decimal", "latency"), [("point", 1234), ("comma", 1.234)])
def test_the_user_settles_what_decimals_follow(tmp_path: Path, decimal: str, latency: float) -> None:
    (model,) = read_models(written(tmp_path, HEADER + 'a,40%,1,"1,234"'), decimal=decimal).models
    assert model.latency == latency


@pytest.mark.parametrize("letter", ["\u2028", "\x0b", "\x85", "\x1c", "\n", "\r\n"])
def test_a_row_is_not_torn_by_what_else_ends_a_line(tmp_path: Path, letter: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(f'{HEADER}"gpt{letter}four",0.5,1,2\nbad,x,1,1\n'.encode())
    table = read_models(path)
    assert [model.label for model in table.models] == ["gpt four"]
    assert [row.line for row in table.rejected] == [3 + ("\n" in letter)]


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    (model,) = read_models(written(tmp_path, HEADER + "red\x1b[31m\u202e,0.5,1,2")).models
    assert model.label == "red\\x1b[31m\\u202e"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a line of column names"),
        ("\n \n", "is empty"),
        ("model,success\n", "no column cost, latency; it has model, success; name them as in --columns cost=NAME"),
        (HEADER, "no row can be used"),
        (HEADER + 'one,"2,1,1', "not valid CSV"),
        (HEADER + "one,0,1,1", "no row can be used; the first: line 2, one: success: 0 is not allowed"),
    ],
)
def test_a_broken_table_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        read_models(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_errors_name_what_is_allowed(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "one,0.5,1,1")
    with pytest.raises(ConfigError, match=f"columns: 'price' is not allowed; expected one of {', '.join(COLUMNS)}"):
        read_models(path, {"price": "cost"})
    with pytest.raises(ConfigError, match=r"columns: cost=usd: .* has no such column; it has model, success"):
        read_models(path, {"cost": "usd"})
    with pytest.raises(ConfigError, match=r"nowhere.csv: no such file; expected a CSV file, or one of aider"):
        read_models("nowhere.csv")
    binary = tmp_path / "binary.csv"
    for content in (b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff\xfe\x00", b"\x81\x8d"):
        binary.write_bytes(content)
        with pytest.raises(ConfigError, match="not a text file; expected CSV in UTF-8"):
            read_models(binary)
