"""The game, its closed forms and its exact Stackelberg equilibrium (numpy and numba only)."""

from stackroute.analytic.equilibrium import Candidates as Candidates
from stackroute.analytic.equilibrium import Equilibrium as Equilibrium
from stackroute.analytic.equilibrium import Regime as Regime
from stackroute.analytic.equilibrium import regime as regime
from stackroute.analytic.equilibrium import solve as solve
from stackroute.analytic.game import Commitment as Commitment
from stackroute.analytic.game import Game as Game
from stackroute.analytic.game import InvalidGameError as InvalidGameError
from stackroute.analytic.markov import ChainGame as ChainGame
from stackroute.analytic.markov import MarkovCommitment as MarkovCommitment
from stackroute.analytic.markov_payoffs import chain_passes as chain_passes
from stackroute.analytic.markov_payoffs import chain_provider_cost as chain_provider_cost
from stackroute.analytic.markov_payoffs import chain_user_utility as chain_user_utility
from stackroute.analytic.markov_response import chain_best_response as chain_best_response
from stackroute.analytic.misalignment import Misalignment as Misalignment
from stackroute.analytic.misalignment import misalignment as misalignment
from stackroute.analytic.payoffs import expected_passes as expected_passes
from stackroute.analytic.payoffs import provider_cost as provider_cost
from stackroute.analytic.payoffs import success_probability as success_probability
from stackroute.analytic.payoffs import user_utility as user_utility
from stackroute.analytic.response import TieBreaking as TieBreaking
from stackroute.analytic.response import best_response as best_response
from stackroute.analytic.thresholds import CascadeThresholds as CascadeThresholds
from stackroute.analytic.thresholds import cascade_thresholds as cascade_thresholds
from stackroute.analytic.throttling import ThrottlingGain as ThrottlingGain
from stackroute.analytic.throttling import throttling_gain as throttling_gain
