"""CSV files whose columns have names and units: what each cell holds, and which rows cannot be used.

What the numbers of a column mean is settled for the whole column: `stackroute.configs.units`.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stackroute.configs.loading import ConfigError
from stackroute.configs.text import named, one_line, some_of
from stackroute.configs.units import (
    Cell,
    Quantity,
    Unit,
    belongs,
    decimal_mark,
    is_unit,
    plain_digits,
    plain_numbers,
    read_cell,
    scaled,
    unit_of,
    unit_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from stackroute.analytic.game import BoolArray, FloatArray, IntArray

    Check: TypeAlias = tuple[str, BoolArray, str | Callable[[int], str]]
    """A column, whether each of its cells can be used, and what is allowed, perhaps by the row."""

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_MOST_CELLS = 20_000_000
"""Pairs of a task and a model."""

_NAMES = ("task", "model")

_NOT_KNOWN = ("-", "\N{EN DASH}", "\N{EM DASH}", "?", "n/a", "na", "nan", "none", "null", "unknown")


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used: its line in the file, the name in it or what stands in its place, and the reason."""

    line: int
    label: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.label}: {self.reason}"


@dataclass(frozen=True)
class Layout:
    """What a kind of file holds.

    Attributes:
        required: Its columns, with what their numbers count; None: text.
        optional: Those that may be missing.
        main: By the name of a column, that whose unit it has where it says none.
        also: Other usual names of columns, by their name here.
    """

    required: Mapping[str, Quantity | None]
    optional: Mapping[str, Quantity | None]
    main: Mapping[str, str]
    also: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Quantity | None]:
        """All of them."""
        return {**self.required, **self.optional}

    def named_in(self, header: Sequence[str], column: str, columns: Mapping[str, str]) -> list[int]:
        """Where a header may name a column: as the user says, by its own name, another usual one, or its unit."""
        if column in columns:
            return [k for k, name in enumerate(header) if name == columns[column]]
        quantity = self.columns[column] or "number"
        free = [k for k, name in enumerate(header) if name not in columns.values()]
        for name in (column, *self.also.get(column, ())):
            found = [k for k in free if belongs(header[k], name, quantity)]
            if found:
                return found
        return [k for k in free if is_unit(header[k], column, quantity)]


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Attributes:
        lines: The line in the file of each row.
        written: The cells of each column that the file has, by its name here; empty where nothing is known.
        numbers: The numbers in those of columns that count something, NaN where there is none, in the units of `PLAIN`.
        units: The units in which they are written.
        too_long: What is wrong with rows that have more cells than the header, by the number of the row.
        money: The currency of its costs; None where it does not say.
        names: The file's own names of its columns, where they are others.
        form: Its delimiter, decimals and encoding, in words.
        header: The file's names of all its columns.
        cells: The cells of all its columns.
    """

    lines: list[int]
    written: dict[str, list[str]]
    numbers: dict[str, FloatArray]
    units: dict[str, Unit]
    too_long: dict[int, str]
    money: str | None
    names: dict[str, str]
    form: str
    header: list[str]
    cells: list[list[str]]

    @property
    def understood(self) -> str:
        """How the numbers were read, in a line."""
        own = {column: f" ({name!r})" for column, name in self.names.items()}
        units = (
            f"{column}{own.get(column, '')}{f' in {unit.name}' if unit.name else ''}"
            for column, unit in self.units.items()
            if unit.name or column in own
        )
        return f"{', '.join(units)} ({self.form})"

    @property
    def not_used(self) -> str:
        """Which columns are not used, to be added to a line; empty if all are."""
        others = [name for name in self.header if name and name not in {*self.written, *self.names.values()}]
        return f"; columns not used: {some_of(others)}" if others else ""


def read_columns(
    content: bytes,
    label: str,
    layout: Layout,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    decimal: str | None = None,
) -> Columns:
    """Read the columns of a CSV file.

    Args:
        content: Of the file, in UTF-8, UTF-16 or cp1252, with commas, semicolons or tabs.
        label: What errors call it.
        layout: Its columns.
        columns: What the file calls them, where it uses other names.
        units: Their units, where neither their headers nor the signs in their cells say them.
        decimal: "point" or "comma", where the numbers do not show it.

    Raises:
        ConfigError: It is no CSV with the required columns, or a column can be read in two ways.
    """
    quantities = {column: quantity for column, quantity in layout.columns.items() if quantity}
    text, encoding = _decoded(content, label)
    try:
        table = _table(text)
    except csv.Error as error:
        raise ConfigError(f"{label}: not valid CSV: {error}") from None
    header, delimiter = table.header, table.delimiter
    if not header:
        raise ConfigError(f"{label}: is empty; expected a line of column names, and others below it")
    places = _places(header, columns or {}, label, layout)
    options = {}
    for column, name in (units or {}).items():
        if column not in quantities:
            raise ConfigError(f"unit: {column!r} is not allowed; expected one of {', '.join(quantities)}")
        options[column] = unit_option(column, name, quantities[column])
    texts = {column: table.cells[place] for column, place in places.items()}
    counted = {column: quantities[column] for column in places if column in quantities}
    plain = {column: found for column in counted if (found := plain_numbers(texts[column]))}
    # Each text is read once, however many cells hold it, and of plain numbers only those that show something.
    telling = {
        column: plain[column][1] if column in plain else list(dict.fromkeys(texts[column])) for column in counted
    }

    def cells_of(column: str) -> dict[str, Cell]:
        read = ((text, read_cell(text, counted[column])) for text in telling[column])
        return {text: cell for text, cell in read if cell}

    cells = {column: cells_of(column) for column in counted}
    held = {column: list(found.values()) for column, found in cells.items()}
    mark = decimal_mark(held, decimal, semicolons=delimiter == ";")
    if mark == "," and plain:
        telling |= {column: list(dict.fromkeys(texts[column])) for column in plain}
        cells |= {column: cells_of(column) for column in plain}
        plain = {}
    of_columns: dict[str, Unit] = {}
    numbers: dict[str, FloatArray] = {}
    for column, quantity in counted.items():
        digits = {text: plain_digits(cell, mark) for text, cell in cells[column].items()}
        sizes = {text: float(number or 0) for text, number in digits.items()}
        unit = of_columns[column] = unit_of(
            column,
            quantity,
            header=header[places[column]],
            option=options.get(column),
            main=of_columns.get(layout.main.get(column, "")),
            # Nothing is the same in all units.
            signs={cell.unit for text, cell in cells[column].items() if cell.unit or sizes[text]},
            largest=max(sizes.values(), default=math.nan),
        )
        if column in plain and unit.factor == 1:
            numbers[column] = plain[column][0]
            continue
        if column in plain:
            digits = {text: text or None for text in texts[column]}
        values = {text: scaled(number, unit) for text, number in digits.items() if number}
        numbers[column] = np.array([values.get(text, math.nan) for text in texts[column]], dtype=np.float64)
    currencies = {unit.money for unit in of_columns.values() if unit.money}
    if len(currencies) > 1:
        raise ConfigError(f"{label}: costs are in {' and '.join(sorted(currencies))}; expected one currency")
    known = {
        column: found
        if column in plain or column not in counted
        else ["" if cell.lower() in _NOT_KNOWN else cell for cell in found]
        for column, found in texts.items()
    }
    return Columns(
        table.lines,
        known,
        numbers,
        of_columns,
        {
            row: f"{count} cells are not allowed; expected {len(header)}, as in the header"
            for row, count in table.too_long.items()
        },
        next(iter(currencies), None),
        {column: header[place] for column, place in places.items() if header[place] != column},
        f"{_DELIMITERS.get(delimiter, delimiter)}, decimal {'points' if mark == '.' else 'commas'}, {encoding}",
        header,
        table.cells,
    )


def tasks_and_models(
    table: Columns, rows: IntArray, label: str
) -> tuple[IntArray, tuple[str, ...], IntArray, tuple[str, ...]]:
    """The number of the task in each of some rows, the names of the tasks, and so for the models.

    Raises:
        ConfigError: There are too many of both.
    """
    (task, tasks), (model, models) = (_numbered(table.written[name], rows) for name in _NAMES)
    if len(tasks) * len(models) > _MOST_CELLS:
        raise ConfigError(
            f"{label}: {len(tasks)} tasks of {len(models)} models are not allowed; expected {_MOST_CELLS} pairs"
        )
    return task, tasks, model, models


def amounts_known(table: Columns, columns: Sequence[str]) -> list[Check]:
    """The checks that columns hold amounts or nothing; of those that the file has."""
    checks: list[Check] = []
    for column in columns:
        if column in table.numbers:
            unknown = np.array(table.written[column], dtype=np.str_) == ""
            numbers = table.numbers[column]
            checks.append(
                (column, unknown | ((numbers >= 0) & np.isfinite(numbers)), "a number of at least 0, or nothing")
            )
    return checks


def unusable_rows(table: Columns, checks: Sequence[Check]) -> dict[int, str]:
    """Why rows of a file with tasks and models cannot be used, by their number: a name is missing, or a check fails."""
    reasons = dict(table.too_long)
    named_by: list[Check] = [(name, np.array(table.written[name], dtype=np.str_) != "", "a name") for name in _NAMES]
    for column, valid, allowed in [*named_by, *checks]:
        for row in np.flatnonzero(~valid):
            written = table.written[column][row]
            problem = f"{written} is not allowed" if written else "is empty"
            reasons.setdefault(
                int(row), f"{column}: {problem}; expected {allowed if isinstance(allowed, str) else allowed(int(row))}"
            )
    return reasons


def rejected_rows(table: Columns, reasons: Mapping[int, str]) -> tuple[Rejected, ...]:
    """The rows that cannot be used, as people see them, in the order of the file."""
    return tuple(
        Rejected(table.lines[row], named(*(table.written[name][row] for name in _NAMES)), one_line(reason))
        for row, reason in sorted(reasons.items())
    )


def _numbered(names: Sequence[str], rows: IntArray) -> tuple[IntArray, tuple[str, ...]]:
    """The number of the name in each of some rows, and the names, fit to show."""
    # It takes longer to import than many programs need.
    import pandas as pd

    numbers, found = pd.factorize(np.array(names, dtype=object)[rows])
    same, shown = pd.factorize(np.array([one_line(name) for name in found], dtype=object))
    return same[numbers], tuple(shown)


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


class _Table(NamedTuple):
    """The header, the cells of each column, the line of each row, the cells of rows with too many, the delimiter."""

    header: list[str]
    cells: list[list[str]]
    lines: list[int]
    too_long: dict[int, int]
    delimiter: str


def _table(text: str) -> _Table:
    """The rows that are not empty."""
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
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    size = width(delimiter)
    # Without quotes, short or empty lines there is nothing to interpret, and large files are read many times faster.
    if not {'"', "\r"} & set("".join(lines)) and all(
        line.count(delimiter) == size - 1 and line.strip(f"{delimiter} ") for line in lines
    ):
        cells = [cell.strip() for cell in delimiter.join(lines).split(delimiter)]
        columns = [cells[place + size :: size] for place in range(size)]
        return _Table(cells[:size], columns, list(range(start + 2, start + 1 + len(lines))), {}, delimiter)
    rows = list(read(delimiter))
    if not rows:
        return _Table([], [], [], {}, delimiter)
    (_, header), *rows = rows
    size = len(header)
    too_long = {number: len(row) for number, (_, row) in enumerate(rows) if any(row[size:])}
    columns = [[row[place] if place < len(row) else "" for _, row in rows] for place in range(size)]
    return _Table(header, columns, [line for line, _ in rows], too_long, delimiter)


def _places(header: list[str], columns: Mapping[str, str], label: str, layout: Layout) -> dict[str, int]:
    """Where each column stands."""
    listed = ", ".join(header)
    for column, name in columns.items():
        if column not in layout.columns:
            raise ConfigError(f"columns: {column!r} is not allowed; expected one of {', '.join(layout.columns)}")
        if name not in header:
            raise ConfigError(f"columns: {column}={name}: {label} has no such column; it has {listed}")
    places = {}
    for column in layout.columns:
        found = layout.named_in(header, column, columns)
        if len(found) > 1:
            names = [header[k] for k in found]
            settle = f"--columns {column}=NAME" if len(set(names)) > 1 else "a name of its own for each"
            raise ConfigError(
                f"{label}: {column} could be any of the columns {', '.join(map(repr, names))}; say {settle}"
            )
        if found:
            places[column] = found[0]
    missing = [column for column in layout.required if column not in places]
    if missing:
        of_tokens = "cost" in missing and any("token" in name.lower() for name in header)
        raise ConfigError(
            f"{label}: no column {', '.join(missing)}; it has {listed}; name them as in --columns {missing[0]}=NAME"
            + of_tokens * "; prices of tokens are not accepted: expected the cost of a pass"
        )
    return places
