"""PPO in one file on the vector environment: a user learns when to give up, and theory says how well it does.

Run it with `python docs/examples/ppo_vector.py` (about 20 seconds; needs torch). `--help` lists the options.
"""

from __future__ import annotations

import argparse

import gymnasium
import numpy as np
import torch
from torch import nn

import stackroute
from stackroute.agents import RandomProvider
from stackroute.analytic import user_utility
from stackroute.envs import RE_PROMPT, observe


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs))


def train(game: str, steps: int, slots: int, length: int, seed: int) -> nn.Sequential:
    """Learn to answer failed passes; returns the actor."""
    torch.manual_seed(seed)
    options = {"game": game, "throttling": False, "reward_unit": "relative"}
    envs = gymnasium.make_vec("stackroute/User-v0", num_envs=slots, **options)
    inputs, outputs = envs.single_observation_space.shape[0], int(envs.single_action_space.n)
    actor, critic = network(inputs, outputs), network(inputs, 1)
    optimiser = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
    observations = torch.zeros(length, slots, inputs)
    actions = torch.zeros(length, slots, dtype=torch.long)
    rewards, dones, log_probabilities = (torch.zeros(length, slots) for _ in range(3))
    observation, _ = envs.reset(seed=seed * slots)
    updates = max(steps // (slots * length), 1)
    for update in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - 0.9 * update / updates)
        for t in range(length):
            observations[t] = torch.as_tensor(observation)
            with torch.no_grad():
                distribution = torch.distributions.Categorical(logits=actor(observations[t]))
            actions[t] = distribution.sample()
            log_probabilities[t] = distribution.log_prob(actions[t])
            observation, reward, terminated, truncated, _ = envs.step(actions[t].numpy())
            rewards[t] = torch.as_tensor(reward)
            dones[t] = torch.as_tensor(terminated | truncated)
        # No discounting and no bootstrapping within a task: the user sees no history, so its own value of a state is
        # no guide to what follows. Slots begin their next task in the same step, so every step counts.
        with torch.no_grad():
            following = critic(torch.as_tensor(observation)).squeeze(-1)
            returns = torch.zeros_like(rewards)
            for t in reversed(range(length)):
                following = rewards[t] + (1 - dones[t]) * following
                returns[t] = following
        batch = [part.reshape(length * slots, *part.shape[2:]) for part in (observations, actions, log_probabilities)]
        target = returns.reshape(-1)
        for _ in range(4):
            for rows in torch.randperm(length * slots).split(length * slots // 4):
                seen, taken, before = (part[rows] for part in batch)
                distribution = torch.distributions.Categorical(logits=actor(seen))
                value = critic(seen).squeeze(-1)
                advantage = (target[rows] - value).detach()
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                ratio = (distribution.log_prob(taken) - before).exp()
                gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
                loss = -gain.mean() + 0.5 * (target[rows] - value).pow(2).mean() - 0.003 * distribution.entropy().mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
                optimiser.step()
    envs.close()
    return actor


def evaluate(game: str, actor: nn.Sequential, commitments: int = 1_000) -> tuple[float, float]:
    """Mean utility lost against the exact best response over random commitments, of the actor and of never leaving."""
    played = stackroute.load_game(game).game
    commitment = RandomProvider().commit(played, np.random.default_rng(0).random((commitments, 5)))
    with torch.no_grad():
        logits = actor(torch.as_tensor(observe(played, commitment)))
    patience = logits.softmax(-1)[:, RE_PROMPT].double().numpy()
    best = user_utility(played, commitment, stackroute.best_response(played, commitment))
    learned, always = (float((best - user_utility(played, commitment, each)).mean()) for each in (patience, 1.0))
    return learned, always


def main() -> None:
    """Train and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="g4b", help="a packaged game or a file (default g4b)")
    parser.add_argument("--steps", type=int, default=1_000_000, help="transitions (default 1,000,000)")
    parser.add_argument("--slots", type=int, default=512, help="tasks in play at once (default 512)")
    parser.add_argument("--length", type=int, default=32, help="steps between updates (default 32)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default 0)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    actor = train(options.game, options.steps, options.slots, options.length, options.seed)
    learned, always = evaluate(options.game, actor)
    print(f"utility lost against the exact best response: {learned:.4f} (never giving up: {always:.4f})")


if __name__ == "__main__":
    main()
