"""The learned response of a user against the exact one, where the first model starts without delays.

Run it with `python benchmarks/response.py`. It trains a packaged learner and prints a Markdown table: the maximal and
the mean error of the learned patience over 201 cascade probabilities; by how much the place is off where the patience
first crosses 1/2, on a grid of 20,001; and the CPU seconds of the training.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from stackroute.analytic import Commitment, best_response
from stackroute.configs import load_game
from stackroute.configs.learners import USER
from stackroute.configs.loading import read_settings
from stackroute.training.learn.follower_first import learn_user
from stackroute.training.learn.learning import one_thread

if TYPE_CHECKING:
    from stackroute.agents import LearnedUser
    from stackroute.analytic import Game

COLUMNS = ("game", "seed", "max error", "mean error", "switch error", "CPU seconds")


def compared(game: Game, user: LearnedUser, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evenly spaced cascade probabilities, and the learned and the exact patience at each."""
    cascade = np.linspace(0, 1, points)
    commitment = Commitment.cascade(0, cascade)
    return cascade, user.patience(game, commitment, np.zeros(points)), best_response(game, commitment)


def switch(cascade: np.ndarray, patience: np.ndarray) -> float:
    """Where the patience first crosses 1/2; NaN if nowhere."""
    crossed = (patience > 0.5) != (patience[0] > 0.5)
    return float(cascade[crossed.argmax()]) if crossed.any() else float("nan")


def main() -> None:
    """Train on each game with each seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", default=["g5", "g6"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], metavar="SEED")
    parser.add_argument("--user", default="user_ppo_box", metavar="LEARNER", help="packaged name, or a YAML file")
    parser.add_argument("--throttling", action="store_true", help="train on commitments with delays, too")
    options = parser.parse_args()
    settings = read_settings(options.user, "learners", USER)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in options.games:
        game = load_game(name).game
        for seed in options.seeds:
            began = time.process_time()
            with one_thread():
                user, _ = learn_user(game, settings, throttling=options.throttling, seed=seed)
                seconds = time.process_time() - began
                _, learned, exact = compared(game, user, 201)
                error = abs(learned - exact)
                cascade, learned, exact = compared(game, user, 20_001)
            off = switch(cascade, learned) - switch(cascade, exact)
            print(
                f"| {name} | {seed} | {error.max():.4f} | {error.mean():.4f} | {off:+.4f} | {seconds:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
