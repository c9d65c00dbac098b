"""How fast the explorer's plane of 200 x 200 games is redrawn: computing and drawing apart.

Run it with `python benchmarks/explorer.py`. It prints milliseconds of CPU, the median of the repeats on one thread: for
the page's plane, for the picture that is downloaded, and for a rerun of the whole page. The browser's time to draw, and
that between the two, is not in them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streamlit.logger import set_log_level
from streamlit.testing.v1 import AppTest

from stackroute.training.explorer.asked import Asked
from stackroute.training.explorer.plane import chart, plane_of
from stackroute.training.explorer.state import Source, State
from stackroute.training.figures.plane import plane_picture
from stackroute.training.figures.style import save, style

if TYPE_CHECKING:
    from collections.abc import Callable

GAMES = ("gpt-4.1-o3-dev", "aider")


def page(asked: str) -> None:
    """The page, as the app's test runs it: by its text, with its own imports."""
    from stackroute.training.explorer.app import show
    from stackroute.training.explorer.asked import Asked

    show(Asked.from_argument(asked))


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """The median of CPU time after a first run, which loads and compiles."""
    run()
    spent = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        spent.append(time.process_time() - begun)
    return 1e3 * statistics.median(spent)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    set_log_level("ERROR")
    for name in GAMES:
        source = Source.read(name, {}, {}, None)
        state = State.of(source.config)
        config = state.config(source)
        shown = plane_of(config, source.config, state.routing, False)
        test = AppTest.from_function(page, args=(Asked(name).as_argument(),), default_timeout=60)
        test.query_params["picture"] = "Value and penalty"
        with TemporaryDirectory() as folder, style():
            path = Path(folder) / "plane.png"
            measured = {
                "compute": lambda: plane_of(config, source.config, state.routing, False),  # noqa: B023
                "draw": lambda: chart(shown, config),  # noqa: B023
                "the whole page again": test.run,
                "the picture as a file": lambda: save(plane_picture(config, state.routing), path),  # noqa: B023
            }
            times = ", ".join(f"{what} {milliseconds(run, repeats):.0f}" for what, run in measured.items())
        print(f"{name}, {len(config.labels)} models, {state.routing}: {times} ms")


if __name__ == "__main__":
    main()
