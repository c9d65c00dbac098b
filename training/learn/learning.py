"""Learning in rounds: each round starts from seeds of its own, so that it can be repeated exactly."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.utils import set_random_seed

from stackroute.analytic import solve
from stackroute.training.learn.evaluation import evaluate, provider_regret
from stackroute.training.learn.lines import provider_actions
from stackroute.training.learn.models import make_exploration, make_model
from stackroute.training.learn.session import Curve, Session, derived_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv

    from stackroute.analytic import Commitment, Game
    from stackroute.analytic.equilibrium import Routing
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import LearnerSettings, PlateauSettings
    from stackroute.envs import ProviderActions
    from stackroute.training.learn.all_actions import AllActionLearner
    from stackroute.training.learn.evaluation import Evaluation
    from stackroute.training.learn.sampling import SampledGame

    Measured = tuple[float, float]

_TASKS_OF_PROVIDER = 100_000


@dataclass(frozen=True, eq=False)
class Training:
    """What all parts of a training have in common.

    Attributes:
        game: A single game.
        throttling: Whether the provider can delay.
        routing: What the provider may commit to.
        seed: Fixes everything.
        features: Whether the players see hand-built features.
        session: Keeps what finished stages gave.
    """

    game: Game
    throttling: bool
    routing: Routing = "cascade"
    seed: int = 0
    features: bool = False
    session: Session = field(default_factory=Session)

    @property
    def actions(self) -> ProviderActions:
        """The provider's actions."""
        return provider_actions(self.game, self.routing, self.throttling)

    @cached_property
    def best_cost(self) -> FloatArray:
        """The provider's cost at the equilibrium, shape ()."""
        return solve(self.game, self.routing, self.throttling).provider_cost

    def evaluate(self, commitment: Commitment, patience: FloatArray) -> Evaluation:
        """Evaluate what was learned exactly."""
        return evaluate(self.game, commitment, patience, throttling=self.throttling, routing=self.routing)

    def measure_provider(self, play: SampledGame, commitment: Commitment, patience: FloatArray) -> Measured:
        """The exact regret of a commitment, and minus the logarithm of its sampled cost with a patience."""
        cost = play.cost(commitment.reshape(1), np.reshape(patience, (1,)), _TASKS_OF_PROVIDER).mean()
        return float(provider_regret(self.game, commitment, self.best_cost)), -float(np.log(cost))


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
        planned: Rounds in all.
        plateau: When to stop early.
    """

    def __init__(self, environment: VecEnv, settings: LearnerSettings, *, seed: int) -> None:
        self.settings, self.rounds = settings, 0
        self.planned, self.plateau = settings.rounds, settings.plateau
        self._seed = seed
        self.model = make_model(environment, settings, seed=derived_seed(seed, "networks"), done=self._done)
        self.model.set_logger(Logger(None, []))
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

    def _done(self) -> float:
        steps = self.model.num_timesteps if hasattr(self, "model") else 0
        return min(steps / self.settings.steps, 1.0)


def plateaued(rewards: list[float], settings: PlateauSettings | None) -> bool:
    """Whether the best of the last rounds' sampled rewards is no more than the tolerance above the best before them."""
    if settings is None or len(rewards) <= max(settings.least_rounds, settings.rounds):
        return False
    return max(rewards[-settings.rounds :]) <= max(rewards[: -settings.rounds]) + settings.tolerance


def learn_in_rounds(
    stage: str,
    learners: Mapping[str, Learner | AllActionLearner],
    session: Session,
    measure: Callable[[], Mapping[str, Measured]],
) -> dict[str, Curve]:
    """Train policies, a round each in turns, unless an earlier session has done so.

    Args:
        stage: The name of the stage.
        learners: What learns, by name; afterwards its policies are the trained ones. The last one's plan holds for all.
        session: Keeps the outcome.
        measure: The exact regret of each learner's policy, which is recorded and shown but never fed back, and what
            sampled play gives the policy when it is deterministic.

    Returns:
        The curve of each learner.

    Raises:
        OutputError: The stage's file cannot be written.
    """
    leading = list(learners)[-1]
    rounds, plateau = learners[leading].planned, learners[leading].plateau

    def compute() -> dict[str, Any]:
        curves, loggers = {name: Curve() for name in learners}, {}
        for name, learner in learners.items():
            folder = session.logs(name)
            loggers[name] = configure(str(folder), ["tensorboard"]) if folder else Logger(None, [])
            if isinstance(learner, Learner):
                learner.model.set_logger(loggers[name])
        for done in range(rounds + 1):
            if done > 0:
                for learner in learners.values():
                    learner.round()
            for name, (regret, reward) in measure().items():
                curves[name].add(learners[name].steps, regret, reward)
                loggers[name].record("exact/regret", regret)
                loggers[name].record("sampled/reward", reward)
                loggers[name].dump(learners[name].steps)
            stops = plateaued(curves[leading].reward, plateau)
            session.progress(stage, rounds if stops else done, rounds, curves[leading].regret[-1])
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


def learn_alone(
    stage: str, learner: Learner | AllActionLearner, session: Session, measure: Callable[[], Measured]
) -> Curve:
    """As `learn_in_rounds`, of a single learner."""
    return learn_in_rounds(stage, {stage: learner}, session, lambda: {stage: measure()})[stage]


def no_random_numbers(game: Game) -> np.ndarray:
    """The random numbers given to a deterministic provider, which makes no use of them, shape (2 n + 1,)."""
    return np.zeros(2 * game.models + 1)
