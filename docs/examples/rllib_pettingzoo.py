"""The routing game in RLlib: PPO with a policy for each player, through RLlib's own ParallelPettingZooEnv.

Run it with `python docs/examples/rllib_pettingzoo.py` (about a minute, most of it to start Ray; needs the [rllib]
extra). What to know:

- The parallel environment is the one to use. RLlib's AEC wrapper drops what `user_0` earns before its first action, so
  the returns that it reports for the user are not those of the game.
- At every step only one agent's action counts: the provider's first, then the user's.
- `pip install 'ray[rllib]'` insists on an older Gymnasium; the [rllib] extra lists what RLlib needs without that pin.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import stackroute


def build(steps: int) -> Any:
    """PPO on one core; `steps` transitions an iteration."""
    register_env("stackroute", lambda _: ParallelPettingZooEnv(stackroute.envs.parallel_env("gpt-4.1-o3-dev")))
    return (
        PPOConfig()
        .environment("stackroute")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=1)
        .learners(num_learners=0)
        .multi_agent(policies={"provider_0", "user_0"}, policy_mapping_fn=lambda agent, *_, **__: agent)
        .training(train_batch_size_per_learner=steps, minibatch_size=steps // 4, num_epochs=1, lr=3e-4)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )


def main() -> None:
    """Train for a few iterations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=3, help="updates (default 3)")
    parser.add_argument("--steps", type=int, default=128, help="transitions an update (default 128)")
    options = parser.parse_args()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    algorithm = build(options.steps)
    for iteration in range(options.iterations):
        results = algorithm.train()["env_runners"]
        means = sorted(results["agent_episode_returns_mean"].items())
        returns = {agent: round(float(mean), 3) for agent, mean in means}
        print(f"iteration {iteration}: {results['num_episodes']} tasks, mean returns {returns}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
