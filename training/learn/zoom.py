"""Zoom: the provider's choice is refined, among commitments all over and then in ever narrower windows.

A learner that explores widely keeps away from a threshold beyond which the user leaves, and one that explores narrowly
must be near it already. So a value-based learner first compares commitments all over; around the best, in windows of
the cascade probability, both players learn anew in coordinates of their own. Rewards are sampled play.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from stackroute.agents.learned import RefinedUser
from stackroute.agents.windows import Window
from stackroute.analytic import Commitment
from stackroute.envs.batch import PatienceBatch, ProviderBatch
from stackroute.envs.sb3 import PatienceVecEnv, ProviderVecEnv
from stackroute.envs.user_env import PATIENCE_LEVELS
from stackroute.training.learn.evaluation import provider_regret, user_regret
from stackroute.training.learn.learning import learn
from stackroute.training.learn.sampling import SampledGame, joined
from stackroute.training.learn.session import derived_seed
from stackroute.training.learn.views import ListedCommitments, seen_through

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from stackroute.agents.learned import LearnedUser
    from stackroute.analytic import Game
    from stackroute.analytic.game import FloatArray
    from stackroute.configs.training import UserSettings, ZoomSettings
    from stackroute.training.learn.session import Curve, Session

_SHIFTS = 2
_EDGE = 2
_STAYS = 0.5
_SAMPLED_PLACES = 200
_SAMPLED_TASKS = 1_000
_SAMPLED_TASKS_OF_PROVIDER = 100_000
_PLAYED_TASKS = 100_000


@dataclass(frozen=True)
class Contender:
    """A commitment that is followed, and what it costs.

    Attributes:
        commitment: Shape ().
        user: The user as it answers there.
        cost: The provider's sampled cost of a task.
    """

    commitment: Commitment
    user: LearnedUser | RefinedUser
    cost: float


class WindowProvider:
    """Commits uniformly over a window.

    Args:
        window: The window.
    """

    def __init__(self, window: Window) -> None:
        self.window = window

    def commit(self, game: Game, draws: FloatArray) -> Commitment:
        """A random commitment of the window, shape (...)."""
        return self.window.commitments(2 * draws[..., 1] - 1)


class Zoom:
    """Refines a provider's choice in one game.

    Args:
        game: A single game.
        user: The user that has learned to answer any commitment.
        settings: How to refine.
        session: Keeps what is done.
        throttling: Whether the provider can delay.
        seed: Fixes everything.
        best_cost: The provider's cost at the exact equilibrium, to measure by.

    Attributes:
        curves: The curve of every stage of learning.
    """

    def __init__(
        self,
        game: Game,
        user: LearnedUser,
        settings: ZoomSettings,
        session: Session,
        *,
        throttling: bool,
        seed: int,
        best_cost: float,
    ) -> None:
        self.game, self.user, self.settings, self.session = game, user, settings, session
        self.throttling, self.seed, self.best_cost = throttling, seed, best_cost
        self.play = SampledGame(game, derived_seed(seed, "comparison"))
        self.curves: dict[str, Curve] = {}

    def refine(self, choice: Commitment) -> list[Contender]:
        """Find the commitments worth following, and follow them.

        Args:
            choice: What the provider has learned so far, shape ().

        Returns:
            The cheapest first.
        """
        contenders = self._overview(choice)
        refined = []
        for number, (contender, stays) in enumerate(contenders, 1):
            # A corner needs no refinement, and where the user leaves the cascade probability has no effect.
            inner = int(contender.commitment.model) == 1 and 0 < contender.commitment.cascade < 1
            refined.append(self._narrowed(contender, f"zoom {number}") if inner and stays else contender)
        return sorted(refined, key=lambda one: one.cost)

    def _overview(self, choice: Commitment) -> list[tuple[Contender, bool]]:
        """The best commitment of each kind: from each start model, one with which the user stays and one without.

        Those that the provider has learned to be good are played, in that order, as the user may have learned wrongly
        how to answer some of them.
        """
        none, full = np.zeros(2), np.full(2, float(self.game.value))
        delays = [choice.delay, none, full] if self.throttling else [none]
        distinct = [delay for k, delay in enumerate(delays) if not any((delay == one).all() for one in delays[:k])]
        cascades = np.linspace(0, 1, self.settings.cascades)
        listed = [choice]
        for delay in distinct:
            listed += [Commitment(1, s, delay) for s in cascades] + [Commitment(2, 0.0, delay)]
        arms = joined(listed)
        worth = self._learn_worth("overview", arms, self.user)
        best: dict[tuple[int, bool], Contender] = {}
        cheapest = np.inf
        for arm in np.argsort(-worth):
            if np.exp(-worth[arm]) > cheapest * (1 + self.settings.contenders):
                break
            one = joined([listed[arm]])
            answer = self.play.answer(one, _PLAYED_TASKS)
            cost = float(self.play.cost(one, answer, _PLAYED_TASKS).mean())
            kind = (int(listed[arm].model), bool(answer[0] > _STAYS))
            if kind not in best or cost < best[kind].cost:
                best[kind] = Contender(listed[arm], self.user, cost)
            cheapest = min(cheapest, cost)
        limit = cheapest * (1 + self.settings.contenders)
        return [(one, stays) for (_, stays), one in best.items() if one.cost <= limit]

    def _narrowed(self, contender: Contender, name: str) -> Contender:
        """Follow a contender through ever narrower windows, as long as play says that it pays."""
        for k, half_width in enumerate(self.settings.half_widths, 1):
            for shift in range(_SHIFTS):
                window = Window.around(contender.commitment, half_width)
                stage = f"{name} window {k}" + (f" shift {shift}" if shift else "")
                user = self.learn_user(f"{stage} user", window)
                arms = window.commitments(np.linspace(-1, 1, self.settings.cascades))
                worth = self._learn_worth(f"{stage} provider", arms, user)
                best = int(worth.argmax())
                found = Commitment(1, float(arms.cascade[best]), contender.commitment.delay)
                before, after = self._costs([contender.commitment, found], user)
                gain = 1 - after / before
                contender = (
                    Contender(found, user, float(after))
                    if gain > 0
                    else replace(contender, user=user, cost=float(before))
                )
                at_edge = min(best, len(worth) - 1 - best) < _EDGE and 0 < found.cascade < 1
                if not (at_edge and gain > 0):
                    break
            if gain < self.settings.least_gain:
                break
        return contender

    def learn_user(self, stage: str, window: Window) -> RefinedUser:
        """The user learns once more, about a window of commitments."""
        settings = self.settings.user
        batch = PatienceBatch(
            self.game,
            WindowProvider(window),
            settings.batch_size,
            tasks_per_commitment=settings.tasks_per_commitment,
            action="grid" if settings.action == "grid" else "box",
        )
        places = window.commitments(np.linspace(-1, 1, _SAMPLED_PLACES))
        levels = levels_of(settings)

        def patience(policy: BasePolicy) -> FloatArray:
            return RefinedUser(self.user, window, policy, levels).patience(self.game, places, places.cascade)

        def measure(policy: BasePolicy) -> float:
            return float(user_regret(self.game, places, patience(policy)).mean())

        def sample(policy: BasePolicy) -> float:
            gains = self.play.gain(places, patience(policy)[:, None], _SAMPLED_TASKS)
            return float(gains.mean()) / self.play.value

        policy, self.curves[stage] = learn(
            stage,
            seen_through(window, PatienceVecEnv(batch, paired=True)),
            settings,
            self.session,
            seed=derived_seed(self.seed, stage),
            measure=measure,
            sample=sample,
        )
        return RefinedUser(self.user, window, policy, levels)

    def _learn_worth(self, stage: str, arms: Commitment, user: LearnedUser | RefinedUser) -> FloatArray:
        """What each of a list of commitments is worth to the provider, as a value-based learner sees it."""
        settings = self.settings.provider
        batch = ProviderBatch(
            self.game,
            user,
            settings.batch_size,
            tasks_per_commitment=settings.tasks_per_commitment,
            throttling=self.throttling,
        )
        environment = ListedCommitments(ProviderVecEnv(batch), self.game, arms, self.throttling)
        patience = self._patience(user, arms)

        def worth(policy: BasePolicy) -> FloatArray:
            with torch.no_grad():
                values = policy.q_net(torch.as_tensor(batch.observation[:1]))  # type: ignore[operator]
            found: FloatArray = values.numpy()[0].astype(np.float64)
            return found

        def chosen(policy: BasePolicy) -> Commitment:
            best = worth(policy).argmax()
            return Commitment(int(arms.model[best]), float(arms.cascade[best]), arms.delay[best])

        def sample(policy: BasePolicy) -> float:
            best = worth(policy).argmax()
            return -float(
                np.log(self.play.cost(joined([chosen(policy)]), patience[[best]], _SAMPLED_TASKS_OF_PROVIDER).mean())
            )

        policy, self.curves[stage] = learn(
            stage,
            environment,
            settings,
            self.session,
            seed=derived_seed(self.seed, stage),
            measure=lambda policy: float(provider_regret(self.game, chosen(policy), self.best_cost)),
            sample=sample,
        )
        return worth(policy)

    def _patience(self, user: LearnedUser | RefinedUser, commitment: Commitment) -> FloatArray:
        return user.patience(self.game, commitment, np.zeros(commitment.shape))

    def _costs(self, commitments: list[Commitment], user: LearnedUser | RefinedUser) -> FloatArray:
        batch = joined(commitments)
        costs: FloatArray = self.play.cost(batch, self._patience(user, batch), self.settings.tasks).mean(axis=1)
        return costs


def levels_of(settings: UserSettings) -> tuple[float, ...] | None:
    """The patiences among which a user with these settings chooses; None where it chooses freely or pass by pass."""
    return PATIENCE_LEVELS if settings.action == "grid" else None
