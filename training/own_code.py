"""Python of one's own that a command is given by name, as FILE.py:NAME; no data file is ever run so."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from stackroute.configs import ConfigError
from stackroute.configs.loading import read_text

_PLACE = re.compile(r"(?P<path>.+\.py):(?P<name>[^\W\d]\w*)")


def is_own_code(text: str) -> bool:
    """Whether a text has the form FILE.py:NAME."""
    return _PLACE.fullmatch(text) is not None


@dataclass(frozen=True)
class OwnCode:
    """What a Python file calls by a name: pickled with the file's text, so that another process runs the same.

    Attributes:
        path: The file.
        name: The name.
        source: Its text.
    """

    path: str
    name: str
    source: str

    @classmethod
    def read(cls, text: str) -> OwnCode:
        """Read a file that FILE.py:NAME names, without running it.

        Raises:
            ConfigError: There is no such file.
        """
        place = _PLACE.fullmatch(text)
        if place is None:
            raise ConfigError(f"{text!r} is not allowed; expected FILE.py:NAME")
        return cls(place["path"], place["name"], read_text(Path(place["path"]), place["path"]))

    def load(self) -> Any:
        """Run the file, once in a process, and give what it calls by the name.

        Raises:
            ConfigError: It cannot be run, or has no such name.
        """
        module = _module(self.path, self.source)
        if not hasattr(module, self.name):
            known = [name for name in vars(module) if not name.startswith("_")]
            raise ConfigError(f"{self.path}: has no {self.name!r}; it has {', '.join(known)}")
        return getattr(module, self.name)

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self.load()(*arguments)


@cache
def _module(path: str, source: str) -> ModuleType:
    """The module of a file; like those of `python FILE` its imports are looked for beside it too."""
    module = ModuleType(f"{Path(path).stem}_{hashlib.sha256(source.encode()).hexdigest()[:12]}")
    module.__file__ = path
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    # Classes look their module up by its name.
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        line = error.__traceback__ and error.__traceback__.tb_next and error.__traceback__.tb_next.tb_lineno
        where = f" at line {line}" if line else ""
        raise ConfigError(f"{path}: cannot be run{where} ({type(error).__name__}: {error})") from error
    return module
