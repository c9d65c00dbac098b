"""The results of a sweep in a few lines of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.training.benchmark.sweep import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    Row = dict[str, Any]

_INNER = 1e-9


def summary(rows: list[Row]) -> str:
    """Summarise results by group and game or, where the churn penalty was varied, by game and P / P*.

    Args:
        rows: As of `stackroute.training.benchmark.sweep.read_results`; failed runs are left out.

    Returns:
        Markdown: a table for each of the two kinds, if there are such runs.
    """
    good = [row for row in rows if row["error"] is None]
    plain = [row for row in good if row["penalty_ratio"] is None]
    swept = [row for row in good if row["penalty_ratio"] is not None]
    parts = []
    if plain:
        parts.append(_table(_PLAIN, plain, lambda row: (row["group"], row["game"])))
    if swept:
        parts.append(_table(_SWEPT, swept, lambda row: (row["game"], row["penalty_ratio"])))
    return "\n\n".join(parts) + "\n"


def _table(columns: dict[str, Callable[[list[Row]], str]], rows: list[Row], key: Callable[[Row], Any]) -> str:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(column(members) for column in columns.values()) + " |" for members in groups.values()]
    return "\n".join(lines)


def _regrets(name: str) -> Callable[[list[Row]], str]:
    def text(rows: list[Row]) -> str:
        values = [100 * row[name] for row in rows if row[name] is not None]
        if not values:
            return ""
        return _percent(values[0]) if len(values) == 1 else f"{_percent(np.median(values))}, {_percent(max(values))}"

    return text


def _percent(value: float) -> str:
    # What rounding leaves of an exact zero is none.
    return f"{value:.2f}" if abs(value) >= 1e-6 else "0"


def _right(name: str) -> Callable[[list[Row]], str]:
    return lambda rows: f"{sum(bool(row[name]) for row in rows)} of {len(rows)}"


def _distance(rows: list[Row]) -> str:
    """The range of s - s*, where both have an effect and s* is a true cascade."""
    inner = [row for row in rows if row["cascade_error"] is not None and _INNER < row["exact_cascade"] < 1 - _INNER]
    if not inner:
        return ""
    distances = [row["learned_cascade"] - row["exact_cascade"] for row in inner]
    return f"{min(distances):+.4f} to {max(distances):+.4f}" if len(distances) > 1 else f"{distances[0]:+.4f}"


def _seconds(rows: list[Row]) -> str:
    values = [row["cpu_seconds"] for row in rows]
    return f"{values[0]:.0f}" if len(values) == 1 else f"{np.median(values):.0f}, {max(values):.0f}"


def _cell(name: str) -> Callable[[list[Row]], str]:
    def text(rows: list[Row]) -> str:
        value = rows[0][name]
        return f"{value:g}" if isinstance(value, float) else str(value)

    return text


_COMMON: dict[str, Callable[[list[Row]], str]] = {
    **{f"regret after {stage}, %": _regrets(f"regret_after_{stage}") for stage in STAGES},
    "user's regret, %": _regrets("user_regret"),
    "throttling right": _right("throttling_right"),
    "CPU s": _seconds,
}
_PLAIN = {
    "group": _cell("group"),
    "game": _cell("game"),
    "s - s*": _distance,
    "start right": _right("start_model_right"),
    **_COMMON,
}
_SWEPT = {"game": _cell("game"), "P / P*": _cell("penalty_ratio"), **_COMMON}
