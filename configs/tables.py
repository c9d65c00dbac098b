"""Tables of measured models as CSV: each row is a model, and a row that cannot be used is listed with the reason.

What the numbers of a column mean is settled for the whole column: `stackroute.configs.units`.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from stackroute.configs.games import Amount
from stackroute.configs.loading import ConfigError, read_bytes
from stackroute.configs.text import one_line
from stackroute.configs.units import (
    Cell,
    Quantity,
    Unit,
    belongs,
    decimal_mark,
    is_unit,
    plain_digits,
    read_cell,
    scaled,
    unit_of,
    unit_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REQUIRED = ("model", "success", "cost", "latency")
OPTIONAL = ("success_error", "cost_error", "latency_error", "count", "second_success")
COLUMNS = (*REQUIRED, *OPTIONAL)
"""The columns of a table; the optional ones may be missing, and their cells empty."""

_QUANTITIES: dict[str, Quantity] = {
    **dict.fromkeys(("success", "success_error", "second_success"), "share"),
    **dict.fromkeys(("cost", "cost_error"), "money"),
    **dict.fromkeys(("latency", "latency_error"), "time"),
    "count": "number",
}
_MAIN = {"second_success": "success", **{f"{main}_error": main for main in ("success", "cost", "latency")}}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_NOT_KNOWN = ("-", "\N{EN DASH}", "\N{EM DASH}", "?", "n/a", "na", "nan", "none", "null", "unknown")
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
class Rejected:
    """A row that cannot be used: its line in the file, the model's name or what stands in its place, and the reason."""

    line: int
    label: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.label}: {self.reason}"


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
        name: A packaged name, or the path of a CSV file in UTF-8, UTF-16 or cp1252, with commas, semicolons or tabs.
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
    text, encoding = _decoded(content, label)
    try:
        header, rows, delimiter = _rows(text)
    except csv.Error as error:
        raise ConfigError(f"{label}: not valid CSV: {error}") from None
    if not header:
        raise ConfigError(f"{label}: is empty; expected a line of column names and a line for each model")
    places = _places(header, columns or {}, label)
    options = {}
    for column, unit in (units or {}).items():
        if column not in _QUANTITIES:
            raise ConfigError(f"unit: {column!r} is not allowed; expected one of {', '.join(_QUANTITIES)}")
        options[column] = unit_option(column, unit, _QUANTITIES[column])
    cells = {
        column: [read_cell(row[place], _QUANTITIES[column]) for _, row in rows]
        for column, place in places.items()
        if column in _QUANTITIES
    }
    numbers = {column: [cell for cell in found if cell] for column, found in cells.items()}
    mark = decimal_mark(numbers, decimal, semicolons=delimiter == ";")
    of_columns: dict[str, Unit] = {}
    for column, of_column in numbers.items():
        size = {cell: float(plain_digits(cell, mark) or 0) for cell in of_column}
        of_columns[column] = unit_of(
            column,
            _QUANTITIES[column],
            header=header[places[column]],
            option=options.get(column),
            main=of_columns.get(_MAIN.get(column, "")),
            # Nothing is the same in all units.
            signs={cell.unit for cell in of_column if cell.unit or size[cell]},
            largest=max(size.values(), default=math.nan),
        )
    models: dict[str, MeasuredModel] = {}
    rejected = []
    for number, (line, row) in enumerate(rows):
        written = {
            column: row[place]
            for column, place in places.items()
            if row[place] and (column == "model" or row[place].lower() not in _NOT_KNOWN)
        }
        try:
            if any(row[len(header) :]):
                raise ValueError(f"{len(row)} cells are not allowed; expected {len(header)}, as in the header")
            model = _model(written, {column: found[number] for column, found in cells.items()}, of_columns, mark)
            if model.label in models:
                raise ValueError("model: stands in the table twice; the first row is used")
            models[model.label] = model
        except ValueError as error:
            rejected.append(Rejected(line, one_line(written.get("model", "(no name)")), one_line(str(error))))
    if not models:
        first = f"; the first: {rejected[0]}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{first}")
    currencies = {unit.money for unit in of_columns.values() if unit.money}
    if len(currencies) > 1:
        raise ConfigError(f"{label}: costs are in {' and '.join(sorted(currencies))}; expected one currency")
    form = f"{_DELIMITERS.get(delimiter, delimiter)}, decimal {'points' if mark == '.' else 'commas'}, {encoding}"
    names = {column: "" if header[place] == column else f" ({header[place]!r})" for column, place in places.items()}
    understood = ", ".join(f"{column}{names[column]} in {unit.name}" for column, unit in of_columns.items())
    one = next(iter(models.values()))
    example = f"{one.label} has success {one.success:g}, cost {one.cost:g} and latency {one.latency:g} s"
    return ModelTable(
        Path(label).stem,
        _SOURCES.get(label, label),
        tuple(models.values()),
        tuple(rejected),
        next(iter(currencies), None),
        one_line(f"{understood} ({form}): {example}"),
    )


def _decoded(content: bytes, label: str) -> tuple[str, str]:
    """The text of a file, and its encoding."""
    encodings = ["UTF-8-sig", "cp1252"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["UTF-16"]
    elif b"\0" in content[:2]:
        encodings = ["UTF-16-BE" if content.startswith(b"\0") else "UTF-16-LE"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding.removesuffix("-sig")
    raise ConfigError(f"{label}: not a text file; expected CSV in UTF-8, UTF-16 or cp1252")


def _rows(text: str) -> tuple[list[str], list[tuple[int, list[str]]], str]:
    """The header, the other rows that are not empty, at least as long, each with its line, and the delimiter."""
    said = re.match(r'\s*"?sep=(.)"?[\r\n]+', text, re.IGNORECASE)
    start = said[0].count("\n") or 1 if said else 0
    text = text[said.end() :] if said else text

    def read(delimiter: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
        line = start + 1
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = start + reader.line_num + 1

    def width(delimiter: str) -> int:
        return len(next(read(delimiter, strict=False), (0, []))[1])

    delimiter = said[1] if said else max(_DELIMITERS, key=width)
    (_, header), *rows = list(read(delimiter)) or [(0, [])]
    return header, [(line, row + [""] * (len(header) - len(row))) for line, row in rows], delimiter


def _places(header: list[str], columns: Mapping[str, str], label: str) -> dict[str, int]:
    """Where each column stands."""
    listed = ", ".join(header)
    for column, name in columns.items():
        if column not in COLUMNS:
            raise ConfigError(f"columns: {column!r} is not allowed; expected one of {', '.join(COLUMNS)}")
        if name not in header:
            raise ConfigError(f"columns: {column}={name}: {label} has no such column; it has {listed}")
    places = {}
    for column in COLUMNS:
        quantity = _QUANTITIES.get(column, "number")
        free = [k for k, name in enumerate(header) if name not in columns.values()]
        found = (
            [k for k, name in enumerate(header) if name == columns.get(column)]
            or [k for k in free if column not in columns and belongs(header[k], column, quantity)]
            or [k for k in free if column not in columns and is_unit(header[k], column, quantity)]
        )
        if len(found) > 1:
            names = [header[k] for k in found]
            settle = f"--columns {column}=NAME" if len(set(names)) > 1 else "a name of its own for each"
            raise ConfigError(
                f"{label}: {column} could be any of the columns {', '.join(map(repr, names))}; say {settle}"
            )
        if found:
            places[column] = found[0]
    missing = [column for column in REQUIRED if column not in places]
    if missing:
        raise ConfigError(
            f"{label}: no column {', '.join(missing)}; it has {listed}; name them as in --columns {missing[0]}=NAME"
        )
    return places


def _model(
    written: Mapping[str, str], cells: Mapping[str, Cell | None], units: Mapping[str, Unit], mark: str
) -> MeasuredModel:
    """The model of a row, by what is written and the numbers in it; ValueError where it cannot be used."""
    for column in REQUIRED:
        if column not in written:
            raise ValueError(f"{column}: is empty; expected a {'name' if column == 'model' else 'number'}")
    content: dict[str, str | float] = {"label": one_line(written["model"])}
    for column, unit in units.items():
        if column not in written:
            continue
        cell = cells[column]
        digits = plain_digits(cell, mark) if cell else None
        if column == "cost" and written[column].lower() == _FREE:
            digits = "0"
        elif column == "cost" and digits and float(digits) == 0:
            raise ValueError(
                f"cost: {written[column]} may mean that it is not known; expected more than 0, or {_FREE!r}"
            )
        if digits is None:
            raise ValueError(f"{column}: {written[column]} is not allowed; expected a number")
        content[column] = scaled(digits, unit)
    try:
        return _MEASURED.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        column, expected = str(first["loc"][0]), first["msg"].removeprefix("Input should be ")
        in_unit = f" in {units[column].name}" if units[column].factor != 1 else ""
        raise ValueError(f"{column}: {written[column]}{in_unit} is not allowed; expected {expected}") from None
