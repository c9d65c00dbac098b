"""Reading measured outcomes by task from CSV files."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stackroute.configs.columns import (
    Columns,
    Layout,
    Rejected,
    amounts_known,
    read_columns,
    rejected_rows,
    tasks_and_models,
    unusable_rows,
)
from stackroute.configs.loading import ConfigError, read_bytes
from stackroute.configs.logs import is_log, read_log
from stackroute.configs.outcomes import Outcomes
from stackroute.configs.prices import read_prices
from stackroute.configs.text import named, one_line, some_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from stackroute.configs.columns import Check

_LAYOUT = Layout(
    required={"task": None, "model": None, "attempts": "number", "successes": "number"},
    optional={"cost": "money", "seconds": "time"},
    main={},
)
OUTCOME_COLUMNS = tuple(_LAYOUT.columns)
"""The columns of outcomes; cost and seconds may be missing, and their cells empty."""

_UNKNOWN = "unknown"
_FEATURES = Layout(required={"task": None}, optional={}, main={}, also={"task": ("task_id",)})
_PACKAGED = Path(__file__).parent / "outcomes"
_SOURCES = {
    "bfcl": "HuanzhiMao/BFCL-Result at commit b4adfc9be5e0 (run of 2024-08-11); questions of ShishirPatil/gorilla at "
    "de8307b415d5 (Apache-2.0); list prices of simonw/llm-prices at 723ef0bd",
    "metr": "METR/eval-analysis-public at commit 9c1d4e54e31e, data/external/all_runs.jsonl",
    "evalperf": "evalplus/evalplus.github.io at commit 87418456d3a8, results/evalperf (Apache-2.0)",
}
_GZIP = b"\x1f\x8b"
_LONGEST_HEADER = 100_000
_LARGEST_FILE = 500_000_000
_MOST_ATTEMPTS = 1e9


def outcome_names() -> list[str]:
    """The names of the packaged outcomes."""
    return list(_SOURCES)


def is_outcomes(path: str | Path, columns: Mapping[str, str] | None = None) -> bool:
    """Whether it is a packaged name, a folder of outcomes, or a file whose header is that of outcomes or of a log.

    Args:
        path: As of `read_outcomes`.
        columns: As there.
    """
    if str(path) in _SOURCES:
        return True
    place = Path(path)
    try:
        if place.is_dir():
            return _in_folder(place, "outcomes") is not None
        with place.open("rb") as file:
            compressed = file.read(2) == _GZIP
        with gzip.open(place) if compressed else place.open("rb") as file:
            header = file.readline(_LONGEST_HEADER)
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    names = _header(header)
    return {(columns or {}).get(name, name) for name in ("task", "attempts")} <= {*names} or is_log(names, columns)


def read_outcomes(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    decimal: str | None = None,
    prices: str | Path | None = None,
) -> Outcomes:
    """Read measured outcomes by task, or a log of requests, which is summed up by task and model.

    Args:
        path: A packaged name ("bfcl", "metr", "evalperf"), a folder with `outcomes.csv` and perhaps `features.csv`, or
            a file of outcomes; each perhaps compressed by gzip. As CSV with commas, semicolons or tabs. A file that has
            no attempts but whether a request was solved is a log.
        columns: What the file calls the columns of `OUTCOME_COLUMNS`, or of a log those of
            `stackroute.configs.logs.LOG_COLUMNS`, where it uses other names.
        units: The units of columns, as in `{"cost": "usd/1k", "seconds": "ms"}`, where neither their headers nor the
            signs in their cells say them.
        decimal: "point" or "comma", where the numbers do not show it.
        prices: The path of the prices of tokens, as of `stackroute.configs.prices.read_prices`: of a log, what requests
            cost whose cost it does not say.

    Returns:
        The outcomes, with the rows that cannot be used and the reasons.

    Raises:
        ConfigError: There is no such file, it is no CSV with the required columns, a column can be read in two ways,
            no row can be used, or a price is missing or not needed.

    Examples:
        >>> outcomes = read_outcomes("metr")
        >>> len(outcomes.tasks), len(outcomes.models), int(outcomes.attempts.sum())
        (83, 10, 6848)
    """
    label = str(path)
    place = _PACKAGED / label if label in _SOURCES else Path(path)
    file, features = place, None
    if place.is_dir():
        file, features = _in_folder(place, "outcomes") or place / "outcomes.csv", _in_folder(place, "features")
    otherwise = f"; expected a folder, a CSV file, or one of {', '.join(_SOURCES)}"
    content = _content(file, label, otherwise)
    header = _header(content[:_LONGEST_HEADER].split(b"\n", 1)[0])
    if is_log(header, columns):
        found = None if prices is None else read_prices(prices)
        outcomes = read_log(content, label, columns or {}, units, decimal, found)
    elif prices is not None:
        raise ConfigError(f"prices: is for logs of requests with tokens; {label!r} holds outcomes by task")
    else:
        outcomes = _read_counts(content, label, columns, units, decimal)
    outcomes = replace(outcomes, name=place.stem, source=_SOURCES.get(label, label))
    if features is None:
        return outcomes
    known, more, _ = _read_features(_content(features, label), f"{label}, features", outcomes.tasks)
    return replace(outcomes, features=known, rejected=(*outcomes.rejected, *more))


def _read_counts(
    content: bytes,
    label: str,
    columns: Mapping[str, str] | None,
    units: Mapping[str, str] | None,
    decimal: str | None,
) -> Outcomes:
    """Outcomes from a row for each task and model."""
    table = read_columns(content, label, _LAYOUT, columns, units, decimal)
    reasons = _problems(table)
    usable = np.ones(len(table.lines), dtype=np.bool_)
    usable[list(reasons)] = False
    rows = np.flatnonzero(usable)
    task, tasks, model, models = tasks_and_models(table, rows, label)
    _, first = np.unique(task * max(len(models), 1) + model, return_index=True)
    for row in np.delete(rows, first):
        reasons[int(row)] = "task and model: stand in the file twice; the first row is used"
    rejected = rejected_rows(table, reasons)
    if not len(rows):
        example = f"; the first: {rejected[0]}" if rejected else ""
        raise ConfigError(f"{label}: no row can be used{example}")
    arrays = {}
    for column, missing in {"attempts": 0.0, "successes": 0.0, "cost": np.nan, "seconds": np.nan}.items():
        arrays[column] = np.full((len(tasks), len(models)), missing)
        if column in table.numbers:
            arrays[column][task[first], model[first]] = table.numbers[column][rows[first]]
    return Outcomes(
        label,
        label,
        tasks,
        models,
        arrays["attempts"].astype(np.int64),
        arrays["successes"].astype(np.int64),
        arrays["cost"],
        arrays["seconds"],
        None,
        rejected,
        table.money,
        one_line(table.understood + table.not_used),
    )


def read_features(path: str | Path, tasks: Sequence[str]) -> pd.DataFrame:
    """Read what is known of tasks beforehand, as of `features.csv` beside outcomes.

    Args:
        path: A CSV file with the column `task` and any others, perhaps compressed by gzip.
        tasks: Which tasks.

    Returns:
        A row for each of the tasks, with numbers where a column holds nothing else.

    Raises:
        ConfigError: There is no such file, it is no CSV with that column, or a task is not in it.
    """
    label = str(path)
    features, _, missing = _read_features(_content(Path(path), label), label, tasks)
    if missing:
        raise ConfigError(f"features: {label} has none of {some_of(missing)}; expected a row for each task")
    return features


def read_tasks(path: str | Path) -> pd.DataFrame:
    """Read what is known of new tasks: as of `read_features`, but every row and all cells as texts.

    Raises:
        ConfigError: There is no such file, it is no CSV with the column `task`, or a row has too many cells.
    """
    import pandas as pd

    label = str(path)
    table = _feature_table(_content(Path(path), label), label)
    for row, reason in table.too_long.items():
        raise ConfigError(f"{label}: line {table.lines[row]}: {reason}")
    tasks = [one_line(task) for task in table.written["task"]]
    columns = {
        one_line(name): [text or _UNKNOWN for text in cells]
        for name, cells in zip(table.header, table.cells, strict=True)
        if name != table.names.get("task", "task")
    }
    return pd.DataFrame(columns, index=pd.Index(tasks, name="task"), dtype=object)


def _in_folder(folder: Path, name: str) -> Path | None:
    """The file of a name in a folder, as it is or compressed."""
    return next((path for end in (".csv", ".csv.gz") if (path := folder / f"{name}{end}").is_file()), None)


def _header(line: bytes) -> list[str]:
    """The names of columns on the first line of a file."""
    return [name.strip(' "\r\n') for name in re.split("[,;\t]", line.decode("utf-8-sig", "replace"))]


def _content(path: Path, label: str, otherwise: str = "") -> bytes:
    """The content of a file that may be compressed."""
    content = read_bytes(path, label, otherwise)
    if content.startswith(_GZIP):
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_LARGEST_FILE + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{label}: not a file compressed by gzip: {error}") from None
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{label}: more than {_LARGEST_FILE // 1_000_000} MB are not allowed")
    return content


def _problems(table: Columns) -> dict[int, str]:
    """Why rows cannot be used, by their number."""
    tried, solved = table.numbers["attempts"], table.numbers["successes"]
    whole = "a whole number from"
    can_be_tried = (tried >= 1) & (tried <= _MOST_ATTEMPTS) & (tried == np.floor(tried))
    can_be_solved = (solved >= 0) & (solved <= tried) & (solved == np.floor(solved))
    checks: list[Check] = [
        ("attempts", can_be_tried, f"{whole} 1 to 1e9"),
        ("successes", can_be_solved, lambda row: f"{whole} 0 to the {tried[row]:.0f} attempts"),
    ]
    return unusable_rows(table, [*checks, *amounts_known(table, ("cost", "seconds"))])


def _feature_table(content: bytes, label: str) -> Columns:
    """The columns of a file of features."""
    table = read_columns(content, label, _FEATURES)
    if len(set(table.header)) != len(table.header):
        raise ConfigError(
            f"{label}: columns {', '.join(table.header)} are not allowed; expected a name of its own for each"
        )
    return table


def _read_features(content: bytes, label: str, tasks: Sequence[str]) -> tuple[pd.DataFrame, list[Rejected], list[str]]:
    """What is known of each task, numbers where a column holds nothing else; rows without use; tasks without a row."""
    import pandas as pd

    table = _feature_table(content, label)
    rejected: list[Rejected] = []
    of_task: dict[str, int] = {}
    wanted = set(tasks)
    for row, task in enumerate(map(one_line, table.written["task"])):
        reason = table.too_long.get(row, "" if task in wanted else "task: is not in the outcomes")
        reason = reason or ("task: stands in the features twice; the first row is used" if task in of_task else "")
        if reason:
            rejected.append(Rejected(table.lines[row], f"features, {named(task)}", reason))
        else:
            of_task[task] = row
    rows = [of_task.get(task) for task in tasks]
    features = {}
    for name, cells in zip(table.header, table.cells, strict=True):
        if name != table.names.get("task", "task"):
            texts = pd.Series(["" if row is None else cells[row] for row in rows], tasks, dtype=object)
            numbers = pd.to_numeric(texts, errors="coerce").astype(float)
            is_text = (texts != "") & ~np.isfinite(numbers)
            features[one_line(name)] = texts.replace("", _UNKNOWN) if is_text.any() else numbers
    missing = [task for task in tasks if task not in of_task]
    return pd.DataFrame(features, index=list(tasks)), rejected, missing
