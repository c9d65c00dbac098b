"""Tables of measured models as CSV or runs of a leaderboard: a row that cannot be used is listed with the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from stackroute.configs.columns import Columns, Layout, Rejected, read_columns
from stackroute.configs.games import Amount
from stackroute.configs.leaderboards import is_leaderboard, read_leaderboard
from stackroute.configs.loading import ConfigError, read_bytes, read_text
from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAYOUT = Layout(
    required={"model": None, "success": "share", "cost": "money", "latency": "time"},
    optional={
        "success_error": "share",
        "cost_error": "money",
        "latency_error": "time",
        "count": "number",
        "second_success": "share",
    },
    also={"count": ("n", "samples", "sample_size", "tasks", "questions", "problems", "number", "anzahl")},
    main={"second_success": "success", **{f"{main}_error": main for main in ("success", "cost", "latency")}},
)
COLUMNS = tuple(_LAYOUT.columns)
"""The columns of a table; the optional ones may be missing, and their cells empty."""

_TABLES = (".csv", ".tsv", ".txt")
_FREE = "free"

_SOURCES = {
    "aider": "aider polyglot benchmark, Aider-AI/aider, aider/website/_data/polyglot_leaderboard.yml at commit "
    "5dc9490bb35f (Apache-2.0); list prices, cost and seconds per attempt"
}

Probability = Annotated[float, Field(gt=0, lt=1)]


@validated_dataclass(frozen=True, config=ConfigDict(allow_inf_nan=False, defer_build=True))
class MeasuredModel:
    """A model as it was measured.

    Attributes:
        label: Its name.
        success: Probability that a pass solves the task, in (0, 1).
        cost: Cost of a pass, money.
        latency: Seconds of a pass.
        success_error: Standard error of the success, at most 1/2; None where it is not known.
        cost_error: Standard error of the cost.
        latency_error: Standard error of the latency.
        count: On how many tasks the success was measured.
        second_success: Success of a second pass, after the first one failed.
    """

    label: str
    success: Probability
    cost: Amount
    latency: Amount
    success_error: Annotated[float, Field(ge=0, le=0.5)] | None = None
    cost_error: Amount | None = None
    latency_error: Amount | None = None
    count: Annotated[float, Field(ge=1)] | None = None
    second_success: Probability | None = None


_MEASURED = TypeAdapter(MeasuredModel)


@dataclass(frozen=True)
class ModelTable:
    """A table of models.

    Attributes:
        name: Its name.
        source: Where its numbers come from.
        models: The models of the rows that can be used.
        rejected: The other rows.
        money: The currency of its costs; None where it does not say.
        understood: How its numbers were read, in a line.
    """

    name: str
    source: str
    models: tuple[MeasuredModel, ...]
    rejected: tuple[Rejected, ...]
    money: str | None = None
    understood: str = ""


def table_names() -> list[str]:
    """The names of the packaged tables."""
    return list(_SOURCES)


def read_models(
    name: str | Path,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    decimal: str | None = None,
) -> ModelTable:
    """Read a table of models.

    Args:
        name: A packaged name, or the path of a CSV file in UTF-8, UTF-16 or cp1252, with commas, semicolons or tabs; or
            of aider's polyglot_leaderboard.yml or a file like it, of which each model's latest run is used.
        columns: What the file calls the columns of `COLUMNS`, where it uses other names.
        units: The units of columns, as in `{"success": "percent", "cost": "usd/1k", "latency": "ms"}`, where neither
            their headers nor the signs in their cells say them.
        decimal: "point" or "comma", where the numbers do not show it.

    Returns:
        The models with success as a share, cost of a pass and latency in seconds, and the rows that cannot be used
        with the reason.

    Raises:
        ConfigError: There is no such file, it is no CSV with the required columns, a column can be read in two ways,
            or no row can be used.
    """
    label = str(name)
    path = Path(__file__).parent / "models" / f"{label}.csv" if label in _SOURCES else Path(name)
    content = read_bytes(path, label, f"; expected a CSV file, or one of {', '.join(_SOURCES)}")
    if is_leaderboard(content):
        if columns or units or decimal:
            raise ConfigError(f"columns, units, decimal: are for CSV; {label!r} holds runs of a leaderboard")
        return _of_leaderboard(read_text(path, label), label)
    table = read_columns(content, label, _LAYOUT, columns, units, decimal)
    models: dict[str, MeasuredModel] = {}
    rejected = []
    for number, line in enumerate(table.lines):
        try:
            if number in table.too_long:
                raise ValueError(table.too_long[number])
            model = _model(table, number)
            if model.label in models:
                raise ValueError("model: stands in the table twice; the first row is used")
            models[model.label] = model
        except ValueError as error:
            rejected.append(
                Rejected(line, one_line(table.written["model"][number] or "(no name)"), one_line(str(error)))
            )
    return _table(label, models, rejected, table.money, table.understood, table.not_used)


def is_table(name: str) -> bool:
    """Whether it is a packaged table, or a file that is no game by its content: a leaderboard or other than YAML."""
    path = Path(name)
    if name in _SOURCES or path.suffix.lower() in _TABLES:
        return True
    return path.is_file() and is_leaderboard(read_bytes(path, name))


def _of_leaderboard(text: str, label: str) -> ModelTable:
    """The models of a leaderboard's runs."""
    runs, rejected = read_leaderboard(text, label)
    models = {
        run.model: MeasuredModel(
            one_line(run.model),
            run.success,
            run.cost,
            run.latency,
            run.success_error,
            count=run.test_cases,
            second_success=run.second_success,
        )
        for run in runs
    }
    understood = "runs of a leaderboard, two attempts a task: success in percent, cost in USD and latency of an attempt"
    return _table(label, models, rejected, "USD", understood)


def _table(
    label: str,
    models: Mapping[str, MeasuredModel],
    rejected: Sequence[Rejected],
    money: str | None,
    understood: str,
    not_used: str = "",
) -> ModelTable:
    """The table of the models that can be used."""
    if not models:
        first = f"; the first: {rejected[0]}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{first}")
    one = next(iter(models.values()))
    example = f"{one.label} has success {one.success:g}, cost {one.cost:g} and latency {one.latency:g} s"
    return ModelTable(
        Path(label).stem,
        _SOURCES.get(label, label),
        tuple(models.values()),
        tuple(rejected),
        money,
        one_line(f"{understood}: {example}{not_used}"),
    )


def _model(table: Columns, row: int) -> MeasuredModel:
    """The model of a row; ValueError where it cannot be used."""
    written = {column: cells[row] for column, cells in table.written.items() if cells[row]}
    for column in _LAYOUT.required:
        if column not in written:
            raise ValueError(f"{column}: is empty; expected a {'name' if column == 'model' else 'number'}")
    content: dict[str, str | float] = {"label": one_line(written["model"])}
    for column in table.numbers:
        if column not in written:
            continue
        number = float(table.numbers[column][row])
        if column == "cost" and written[column].lower() == _FREE:
            number = 0.0
        elif column == "cost" and number == 0.0:
            raise ValueError(
                f"cost: {written[column]} may mean that it is not known; expected more than 0, or {_FREE!r}"
            )
        if math.isnan(number):
            raise ValueError(f"{column}: {written[column]} is not allowed; expected a number")
        content[column] = number
    try:
        return _MEASURED.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        column, expected = str(first["loc"][0]), first["msg"].removeprefix("Input should be ")
        unit = table.units[column]
        in_unit = f" in {unit.name}" if unit.factor != 1 else ""
        raise ValueError(f"{column}: {written[column]}{in_unit} is not allowed; expected {expected}") from None
