"""How few tasks are enough for a provider that estimates the game and commits by theory?

Regret of the exact best response, median and worst of the seeds, and the tasks played in all. The user knows the game.

Run: python benchmarks/plug_in.py [--games g4b,g5] [--seeds 20]
"""

import argparse

import numpy as np

from stackroute import load_game
from stackroute.training import Problem
from stackroute.training.benchmark.plug_in import plug_in

GAMES = "g1,g4,g4b,g5,g5b,gpt-4.1-o3-cascade,gpt-4.1-nano-gpt-4.1-cascade,g9,g7,g8,gpt-4.1-o3-dev-low-p"
DELAYS_ALLOWED = ("g7", "g8", "gpt-4.1-o3-dev-low-p")
QUESTIONS = (16, 64, 256, 4_096, 65_536)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", default=GAMES, help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    print("| game | " + " | ".join(f"{tasks:,}" for tasks in QUESTIONS) + " | tasks in all at 256 | at 65,536 |")
    print("|---" * (len(QUESTIONS) + 3) + "|")
    for name in asked.games.split(","):
        cells, played = [], {}
        for tasks in QUESTIONS:
            records = []
            for seed in range(asked.seeds):
                problem = Problem(load_game(name).game.reshape(1), throttling=name in DELAYS_ALLOWED, seed=seed)
                problem.choose(plug_in(problem, tasks).commitment)
                records.append(problem.record)
            regrets = [100 * record.regret[-1] for record in records]
            played[tasks] = np.median([record.tasks[-1] for record in records])
            cells.append(f"{np.median(regrets):.2f}, {max(regrets):.2f}")
        print(f"| {name} | " + " | ".join([*cells, f"{played[256]:,.0f}", f"{played[65_536]:,.0f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
