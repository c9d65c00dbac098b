"""Learning on tasks of hidden difficulty, measured against the exact optimum: the table of docs/training.md.

Run: python benchmarks/shadow_price.py [--seeds 3] [--only metr] [--set prices=9]
"""

import argparse
import time

import numpy as np

from stackroute import read_outcomes
from stackroute.analytic import Ladders, Traffic, solve_traffic
from stackroute.configs.shadow_price import load_shadow_price_settings
from stackroute.training.learn.shadow_price import compare, known_ladders, learn, make_learner, provider_regret

CASES = {
    "metr": (["GPT-4o", "o1"], 30, 1.5, (1, 4.8), (1, 5.5), None),
    "evalperf": (["gpt-4o-mini-2024-07-18", "o1-mini-2024-09-12"], 30, 1.5, (1, 4.8), (1, 5.5), None),
    "bfcl": (["claude-3-haiku", "gpt-4o"], 14, 22, (1, 7.4), (1, 5.3), "category"),
}
"""Models, value, churn penalty, costs, latencies and what the provider sees."""

RANDOM = 100


def traffic_of(name: str) -> Traffic:
    """The tasks of a case."""
    models, value, penalty, cost, latency, context = CASES[name]
    prices = {"cost": dict(zip(models, cost, strict=True)), "latency": dict(zip(models, latency, strict=True))}
    return read_outcomes(name).traffic(models, value, penalty, context=context, **prices)


def random_regret(traffic: Traffic, horizon: int) -> float:
    """The median regret of random ladders, one for each context, that users answer exactly."""
    random, best = np.random.default_rng(0), solve_traffic(traffic, horizon)
    contexts = len(traffic.contexts)
    ladders = random.integers(traffic.models, size=(RANDOM, contexts, horizon))
    return float(np.median([provider_regret(traffic, Ladders(one, np.eye(contexts)), best) for one in ladders]))


def main() -> None:
    """Print a row for each case and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    arguments = parser.parse_args()
    settings = load_shadow_price_settings(changes=arguments.set)
    print(
        "case seed; regret %: one model, random ladders, step 0, learned; stop: learned, exact, optimal; user %; CPU s"
    )
    for name in [arguments.only] if arguments.only else CASES:
        traffic = traffic_of(name)
        best = solve_traffic(traffic, settings.horizon)
        static = min(provider_regret(traffic, Ladders.static(model), best) for model in range(traffic.models))
        for seed in range(arguments.seeds):
            began = time.process_time()
            found = learn(traffic, settings, seed=seed)
            spent = time.process_time() - began
            ladders = known_ladders(make_learner(traffic, settings, seed=seed), traffic, settings)
            untrained = provider_regret(traffic, compare(traffic, ladders, settings, seed=seed).policy, best)
            regrets = (static, random_regret(traffic, settings.horizon), untrained, found.provider_regret)
            stops = [int(stop[0]) for stop in (found.stop, found.exact_stop, found.equilibrium.stop)]
            shown = " ".join(f"{100 * regret:.2f}" for regret in regrets)
            print(name, seed, shown, *stops, f"{100 * found.user_regret:.3f}", f"{spent:.0f}", flush=True)


if __name__ == "__main__":
    main()
