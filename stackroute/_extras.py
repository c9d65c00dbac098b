"""How to install what an extra brings."""

import shlex
from pathlib import Path


def install(*extras: str) -> str:
    """The command that installs extras: from the clone that the package lies in, else by the package's name."""
    clone = Path(__file__).parents[1]
    wanted = f"[{','.join(extras)}]"
    if not (clone / "pyproject.toml").is_file():
        return f"pip install 'stackroute{wanted}'"
    constraints, package = shlex.quote(str(clone / "constraints.txt")), shlex.quote(f"{clone}{wanted}")
    return f"pip install -c {constraints} -e {package}"
