"""Registers the environments with Gymnasium and PettingZoo."""

import gymnasium
import pettingzoo


def register_environments() -> None:
    """Make the environments known to `gymnasium.make` and `pettingzoo.make`; calling it again changes nothing."""
    for name, module in (("Provider", "provider_envs"), ("User", "user_envs")):
        identifier = f"stackroute/{name}-v0"
        if identifier not in gymnasium.registry:
            gymnasium.register(
                identifier,
                entry_point=f"stackroute.envs.{module}:{name}Env",
                vector_entry_point=f"stackroute.envs.{module}:{name}VectorEnv",
            )
    if "stackroute-v0" not in pettingzoo.aec_registry:
        pettingzoo.register("aec", "stackroute-v0", "stackroute.envs.pettingzoo_envs:env")
    if "stackroute-v0" not in pettingzoo.parallel_registry:
        pettingzoo.register("parallel", "stackroute-v0", "stackroute.envs.pettingzoo_envs:parallel_env")
