"""Tables of models: what is read, what is refused, and in which words."""

from pathlib import Path

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


def test_one_bad_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    rows = [
        "good,0.5,1,2",
        "sure,1,1,2",
        "words,half,1,2",
        "free,0.5,-1,2",
        "endless,0.5,1,inf",
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
    assert [model.label for model in table.models] == ["good", "long", "fine"]
    assert [(row.line, row.label, row.reason) for row in table.rejected] == [
        (3, "sure", "success: 1 is not allowed; expected less than 1"),
        (4, "words", "success: half is not allowed; expected a valid number, unable to parse string as a number"),
        (5, "free", "cost: -1 is not allowed; expected greater than or equal to 0"),
        (6, "endless", "latency: inf is not allowed; expected a finite number"),
        (7, "empty", "cost: is empty; expected a number"),
        (8, "(no name)", "model: is empty; expected a name"),
        (9, "good", "model: stands in the table twice; the first row is used"),
        (10, "short", "cost: is empty; expected a number"),
        (14, "sure", "success: 0 is not allowed; expected greater than 0"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a line of column names"),
        ("\n \n", "is empty"),
        ("model,success\n", "no column cost, latency; it has model, success; name them as in --columns cost=NAME"),
        (HEADER, "no row can be used"),
        (HEADER + 'one,"2,1,1', "not valid CSV"),
        (HEADER + "one,2,1,1", "no row can be used; the first: line 2, one: success: 2 is not allowed"),
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
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        read_models(binary)
