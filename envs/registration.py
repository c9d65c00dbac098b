"""Registers the environments with Gymnasium and PettingZoo."""

import gymnasium
import pettingzoo


def register_environments() -> None:
    """Make the environments known to `gymnasium.make` and `pettingzoo.make`; calling it again changes nothing."""
    for name, entry_point in (("Provider", "ProviderEnv"), ("User", "UserEnv")):
        identifier = f"stackroute/{name}-v0"
        if identifier not in gymnasium.registry:
            gymnasium.register(identifier, entry_point=f"stackroute.envs.gymnasium_envs:{entry_point}")
    if "stackroute-v0" not in pettingzoo.aec_registry:
        pettingzoo.register("aec", "stackroute-v0", "stackroute.envs.pettingzoo_env:env")
