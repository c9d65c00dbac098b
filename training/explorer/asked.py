"""What the command asks the page to show, as it comes to the process that serves it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Asked:
    """What the command was asked to show.

    Attributes:
        name: A packaged game, a file or a table; None to choose among the packaged games on the page.
        columns: As of `stackroute.configs.tables.read_models`.
        units: As there.
        decimal: As there.
        changes: Numbers of the game that are others, as of `stackroute.configs.with_changes`.
        run: The folder of a run whose players are shown, or an empty text.
    """

    name: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    decimal: str | None = None
    changes: list[str] = field(default_factory=list)
    run: str = ""

    def as_argument(self) -> str:
        """The argument from which `from_argument` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> Self:
        """What `as_argument` gave."""
        return cls(**json.loads(text))
