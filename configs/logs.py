"""Logs of requests as CSV, a row for each, summed up to outcomes by task and model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackroute.configs.columns import (
    Columns,
    Layout,
    amounts_known,
    read_columns,
    rejected_rows,
    tasks_and_models,
    unusable_rows,
)
from stackroute.configs.loading import ConfigError
from stackroute.configs.outcomes import Outcomes
from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.prices import Prices

_LAYOUT = Layout(
    required={"task": None, "model": None, "ok": None},
    optional={"cost": "money", "latency": "time", "tokens_in": "number", "tokens_out": "number", "time": None},
    main={},
    also={
        "task": ("task_id",),
        "ok": ("success", "solved", "correct", "passed"),
        "tokens_in": ("input_tokens", "prompt_tokens"),
        "tokens_out": ("output_tokens", "completion_tokens"),
        "time": ("timestamp", "datetime", "created_at", "started_at"),
    },
)
LOG_COLUMNS = tuple(_LAYOUT.columns)
"""The columns of a log; those after ok may be missing, and their cells empty."""

_TOKENS = ("tokens_in", "tokens_out")

_OK = {
    **dict.fromkeys(("1", "1.0", "true", "yes"), 1.0),
    **dict.fromkeys(("0", "0.0", "false", "no"), 0.0),
}


def is_log(header: Sequence[str], columns: Mapping[str, str] | None = None) -> bool:
    """Whether a header is that of a log: it has task, model and ok, and no attempts.

    Args:
        header: The names of the columns.
        columns: What it calls them, where the user says it.
    """
    layout = replace(_LAYOUT, optional={**_LAYOUT.optional, "attempts": "number"})

    def has(column: str) -> bool:
        return bool(layout.named_in(header, column, columns or {}))

    return all(has(column) for column in _LAYOUT.required) and not has("attempts")


def read_log(
    content: bytes,
    label: str,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    decimal: str | None = None,
    prices: Prices | None = None,
) -> Outcomes:
    """Sum up the requests of a log by task and model.

    Args:
        content: Of the file.
        label: What errors call it.
        columns: What it calls them, where the user says it.
        units: As of `stackroute.configs.read_outcomes`.
        decimal: As there.
        prices: Of tokens: what requests cost whose cost the log does not say.

    Returns:
        The outcomes: attempts are requests, successes those that are ok, cost and seconds the means where they are
        known; requests are in the order of their times, or of the rows where there are none.

    Raises:
        ConfigError: It is no CSV with the required columns, a column can be read in two ways, no row can be used, or
            prices are given that are not needed, lack a model or are in another currency.
    """
    table = read_columns(content, label, _LAYOUT, columns, units, decimal)
    solved = np.array([_OK.get(cell.lower(), np.nan) for cell in table.written["ok"]], dtype=np.float64)
    is_known = ("ok", np.isfinite(solved), "1 or 0, true or false, yes or no")
    reasons = unusable_rows(table, [is_known, *amounts_known(table, list(table.numbers))])
    rejected = rejected_rows(table, reasons)
    usable = np.ones(len(table.lines), dtype=np.bool_)
    usable[list(reasons)] = False
    rows = np.flatnonzero(usable)
    if not len(rows):
        example = f"; the first: {rejected[0]}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{example}")
    rows, order = _in_order(table, rows)
    task, tasks, model, models = tasks_and_models(table, rows, label)
    unknown = np.full(len(table.lines), np.nan)
    cost = table.numbers.get("cost", unknown)[rows]
    priced, money, note = np.zeros(len(rows), dtype=np.bool_), table.money, ""
    if prices is not None:
        used = _tokens(table, label)[rows]
        priced = np.isnan(cost) & np.isfinite(used).all(axis=1)
        each = np.zeros((len(models), 2))
        needed = np.unique(model[priced])
        each[needed] = prices.of([models[k] for k in needed])
        cost = np.where(priced, (used * each[model]).sum(axis=1), cost)
        if priced.any() and money not in (None, "USD"):
            raise ConfigError(f"{label}: costs are in {money} and prices in USD; expected one currency")
        money = "USD" if priced.any() else money
        note = f"; {priced.sum():,} costs are prices of {prices.label} x tokens"
    cells = task * len(models) + model

    def mean(amounts: FloatArray) -> FloatArray:
        known = np.isfinite(amounts)
        total, count = (_sums(cells[known], weights, tasks, models) for weights in (amounts[known], None))
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

    return Outcomes(
        label,
        label,
        tasks,
        models,
        _sums(cells, None, tasks, models).astype(np.int64),
        _sums(cells, solved[rows], tasks, models).astype(np.int64),
        mean(cost),
        mean(table.numbers.get("latency", unknown)[rows]),
        None,
        rejected,
        money,
        one_line(f"{table.understood}: {len(rows):,} requests {order}{note}{table.not_used}"),
        np.stack([task, model, solved[rows].astype(np.int64)], axis=1),
    )


def _in_order(table: Columns, rows: IntArray) -> tuple[IntArray, str]:
    """Rows in the order of their times, or as they stand where a time is missing or not understood; and which, said."""
    import pandas as pd

    if "time" not in table.written:
        return rows, "in the order of rows"
    texts = pd.Series(np.array(table.written["time"], dtype=object)[rows])
    times = pd.to_numeric(texts, errors="coerce")
    if times.isna().any():
        times = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
    if times.isna().any():
        return rows, "in the order of rows, as not all times are numbers or like 2026-01-31T23:59:59"
    return rows[np.argsort(times.to_numpy(), kind="stable")], "in the order of time"


def _sums(cells: IntArray, weights: FloatArray | None, tasks: Sequence[str], models: Sequence[str]) -> FloatArray:
    """The sum of weights, or the number of rows, by task and model."""
    shape = len(tasks), len(models)
    return np.bincount(cells, weights, shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _tokens(table: Columns, label: str) -> FloatArray:
    """The tokens of each row, in and out, NaN where they are not known, shape (rows, 2)."""
    missing = [column for column in _TOKENS if column not in table.numbers]
    if missing:
        raise ConfigError(f"prices: {label} has no column {', '.join(missing)}; it has {', '.join(table.header)}")
    return np.stack([table.numbers[column] for column in _TOKENS], axis=1)
