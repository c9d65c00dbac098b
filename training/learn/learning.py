"""Learning in rounds: each round starts from seeds of its own, so that it can be repeated exactly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.utils import set_random_seed

from stackroute.training.learn.models import make_exploration, make_model
from stackroute.training.learn.session import Curve, derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv

    from stackroute.configs.training import LearnerSettings, PlateauSettings
    from stackroute.training.learn.all_actions import AllActionLearner
    from stackroute.training.learn.session import Session


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

    Args:
        environment: The batch to learn on.
        settings: How to learn.
        seed: Fixes everything.

    Attributes:
        model: The model.
        rounds: Rounds done.
    """

    def __init__(self, environment: VecEnv, settings: LearnerSettings, *, seed: int) -> None:
        self.settings, self.rounds = settings, 0
        self._seed = seed
        self.model = make_model(environment, settings, seed=derived_seed(seed, "networks"), done=self._done)
        self.set_logger(_logger(None))
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

    def set_logger(self, logger: Logger) -> None:
        """Where the model writes what it records."""
        self.model.set_logger(logger)

    def _done(self) -> float:
        steps = self.model.num_timesteps if hasattr(self, "model") else 0
        return min(steps / self.settings.steps, 1.0)


def _logger(folder: Path | None) -> Logger:
    return configure(str(folder), ["tensorboard"]) if folder else Logger(None, [])


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


def learn_in_rounds(
    stage: str,
    learners: Mapping[str, Learner | AllActionLearner],
    session: Session,
    *,
    measure: Callable[[], Mapping[str, tuple[float, float]]],
    rounds: int,
    plateau: PlateauSettings | None = None,
) -> dict[str, Curve]:
    """Train policies, a round each in turns, unless an earlier session has done so.

    Args:
        stage: The name of the stage.
        learners: What learns, by name; afterwards its policies are the trained ones.
        session: Keeps the outcome.
        measure: The exact regret of each learner's policy, which is recorded and shown but never fed back, and what
            sampled play gives the policy when it is deterministic.
        rounds: Of each learner.
        plateau: When to stop early, by what play gives the last learner; None for never.

    Returns:
        The curve of each learner.

    Raises:
        OutputError: The stage's file cannot be written.
    """

    def compute() -> dict[str, Any]:
        curves = {name: Curve() for name in learners}
        loggers = {name: _logger(session.logs(name)) for name in learners}
        for name, learner in learners.items():
            learner.set_logger(loggers[name])
        last = list(curves.values())[-1]
        for done in range(rounds + 1):
            if done > 0:
                for learner in learners.values():
                    learner.round()
            for name, (regret, reward) in measure().items():
                curves[name].add(learners[name].steps, regret, reward)
                loggers[name].record("exact/regret", regret)
                loggers[name].record("sampled/reward", reward)
                loggers[name].dump(learners[name].steps)
            stops = plateaued(last.reward, plateau)
            session.progress(stage, rounds if stops else done, rounds, last.regret[-1])
            if stops:
                break
        return {
            name: {
                "policy": {key: tensor.detach().clone() for key, tensor in learner.policy.state_dict().items()},
                "curve": asdict(curves[name]),
            }
            for name, learner in learners.items()
        }

    finished = session.stage(stage, compute)
    for name, learner in learners.items():
        learner.policy.load_state_dict(finished[name]["policy"])
        learner.policy.set_training_mode(False)
    return {name: Curve(**finished[name]["curve"]) for name in learners}


def no_random_numbers() -> np.ndarray:
    """The random numbers given to a deterministic provider of two models, which makes no use of them, shape (5,)."""
    return np.zeros(5)
