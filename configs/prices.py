"""Prices of tokens as JSON, in the form of LiteLLM's model_prices_and_context_window.json."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.configs.loading import ConfigError, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stackroute.analytic.game import FloatArray

KEYS = ("input_cost_per_token", "output_cost_per_token")
"""The keys of a model that are used: dollars for a token of a prompt, and of an answer."""

_DEAREST = 0.01


@dataclass(frozen=True)
class Prices:
    """The prices of tokens, checked for a model when they are asked for.

    Attributes:
        label: What errors call the file.
        entries: All entries of each model, each as its keys and values.
    """

    label: str
    entries: Mapping[str, Sequence[Any]]

    def of(self, models: Sequence[str]) -> FloatArray:
        """The price of a token of the prompt and of the answer by model, USD, shape (n, 2).

        Raises:
            ConfigError: A model has no entry or several, or a price is missing or not allowed.
        """
        found: FloatArray = np.array([self._price(model) for model in models], dtype=np.float64).reshape(-1, 2)
        return found

    def _price(self, model: str) -> tuple[float, ...]:
        entries = self.entries.get(model, ())
        if not entries:
            near = difflib.get_close_matches(model, self.entries, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"prices: {self.label} has no {model!r}; {hint}expected an entry by the name in the log")
        if len(entries) > 1:
            raise ConfigError(f"prices: {self.label} has {len(entries)} entries {model!r}; expected one")
        if not isinstance(entries[0], tuple):
            raise ConfigError(f"prices: {self.label}: {model}: {entries[0]!r} is not allowed; expected keys and values")
        return tuple(self._number(model, key, [value for name, value in entries[0] if name == key]) for key in KEYS)

    def _number(self, model: str, key: str, values: Sequence[Any]) -> float:
        place = f"prices: {self.label}: {model}.{key}"
        if len(values) != 1:
            raise ConfigError(f"{place}: {'stands there twice' if values else 'missing key'}; expected it once")
        (value,) = values
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= _DEAREST:
            raise ConfigError(f"{place}: {value!r} is not allowed; expected dollars for one token, 0 to {_DEAREST}")
        return float(value)


def read_prices(path: str | Path) -> Prices:
    """Read prices of tokens.

    Args:
        path: A JSON file: by the name of a model `input_cost_per_token` and `output_cost_per_token`, USD, as in
            LiteLLM's model_prices_and_context_window.json; other keys, such as prices of cached tokens, are not used.

    Returns:
        The prices. Only those that are asked for have to be there.

    Raises:
        ConfigError: There is no such file, or it is no JSON object.
    """
    label = str(path)

    def refused(constant: str) -> float:
        raise ValueError(f"{constant} is not allowed")

    try:
        # An object is a tuple of its pairs, so that one that names a model twice shows.
        content = json.loads(read_text(Path(path), label), object_pairs_hook=tuple, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{label}: not valid JSON: {error}") from None
    if not isinstance(content, tuple):
        raise ConfigError(f"{label}: {type(content).__name__} is not allowed; expected prices by the names of models")
    entries: dict[str, list[Any]] = {}
    for model, entry in content:
        entries.setdefault(model, []).append(entry)
    return Prices(label, entries)
