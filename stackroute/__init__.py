"""The routing game between an LLM provider and its user, playable, trainable and exactly solved.

The game and its equilibrium are those of Mahmood 2026, *Routing, Cascades, and User Choice for LLMs*
(arXiv:2602.09902). Importing the package registers the environments with Gymnasium and PettingZoo.
"""

from stackroute import agents as agents
from stackroute import envs as envs
from stackroute._version import __version__ as __version__
from stackroute.analytic import Commitment as Commitment
from stackroute.analytic import Game as Game
from stackroute.analytic import best_response as best_response
from stackroute.analytic import misalignment as misalignment
from stackroute.analytic import solve as solve
from stackroute.analytic import throttling_gain as throttling_gain
from stackroute.configs import load_game as load_game
