"""One player's learning, in rounds: each starts from seeds of its own, so that it can be repeated exactly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed

from stackroute.training.learn.models import make_exploration, make_model
from stackroute.training.learn.session import Curve, derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv

    from stackroute.configs.training import LearnerSettings, PlateauSettings
    from stackroute.training.learn.session import Session

    Judge = Callable[[BasePolicy], float]

_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: faster for small networks, and the same numbers on every machine size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Learner:
    """A model of stable-baselines3 that learns in rounds.

    What a round does depends on the learner's state and the round's number alone.

    Args:
        environment: The batch to learn on.
        settings: How to learn.
        seed: Fixes everything.
        log_folder: Where TensorBoard logs go; None for none.

    Attributes:
        model: The model.
        rounds: Rounds done.
    """

    def __init__(
        self, environment: VecEnv, settings: LearnerSettings, *, seed: int, log_folder: Path | None = None
    ) -> None:
        self.settings = settings
        self.rounds = 0
        self._seed = seed
        self.model = make_model(environment, settings, seed=derived_seed(seed, "networks"), done=self._done)
        self.model.set_logger(configure(str(log_folder), ["tensorboard"]) if log_folder else Logger(None, []))
        self._callback = make_exploration(settings, self._done)

    @property
    def policy(self) -> BasePolicy:
        """The policy as it is."""
        return self.model.policy

    @property
    def steps(self) -> int:
        """Steps learned from."""
        return self.model.num_timesteps

    def round(self) -> None:
        """Learn for a round."""
        seed = derived_seed(self._seed, "round", self.rounds)
        set_random_seed(seed)
        self.model.action_space.seed(seed)
        environment = self.model.get_env()
        assert environment is not None
        environment.seed(seed)
        # Without a last observation the model resets its environment, which then starts from the round's seed.
        self.model._last_obs = None
        # The model itself logs nothing, which takes long for many short episodes; `record` does.
        self.model.learn(
            self.settings.steps_per_round,
            callback=self._callback,
            log_interval=None,  # type: ignore[arg-type]
            reset_num_timesteps=False,
        )
        self.rounds += 1

    def record(self, **values: float) -> None:
        """Write values to the TensorBoard logs."""
        for name, value in values.items():
            self.model.logger.record(name.replace("_", "/", 1), value)
        self.model.logger.dump(self.steps)

    def state(self) -> dict[str, Any]:
        """Networks, optimisers and what is remembered: all that the next round depends on."""
        model = self.model
        _, variables = model._get_torch_save_params()
        state: dict[str, Any] = {
            "rounds": self.rounds,
            "parameters": model.get_parameters(),
            "variables": {name: getattr(model, name).detach() for name in variables or ()},
            "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        }
        if isinstance(model, OffPolicyAlgorithm):
            buffer = model.replay_buffer
            assert buffer is not None
            filled = buffer.buffer_size if buffer.full else buffer.pos
            kept = {name: torch.as_tensor(getattr(buffer, name)[:filled]) for name in _BUFFER}
            state["buffer"] = {"pos": buffer.pos, "full": buffer.full, **kept}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state of `state`."""
        model = self.model
        self.rounds = state["rounds"]
        model.set_parameters(state["parameters"], device="cpu")
        for name, value in state["variables"].items():
            getattr(model, name).data.copy_(value)
        for name, value in state["counters"].items():
            setattr(model, name, value)
        if isinstance(model, OffPolicyAlgorithm):
            buffer, kept = model.replay_buffer, state["buffer"]
            assert buffer is not None
            buffer.pos, buffer.full = kept["pos"], kept["full"]
            for name in _BUFFER:
                getattr(buffer, name)[: len(kept[name])] = kept[name].numpy()

    def _done(self) -> float:
        steps = self.model.num_timesteps if hasattr(self, "model") else 0
        return min(steps / self.settings.steps, 1.0)


def plateaued(rewards: list[float], settings: PlateauSettings | None) -> bool:
    """Whether sampled rewards have stopped growing.

    Args:
        rewards: After 0, 1, 2, ... rounds.
        settings: The rule; None for never.

    Returns:
        Whether the best of the last rounds is no more than the tolerance above the best before them.
    """
    if settings is None or len(rewards) <= max(settings.least_rounds, settings.rounds):
        return False
    return max(rewards[-settings.rounds :]) <= max(rewards[: -settings.rounds]) + settings.tolerance


def learn(
    stage: str,
    environment: VecEnv,
    settings: LearnerSettings,
    session: Session,
    *,
    seed: int,
    measure: Judge,
    sample: Judge,
) -> tuple[BasePolicy, Curve]:
    """Train a policy, or go on where the session was cut off.

    Args:
        stage: The name of the stage.
        environment: The batch to learn on.
        settings: How to learn.
        session: Keeps what is done.
        seed: Fixes everything.
        measure: The exact regret of a policy, recorded and shown but never fed back.
        sample: What sampled play gives the deterministic policy: what the plateau rule goes by.

    Returns:
        The trained policy and its curve.

    Raises:
        OutputError: A checkpoint cannot be written.
    """
    finished = session.finished(stage)
    learner = Learner(environment, settings, seed=seed, log_folder=None if finished else session.logs(stage))
    if finished is not None:
        learner.policy.load_state_dict(finished["policy"])
        learner.policy.set_training_mode(False)
        return learner.policy, Curve(**finished["curve"])
    curve = Curve()

    def point() -> None:
        regret, reward = measure(learner.policy), sample(learner.policy)
        curve.add(learner.steps, regret, reward)
        learner.record(exact_regret=regret, sampled_reward=reward)
        session.tell(stage, learner.steps, settings.steps, regret)

    def more() -> bool:
        return learner.rounds < settings.rounds and not plateaued(curve.reward, settings.plateau)

    session.rounds(stage, learner, {stage: curve}, learn=learner.round, point=point, more=more)
    learner.policy.set_training_mode(False)
    session.tell(stage, settings.steps, settings.steps, curve.regret[-1])
    weights = {name: tensor.detach().clone() for name, tensor in learner.policy.state_dict().items()}
    session.finish(stage, {"policy": weights, "curve": asdict(curve)})
    return learner.policy, curve


def no_draws() -> np.ndarray:
    """The draws given to a deterministic policy, which makes no use of them, shape (4,)."""
    return np.zeros(4)
