"""Tables of measured models as CSV: each row is a model, and a row that cannot be used is listed with the reason."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stackroute.configs.loading import ConfigError

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
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
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
    success: float
    cost: float
    latency: float
    success_error: float | None = None
    cost_error: float | None = None
    latency_error: float | None = None
    count: float | None = None
    second_success: float | None = None


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used.

    Attributes:
        line: Its line in the file.
        label: The model's name, or what stands in its place.
        reason: What is wrong.
    """

    line: int
    label: str
    reason: str


@dataclass(frozen=True)
class ModelTable:
    """A table of models.

    Attributes:
        name: Of the table.
        source: Where the numbers come from.
        models: The models of the rows that can be used.
        rejected: The other rows.
    """

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
    text, label, source = _read_text(name)
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        raise ConfigError(f"{label}: is empty; expected a line of column names and a line for each model")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    reader = csv.DictReader(lines, delimiter=delimiter)
    places = _places([name.strip() for name in reader.fieldnames or ()], columns or {}, label)
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    models: dict[str, MeasuredModel] = {}
    rejected = []
    try:
        for row in reader:
            cells = {column: (row[place] or "").strip() for column, place in places.items()}
            try:
                model = _model(cells)
                if model.label in models:
                    raise ValueError("model: stands in the table twice; the first row is used")
                models[model.label] = model
            except ValueError as error:
                rejected.append(Rejected(reader.line_num, cells["model"] or "(no name)", str(error)))
    except csv.Error as error:
        raise ConfigError(f"{label}: line {reader.line_num}: not valid CSV: {error}") from None
    if not models:
        first = f"; the first: line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{first}")
    return ModelTable(Path(label).stem, source, tuple(models.values()), tuple(rejected))


def _read_text(name: str | Path) -> tuple[str, str, str]:
    if str(name) in _SOURCES:
        file = resources.files("stackroute.configs") / "models" / f"{name}.csv"
        return file.read_text(encoding="utf-8"), str(name), _SOURCES[str(name)]
    try:
        return Path(name).read_text(encoding="utf-8-sig"), str(name), str(name)
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is no text in UTF-8; expected a CSV file") from None
    except OSError as error:
        known = ", ".join(_SOURCES)
        raise ConfigError(
            f"{name}: cannot be read ({error.strerror}); expected a CSV file, or one of {known}"
        ) from None


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
    if not cells["model"]:
        raise ValueError("model: is empty; expected a name")
    numbers = {column: _number(column, cells[column]) for column in cells if column != "model"}
    for column in REQUIRED[1:]:
        if numbers[column] is None:
            raise ValueError(f"{column}: is empty; expected a number")
    model = MeasuredModel(cells["model"], **numbers)  # type: ignore[arg-type]
    for column in ("success", "second_success"):
        share = numbers.get(column)
        if share is not None and not 0 < share < 1:
            raise ValueError(f"{column}: {share:g} is not allowed; expected a probability between 0 and 1")
    for column in ("cost", "latency", "success_error", "cost_error", "latency_error"):
        value = numbers.get(column)
        if value is not None and value < 0:
            raise ValueError(f"{column}: {value:g} is not allowed; expected a number >= 0")
    if model.count is not None and model.count < 1:
        raise ValueError(f"count: {model.count:g} is not allowed; expected a number >= 1")
    return model


def _number(column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{column}: {text!r} is not allowed; expected a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{column}: {text} is not allowed; expected a finite number")
    return number
