"""The routing game in TorchRL, through TorchRL's own PettingZooWrapper.

Run it with `python docs/examples/torchrl_pettingzoo.py` (needs the [torchrl] extra). What to know:

- Every group gives an action at every step; that of the agent which is not to move is ignored, and `(group, "mask")` of
  the AEC environment says which one is. Rewards also come at the other's moves, so mask losses, never rewards.
- The two agents have different action spaces, so each is a group of its own (TorchRL's default).
- Actions of `provider_0` are float64. It observes the game, `user_0` also the commitment.
"""

from __future__ import annotations

import warnings

import torch
from tensordict.nn import TensorDictModule, TensorDictSequential
from torchrl.envs import PettingZooWrapper, check_env_specs

import stackroute


def wrapped(parallel: bool, seed: int = 0) -> PettingZooWrapper:
    """The environment as TorchRL sees it."""
    with warnings.catch_warnings():
        # It names one release of PettingZoo as tested, and warns about every other.
        warnings.filterwarnings("ignore", message="PettingZoo in TorchRL is tested using version")
        if parallel:
            return PettingZooWrapper(stackroute.envs.parallel_env("gpt-4.1-o3-dev"), seed=seed)
        return PettingZooWrapper(stackroute.envs.env("gpt-4.1-o3-dev"), use_mask=True, seed=seed)


def policies(environment: PettingZooWrapper, provider: str, user: str) -> TensorDictSequential:
    """A network for each group."""
    sees = {group: environment.observation_spec[group, "observation"].shape[-1] for group in (provider, user)}
    commits = torch.nn.Sequential(
        torch.nn.Linear(sees[provider], environment.action_spec[provider, "action"].shape[-1]), torch.nn.Sigmoid()
    )
    answers = torch.nn.Linear(sees[user], 2)
    return TensorDictSequential(
        TensorDictModule(
            lambda seen: commits(seen).double(), in_keys=[(provider, "observation")], out_keys=[(provider, "action")]
        ),
        TensorDictModule(
            lambda seen: torch.distributions.Categorical(logits=answers(seen)).sample(),
            in_keys=[(user, "observation")],
            out_keys=[(user, "action")],
        ),
    )


def main() -> None:
    """Check the specs and play with untrained networks, both ways."""
    torch.manual_seed(0)
    for parallel in (False, True):
        environment = wrapped(parallel)
        check_env_specs(environment)
        provider, user = environment.group_map
        played = environment.rollout(200, policies(environment, provider, user), break_when_any_done=False)
        kind = "parallel" if parallel else "AEC"
        returns = {group: round(float(played["next", group, "reward"].sum()), 2) for group in (provider, user)}
        print(f"{kind}: {int(played['next', 'done'].sum())} tasks in {len(played)} steps, rewards {returns}")


if __name__ == "__main__":
    main()
