"""Numbers and units as people write them in tables: 41.2%, $0.12, 1.234,5, 300 ms, $/1k.

A column has one unit: that of `--unit`, else of its header, else of the signs in its cells. What could be read in two
ways is refused, with the option that settles it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import numpy as np

from stackroute.configs.loading import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stackroute.analytic.game import FloatArray

Quantity = Literal["share", "money", "time", "number"]

_CURRENCIES = {
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), "USD"),
    **dict.fromkeys(("€", "eur", "euro", "euros"), "EUR"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds"), "GBP"),
}
_CENTS = ("¢", "cent", "cents", "ct")
_SHARES = {
    **dict.fromkeys(("%", "percent", "percentage", "pct"), ("percent", "0.01")),
    **dict.fromkeys(("share", "fraction", "probability"), ("shares of 1", "1")),
}
_TIMES = {
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), ("microseconds", "0.000001")),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), ("milliseconds", "0.001")),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", "1")),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("minutes", "60")),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("hours", "3600")),
}
_ONE_PASS = ("pass", "request", "call", "prompt", "task", "attempt", "query", "response")
_PASSES = (*_ONE_PASS, "passes", "queries", *(f"{name}s" for name in _ONE_PASS))
_FILLERS = {*_PASSES, "p50", "median", "mean", "average", "avg", "rate", "name", "of", "in", "per", "a", "the"}
_THOUSANDS = {"k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000}
_TOKENS = {"token", "tokens", "tok", "toks", "ktok", "mtok"}
_EXPECTED = {
    "share": "share or percent",
    "money": "usd, eur, gbp or cents, perhaps for several passes as in usd/1k",
    "time": "us, ms, s, min or h",
}

_WORD = re.compile(r"\d[\d,.]*(?:\s?[km]\b)?|[^\W\d_]+\d*|[%$€£¢¥₹₩/]")
_COUNT = re.compile(r"(\d{1,3}(?:[,.]\d{3}){0,3}|\d{1,12})\s?([km]?)")
_NUMBER = r"[+-]?(?:\d[\d.,'\u2019\s]*|[.,]\d+)(?:e[+-]?\d+)?"
_CELL = re.compile(rf"(?P<before>[^\d.,+-]*)(?P<number>{_NUMBER})(?P<after>.*)", re.IGNORECASE)
_GROUP = re.compile(r"(?<=\d)['\u2019\s](?=\d{3}(?!\d))")
_OPEN = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_IN_GROUPS = {mark: re.compile(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in ".,"}


@dataclass(frozen=True)
class Unit:
    """A unit: its name, what a number in it is multiplied by, and of money the currency and for how many passes."""

    name: str
    factor: Decimal = Decimal(1)
    money: str | None = None
    passes: int = 1

    def covers(self, sign: Unit) -> bool:
        """Whether a cell may carry a sign in a column of this unit, as a $ where the header says /1k."""
        is_currency = sign.money is not None and sign.factor == 1 == self.factor * self.passes
        return self == sign or (is_currency and self.money in (None, sign.money))


PLAIN: dict[Quantity, Unit] = {
    "share": Unit("shares of 1"),
    "money": Unit("money"),
    "time": Unit("seconds"),
    "number": Unit(""),
}
"""The units of numbers that carry none."""


@dataclass(frozen=True)
class Said:
    """What a header, an option or the signs of a cell say: a unit, the words that belong to none, what is wrong."""

    unit: Unit | None
    words: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Cell:
    """A cell that holds a number: its digits, and the unit that its signs say."""

    digits: str
    unit: Unit | None


def said(text: str, quantity: Quantity) -> Said:
    """What a text says about the unit of a quantity."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " ")).lower()
    words = _WORD.findall(spaced)[::-1]
    known = {"share": _SHARES, "time": _TIMES}.get(quantity, {})
    units: set[tuple[str, str]] = set()
    money: set[str] = set()
    rest, problem, scale, passes = [], "", "1", 1
    while words:
        word = words.pop()
        if word in known:
            units.add(known[word])
        elif quantity == "money" and word in _CURRENCIES:
            money.add(_CURRENCIES[word])
        elif quantity == "money" and word in _CENTS:
            scale = "0.01"
        elif quantity in ("money", "time") and word in ("/", "per"):
            passes, other = _passes(words)
            problem = problem or (f"it counts per {other}, not per pass" if other else "")
        elif quantity == "money" and word in _THOUSANDS:
            problem = f"{word!r} has no clear meaning"
        elif word != "/":
            rest.append(word)
    if len(units) > 1 or len(money) > 1:
        problem = f"it has several units: {', '.join(sorted([*(name for name, _ in units), *money]))}"
    if quantity == "money" and (money or scale != "1" or passes != 1):
        currency = next(iter(money), None)
        name = " ".join(filter(None, [currency, "cents" if scale != "1" else ""])) or "money"
        name += f" for {passes:,} passes" if passes != 1 else ""
        return Said(Unit(name, Decimal(scale) / passes, currency, passes), tuple(rest), problem)
    if passes != 1:
        problem = problem or f"it counts per {passes:,}, not per pass"
    name, factor = min(units, default=("", "1"))
    return Said(Unit(name, Decimal(factor)) if units else None, tuple(rest), problem)


def _passes(words: list[str]) -> tuple[int, str]:
    """How many passes follow "per", taken off the end of the words, and what stands there instead of passes."""
    count = 1
    found = _COUNT.fullmatch(words[-1]) if words else None
    if found:
        words.pop()
        count = int(re.sub(r"\D", "", found[1])) * _THOUSANDS.get(found[2], 1)
    thousands = bool(words) and words[-1] in _THOUSANDS
    if thousands:
        count *= _THOUSANDS[words.pop()]
    following = words[-1] if words else ""
    if following in _PASSES:
        words.pop()
    elif following in _TOKENS or not (found or thousands):
        return count, repr(following)
    return max(count, 1), ""


def belongs(header: str, column: str, quantity: Quantity) -> bool:
    """Whether a header names a column in its own words, as in "p50 latency (ms)"."""
    own = column.split("_")
    return [word for word in said(header, quantity).words if word in own or word not in _FILLERS] == own


def is_unit(header: str, column: str, quantity: Quantity) -> bool:
    """Whether a header names a column by nothing but a unit, as in "$/1k"."""
    found = said(header, quantity)
    return found.unit is not None and "_" not in column and all(word in _FILLERS for word in found.words)


def read_cell(text: str, quantity: Quantity) -> Cell | None:
    """The number in a cell and the unit of its signs; None where it holds something else."""
    parts = _CELL.fullmatch(text.replace("\N{MINUS SIGN}", "-"))
    if parts is None:
        return None
    around = f"{parts['before']} {parts['after']}"
    found = said(around, quantity)
    if found.words or found.problem or _WORD.sub("", around.lower()).strip(" ()"):
        return None
    return Cell(_GROUP.sub("", parts["number"].strip()), found.unit)


def decimal_mark(columns: Mapping[str, Collection[Cell]], asked: str | None, *, semicolons: bool) -> str:
    """What the decimals of a table follow, "." or ","; columns are cells by the name of the column.

    Raises:
        ConfigError: The cells disagree, or it cannot be told whether 1,234 is more than a thousand.
    """
    if asked is not None:
        return {"point": ".", "comma": ","}[asked]
    found: dict[str, str] = {}
    unclear = ""
    for column, cells in columns.items():
        for cell in cells:
            mark = _mark(cell.digits)
            place = f"{column}: {cell.digits!r}"
            if mark:
                found.setdefault(mark, place)
            elif _OPEN.fullmatch(cell.digits) and ("," in cell.digits or semicolons):
                unclear = unclear or place
    if len(found) > 1:
        raise ConfigError(
            f"{found[',']} has a decimal comma, but {found['.']} has a point; say --decimal point or --decimal comma"
        )
    if not found and unclear:
        raise ConfigError(f"{unclear} may be a thousand or have decimals; say --decimal point or --decimal comma")
    return next(iter(found), ".")


def _mark(digits: str) -> str:
    """The decimal mark that a number shows for certain, else nothing."""
    number = re.split("e", digits, flags=re.IGNORECASE)[0]
    last = max(".,", key=number.rfind)
    other = "." if last == "," else ","
    if last not in number or _OPEN.fullmatch(number):
        return ""
    if number.count(last) == 1:
        return last
    return other if _IN_GROUPS[last].fullmatch(number) else ""


def plain_numbers(texts: Sequence[str]) -> tuple[FloatArray, list[str]] | None:
    """The numbers of a column of plain ones, as in -1.5 or 2e-05, with decimal points, NaN where a cell is empty.

    With them come those texts that show as much of its decimal mark and its unit as all. None of any other column.
    """
    if not set("".join(texts)) <= set("0123456789.+-eE"):
        return None
    try:
        numbers = np.array([text or "nan" for text in texts], dtype=np.str_).astype(np.float64)
    except ValueError:
        return None
    pointed = [text for text in texts if "." in text]
    shown = [next(filter(shows, pointed), "") for shows in (_mark, _OPEN.fullmatch)]
    largest = texts[int(np.nanargmax(numbers))] if np.isfinite(numbers).any() else ""
    return numbers, [text for text in (*shown, largest) if text]


def plain_digits(cell: Cell, mark: str) -> str | None:
    """The digits of a cell as Python writes them; None where they are no number with that decimal mark."""
    other = "." if mark == "," else ","
    digits = cell.digits
    if other in digits:
        if not _IN_GROUPS[other].fullmatch(re.split(rf"[{mark}eE]", digits)[0]):
            return None
        digits = digits.replace(other, "")
    digits = digits.replace(mark, ".")
    return digits if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", digits, re.IGNORECASE) else None


def scaled(digits: str, unit: Unit) -> float:
    """A number in the units of `PLAIN`."""
    number = float(digits)
    # In decimals 41.2 % is 0.412, in binary numbers it is not.
    return float(Decimal(digits) * unit.factor) if math.isfinite(number) and number else number


def unit_option(column: str, text: str, quantity: Quantity) -> Unit:
    """The unit that an option gives a column.

    Raises:
        ConfigError: It is no unit of the quantity.
    """
    found = said(text, quantity)
    if found.unit is None or found.words or found.problem:
        expected = _EXPECTED.get(quantity, "no unit, as it is a plain number")
        raise ConfigError(f"unit: {column}={text} is not allowed; expected {expected}")
    return found.unit


def unit_of(
    column: str,
    quantity: Quantity,
    *,
    header: str,
    option: Unit | None,
    main: Unit | None,
    signs: Collection[Unit | None],
    largest: float,
) -> Unit:
    """The one unit of a column.

    Args:
        column: Its name.
        quantity: What it counts.
        header: Its header.
        option: The unit that the user gives.
        main: The unit of the column whose standard errors or second passes these are.
        signs: The units that its cells carry, None where a cell carries none.
        largest: The largest of its numbers as written.

    Raises:
        ConfigError: It can be read in several ways.
    """
    heading = Said(option, (), "") if option else said(header, quantity)
    settle = f"say --unit {column}=UNIT, with {_EXPECTED.get(quantity, 'no unit')}"
    if heading.problem:
        raise ConfigError(f"{column}: the header {header!r} is not clear: {heading.problem}; {settle}")
    unit, own = heading.unit, {sign for sign in signs if sign}
    if len(own) > 1:
        names = " and ".join(sorted(sign.name for sign in own))
        raise ConfigError(f"{column}: its cells are in {names}; expected one unit in a column")
    sign = next(iter(own), None)
    if sign and unit is None:
        if None in signs:
            raise ConfigError(f"{column}: some cells are in {sign.name} and others do not say; {settle}")
        unit = sign
    elif sign and unit:
        if not unit.covers(sign):
            by = "--unit" if option else f"the header {header!r}"
            raise ConfigError(
                f"{column}: its cells are in {sign.name}, but {by} says {unit.name}; expected one of them"
            )
        unit = replace(unit, name=unit.name.replace("money", sign.name), money=sign.money)
    elif quantity == "share" and not option:
        percent = (unit or main or PLAIN["share"]).factor != 1
        if largest <= 1 if percent else unit is None and largest > 1:
            raise ConfigError(
                f"{column}: {largest:g} is the largest number, without a %; say --unit {column}=percent "
                f"or --unit {column}=share"
            )
    return unit or main or PLAIN[quantity]
