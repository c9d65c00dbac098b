from __future__ import annotations

import json
import subprocess
import sys

GAMES = 2_000_000
MEGABYTES = 200

# tracemalloc sees numpy's arrays and the buffers of its iterators. What the kernel, compiled beforehand, allocates is
# seen from outside, where the system keeps a high-water mark that can be reset.
MEASURE = f"""
import json, pathlib, re, tracemalloc
import numpy as np
from stackroute.analytic import Game, solve

def resident(name):
    found = re.search(name + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3

rng = np.random.default_rng(0)
pairs = [np.sort(rng.random(({GAMES}, 2)) * 0.9 + 0.05, axis=1) for _ in range(3)]
game = Game(*pairs, *rng.random((2, {GAMES})) + 0.1)
solve(game[:2], throttling=True)

tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
found = solve(game, throttling=True)
after, peak = tracemalloc.get_traced_memory()
tracemalloc.stop()
outputs = [*(getattr(found.commitment, name) for name in ("start", "transition", "delay")), found.patience]
outputs += [found.provider_cost, found.user_utility, found.user_utility_worst, found.regime]
size = sum(array.nbytes for array in outputs)
extra = [(peak - before - size) / 1e6]
del found, outputs
try:
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    start = resident("VmRSS")
    if resident("VmHWM") < start * 1.1:
        solve(game, throttling=True)
        extra.append(resident("VmHWM") - start - size / 1e6)
except OSError:
    pass
print(json.dumps({{"outputs": size / 1e6, "extra": extra}}))
"""


def test_memory_beyond_inputs_and_outputs_is_bounded() -> None:
    measured = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    result = json.loads(measured.stdout)
    assert result["outputs"] == 13 * 8 * GAMES / 1e6, "the fields of the solution, each counted once"
    assert max(result["extra"]) < MEGABYTES
