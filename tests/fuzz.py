"""Throws mutated tables, settings, policies, results and arguments at every command, each in this process.

A case fails if it ends in a traceback, takes too long, has another exit code than 0 or 2, prints anything but
warnings or one error on standard error, or prints NaN, infinity or an escape sequence.
Run as `python tests/fuzz.py --seconds 600 --seed 0`.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from ruamel.yaml import YAML

from stackroute import load_game, read_outcomes
from stackroute.configs.benchmarks import load_suite
from stackroute.configs.loading import packaged
from stackroute.configs.measured import MeasuredGame
from stackroute.configs.shadow_price import load_shadow_price_settings
from stackroute.configs.training import settings_from
from stackroute.training.benchmark.results import PLAN, DamagedResultWarning, Plan, write_result
from stackroute.training.benchmark.running import result_of, units_of, versions
from stackroute.training.cli.main import main
from stackroute.training.learn.runs import RunSpec, run_game
from stackroute.training.learn.traffic_runs import TrafficRunSpec, run_traffic
from stackroute.training.output import checksum, write_sealed

SECONDS = 60
"""What a case may take on a machine that others use too."""

TINY = (Path(__file__).parent / "training" / "tiny.yaml").read_text(encoding="utf-8")
TINY_TASKS = Path(__file__).parent / "training" / "tiny_shadow_price.yaml"
SUITE = packaged("benchmarks")["quick"].read_text(encoding="utf-8")
TABLES = (
    "model,success,cost,latency,count\na,0.3,0.1,5,200\nb,0.5,0.2,9,200\nc,.7,.5,20,100\n",
    "model;Success %;$/1k;p50 latency (ms);success_error\na;41,2;21,7;14.800;2,1\nb;56;30;20.000;2\n",
    'sep=;\r\nmodel;success;cost;latency\r\n"a\nb";41,2 %;€0,12;300 ms\r\nc;51 %;€0,5;400 ms\r\n',
    "model\tsuccess\tcost\tlatency\tcost_error\nx\t1e-181\t1e-300\t1e-9\t1e12\ny\t0.5\t1e12\t1e12\t1e-300\n",
)
LOGS = (
    "task,model,ok,tokens_in,tokens_out,latency\n"
    + "".join(f"t{k},{'ab'[j]},{(k + j) % 2},{900 + k},{20 * k},{3 + k}\n" for k in range(12) for j in range(2)),
    "task_id;model;passed;cost;latency (ms)\n" + "".join(f"{k // 2};a;{k % 2};0,0{k};1.2{k}0\n" for k in range(10)),
)
OUTCOMES = "task,model,attempts,successes,cost,seconds\n" + "".join(
    f"t{k},{model},{4 + k % 3},{k * j % 4},0.{j}{k},{k + j}\n" for k in range(8) for j, model in enumerate("ab", 1)
)
RUNS = "".join(
    f"- model: m{k}\n  date: 2025-0{k}-01\n  test_cases: 200\n  pass_rate_1: {20 * k}.0\n  pass_rate_2: {30 * k}.0\n"
    f"  total_cost: {k}.5\n  seconds_per_case: {10 * k}.2\n"
    for k in (1, 2, 3)
)
PRICES = (
    '{"a": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05}, "x/b": {"input_cost_per_token": 1e-6}}'
)
NUMBERS = "0 -1 1 2 0.5 0.001 40 1e-181 5e-324 1e308 1e400 010 nan .inf 99999999999999999999 1_0 0,3 1:30 null"
SIGNS = "% $ € , ; : \" ' ( ) { [ ] - + = | * & ! # ? . / /1k ms E5 free ٣ ² ½ \u2212 通 🦙 <b> --help"
SPACES = (" ", "\t", "\r", "\n", "\n\n", "\u2028", "\x0b", "\x85", "\x00", "\x1b[31m", "\udcff", "x" * 400, "[" * 60)
ODD_VALUES = (None, True, -1, 0.5, 2, 10**6, 10**30, 1e308, np.nan, np.inf, "", "../x", "\x1b", [], [[]], {}, {"a": 1})
GAMES = ("g4b", "gpt-4.1-o3-dev", "game.yaml", "G5", "", ".", "run", "x" * 300 + ".yaml")
OUT = ("out", "out", "a/b", "game.yaml", "x" * 300, "")
OPTIONS: dict[str, str] = {
    "solve": "--throttling|--routing free|--set value=5|--set models.0.latency=1e3|--json|--csv"
    "|g5|--price 0.01|--price optimal|--outside-option 0.1|--false-accept 0.1,0.2|--false-reject 0.1|--floor 0.1"
    "|--rival g4b",
    "advise": "--columns model=model|--unit success=percent|--unit latency=ms,cost=usd/1k|--decimal comma|--pair a:b"
    "|--waiting-cost 12|--value 0.5|--churn-penalty 0|--money EUR|--users x=.3:value=2,churn-penalty=1|--json"
    "|--prices prices.json|--models a,b|--cost 1,2|--latency 1,2|--horizon 3|--segment kind",
    "route": "--prices prices.json|--models a,b|--value 2|--churn-penalty 0|--horizon 2|--features t.yaml|--json"
    "|--columns ok=passed|--current a|--router barp",
    "train": "--throttling|--seed 3|--set provider=provider_sac|--set user.steps=64|--set scheme=x|--settings t.yaml"
    "|--models a,b|--value 2|--churn-penalty 1|--second-price 0.01|--context kind|--horizon 3",
    "evaluate": "run|run/provider.npz|t.yaml:x|--game g4b|--provider run/provider.npz"
    "|--user run/user.npz|--user run/provider.npz|--user x.zip|--json",
    "report": "",
    "benchmark": "--algorithms exact,ppo|--seeds 1|--jobs 2|--unit-seconds 5|--list|--backend ray",
    "plot": "",
    "games": "--json|--models 2|--regime neither|--models 0",
    "figures": "frontier|--game game.yaml|--game m.csv|--set value=5|--columns model=model|--unit success=percent"
    "|--decimal comma",
    "quickstart": "--seed 1",
}
OFTEN = (0.22, 0.28, 0.05, 0.13, 0.14, 0.06, 0.06, 0.015, 0.015, 0.015, 0.015)


class Hang(BaseException):
    """A case took longer than `SECONDS`."""


def pick(random: np.random.Generator, among: Any) -> Any:
    return among[int(random.integers(len(among)))]


def mutated(text: str, random: np.random.Generator) -> str:
    """The text with a few numbers, letters or lines replaced, left out or put in."""
    for _ in range(random.geometric(0.6)):
        numbers, place = list(re.finditer(r"\d[\d.]*", text)), int(random.integers(len(text) + 1))
        match random.integers(5):
            case 0 | 1 if numbers:
                first, last = pick(random, numbers).span()
                text = text[:first] + pick(random, NUMBERS.split()) + text[last:]
            case 2:
                text = text[:place] + text[place + int(random.integers(1, 5)) :]
            case 3:
                lines = text.splitlines(keepends=True) or [""]
                text = "".join([*lines, pick(random, lines)] if random.random() < 0.5 else lines[1:])
            case _:
                text = text[:place] + pick(random, [*SIGNS.split(), *SPACES]) + text[place:]
    return text


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """The same with another byte, and perhaps only its beginning."""
    place, end = random.integers(len(content) + 1, size=2)
    return (content[:place] + random.bytes(1) + content[place + 1 :])[: int(end) if random.random() < 0.3 else None]


def written(text: str, random: np.random.Generator) -> bytes:
    """A mutated text in one of several encodings."""
    content = mutated(text, random).encode(pick(random, ["utf-8"] * 7 + ["utf-8-sig", "utf-16", "cp1252"]), "replace")
    return damaged(content, random) if random.random() < 0.05 else content


def another_value(content: Any, random: np.random.Generator) -> Any:
    """JSON in which one value, however deep, is another or is gone."""
    if isinstance(content, dict | list) and content and random.random() < 0.9:
        key = pick(random, list(content) if isinstance(content, dict) else range(len(content)))
        content = content.copy()
        if random.random() < 0.1:
            del content[key]
        else:
            content[key] = another_value(content[key], random)
        return content
    return pick(random, ODD_VALUES)


def changed(name: str, content: bytes, random: np.random.Generator) -> bytes:
    """A file with other bytes, or JSON with another value and a checksum that fits, or weights of another kind."""
    if random.random() < 0.2 or not name.endswith((".json", ".npz")):
        return damaged(content, random)
    if name.endswith(".json"):
        whole = another_value(json.loads(content), random)
        if isinstance(whole, dict) and whole.pop("checksum", None):
            whole["checksum"] = checksum(whole)
        return json.dumps(whole).encode()
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    key = pick(random, ["specification"] * len(arrays) + list(arrays))
    if key == "specification":
        arrays[key] = np.array(json.dumps(another_value(json.loads(str(arrays[key])), random)))
    else:
        arrays[key] = np.full(random.integers(0, 5, arrays[key].ndim), pick(random, [0, np.nan, np.inf, 1e300, -1e30]))
    np.savez(buffer := io.BytesIO(), **arrays)
    return buffer.getvalue()


def prepare(folder: Path) -> dict[str, bytes]:
    """The files of a finished run, and of a benchmark that is not finished."""
    spec = RunSpec(load_game("g7"), settings_from(YAML(typ="safe").load(TINY), "tiny"), throttling=True, seed=0)
    run_game(spec, folder / "run", logs=False)
    game = MeasuredGame(read_outcomes("metr"), ("GPT-4o", "o1"), 30.0, 5.0, *2 * [{"GPT-4o": 1.0, "o1": 5.0}])
    on_tasks = TrafficRunSpec.of(game, game.traffic, load_shadow_price_settings(TINY_TASKS), seed=0)
    run_traffic(on_tasks, folder / "tasks", game.traffic)
    for name in ("stages", "tensorboard"):
        shutil.rmtree(folder / "tasks" / name)
    suite = load_suite("quick")
    units = {unit.name: unit for unit in units_of(suite)}
    (folder / "bench" / "units").mkdir(parents=True)
    plan = Plan(suite=suite, versions=versions(), units={name: unit.fingerprint for name, unit in units.items()})
    write_sealed(folder / "bench" / PLAN, plan.model_dump(mode="json"))
    for name, unit in units.items():
        if unit.entrant.name in ("exact", "random") and unit.seed == 0:
            write_result(folder / "bench", name, result_of(unit))
    made = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def case(kept: dict[str, bytes], random: np.random.Generator) -> tuple[list[str], dict[str, bytes]]:
    """Arguments, and the files that are new or changed."""
    command = str(random.choice(list(OPTIONS), p=OFTEN))
    options = OPTIONS[command].split("|")
    words = [word for option in options if random.random() < 1 / len(options) for word in option.split()]
    if words and random.random() < 0.3:
        place = int(random.integers(len(words)))
        # No system passes NUL to a program.
        words[place] = mutated(words[place], random).replace("\x00", "")
    subject, files = [], {"t.yaml": written(TINY, random), "suite.yaml": written(SUITE, random)}
    files["m.csv"] = written(pick(random, TABLES), random)
    files |= {"log.csv": written(pick(random, LOGS), random), "outcomes.csv": written(OUTCOMES, random)}
    files |= {"runs.yml": written(RUNS, random), "prices.json": written(PRICES, random)}
    game = packaged("games")[pick(random, ["g4b", "gpt-4o-o1-throttling", "g8"])].read_bytes()
    files["game.yaml"] = written(game.decode(), random) if random.random() < 0.8 else game
    match command:
        case "evaluate" | "plot" | "report":
            subject = ["bench" if command == "report" else pick(random, ["run", "run", "tasks"])]
            name = pick(random, [name for name in kept if name.startswith(subject[0])])
            files[name] = changed(name, kept[name], random)
        case "advise":
            subject = [
                pick(random, ["m.csv"] * 11 + ["log.csv"] * 4 + ["outcomes.csv"] * 2 + ["runs.yml"] * 2 + ["aider"])
            ]
        case "route":
            subject = [pick(random, ["log.csv", "outcomes.csv"])]
        case "benchmark":
            subject = [pick(random, ["suite.yaml"] * 9 + ["quick"])]
        case "train":
            subject = [pick(random, ["game.yaml"] * 15 + ["log.csv"] * 3 + ["outcomes.csv"] * 5 + [*GAMES])]
        case "solve":
            subject = [pick(random, ["game.yaml"] * 15 + [*GAMES])]
    # Where valid input would keep a command busy for long, its output folder is one that it refuses.
    busy = {"train": "run", "benchmark": "bench", "figures": "run/run.json", "quickstart": "run/run.json"}
    out = [] if command in ("solve", "games", "evaluate") else ["--out", busy.get(command) or pick(random, OUT)]
    return [command, *words, *subject, *out, *(["--help"] if random.random() < 0.02 else [])], files


def stop(*_: object) -> None:
    raise Hang


def fault(arguments: list[str], given: str) -> str | None:
    """Run a command whose arguments and files are `given`; what is wrong with how it ended, or None."""
    out, err, code = io.StringIO(), io.StringIO(), None
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    # Compiled code does not see the alarm.
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True, file=sys.__stderr__)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error")
            for kind in (DeprecationWarning, DamagedResultWarning):
                warnings.simplefilter("ignore", kind)
            with mock.patch("sys.argv", ["stackroute", *arguments]):
                main()
    except SystemExit as ended:
        code = ended.code or 0
    except (Exception, Hang):
        return traceback.format_exc()
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    shown, errors = out.getvalue(), err.getvalue()
    lines = [line[:7] for line in errors.splitlines() if not line.startswith("warning: ")]
    if (code, lines) not in ((0, []), (2, ["error: "])) and not (code == 2 and "Usage: " in errors):
        return f"exit code {code} and on standard error: {errors}"
    odd = re.search(r"\b(nan|inf|infinity)\b", shown, re.IGNORECASE)
    if odd and ("--json" in arguments or odd[0].lower() not in given.lower()):
        return f"{odd[0]} in {shown}"
    return f"escape sequences in {shown + errors!a}" if "\x1b" in shown + errors else None


def fuzz(seed: int, numbers: range, *, seconds: float = float("inf"), keep: Path | None = None) -> list[str]:
    """Run cases, each fixed by the seed and its number; a text for each that failed, whose files are in `keep`."""
    found, end = [], time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as made:
        kept = prepare(Path(made) / "kept")
        for number in numbers:
            arguments, files = case(kept, np.random.default_rng([seed, number]))
            folder = (keep.absolute() if keep else Path(made)) / f"seed{seed}-case{number}"
            for name, content in (kept | files | {"arguments.txt": ascii(arguments).encode()}).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            with contextlib.chdir(folder):
                what = fault(arguments, repr((arguments, files)))
            if what is None:
                shutil.rmtree(folder)
            else:
                found.append(f"seed {seed}, case {number}: stackroute {arguments!a}\n{what}")
                print(found[-1], flush=True)
            if time.monotonic() > end:
                break
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases that fail")
    given = parser.parse_args()
    numbers = range(10**9) if given.case is None else range(given.case, given.case + 1)
    failed = fuzz(given.seed, numbers, seconds=given.seconds, keep=given.keep)
    print(f"seed {given.seed}: {len(failed)} failed")
    sys.exit(bool(failed))
