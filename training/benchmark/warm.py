"""Imported where the processes of units are forked from, so that they find loaded what would take each a second."""

import numpy as np

from stackroute.configs import load_game
from stackroute.training.benchmark.algorithms import find_algorithm
from stackroute.training.benchmark.problem import Problem
from stackroute.training.benchmark.running import GameUnit, result_of
from stackroute.training.benchmark.tasks import Task

_GAME = load_game("g1").game.reshape(1)
_EXACT = find_algorithm("exact")
result_of(GameUnit(_EXACT, Task("warm", ("",), _GAME, throttling=False), seed=0, horizon=1))
_PROBLEM = Problem(_GAME, throttling=False, seed=0)
_SOLUTION = _EXACT.algorithm(_PROBLEM)
_PLAY = _PROBLEM.sampled("warm")
_PLAY.cost(_SOLUTION.commitment, np.ones(1), 64)
_PLAY.answer(_SOLUTION.commitment, 64)
