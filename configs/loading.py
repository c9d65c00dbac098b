"""Reading YAML into validated settings, with one-line errors that name file, key and what is allowed."""

from __future__ import annotations

import difflib
import io
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, ScalarEvent

from stackroute.configs.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails
    from ruamel.yaml.nodes import Node

_T = TypeVar("_T")
_Settings = TypeVar("_Settings", bound="Settings")

_DEEPEST = 20
_LONGEST = 200_000
_MOST = 10_000
_LONG_NUMBER = re.compile(r"[-+]?(0[xo])?[0-9a-fA-F_]{400,}")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")


class ConfigError(ValueError):
    """A settings file cannot be used; the message is one line that names file, key and what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Settings(BaseModel):
    """The base of all settings: unknown keys, missing keys and text in place of numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_other_keys(cls, content: Any) -> Any:
        """A misspelt key is both unknown and missing; the unknown one is the one to look at."""
        known = cls.model_fields
        for key in [key for key in content if key not in known] if isinstance(content, dict) else ():
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            # In {cost: 0,5} the comma begins another key.
            hint = "; decimals follow a point" if isinstance(key, int) else hint
            raise PydanticCustomError("unknown", f"{key}: unknown key; allowed keys: {', '.join(known)}{hint}")
        return content


def packaged(folder: str) -> dict[str, Path]:
    """The packaged YAML files of a folder of `stackroute.configs` ("games", "learners", ...), by name, in order."""
    found = (Path(__file__).parent / folder).rglob("*.yaml")
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def read_settings(name: str | Path, folder: str, schema: type[_T] | TypeAdapter[_T]) -> _T:
    """Read settings from the name of a packaged file of a folder, or from a path that ends in .yaml or .yml.

    Raises:
        ConfigError: No such name or file, a file that is not YAML, or a key or value that is not allowed.
    """
    label, path = str(name), Path(name)
    if path.suffix.lower() not in (".yaml", ".yml"):
        available = packaged(folder)
        if label.lower() not in available:
            near = difflib.get_close_matches(label.lower(), available, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            allowed = f"one of: {', '.join(available)}" if folder != "games" else "a name that 'stackroute games' lists"
            raise ConfigError(f"{label!r} is not a packaged name; {hint}expected a .yaml file or {allowed}")
        path = available[label.lower()]
    content = _parse(read_text(path, label), label)
    if not isinstance(content, dict):
        raise ConfigError(f"{label}: {type(content).__name__} is not allowed; expected keys and values")
    return validated(content, label, schema)


def read_text(path: Path, label: str) -> str:
    """The text of a file in UTF-8; ConfigError where it cannot be read, or is in no UTF-8."""
    try:
        return read_bytes(path, label).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{label}: not a text file in UTF-8") from None


def read_bytes(path: Path, label: str, otherwise: str = "") -> bytes:
    """The content of a file; ConfigError, with what else was possible, where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{label}: no such file{otherwise}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{label!r}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def with_changes(settings: _Settings, changes: Sequence[str]) -> _Settings:
    """The same settings with some values replaced.

    Args:
        settings: Valid settings.
        changes: Texts of the form key=value; a key inside another is written with dots, a model of a game by its
            position or its label (`models.0.latency=40`), the value as in YAML.

    Returns:
        The changed settings.

    Raises:
        ConfigError: A text is not of that form, or the result is not allowed.
    """
    content = settings.model_dump()
    for change in changes:
        key, equals, text = change.partition("=")
        path, _, last = key.strip().rpartition(".")
        for position, model in enumerate(content.get("models", ())):
            if path == f"models.{model['label']}":
                path = f"models.{position}"
        place: Any = content
        for step in filter(None, path.split(".")):
            place = _entries(place).get(int(step) if step.isdecimal() else step)
        if not equals or not isinstance(place, dict):
            listed = ", ".join(_listed(content))
            raise ConfigError(f"{change!r} is not allowed; expected KEY=VALUE with one of the keys {listed}")
        place[last] = _parse(text, change)
    return validated(content, " ".join(changes), type(settings))


def validated(content: dict[str, Any], label: str, schema: type[_T] | TypeAdapter[_T]) -> _T:
    """Settings from keys and values; `label` is what an error calls their source.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    adapter = schema if isinstance(schema, TypeAdapter) else TypeAdapter(schema)
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise ConfigError(f"{label}: {_explain(error.errors()[0], content)}") from None


def as_yaml(settings: Settings) -> str:
    """Settings as the text of a YAML file, which reads back as the same settings."""
    writer, text = YAML(), io.StringIO()
    writer.width = 4096
    writer.dump(settings.model_dump(exclude_none=True), text)
    return text.getvalue()


def _parse(text: str, label: str) -> Any:
    with _yaml_errors(label):
        _refuse_more_than_data(text)
        return YAML(typ="safe", pure=True).load(text)


def read_nodes(text: str, label: str) -> Node | None:
    """The nodes of YAML: its texts as they are written, with the lines on which they stand; None where it is empty.

    Raises:
        ConfigError: It is not YAML, or more than data.
    """
    with _yaml_errors(label):
        _refuse_more_than_data(text, typed=False)
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
        return node


@contextmanager
def _yaml_errors(label: str) -> Iterator[None]:
    """What is wrong with YAML, in a line."""
    try:
        yield
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{label}: not valid YAML{where}: {error.problem or error}") from None
    except (ArithmeticError, ValueError, YAMLError) as error:
        raise ConfigError(f"{label}: not valid YAML: {error}") from None


def _refuse_more_than_data(text: str, *, typed: bool = True) -> None:
    """Aliases can grow without bound, tags and versions change what a value means, and 010, where typed, is 8 or 10."""
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} characters are not allowed; expected at most {_LONGEST}")
    depth = 0
    for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        problem = ""
        if any(getattr(event, part, None) for part in ("anchor", "tag", "version")):
            problem = "anchors, aliases, tags and versions are not allowed"
        elif depth > _DEEPEST:
            problem = "nested too deeply"
        elif count > _MOST:
            problem = f"more than {_MOST} keys and values are not allowed"
        elif isinstance(event, ScalarEvent) and re.search("[\ud800-\udfff]", event.value):
            problem = "a character that is half of another is not allowed"
        elif isinstance(event, ScalarEvent) and not event.style and _LONG_NUMBER.fullmatch(event.value):
            problem = f"a number of {len(event.value)} digits is not allowed"
        elif typed and isinstance(event, ScalarEvent) and not event.style and _LEADING_ZERO.fullmatch(event.value):
            problem = f"{event.value} is not allowed; expected a number without leading zeros, or quoted text"
        if problem:
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _listed(content: Any, prefix: str = "") -> list[str]:
    """All keys, those inside others with dots."""
    if not isinstance(content, dict) and not any(isinstance(one, dict) for one in _entries(content).values()):
        return [prefix.removesuffix(".")]
    return [key for name, value in _entries(content).items() for key in _listed(value, f"{prefix}{name}.")]


def _explain(error: ErrorDetails, content: Any) -> str:
    keys: list[str] = []
    for step in error["loc"]:
        # In a union, pydantic names the member before its key.
        if step in _entries(content):
            keys.append(str(step))
            content = _entries(content)[step]
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    expected = error["msg"].removeprefix("Input should be ")
    if kind == "unknown":
        return ".".join([*keys, expected])
    if kind == "missing":
        return ".".join([*keys, f"{error['loc'][-1]}: missing key"])
    if kind == "value_error":
        return ": ".join([".".join(keys), str(context["error"])]).removeprefix(": ")
    if "discriminator" in context:
        keys.append(context["discriminator"].strip("'"))
        if "tag" not in context:
            return f"{'.'.join(keys)}: missing key"
        given, expected = context["tag"], f"one of {context['expected_tags']}"
    return f"{'.'.join(keys)}: {given!r} is not allowed; expected " + expected.replace("'", "")


def _entries(content: Any) -> dict[Any, Any]:
    """What is inside, by key or by position."""
    if isinstance(content, list):
        return dict(enumerate(content))
    return content if isinstance(content, dict) else {}
