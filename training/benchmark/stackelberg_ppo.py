"""PPO for a leader whose gradient anticipates how its follower will adapt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stackroute.envs.actions import from_symmetric
from stackroute.training.benchmark.problem import Solution, log_cost
from stackroute.training.learn.sampling import GAIN_UNIT
from stackroute.training.learn.session import derived_seed

if TYPE_CHECKING:
    from stackroute.analytic import Commitment
    from stackroute.analytic.game import FloatArray
    from stackroute.training.benchmark.problem import Problem

_LEADERS = 8
_SAMPLES = 128
_TASKS = 256
_ROUNDS = 200
_EPOCHS = 4
_CLIP = 0.2
_STEP, _USER_STEP = 0.3, 0.5
_FIRST_WIDTH, _LAST_WIDTH = 0.5, 0.05
_USER_WIDTH = 0.3
_DAMPING = 1.0
_COMPARED_TASKS = 64_000
_LEAST_DEVIATION = 1e-8


def stackelberg_ppo(problem: Problem) -> Solution:
    """Stackelberg PPO (after Dai et al. 2026): PPO whose advantage adds how the user will adapt to the provider.

    Eight pairs learn at once; a user learns one patience by policy gradient and does not see the commitment. The user's
    optimum moves with the provider's policy by -H^-1 times the mixed second derivative of the user's utility (H is its
    second derivative in the patience). By the log-derivative trick both are means over play, so that the total
    derivative of the provider's cost is a policy gradient with the advantage A - k s B: A is the provider's, B the
    user's advantage, s the user's score, and k the mean of s A over H. PPO clips it. The cheapest pair in play is taken
    (Dai, Wang, Ashley and Schmidhuber 2026, arXiv:2603.15388).
    """
    generator = np.random.default_rng(derived_seed(problem.seed, "tries"))
    play, width = problem.sampled("stackelberg-ppo"), problem.actions.width
    centre, wish = generator.uniform(-1, 1, (_LEADERS, 1, width)), generator.uniform(-1, 1, (_LEADERS, 1))

    def committed(actions: FloatArray) -> Commitment:
        return problem.commitment(from_symmetric(np.clip(actions, -1, 1), problem.actions.delays))

    def patient(wishes: FloatArray) -> FloatArray:
        return from_symmetric(np.clip(wishes, -1, 1))

    for step in range(_ROUNDS):
        spread = _FIRST_WIDTH * (_LAST_WIDTH / _FIRST_WIDTH) ** (step / _ROUNDS)
        actions = centre + spread * generator.standard_normal((_LEADERS, _SAMPLES, width))
        wishes = wish + _USER_WIDTH * generator.standard_normal((_LEADERS, _SAMPLES))
        made, patience = committed(actions.reshape(-1, width)), patient(wishes.ravel())
        cost = log_cost(play.cost(made, patience, _TASKS, first=step * _TASKS)).reshape(wishes.shape)
        gain = play.gain(made, patience[:, None], _TASKS, first=step * _TASKS).mean(axis=(1, 2)).reshape(wishes.shape)
        own, users = _centred(-cost), _centred(np.arcsinh(gain / (GAIN_UNIT * play.value)))
        # Everything in units of the user's width.
        score = (wishes - wish) / _USER_WIDTH
        curvature = ((score**2 - 1) * users).mean(axis=1, keepdims=True)
        anticipation = (score * own).mean(axis=1, keepdims=True) / np.minimum(curvature, -_DAMPING)
        centre = _improved(centre, actions, own - anticipation * score * users, spread)
        wish = np.clip(wish + _USER_STEP * _USER_WIDTH * (score * users).mean(axis=1, keepdims=True), -1, 1)
        problem.choose(committed(centre[int(cost.mean(axis=1).argmin()), 0]))
    final, patience = committed(centre[:, 0]), patient(wish[:, 0])
    best = int(play.cost(final, patience, _COMPARED_TASKS).mean(axis=1).argmin())
    return Solution(final[best], patience[best])


def _centred(rewards: FloatArray) -> FloatArray:
    """Advantages of each leader's samples."""
    mean, deviation = rewards.mean(axis=1, keepdims=True), rewards.std(axis=1, keepdims=True)
    advantage: FloatArray = (rewards - mean) / (deviation + _LEAST_DEVIATION)
    return advantage


def _improved(centre: FloatArray, actions: FloatArray, advantage: FloatArray, spread: float) -> FloatArray:
    """The centres of Gaussian policies after some epochs of PPO's clipped objective."""
    old = ((actions - centre) ** 2).sum(axis=2)
    for _ in range(_EPOCHS):
        ratio = np.exp((old - ((actions - centre) ** 2).sum(axis=2)) / (2 * spread**2))
        counts = np.where(advantage > 0, ratio < 1 + _CLIP, ratio > 1 - _CLIP)
        weight = (counts * ratio * advantage)[..., None] / spread
        centre = centre + _STEP * spread * (weight * (actions - centre)).mean(axis=1, keepdims=True)
    improved: FloatArray = np.clip(centre, -1.0, 1.0)
    return improved
