"""Tables of measured models as CSV: each row is a model, and a row that cannot be used is listed with the reason."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, NonNegativeFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from stackroute.configs.loading import ConfigError, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = ("model", "success", "cost", "latency")
OPTIONAL = ("success_error", "cost_error", "latency_error", "count", "second_success")
COLUMNS = (*REQUIRED, *OPTIONAL)
"""The columns of a table; the optional ones may be missing, and their cells empty."""

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
        success_error: Standard error of the success; None where it is not known.
        cost_error: Standard error of the cost.
        latency_error: Standard error of the latency.
        count: On how many tasks the success was measured.
        second_success: Success of a second pass, after the first one failed.
    """

    label: str
    success: Probability
    cost: NonNegativeFloat
    latency: NonNegativeFloat
    success_error: NonNegativeFloat | None = None
    cost_error: NonNegativeFloat | None = None
    latency_error: NonNegativeFloat | None = None
    count: Annotated[float, Field(ge=1)] | None = None
    second_success: Probability | None = None


_MEASURED = TypeAdapter(MeasuredModel)


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used: its line in the file, the model's name or what stands in its place, and the reason."""

    line: int
    label: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.label}: {self.reason}"


@dataclass(frozen=True)
class ModelTable:
    """A table: its name, where its numbers come from, the models of the rows that can be used, and the other rows."""

    name: str
    source: str
    models: tuple[MeasuredModel, ...]
    rejected: tuple[Rejected, ...]


def table_names() -> list[str]:
    """The names of the packaged tables."""
    return list(_SOURCES)


def read_models(name: str | Path, columns: Mapping[str, str] | None = None) -> ModelTable:
    """Read a table of models.

    Args:
        name: A packaged name, or the path of a CSV file; commas, semicolons and tabs are told apart.
        columns: What the file calls the columns of `COLUMNS`, where it uses other names.

    Returns:
        The models, and the rows that cannot be used with the reason.

    Raises:
        ConfigError: There is no such file, it is no CSV with the required columns, or no row can be used.
    """
    import pandas  # takes longer than all other imports of the package together

    label = str(name)
    path = Path(__file__).parent / "models" / f"{label}.csv" if label in _SOURCES else Path(name)
    text = read_text(path, label, f"; expected a CSV file, or one of {', '.join(_SOURCES)}")
    if not text.strip():
        raise ConfigError(f"{label}: is empty; expected a line of column names and a line for each model")
    header = text.partition("\n")[0]
    try:
        table = pandas.read_csv(
            io.StringIO(text),
            sep=max(",;\t", key=header.count),
            dtype=str,
            index_col=False,
            keep_default_na=False,
            skip_blank_lines=False,
            # Choosing columns, even all, is what lets pandas ignore cells beyond the last column.
            usecols=lambda column: True,
        )
    except (pandas.errors.EmptyDataError, pandas.errors.ParserError) as error:
        raise ConfigError(f"{label}: not valid CSV: {error}") from None
    table = table.map(str.strip).rename(columns=str.strip)
    places = _places(list(table.columns), columns or {}, label)
    models: dict[str, MeasuredModel] = {}
    rejected = []
    for line, row in enumerate(table.to_dict("records"), start=2):
        cells = {column: row[place] for column, place in places.items() if row[place]}
        if not cells:
            continue
        try:
            model = _model(cells)
            if model.label in models:
                raise ValueError("model: stands in the table twice; the first row is used")
            models[model.label] = model
        except ValueError as error:
            rejected.append(Rejected(line, cells.get("model", "(no name)"), str(error)))
    if not models:
        first = f"; the first: {rejected[0]}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{first}")
    return ModelTable(Path(label).stem, _SOURCES.get(label, label), tuple(models.values()), tuple(rejected))


def _places(found: list[str], columns: Mapping[str, str], label: str) -> dict[str, str]:
    for column, place in columns.items():
        if column not in COLUMNS:
            raise ConfigError(f"columns: {column!r} is not allowed; expected one of {', '.join(COLUMNS)}")
        if place not in found:
            raise ConfigError(f"columns: {column}={place}: {label} has no such column; it has {', '.join(found)}")
    places = {column: columns.get(column, column) for column in COLUMNS}
    missing = [column for column in REQUIRED if places[column] not in found]
    if missing:
        raise ConfigError(
            f"{label}: no column {', '.join(missing)}; it has {', '.join(found)}; name them as in "
            f"--columns {missing[0]}=NAME"
        )
    return {column: place for column, place in places.items() if place in found}


def _model(cells: dict[str, str]) -> MeasuredModel:
    for column in REQUIRED:
        if column not in cells:
            raise ValueError(f"{column}: is empty; expected a {'name' if column == 'model' else 'number'}")
    try:
        return _MEASURED.validate_python({"label" if name == "model" else name: cell for name, cell in cells.items()})
    except ValidationError as error:
        first = error.errors()[0]
        expected = first["msg"].removeprefix("Input should be ")
        raise ValueError(f"{first['loc'][0]}: {first['input']} is not allowed; expected {expected}") from None
