"""Speed of the environments: every API of the routing game, beside other libraries' environments, on one core.

Run it with `python benchmarks/environments.py`. A transition is one agent's move (elsewhere one step of one
environment). Actions are random and drawn beforehand; resets, observations and, for batches, a game for every task are
included. The rows take turns within each repeat, so that a slow minute of the machine slows them all; the median of the
repeats counts. Environments of other libraries are skipped, with the reason, where the library is not installed.
"""

from __future__ import annotations

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import importlib
import json
import random
import statistics
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

from stackroute.agents import FixedPatienceUser
from stackroute.analytic import Game, random_games
from stackroute.envs import ProviderVectorEnv, RoutingBatch, UserVectorEnv, env, parallel_env

if TYPE_CHECKING:
    from collections.abc import Callable

    Chunk = Callable[[], int]

GAMES = 512
DRAWN = 16
ABANDON_SHARE = 0.3
AEC, CARTPOLE = "AEC loop", "gymnasium CartPoleVectorEnv"


def aec_loop(game: Any, seed: int, **options: Any) -> Chunk:
    """PettingZoo's own loop."""
    played = env(game, throttling=False, **options)
    rng = np.random.default_rng(seed)
    commitments, answers = rng.random((DRAWN, 2)), rng.random(DRAWN) < ABANDON_SHARE
    played.reset(seed=seed)
    moves = 0

    def chunk() -> int:
        nonlocal moves
        before = moves
        played.reset()
        for agent in played.agent_iter():
            _, _, terminated, truncated, _ = played.last()
            if terminated or truncated:
                played.step(None)
                continue
            played.step(commitments[moves % DRAWN] if agent == "provider_0" else int(answers[moves % DRAWN]))
            moves += 1
        return moves - before

    return chunk


def parallel_loop(game: Any, seed: int) -> Chunk:
    """PettingZoo's parallel loop: a step is one agent's move."""
    played = parallel_env(game, throttling=False)
    rng = np.random.default_rng(seed)
    commitments, answers = rng.random((DRAWN, 2)), rng.random(DRAWN) < ABANDON_SHARE
    played.reset(seed=seed)
    moves = 0

    def chunk() -> int:
        nonlocal moves
        before = moves
        played.reset()
        while played.agents:
            k = moves % DRAWN
            played.step({"provider_0": commitments[k], "user_0": int(answers[k])})
            moves += 1
        return moves - before

    return chunk


def routing_batch(game: Game, size: int, seed: int, **options: Any) -> Chunk:
    """Both players of many tasks."""
    batch = RoutingBatch(game, size, seed=seed, **options)
    rng = np.random.default_rng(seed)
    commitments = rng.random((DRAWN, size, batch.variant.actions.width))
    answers = (rng.random((DRAWN, size)) < ABANDON_SHARE).astype(np.int64)

    def chunk() -> int:
        for k in range(DRAWN):
            batch.step(commitments[k], answers[k])
        return DRAWN * size

    return chunk


def user_vector(game: Game, size: int, seed: int) -> Chunk:
    """`make_vec("stackroute/User-v0")` with its infos; the provider's moves are not counted."""
    played = UserVectorEnv(size, game, "random", throttling=False)
    played.reset(seed=seed)
    answers = (np.random.default_rng(seed).random((DRAWN, size)) < ABANDON_SHARE).astype(np.int64)

    def chunk() -> int:
        for k in range(DRAWN):
            played.step(answers[k])
        return DRAWN * size

    return chunk


def rollout(game: Game, size: int, seed: int, tasks: int, user: Any) -> Chunk:
    """Whole tasks with a user's policy inside the compiled loop: a commitment and every answer is a transition."""
    played = ProviderVectorEnv(size, game, user, tasks_per_commitment=tasks, throttling=False)
    played.reset(seed=seed)
    commitments = np.random.default_rng(seed).random((size, 2))

    def chunk() -> int:
        played.advance(commitments)
        infos = played.step_infos
        return round(tasks * float((1 + infos["passes"] - infos["solved"]).sum()))

    return chunk


def cartpole(size: int, seed: int) -> Chunk:
    """Gymnasium's own vector environment, in NumPy."""
    played = gymnasium.make_vec("CartPole-v1", num_envs=size, vectorization_mode="vector_entry_point")
    played.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(2, size=(DRAWN, size))

    def chunk() -> int:
        for k in range(DRAWN):
            played.step(actions[k])
        return DRAWN * size

    return chunk


def rps(seed: int) -> Chunk:
    """PettingZoo's rock, paper, scissors, by its own loop."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    played = importlib.import_module("pettingzoo.classic.rps_v2").env()
    played.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(3, size=DRAWN).tolist()

    def chunk() -> int:
        moves = 0
        played.reset()
        for _ in played.agent_iter():
            _, _, terminated, truncated, _ = played.last()
            if terminated or truncated:
                played.step(None)
            else:
                played.step(actions[moves % DRAWN])
                moves += 1
        return moves

    return chunk


def open_spiel(seed: int) -> Chunk:
    """OpenSpiel's tic-tac-toe as a learner sees it, with random legal moves."""
    played = importlib.import_module("open_spiel.python.rl_environment").Environment("tic_tac_toe")
    rng = random.Random(seed)

    def chunk() -> int:
        moves = 0
        step = played.reset()
        while not step.last():
            legal = step.observations["legal_actions"][step.observations["current_player"]]
            step = played.step([rng.choice(legal)])
            moves += 1
        return moves

    return chunk


def pgx(size: int, seed: int) -> Chunk:
    """Pgx's tic-tac-toe, a jitted step with automatic reset and random legal moves."""
    jax = importlib.import_module("jax")
    game = importlib.import_module("pgx").make("tic_tac_toe")
    step = jax.vmap(importlib.import_module("pgx.experimental.wrappers").auto_reset(game.step, game.init))

    def move(state: Any, key: Any) -> Any:
        key, actions, steps = jax.random.split(key, 3)
        chosen = jax.random.categorical(actions, jax.numpy.log(state.legal_action_mask.astype(float)), axis=-1)
        return step(state, chosen, jax.random.split(steps, size)), key

    jitted = jax.jit(move)
    key = jax.random.PRNGKey(seed)
    state = jax.vmap(game.init)(jax.random.split(key, size))

    def chunk() -> int:
        nonlocal state, key
        for _ in range(DRAWN):
            state, key = jitted(state, key)
        jax.block_until_ready(state.rewards)
        return DRAWN * size

    return chunk


def games_of(models: int, seed: int) -> Game:
    """Random games of more models, in the paper's orders."""
    rng = np.random.default_rng(seed)
    pairs = random_games(GAMES, seed)
    drawn = [
        np.sort(rng.uniform(low, high, (GAMES, models)), axis=1) for low, high in ((0.1, 0.95), (0.01, 1), (0.01, 1))
    ]
    return Game(*drawn, pairs.value, pairs.churn_penalty)


def measure(size: int, tasks: int, repeats: int, seconds: float, seed: int) -> dict[str, Any]:
    """Transitions a second of every row."""
    games, of_four = random_games(GAMES, seed), games_of(4, seed)
    plain = {"throttling": False}
    full = {"observe": {player: ["game", "commitment", "history"] for player in ("provider", "user")}}
    makers: dict[str, Callable[[], Chunk]] = {
        AEC: lambda: aec_loop("g4b", seed),
        f"{AEC}, a game for every task": lambda: aec_loop(games, seed),
        "parallel loop": lambda: parallel_loop("g4b", seed),
        "batch": lambda: routing_batch(games, size, seed, **plain),
        "batch, throttling": lambda: routing_batch(games, size, seed),
        "batch, history": lambda: routing_batch(games, size, seed, **plain, **full),
        "batch, pass by pass": lambda: routing_batch(games, size, seed, **plain, routing="pass"),
        "batch, lottery": lambda: routing_batch(games, size, seed, **plain, routing="lottery"),
        "batch, four models": lambda: routing_batch(of_four, size, seed, **plain),
        "make_vec User-v0": lambda: user_vector(games, size, seed),
        "compiled rollout, rational user": lambda: rollout(games, size, seed, tasks, "rational"),
        "compiled rollout, patience 1/2": lambda: rollout(games, size, seed, tasks, FixedPatienceUser(0.5)),
        CARTPOLE: lambda: cartpole(size, seed),
        "pettingzoo rps_v2, AEC loop": lambda: rps(seed),
        "open_spiel tic_tac_toe": lambda: open_spiel(seed),
        "pgx tic_tac_toe": lambda: pgx(size, seed),
    }
    chunks: dict[str, Chunk] = {}
    skipped: dict[str, str] = {}
    for name, make in makers.items():
        try:
            chunks[name] = make()
            chunks[name]()
        except ImportError as error:
            skipped[name] = str(error)
    speeds: dict[str, list[float]] = {name: [] for name in chunks}
    for _ in range(repeats):
        for name, chunk in chunks.items():
            began, moves = time.process_time(), 0
            while (passed := time.process_time() - began) < seconds:
                moves += chunk()
            speeds[name].append(moves / passed)
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    rows = [
        {
            "name": name,
            "transitions_per_second": speed,
            "ratio_to_aec": speed / medians[AEC],
            "ratio_to_cartpole": speed / medians[CARTPOLE],
        }
        for name, speed in medians.items()
    ]
    return {"size": size, "tasks_per_commitment": tasks, "repeats": repeats, "rows": rows, "skipped": skipped}


def bytes_per_task(size: int, seed: int) -> float:
    """What a batch holds for a task, observations and rewards included, beside the games."""
    games = random_games(GAMES, seed)
    RoutingBatch(games, 1)
    tracemalloc.start()
    held = []
    for count in (size, 2 * size):
        before, _ = tracemalloc.get_traced_memory()
        batch = RoutingBatch(games, count)
        after, _ = tracemalloc.get_traced_memory()
        held.append(after - before)
        del batch
    tracemalloc.stop()
    return (held[1] - held[0]) / size


def report(results: dict[str, Any], console: Console) -> None:
    """Print the results as a table."""
    table = Table(title=f"One core, {results['size']:,} tasks in a batch, median of {results['repeats']}")
    for heading in ("", "transitions/s", "x AEC", "x CartPole"):
        table.add_column(heading, justify="right" if heading else "left")
    for line in results["rows"]:
        to_aec, to_cartpole = line["ratio_to_aec"], line["ratio_to_cartpole"]
        table.add_row(line["name"], f"{line['transitions_per_second']:,.0f}", f"{to_aec:,.1f}", f"{to_cartpole:,.3f}")
    console.print(table)
    for name, reason in results["skipped"].items():
        console.print(f"skipped {name}: {reason}")
    console.print(f"A batch holds {results['bytes_per_task']:.0f} bytes for a task.")


def main() -> None:
    """Run the benchmark and print its results."""
    parser = argparse.ArgumentParser(description="Speed of the environments.")
    parser.add_argument("--size", type=int, default=1_024, help="tasks in a batch")
    parser.add_argument("--tasks", type=int, default=100, help="tasks a commitment in the compiled rollouts")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs, of which the median counts")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each timed run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    results = measure(options.size, options.tasks, options.repeats, options.seconds, options.seed)
    results["bytes_per_task"] = bytes_per_task(100 * options.size, options.seed)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        report(results, Console())


if __name__ == "__main__":
    main()
