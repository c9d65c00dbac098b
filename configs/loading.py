"""Reading YAML into validated settings, with one-line errors that name file, key and what is allowed."""

from __future__ import annotations

import difflib
import io
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, ScalarEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable

    from pydantic_core import ErrorDetails

    Classes = list[type["Settings"]]

_T = TypeVar("_T")
_Settings = TypeVar("_Settings", bound="Settings")

_DEEPEST = 20
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")


class ConfigError(ValueError):
    """A settings file cannot be used; the message is one line that names file, key and what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Settings(BaseModel):
    """The base of all settings: unknown keys, missing keys and text in place of numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def packaged(folder: str) -> dict[str, Traversable]:
    """The packaged YAML files of a folder of `stackroute.configs`, by name, in order.

    Args:
        folder: "games", "learners" or "training".
    """
    found: dict[str, Traversable] = {}
    pending = [resources.files("stackroute.configs") / folder]
    while pending:
        entry = pending.pop()
        if entry.is_dir():
            pending.extend(entry.iterdir())
        elif entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = entry
    return dict(sorted(found.items()))


def read_settings(name: str | Path, folder: str, schema: type[_T] | TypeAdapter[_T]) -> _T:
    """Read settings from a packaged name or a YAML file.

    Args:
        name: A packaged name, or the path of a file that ends in .yaml or .yml.
        folder: Where packaged names are looked up: "games", "learners" or "training".
        schema: The settings' class, or the adapter of a union of classes.

    Returns:
        The validated settings.

    Raises:
        ConfigError: No such name or file, a file that is not YAML, or a key or value that is not allowed.
    """
    label, text = _read_text(name, folder)
    content = _parse(text, label)
    if not isinstance(content, dict):
        raise ConfigError(f"{label}: {type(content).__name__} is not allowed; expected keys and values")
    return validated(content, label, schema)


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
            entries = dict(enumerate(place)) if isinstance(place, list) else place
            place = entries.get(int(step) if step.isdecimal() else step) if isinstance(entries, dict) else None
        if not equals or not isinstance(place, dict):
            listed = ", ".join(_listed(content))
            raise ConfigError(f"{change!r} is not allowed; expected KEY=VALUE with one of the keys {listed}")
        place[last] = _parse(text, change)
    return validated(content, " ".join(changes), type(settings))


def validated(content: dict[str, Any], label: str, schema: type[_T] | TypeAdapter[_T]) -> _T:
    """Validate settings read from somewhere.

    Args:
        content: Keys and values.
        label: What to call their source in an error.
        schema: The settings' class, or the adapter of a union of classes.

    Returns:
        The validated settings.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    adapter = schema if isinstance(schema, TypeAdapter) else TypeAdapter(schema)
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        # A misspelt key is both unknown and missing; the unknown one is the one to look at.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise ConfigError(f"{label}: {_explain(first, adapter._type)}") from None


def as_yaml(settings: Settings) -> str:
    """Settings as the text of a YAML file, which reads back as the same settings."""
    writer, text = YAML(), io.StringIO()
    writer.width = 4096
    writer.dump(settings.model_dump(exclude_none=True), text)
    return text.getvalue()


def _parse(text: str, label: str) -> Any:
    try:
        _refuse_more_than_data(text)
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{label}: not valid YAML{where}: {error.problem or error}") from None
    except (ValueError, YAMLError) as error:
        raise ConfigError(f"{label}: not valid YAML: {error}") from None


def _refuse_more_than_data(text: str) -> None:
    """Aliases can grow without bound, tags and versions change what a value means, and 010 is 8 or 10."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        problem = ""
        if any(getattr(event, part, None) for part in ("anchor", "tag", "version")):
            problem = "anchors, aliases, tags and versions are not allowed"
        elif depth > _DEEPEST:
            problem = "nested too deeply"
        elif isinstance(event, ScalarEvent) and not event.style and _LEADING_ZERO.fullmatch(event.value):
            problem = f"{event.value} is not allowed; expected a number without leading zeros, or quoted text"
        if problem:
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _listed(content: Any, prefix: str = "") -> list[str]:
    """All keys, those inside others with dots."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        return [prefix.removesuffix(".")]
    return [key for name, value in content.items() for key in _listed(value, f"{prefix}{name}.")]


def _read_text(name: str | Path, folder: str) -> tuple[str, str]:
    label = str(name)
    if Path(name).suffix in (".yaml", ".yml"):
        source: Traversable = Path(name)
    else:
        available = packaged(folder)
        if label.lower() not in available:
            near = difflib.get_close_matches(label.lower(), available, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            listed = ", ".join(available)
            raise ConfigError(f"{label!r} is not a packaged name; {hint}expected a .yaml file or one of: {listed}")
        source = available[label.lower()]
    try:
        return label, source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{label}: no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{label}: not a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{label!r}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _explain(error: ErrorDetails, schema: Any) -> str:
    keys, holders, inside = _located(error["loc"], schema)
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        keys.append(context["discriminator"].strip("'"))
        tags = [tag for one in inside for tag in get_args(one.model_fields[keys[-1]].annotation)]
        return f"{'.'.join(keys)}: {given.get(keys[-1])!r} is not allowed; expected one of {', '.join(tags)}"
    key = ".".join(keys)
    siblings = list(holders[0].model_fields) if holders else []
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(keys[-1], siblings, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key}: unknown key; allowed keys: {', '.join(siblings)}{hint}"
    if kind == "missing":
        return f"{key}: missing key; allowed keys: {', '.join(siblings)}"
    if kind == "value_error":
        return f"{key}: {context['error']}" if key else str(context["error"])
    expected = error["msg"].removeprefix("Input should be ").replace("'", "")
    return f"{key}: {given!r} is not allowed; expected {expected}"


def _located(location: Sequence[str | int], schema: Any) -> tuple[list[str], Classes, Classes]:
    """The keys of an error's location, and the classes of the settings around and below the last one."""
    keys: list[str] = []
    holders = inside = _classes(schema)
    for step in location:
        if len(inside) > 1:
            # In a union, pydantic names the member before its key.
            inside = [one for one in inside if any(step in get_args(f.annotation) for f in one.model_fields.values())]
            continue
        keys.append(str(step))
        if isinstance(step, str):
            holders = inside
            field = inside[0].model_fields.get(step) if inside else None
            inside = _classes(field.annotation) if field else []
    return keys, holders, inside


def _classes(annotation: Any) -> Classes:
    """The classes of settings that an annotation such as `list[X] | None` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [one for part in get_args(annotation) for one in _classes(part)]
