"""What commitment is worth: the same game with routing="cascade" and with routing="pass", in theory and by learning.

Without commitment both players learn at the same time by policy gradients on sampled play (REINFORCE with a baseline):
the provider how to choose the first model and whether to move on, the user its patience. What counts is the mean of
their play over the second half. With commitment the numbers are those of the exact equilibrium.

Run: python benchmarks/commitment.py [--games g4b,g5b] [--seeds 5]
"""

import argparse
from dataclasses import dataclass

import numpy as np

from stackroute import Game, load_game, solve
from stackroute.analytic import nash_equilibria
from stackroute.envs import RoutingBatch

GAMES = "g1,g4,g4b,g5,g5b,g6,gpt-4.1-o3-cascade"
TASKS, RATE = 1_024, 0.15
# Logits of: first pass on the second model; to it after the first; to it after itself; re-prompt.
FIRST, AFTER_FIRST, AFTER_SECOND, STAY = range(4)
MOST_SURE = 6.0


@dataclass
class Played:
    """The mean cost and utility of a task, and the gradient of each player's reward in its own logits."""

    cost: float
    utility: float
    gradient: np.ndarray


def play(game: Game, logits: np.ndarray, random_numbers: np.random.Generator) -> Played:
    """Play tasks to their end, each player by its own probabilities."""
    batch = RoutingBatch(game, TASKS, seed=int(random_numbers.integers(2**31)), routing="pass", throttling=False)
    chance = 1 / (1 + np.exp(-logits))
    slots = np.arange(TASKS)
    over = np.zeros(TASKS, dtype=bool)
    score = np.zeros((TASKS, 4))
    returns = np.zeros((2, TASKS))

    def decide(kind: np.ndarray, active: np.ndarray) -> np.ndarray:
        chosen = random_numbers.random(TASKS) < chance[kind]
        score[slots[active], kind[active]] += (chosen - chance[kind])[active]
        return chosen

    second = decide(np.full(TASKS, FIRST), ~over)
    stays = np.ones(TASKS, dtype=bool)
    while not over.all():
        step = batch.step(second[:, None].astype(np.float64), (~stays).astype(np.int64))
        returns += np.where(over, 0.0, [step.provider_reward, step.user_reward])
        over |= step.terminated | step.truncated
        stays = decide(np.full(TASKS, STAY), ~over)
        second = decide(np.where(second, AFTER_SECOND, AFTER_FIRST), ~over & stays)
    centred = returns - returns.mean(axis=1, keepdims=True)
    # Relative to the spread of the returns, so that one learning rate does for all games.
    scaled = centred / np.maximum(returns.std(axis=1, keepdims=True), 1e-12)
    gradient = (score * scaled[[0, 0, 0, 1]].T).mean(axis=0)
    return Played(-float(returns[0].mean()), float(returns[1].mean()), gradient)


def learn(game: Game, seed: int, rounds: int) -> tuple[float, float]:
    """The mean cost and utility over the second half of the rounds."""
    random_numbers = np.random.default_rng(seed)
    logits = random_numbers.normal(size=4)
    costs, utilities = [], []
    for _ in range(rounds):
        played = play(game, logits, random_numbers)
        logits = np.clip(logits + RATE * played.gradient, -MOST_SURE, MOST_SURE)
        costs.append(played.cost)
        utilities.append(played.utility)
    half = rounds // 2
    return float(np.mean(costs[half:])), float(np.mean(utilities[half:]))


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", default=GAMES, help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1_500)
    asked = parser.parse_args()
    print("| game | J* | Nash, best | Nash, worst | learned, median [least, most] | user at J* | user, learned |")
    print("|---|---|---|---|---|---|---|")
    for name in asked.games.split(","):
        game = load_game(name).game
        best, nash = solve(game), nash_equilibria(game)
        learned = np.array([learn(game, seed, asked.rounds) for seed in range(asked.seeds)])
        cost, worst = learned[:, 0], np.nanmax(nash.provider_cost)
        print(
            f"| {name} | {float(best.provider_cost):.4g} | {float(nash.best):.4g} | {worst:.4g} "
            f"| {np.median(cost):.4g} [{cost.min():.4g}, {cost.max():.4g}] "
            f"| {float(best.user_utility):.4g} | {np.median(learned[:, 1]):.4g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
