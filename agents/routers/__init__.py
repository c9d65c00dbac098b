"""Published routers as providers, each from the ideas of its paper; needs `stackroute[routers]`."""

from collections.abc import Callable

from stackroute._extras import install

try:
    from stackroute.agents.routers.baselines import LogisticRouter as LogisticRouter
except ImportError as error:
    raise ImportError(f"routers need their extra: {install('routers')}") from error
from stackroute.agents.routers.barp import BaRP as BaRP
from stackroute.agents.routers.barp import costs_of_reaction as costs_of_reaction
from stackroute.agents.routers.baselines import MixedModelRouter as MixedModelRouter
from stackroute.agents.routers.baselines import NeighbourRouter as NeighbourRouter
from stackroute.agents.routers.baselines import OracleRouter as OracleRouter
from stackroute.agents.routers.baselines import RandomRouter as RandomRouter
from stackroute.agents.routers.baselines import SingleModelRouter as SingleModelRouter
from stackroute.agents.routers.cscr import CSCR as CSCR
from stackroute.agents.routers.equirouter import EquiRouter as EquiRouter
from stackroute.agents.routers.equirouter import collapse_index as collapse_index
from stackroute.agents.routers.iserve import IServe as IServe
from stackroute.agents.routers.linear_bandit import LinearBandit as LinearBandit
from stackroute.agents.routers.mixllm import MixLLM as MixLLM
from stackroute.agents.routers.omnirouter import OmniRouter as OmniRouter
from stackroute.agents.routers.pilot import PILOT as PILOT
from stackroute.agents.routers.protocol import ExtendingRouter as ExtendingRouter
from stackroute.agents.routers.protocol import OnlineRouter as OnlineRouter
from stackroute.agents.routers.protocol import Outcomes as Outcomes
from stackroute.agents.routers.protocol import Prediction as Prediction
from stackroute.agents.routers.protocol import Predictor as Predictor
from stackroute.agents.routers.protocol import Router as Router
from stackroute.agents.routers.provider import RouterProvider as RouterProvider
from stackroute.agents.routers.puma import PUMA as PUMA
from stackroute.agents.routers.puma import fit_profiles as fit_profiles
from stackroute.agents.routers.puma import migration_regret as migration_regret
from stackroute.agents.routers.routemoa import RouteMoA as RouteMoA
from stackroute.agents.routers.uniroute import UniRoute as UniRoute
from stackroute.agents.routers.user_aware import UserAware as UserAware
from stackroute.agents.routers.user_aware import cross_predicted as cross_predicted

ROUTERS: dict[str, Callable[[], Router]] = {
    "random": RandomRouter,
    "best single model": SingleModelRouter,
    "best mix of single models": MixedModelRouter,
    "nearest neighbours": NeighbourRouter,
    "logistic regression": LogisticRouter,
    "UniRoute": UniRoute,
    "EquiRouter": EquiRouter,
    "OmniRouter": OmniRouter,
    "BaRP": BaRP,
    "MixLLM": MixLLM,
    "PILOT": PILOT,
    "CSCR": CSCR,
    "iServe": IServe,
    "RouteMoA": RouteMoA,
}
"""All routers that learn from a log, by name."""
