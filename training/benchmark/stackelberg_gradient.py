"""A policy-gradient leader that differentiates through the learned response of its follower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from stackroute.training.benchmark.problem import Solution, log_cost
from stackroute.training.learn.learning import one_thread
from stackroute.training.learn.sampling import GAIN_UNIT
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    from stackroute.analytic import Commitment
    from stackroute.training.benchmark.problem import Problem

_LEADERS = 8
_TRIES = 16
_TASKS = 640
_ROUNDS = 400
_CRITIC_STEPS = 8
_MINIBATCH = 256
_FIRST_WIDTH, _LAST_WIDTH = 0.3, 0.03
_UNIFORM = 0.25
_EDGE = 1e-3
_COMPARED_TASKS = 64_000


def stackelberg_gradient(problem: Problem) -> Solution:
    """Stackelberg gradient (after Fiez et al. 2020): leaders follow the total derivative through the user's response.

    Eight leaders share a user and two critics, all fitted to sampled play. A leader's gradient is that of the critic of
    its cost at the user's learned response, which is differentiated too. The cheapest leader in play is taken.
    """
    with one_thread():
        return _learned(problem)


def _learned(problem: Problem) -> Solution:
    torch.manual_seed(derived_seed(problem.seed, "networks"))
    generator = np.random.default_rng(derived_seed(problem.seed, "tries"))
    play, width = problem.sampled("gradient"), problem.actions.width
    # The user's response to an action, and what an action and a patience give each player: log cost and scaled gain.
    response, critics = _network(width, 1), _network(width + 1, 2)
    leaders = torch.tensor(generator.uniform(-2, 2, (_LEADERS, width)), dtype=torch.float32, requires_grad=True)
    critics_optimizer = torch.optim.Adam(critics.parameters(), lr=2e-3, fused=True)
    user_optimizer = torch.optim.Adam(response.parameters(), lr=2e-3, fused=True)
    leader_optimizer = torch.optim.Adam([leaders], lr=3e-2, fused=True)
    tried = np.empty((0, width + 1), dtype=np.float32)
    seen = np.empty((0, 2), dtype=np.float32)

    def commitments(actions: npt.NDArray[np.float64]) -> Commitment:
        # Saturated entries mean the corners, as in the environment's action space.
        inside = np.where(actions < _EDGE, 0.0, np.where(actions > 1 - _EDGE, 1.0, actions))
        return problem.commitment(inside)

    def answers(actions: torch.Tensor) -> npt.NDArray[np.float64]:
        with torch.no_grad():
            return torch.sigmoid(response(actions))[:, 0].numpy().astype(np.float64)

    def at_response(actions: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = critics(torch.cat([actions, torch.sigmoid(response(actions))], dim=1))
        return values

    for step in range(_ROUNDS):
        spread = _FIRST_WIDTH * (_LAST_WIDTH / _FIRST_WIDTH) ** (step / _ROUNDS)
        centres = np.repeat(torch.sigmoid(leaders).detach().numpy().astype(np.float64), _TRIES, axis=0)
        actions = np.clip(centres + spread * generator.standard_normal(centres.shape), 0, 1)
        uniform = generator.random(len(actions)) < _UNIFORM
        actions[uniform] = generator.random((int(uniform.sum()), width))
        patience = answers(torch.tensor(actions, dtype=torch.float32))
        patience = np.where(generator.random(len(actions)) < 0.5, generator.random(len(actions)), patience)
        played, first = commitments(actions), step * _TASKS
        cost = log_cost(play.cost(played, patience, _TASKS, first=first))
        gain = play.gain(played, patience[:, None], _TASKS, first=first)[:, 0].mean(axis=1)
        tried = np.concatenate([tried, np.column_stack([actions, patience]).astype(np.float32)])
        outcome = np.column_stack([cost, np.arcsinh(gain / (GAIN_UNIT * play.value))])
        seen = np.concatenate([seen, outcome.astype(np.float32)])
        for _ in range(_CRITIC_STEPS):
            rows = generator.integers(len(tried), size=_MINIBATCH)
            batch = torch.from_numpy(tried[rows])
            _descend(critics_optimizer, nn.functional.smooth_l1_loss(critics(batch), torch.from_numpy(seen[rows])))
            _descend(user_optimizer, -at_response(batch[:, :width])[:, 1].mean())
        for _ in range(2):
            _descend(leader_optimizer, at_response(torch.sigmoid(leaders))[:, 0].sum())
        at = torch.sigmoid(leaders).detach()
        with torch.no_grad():
            believed = int(at_response(at)[:, 0].argmin())
        problem.choose(commitments(at.numpy().astype(np.float64))[believed])
    at = torch.sigmoid(leaders).detach()
    final, patience = commitments(at.numpy().astype(np.float64)), answers(at)
    best = int(play.cost(final, patience, _COMPARED_TASKS).mean(axis=1).argmin())
    return Solution(final[best], patience[best])


def _network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, outputs))


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
