"""Reading YAML into validated settings, with one-line errors that name file, key and what is allowed."""

from __future__ import annotations

import contextlib
import difflib
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from pydantic_core import ErrorDetails

_Settings = TypeVar("_Settings", bound="Settings")


class ConfigError(ValueError):
    """A settings file cannot be used; the message is one line that names file, key and what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Settings(BaseModel):
    """The base of all settings: unknown keys, missing keys and text in place of numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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


def read_settings(name: str | Path, folder: str, schema: type[_Settings]) -> _Settings:
    """Read settings from a packaged name or a YAML file.

    Args:
        name: A packaged name, or the path of a file that ends in .yaml or .yml.
        folder: Where packaged names are looked up: "games", "learners" or "training".
        schema: The settings' class.

    Returns:
        The validated settings.

    Raises:
        ConfigError: No such name or file, a file that is not YAML, or a key or value that is not allowed.
    """
    return validated(*read_content(name, folder), schema)


def one_of(content: dict[str, Any], label: str, key: str, schemas: Mapping[str, type[Settings]]) -> Settings:
    """Validate settings whose class is named by one of their own keys.

    Args:
        content: Keys and values.
        label: What to call their source in an error.
        key: The key that names the class.
        schemas: The classes by name.

    Returns:
        The validated settings.

    Raises:
        ConfigError: The key is missing or names no class, or a key or value is not allowed.
    """
    chosen = content.get(key)
    if not isinstance(chosen, str) or chosen not in schemas:
        raise ConfigError(f"{label}: {key}: {chosen!r} is not allowed; expected one of {', '.join(schemas)}")
    return validated(content, label, schemas[chosen])


def read_content(name: str | Path, folder: str) -> tuple[dict[str, Any], str]:
    """Read keys and values that are not validated yet.

    Args:
        name: A packaged name, or the path of a file that ends in .yaml or .yml.
        folder: Where packaged names are looked up.

    Returns:
        The content, and what to call its source in an error.

    Raises:
        ConfigError: No such name or file, or a file that is not YAML.
    """
    label, text = _read_text(name, folder)
    content = _parse(text, label)
    if not isinstance(content, dict):
        raise ConfigError(f"{label}: {type(content).__name__} is not allowed; expected keys and values")
    return content, label


def _parse(text: str, label: str) -> Any:
    try:
        _refuse_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader), label)
        return yaml.safe_load(text)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{label}: not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{label}: not valid YAML: nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{label}: not valid YAML{where}: {getattr(error, 'problem', None) or error}") from None


def with_changes(settings: _Settings, changes: Sequence[str]) -> _Settings:
    """The same settings with some values replaced.

    Args:
        settings: Valid settings.
        changes: Texts of the form key=value; a key inside another is written with dots, the value as in YAML.

    Returns:
        The changed settings.

    Raises:
        ConfigError: A text is not of that form, or the result is not allowed.
    """
    content = settings.model_dump()
    for change in changes:
        key, equals, text = change.partition("=")
        *path, last = key.strip().split(".")
        place: Any = content
        for step in path:
            place = place.get(step) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict):
            raise ConfigError(f"{change!r} is not allowed; expected KEY=VALUE with one of the keys {_listed(content)}")
        place[last] = _parse(text, change)
        if isinstance(place[last], str):
            # YAML takes numbers such as 1e-3 for text.
            with contextlib.suppress(ValueError):
                place[last] = float(text)
    return validated(content, " ".join(changes), type(settings))


def _listed(content: dict[str, Any], prefix: str = "") -> str:
    keys = (_listed(v, f"{prefix}{k}.") if isinstance(v, dict) else f"{prefix}{k}" for k, v in content.items())
    return ", ".join(keys)


def validated(content: dict[str, Any], label: str, schema: type[_Settings]) -> _Settings:
    """Validate settings read from somewhere.

    Args:
        content: Keys and values.
        label: What to call their source in an error.
        schema: The settings' class.

    Returns:
        The validated settings.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        # A misspelt key is both unknown and missing; the unknown one is the one to look at.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise ConfigError(f"{label}: {_explain(first, schema)}") from None


def _refuse_repeated_keys(node: yaml.Node | None, label: str) -> None:
    """YAML itself would silently keep the last one."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(f"{label}: {key.value}: repeated key at line {key.start_mark.line + 1}")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            _refuse_repeated_keys(value, label)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, label)


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


def _explain(error: ErrorDetails, schema: type[Settings]) -> str:
    location = error["loc"]
    key = ".".join(map(str, location))
    siblings = _keys_beside(location, schema)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key}: unknown key; allowed keys: {', '.join(siblings)}{hint}"
    if error["type"] == "missing":
        return f"{key}: missing key; allowed keys: {', '.join(siblings)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]) if not key else f"{key}: {error['ctx']['error']}"
    expected = error["msg"].removeprefix("Input should be ").replace("'", "")
    if error["type"] == "float_type" and isinstance(error["input"], str):
        with contextlib.suppress(ValueError):
            if math.isfinite(float(error["input"])):
                expected += f"; YAML reads this one as text, write {float(error['input'])}"
    return f"{key}: {error['input']!r} is not allowed; expected {expected}"


def _keys_beside(location: Iterable[Any], schema: type[Settings]) -> list[str]:
    current: Any = schema
    for step in list(location)[:-1]:
        if isinstance(step, int):
            # The entry of a list is of the list's own type, which the step before has led to.
            continue
        current = current.model_fields[step].annotation
        # A part of the settings may be optional, or one of a list.
        current = next((one for one in _parts(current) if _is_schema(one)), current)
    return list(current.model_fields) if _is_schema(current) else []


def _parts(annotation: Any) -> Iterator[Any]:
    """What an annotation such as `list[X] | None` is made of."""
    for part in get_args(annotation):
        yield part
        yield from _parts(part)


def _is_schema(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)
