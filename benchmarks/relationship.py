"""A relationship of many tasks, in which users learn how good the service is and the provider learns what to serve.

Each of 1,000 users brings a task a round, for 100 rounds. An abandoned task ends the relationship with a probability; a
new user, who knows nothing yet, takes the place. The provider knows neither the models nor the users. It tries the
commitments of the environment's grid, a new one for every task, and comes to prefer those that brought most: the
margin, less the cost, less for an abandoned task the churn penalty, which is what it expects to lose of the
relationship, by its own numbers so far (`stackroute.analytic.churn_from_relationship` has the theory).

Run: python benchmarks/relationship.py [--games g4b,g5] [--seeds 5]
"""

import argparse
from dataclasses import dataclass

import numpy as np

from stackroute import Game, load_game
from stackroute.agents import LearningUser, RationalUser
from stackroute.analytic import best_response, churn_from_relationship, provider_cost, success_probability
from stackroute.envs import ProviderVectorEnv
from stackroute.envs.actions import ProviderActions

GAMES = "g1,g4b,g5,gpt-4.1-o3-cascade,gpt-4.1-o3-dev"
USERS, ROUNDS, LAST = 1_000, 100, 20
LEAVE, DISCOUNT = 0.5, 0.9
# A task's margin, of what the cheapest way to solve it costs.
MARGIN = 2.0
# A mean forgets what is many tasks old, as users change.
LEAST_RATE = 2e-3
GREEDY_AFTER = 60


class LeavingUser(LearningUser):
    """A learning user, in whose place a new one comes where it has left for good."""

    def __init__(self, seed: int) -> None:
        super().__init__(1.0, 1.0, over_tasks=True)
        self._random_numbers = np.random.default_rng(seed)

    def remember(self, state: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """What the user has learned, or nothing if it is a new one."""
        ends = (self.stay(state, None) == 0.0) & (self._random_numbers.random(len(state)) < LEAVE)
        return np.where(ends[:, None], begun, super().remember(state, begun.copy()))


@dataclass
class Outcome:
    """What the provider came to: means of a task over the last rounds, and the worth of the relationship."""

    cost: float
    abandoned: float
    margin: float

    @property
    def worth(self) -> float:
        """Of the relationship, from its next task on."""
        return (self.margin - self.cost) / (1.0 - DISCOUNT * (1.0 - LEAVE * self.abandoned))


def learn(game: Game, margin: float, user: LearningUser | RationalUser, seed: int) -> Outcome:
    """Serve all users, learning from what they bring."""
    env = ProviderVectorEnv(USERS, game, user, action="grid", routing="cascade", throttling=False)
    env.reset(seed=seed)
    random_numbers = np.random.default_rng(seed)
    arms = int(env.single_action_space.n)
    cost, abandoned, times = np.zeros(arms), np.zeros(arms), np.zeros(arms)
    last = []
    for number in range(ROUNDS):
        seen = Outcome(float((cost * times).sum() / max(times.sum(), 1)), float(abandoned.mean()), margin)
        penalty = LEAVE * DISCOUNT * max(seen.worth, 0.0)
        worth = np.where(times > 0, margin - cost - penalty * abandoned, np.inf)
        explores = random_numbers.random(USERS) < max(0.02, 1.0 - number / GREEDY_AFTER)
        tried = np.where(explores, random_numbers.integers(arms, size=USERS), worth.argmax())
        outcomes = env.step(tried)[-1]["final_info"]
        for arm in np.unique(tried):
            chosen = tried == arm
            times[arm] += chosen.sum()
            rate = max(chosen.sum() / times[arm], min(1.0, chosen.sum() * LEAST_RATE))
            cost[arm] += rate * (outcomes["service_cost"][chosen].mean() - cost[arm])
            abandoned[arm] += rate * (outcomes["abandoned"][chosen].mean() - abandoned[arm])
        if number >= ROUNDS - LAST:
            best = tried == worth.argmax()
            last.append((outcomes["service_cost"][best].mean(), outcomes["abandoned"][best].mean()))
    return Outcome(*np.mean(last, axis=0).tolist(), margin)


def best_of_grid(game: Game, margin: float) -> float:
    """The greatest worth that a commitment of the grid has where users know and answer best, by the closed forms."""
    free = game.with_valid(churn_penalty=np.zeros(()))
    options = ProviderActions(game.models, "cascade", False, "grid")
    commitments = options.decoded(free, options.grid)
    answers = best_response(free, commitments)
    cost, abandoned = provider_cost(free, commitments, answers), 1.0 - success_probability(free, commitments, answers)
    return max(Outcome(float(c), float(a), margin).worth for c, a in zip(cost, abandoned, strict=True))


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", default=GAMES, help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print("| game | theory | best of the grid | users know | users learn | abandoned: theory | know | learn |")
    print("|---" * 8 + "|")
    for name in asked.games.split(","):
        game = load_game(name).game
        margin = MARGIN * float((game.cost / game.success).min())
        theory = churn_from_relationship(game, margin, LEAVE, DISCOUNT)
        found = [
            [learn(game, margin, users(seed), seed) for seed in range(asked.seeds)]
            for users in (lambda _: RationalUser(), LeavingUser)
        ]
        worths = [[one.worth / float(theory.relationship) for one in outcomes] for outcomes in found]
        shares = [f"{100 * np.median([one.abandoned for one in outcomes]):.1f} %" for outcomes in found]
        share = f"{100 * float(theory.abandoned):.1f} %"
        cells = [f"{np.median(worth):.2f} [{min(worth):.2f}, {max(worth):.2f}]" for worth in worths]
        grid = best_of_grid(game, margin) / float(theory.relationship)
        print("| " + " | ".join([name, "1", f"{grid:.2f}", *cells, share, *shares]) + " |", flush=True)


if __name__ == "__main__":
    main()
