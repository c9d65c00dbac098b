"""Runs of aider's leaderboards as YAML: two attempts at each test case, from which comes what one attempt is like."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from stackroute.configs.columns import Rejected
from stackroute.configs.loading import ConfigError, read_nodes
from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s*#[^\n]*\n|\s*---\s*\n|\s)*-\s+\w+:\s")
_RATE = re.compile(rb"^\s+(?:-\s+)?pass_rate_1:", re.MULTILINE)

Percent = Annotated[float, Field(gt=0, lt=100)]


class Run(BaseModel):
    """A run of a model: as the leaderboard has it, and what an attempt of it is like.

    Attributes:
        model: Its name.
        test_cases: How many tasks it had.
        pass_rate_1: Which it solved at the first attempt, per cent.
        pass_rate_2: Which it solved at one of two attempts, per cent.
        total_cost: What the run cost, USD.
        seconds_per_case: Seconds of a task, with both attempts.
        date: When it was, as 2025-01-31; empty where it is not known.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, defer_build=True, extra="ignore")

    model: Annotated[str, Field(min_length=1)]
    test_cases: Annotated[int, Field(ge=1)]
    pass_rate_1: Percent
    pass_rate_2: Percent
    total_cost: Annotated[float, Field(gt=0)]
    seconds_per_case: Annotated[float, Field(ge=0)]
    date: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""

    @property
    def success(self) -> float:
        """The probability that the first attempt solves a task."""
        return self.pass_rate_1 / 100.0

    @property
    def success_error(self) -> float:
        """Its standard error: that of a share of independent tasks."""
        return math.sqrt(self.success * (1.0 - self.success) / self.test_cases)

    @property
    def second_success(self) -> float | None:
        """The probability that the second attempt solves a task after the first one failed; None where none did."""
        return (self.pass_rate_2 - self.pass_rate_1) / (100.0 - self.pass_rate_1) or None

    @property
    def attempts(self) -> float:
        """Attempts at a task: a second one where the first failed."""
        return 2.0 - self.success

    @property
    def cost(self) -> float:
        """What an attempt costs, USD."""
        return self.total_cost / (self.test_cases * self.attempts)

    @property
    def latency(self) -> float:
        """Seconds of an attempt."""
        return self.seconds_per_case / self.attempts


def is_leaderboard(content: bytes) -> bool:
    """Whether the content of a file is YAML with runs of a leaderboard: a list of entries with a `pass_rate_1`."""
    return _BEGINNING.match(content) is not None and _RATE.search(content) is not None


def read_leaderboard(text: str, label: str) -> tuple[list[Run], list[Rejected]]:
    """Read runs: of several runs of a model its latest, and of those of one day the last in the file.

    Args:
        text: Of the file.
        label: What errors call it.

    Returns:
        A run for each model, in the order of the file, and the entries that are not used, with the reason.

    Raises:
        ConfigError: It is no list of entries.
    """
    root = read_nodes(text, label)
    if not isinstance(root, SequenceNode):
        raise ConfigError(f"{label}: expected a list of runs, each with model, pass_rate_1 and so on")
    latest: dict[str, tuple[int, Run]] = {}
    rejected = []
    for node in root.value:
        line = node.start_mark.line + 1
        try:
            run = _run(node)
        except ValueError as error:
            rejected.append(Rejected(line, _name(node), one_line(str(error))))
            continue
        before = latest.get(run.model)
        if before is None or before[1].date <= run.date:
            latest[run.model] = (line, run)
            older, used = before, (line, run)
        else:
            older, used = (line, run), before
        if older:
            by = f"the one of {used[1].date or 'no date'} on line {used[0]} is used"
            rejected.append(Rejected(older[0], one_line(run.model), f"model: has several runs; {by}"))
    runs = [run for _, run in sorted(latest.values(), key=lambda found: found[0])]
    return runs, sorted(rejected, key=lambda row: row.line)


def _run(node: Node) -> Run:
    """The run of an entry; ValueError where it cannot be used."""
    if not isinstance(node, MappingNode):
        raise ValueError("expected keys and values")
    content: dict[str, str] = {}
    for key, value in node.value:
        if key.value in content:
            raise ValueError(f"{key.value}: stands in the entry twice, also on line {key.start_mark.line + 1}")
        if isinstance(value, ScalarNode):
            content[key.value] = value.value
    try:
        run = Run.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key, expected = str(first["loc"][0]), first["msg"].removeprefix("Input should be ")
        if first["type"] == "missing":
            raise ValueError(f"{key}: missing key") from None
        hint = ", as 0 may mean that it is not known" if key == "total_cost" else ""
        raise ValueError(f"{key}: {content[key]} is not allowed; expected {expected}{hint}") from None
    if run.pass_rate_2 < run.pass_rate_1:
        raise ValueError(f"pass_rate_2: {run.pass_rate_2} is not allowed; expected at least pass_rate_1")
    return run


def _name(node: Node) -> str:
    """The model of an entry that cannot be used, or what stands in its place."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    return one_line(next((value.value for key, value in pairs if key.value == "model" and value.value), "(no name)"))
