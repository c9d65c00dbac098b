"""How to install what an extra brings."""

import shlex
import sys
from pathlib import Path


def install(*extras: str) -> str:
    """The command that installs extras into this Python: from the clone that the package lies in, else by its name."""
    clone = Path(__file__).parents[1]
    wanted = f"[{','.join(extras)}]"
    pip = [sys.executable, "-m", "pip", "install"]
    if not (clone / "pyproject.toml").is_file():
        return shlex.join([*pip, f"stackroute{wanted}"])
    # A copy in the place of the editable installation would miss later changes of the clone.
    return shlex.join([*pip, "-c", str(clone / "constraints.txt"), "-e", f"{clone}{wanted}"])
