"""The overview: a value-based learner compares commitments all over, and play shows which of them are worth following.

A learner that explores widely keeps away from a threshold beyond which the user leaves, and one that explores narrowly
must be near it already. Comparing a list of commitments has neither weakness. Rewards are sampled play.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from stackroute.analytic import Commitment
from stackroute.envs import ProviderVectorEnv, observe
from stackroute.envs.actions import to_symmetric
from stackroute.envs.sb3 import VecEnv
from stackroute.training.learn.certificate import cheaper_side, saving
from stackroute.training.learn.evaluation import provider_regret
from stackroute.training.learn.learning import Learner, learn_alone
from stackroute.training.learn.lines import Line, all_lines, line_through, point
from stackroute.training.learn.sampling import SampledGame
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.views import LearnerView, log_cost

if TYPE_CHECKING:
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.learners import DQNSettings
    from stackroute.configs.training import OverviewSettings
    from stackroute.envs.policies import UserPolicy
    from stackroute.training.learn.learning import Training
    from stackroute.training.learn.session import Curve

OVERVIEW_STAGE = "overview"

_STAYS = 0.5
_PLAYED_TASKS = 100_000
_FEWEST_PLACES = 11
_HALVINGS = 6


@dataclass(frozen=True, eq=False)
class Contender:
    """A commitment that may be worth following.

    Attributes:
        line: The line that it lies on.
        share: Where.
        cost: The provider's cost of a task in play, with the user's best answer in play.
        bound: The least cost to which following the line could lead, up to the noise of play, if the user answered
            alike up to the next place at which it does not.
    """

    line: Line
    share: float
    cost: float
    bound: float

    @property
    def commitment(self) -> Commitment:
        """The commitment, shape ()."""
        return self.line.at(self.share)


def find_contenders(
    training: Training, user: UserPolicy, choice: Commitment, settings: OverviewSettings
) -> tuple[list[Contender], Curve]:
    """The best commitment of each kind: on each line, one with which the user stays and one without.

    On each line those that the learner has found to be good are played, in that order, as the user may have learned
    wrongly how to answer some of them; not on a line that costs too much however the user answers.

    Args:
        training: The game and all else that is given.
        user: The user that has learned to answer any commitment.
        choice: What the provider has learned so far, shape ().
        settings: Which commitments are compared, and how.

    Returns:
        Those found, the cheapest in play first, and the curve of the learner.
    """
    lines, places = _listed(training, choice, settings.places)
    play = SampledGame(training.game, derived_seed(training.seed, "comparison"))
    owner = np.repeat(np.arange(len(lines)), [len(shares) for shares in places])
    listed = np.concatenate(places)
    commitments = Commitment.stack([lines[k].at(share) for k, share in zip(owner, listed, strict=True)])
    worth, curve = _learned_worth(training, user, commitments, settings.provider, play)
    expected = user.patience(training.game, commitments, np.zeros(len(listed))) > _STAYS
    found, cheapest, margin = list[Contender](), math.inf, 1 + settings.contenders
    for number in sorted(range(len(lines)), key=lambda number: -worth[owner == number].max()):
        line = lines[number]
        if _floor(play, line) > cheapest * margin:
            continue
        best: dict[bool, tuple[float, float]] = {}
        for stays in (True, False):
            least = math.inf
            rows = np.flatnonzero((owner == number) & (expected == stays))
            for row in rows[np.argsort(-worth[rows])]:
                if np.exp(-worth[row]) > least * margin:
                    break
                made = commitments[row : row + 1]
                answer = play.answer(made, _PLAYED_TASKS)
                cost = float(play.cost(made, answer, _PLAYED_TASKS).mean())
                least = min(least, cost)
                kind = bool(answer[0] > _STAYS)
                if kind not in best or cost < best[kind][0]:
                    best[kind] = cost, float(listed[row])
        for stays, (cost, share) in best.items():
            cheapest = min(cheapest, cost)
            bound = _bound(play, line, share, places[number], stays, cost, cheapest * margin)
            found.append(Contender(line, share, cost, bound))
    return sorted(found, key=lambda one: one.cost), curve


def _listed(training: Training, choice: Commitment, places: int) -> tuple[list[Line], list[FloatArray]]:
    """Lines without delays and with those of the choice, each model alone with full delays, and places on each.

    The places of several pairs of models are fewer for each.
    """
    game, routing = training.game, training.routing
    own, share = line_through(choice, routing)
    lines = all_lines(game.models, routing, np.zeros(game.models))
    if choice.delay.any():
        lines += all_lines(game.models, routing, choice.delay)
    if training.throttling:
        lines += [point(model, np.full(game.models, float(game.value))) for model in range(game.models)]
    pairs = len({line.models for line in lines if not line.is_point})
    spread = np.linspace(0, 1, max(places // max(pairs, 1), min(places, _FEWEST_PLACES)))
    listed = []
    for line in lines:
        alike = [getattr(line, name) == getattr(own, name) for name in ("start", "delay")]
        same = line.models == own.models and bool(np.all(alike))
        listed.append(np.array([0.0]) if line.is_point else np.union1d(spread, [share] if same else []))
    return lines, listed


def _floor(play: SampledGame, line: Line) -> float:
    """The least cost of a line's ends, whether the user stays or leaves."""
    costs = play.cost(line.at([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]), _PLAYED_TASKS)
    return float(costs.mean(axis=1).min())


def _bound(
    play: SampledGame, line: Line, share: float, places: FloatArray, stays: bool, cost: float, limit: float
) -> float:
    """The bound of a contender; no sharper than needed where it lies above a limit."""
    patience = float(stays)
    side = 0 if line.is_point else cheaper_side(play, line, share, patience)
    index = int(np.searchsorted(places, share)) + side
    if not side or not 0 <= index < len(places):
        return cost
    here, beyond = share, float(places[index])
    bound = cost * (1 - saving(play, line, share, beyond, patience))
    for _ in range(_HALVINGS if bound <= limit else 0):
        middle = (here + beyond) / 2
        if bool(play.answer(line.at([middle]), _PLAYED_TASKS)[0] > _STAYS) == stays:
            here = middle
        else:
            beyond = middle
    return min(cost, cost * (1 - saving(play, line, share, beyond, patience)))


def _learned_worth(
    training: Training, user: UserPolicy, commitments: Commitment, settings: DQNSettings, play: SampledGame
) -> tuple[FloatArray, Curve]:
    """What each commitment is worth to the provider, as the learner has found: minus the logarithm of its cost."""
    game, actions = training.game, training.actions
    env = ProviderVectorEnv(
        settings.batch_size,
        game,
        user,
        tasks_per_commitment=settings.tasks_per_commitment,
        routing=actions.routing,
        throttling=actions.throttling,
    )
    listed = to_symmetric(actions.action(game, commitments), actions.delays)
    environment = LearnerView(VecEnv(env), reward=log_cost, listed=listed)
    learner = Learner(environment, settings, seed=derived_seed(training.seed, OVERVIEW_STAGE))
    regret = provider_regret(game, commitments, training.best_cost)
    cost = play.cost(commitments, user.patience(game, commitments, np.zeros(commitments.shape)), _PLAYED_TASKS)
    reward = -np.log(cost.mean(axis=1))
    seen = torch.as_tensor(observe(game, blocks=["game"])[None])

    def worth() -> FloatArray:
        with torch.no_grad():
            values = learner.policy.q_net(seen)  # type: ignore[operator]
        found: FloatArray = values.numpy()[0].astype(np.float64)
        return found

    def measure() -> tuple[float, float]:
        best = worth().argmax()
        return float(regret[best]), float(reward[best])

    curve = learn_alone(OVERVIEW_STAGE, learner, training.session, measure)
    return worth(), curve
