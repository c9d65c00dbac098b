"""Provider and user policies: exact, by rule, random and learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stackroute.agents.providers import EquilibriumProvider as EquilibriumProvider
from stackroute.agents.providers import RandomProvider as RandomProvider
from stackroute.agents.providers import StaticProvider as StaticProvider
from stackroute.agents.users import FixedPatienceUser as FixedPatienceUser
from stackroute.agents.users import InformedUser as InformedUser
from stackroute.agents.users import RandomUser as RandomUser
from stackroute.agents.users import RationalUser as RationalUser
from stackroute.envs.policies import register_provider, register_user

if TYPE_CHECKING:
    from stackroute.agents.learned import LearnedProvider as LearnedProvider
    from stackroute.agents.learned import LearnedUser as LearnedUser

register_user("rational", RationalUser)
register_user("informed", InformedUser)
register_user("random", RandomUser)
register_provider("equilibrium", EquilibriumProvider)
register_provider("random", RandomProvider)


def __getattr__(name: str) -> Any:
    """Import the learned policies on first use: they need the [train] extra."""
    if name not in {"LearnedProvider", "LearnedUser"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from stackroute.agents import learned
    except ImportError as error:
        raise ImportError(f"{name} needs the training extra: pip install 'stackroute[train]'") from error
    return getattr(learned, name)
