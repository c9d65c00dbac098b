"""Provider and user policies: exact, by rule, random and learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackroute._extras import install
from stackroute.agents.providers import EquilibriumProvider as EquilibriumProvider
from stackroute.agents.providers import LadderProvider as LadderProvider
from stackroute.agents.providers import RandomProvider as RandomProvider
from stackroute.agents.providers import StaticProvider as StaticProvider
from stackroute.agents.users import CountingUser as CountingUser
from stackroute.agents.users import FixedPatienceUser as FixedPatienceUser
from stackroute.agents.users import InformedUser as InformedUser
from stackroute.agents.users import LearningUser as LearningUser
from stackroute.agents.users import LogitUser as LogitUser
from stackroute.agents.users import MixtureUser as MixtureUser
from stackroute.agents.users import RandomUser as RandomUser
from stackroute.agents.users import RationalUser as RationalUser
from stackroute.agents.users import ShoppingUser as ShoppingUser
from stackroute.envs.policies import register_provider, register_user

if TYPE_CHECKING:
    from stackroute.agents.learned import LearnedProvider as LearnedProvider
    from stackroute.agents.learned import LearnedUser as LearnedUser
    from stackroute.agents.saving import load_policy as load_policy
    from stackroute.agents.saving import load_provider as load_provider
    from stackroute.agents.saving import load_user as load_user
    from stackroute.agents.saving import save_policy as save_policy

register_user("rational", RationalUser)
register_user("informed", InformedUser)
register_user("random", RandomUser)
register_provider("equilibrium", lambda actions: EquilibriumProvider(actions.throttling, actions.solved_as))
register_provider("random", lambda actions: RandomProvider(actions.throttling, actions.routing))

_LEARNED = ("LearnedProvider", "LearnedUser", "load_policy", "load_provider", "load_user", "save_policy")


def __getattr__(name: str) -> Any:
    """Import what has to do with learned policies on first use: it needs the [train] extra."""
    if name not in _LEARNED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from stackroute.agents import saving
    except ImportError as error:
        raise ImportError(f"{name} needs the training extra: {install('train')}") from error
    return getattr(saving, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LEARNED})
