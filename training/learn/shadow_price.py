"""Tasks of hidden difficulty: the price of patience is an input of the provider, and sampled play chooses it.

One network learns by PPO to route tasks pass by pass for every goal, a price and a number of failures after which users
are to stop. Its ladders are then compared by sampled play against users that count failures, who learn from play alone
when to stop. All rewards come from sampled play; the exact solution only evaluates (beyond the paper).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.analytic import Ladders, counting_response, solve_traffic
from stackroute.training.learn.goals import Goals, GoalView, choose, contenders, ladders_of, mixture, play
from stackroute.training.learn.learning import Learner, learn_alone, one_thread
from stackroute.training.learn.session import Curve, Session, derived_seed

if TYPE_CHECKING:
    from stackroute.analytic import Traffic, TrafficEquilibrium
    from stackroute.analytic.game import FloatArray, IntArray
    from stackroute.configs.shadow_price import ShadowPriceSettings

STAGE = "provider"
CHOICE_STAGE = "choice"
STEP_0_STAGE = "choice at step 0"

_RANDOM_LADDERS = 100


@dataclass(frozen=True, eq=False)
class LearnedTraffic:
    """What was learned for tasks of hidden difficulty, and what it is worth in truth.

    Attributes:
        policy: The learned ladders, which `stackroute.agents.LadderProvider` plays.
        stop: The number of failures after which users have learned to stop, shape (G,).
        curve: The exact regret of the network's best ladders against the steps.
        equilibrium: The exact optimum.
        provider_cost: Of the learned ladders where users answer them exactly, shape (G,).
        exact_stop: The stop that is best for users under the learned ladders, shape (G,).
        provider_regret: The cost above the optimum's, as a share of it, over all groups.
        user_regret: What the learned stop loses to the exact one, in units of the value, the most of any group.
    """

    policy: Ladders
    stop: IntArray
    curve: Curve
    equilibrium: TrafficEquilibrium
    provider_cost: FloatArray
    exact_stop: IntArray
    provider_regret: float
    user_regret: float


def learn(
    traffic: Traffic, settings: ShadowPriceSettings, *, seed: int = 0, session: Session | None = None
) -> LearnedTraffic:
    """Train a provider and users on tasks of hidden difficulty.

    Args:
        traffic: The tasks.
        settings: How they learn.
        seed: Fixes everything; the same seed gives the same result on the same versions.
        session: Keeps what the finished stages gave; None for a session without files.

    Raises:
        InvalidGameError: The traffic has more models than `stackroute.analytic.solve_traffic` takes.
        OutputError: A stage's file cannot be written.
    """
    equilibrium, session = solve_traffic(traffic, settings.horizon), session or Session()
    with one_thread():
        learner = make_learner(traffic, settings, seed=seed)

        def measure() -> tuple[float, float]:
            ladders = np.unique(known_ladders(learner, traffic, settings), axis=0)
            played = play(traffic, ladders, settings.tasks[0], derived_seed(seed, "curve"))
            found = choose(played, settings.standard_errors)
            regret = provider_regret(traffic, mixture(ladders, found.shares), equilibrium)
            return regret, -float(traffic.group_weight @ found.cost)

        curve = learn_alone(STAGE, learner, session, measure)
        ladders = known_ladders(learner, traffic, settings)
    policy, stop = _chosen(CHOICE_STAGE, traffic, ladders, settings, seed, session)
    return judged(traffic, policy, stop, equilibrium, curve)


def before_learning(
    traffic: Traffic, settings: ShadowPriceSettings, *, seed: int = 0, session: Session | None = None
) -> LearnedTraffic:
    """What `learn` would choose, and what its users would learn, from the ladders of a network at step 0."""
    equilibrium = solve_traffic(traffic, settings.horizon)
    with one_thread():
        ladders = known_ladders(make_learner(traffic, settings, seed=seed), traffic, settings)
    policy, stop = _chosen(STEP_0_STAGE, traffic, ladders, settings, seed, session or Session())
    return judged(traffic, policy, stop, equilibrium)


def judged(
    traffic: Traffic, policy: Ladders, stop: IntArray, equilibrium: TrafficEquilibrium, curve: Curve | None = None
) -> LearnedTraffic:
    """Ladders and a stop of users of each group, shape (G,), beside the exact optimum."""
    exact_stop, payoffs = counting_response(traffic, policy, equilibrium.multipliers.shape[-1])
    of = np.arange(len(exact_stop))
    lost = payoffs.user_utility.max(axis=1) - payoffs.user_utility[of, stop - 1]
    return LearnedTraffic(
        policy=policy,
        stop=stop,
        curve=curve or Curve(),
        equilibrium=equilibrium,
        provider_cost=payoffs.provider_cost[of, exact_stop - 1],
        exact_stop=exact_stop,
        provider_regret=provider_regret(traffic, policy, equilibrium),
        user_regret=float(lost.max() / traffic.games.value.max()),
    )


def best_single_model(traffic: Traffic, equilibrium: TrafficEquilibrium) -> tuple[int, float]:
    """The model that costs least where it serves all attempts, and its exact regret."""
    regrets = [provider_regret(traffic, Ladders.static(model), equilibrium) for model in range(traffic.models)]
    best = int(np.argmin(regrets))
    return best, regrets[best]


def random_ladders(traffic: Traffic, horizon: int, random: np.random.Generator) -> Ladders:
    """A ladder for each context, whose models are drawn evenly."""
    contexts = len(traffic.contexts)
    return Ladders(random.integers(traffic.models, size=(contexts, horizon)), np.eye(contexts))


def regrets_by_chance(traffic: Traffic, equilibrium: TrafficEquilibrium) -> FloatArray:
    """The exact regrets of 100 random ladders."""
    horizon, random = equilibrium.multipliers.shape[-1], np.random.default_rng(0)
    drawn = (random_ladders(traffic, horizon, random) for _ in range(_RANDOM_LADDERS))
    return np.array([provider_regret(traffic, ladders, equilibrium) for ladders in drawn])


def make_learner(traffic: Traffic, settings: ShadowPriceSettings, *, seed: int) -> Learner:
    """The provider before it has learned anything."""
    view = GoalView(traffic, settings.provider.batch_size, settings.horizon)
    return Learner(view, settings.provider, seed=derived_seed(seed, STAGE))


def known_ladders(learner: Learner, traffic: Traffic, settings: ShadowPriceSettings) -> IntArray:
    """The ladders of a provider's network for all goals, shape (k, G, C, N)."""
    goals = Goals.all(settings.prices, settings.horizon)
    return ladders_of(learner.policy, traffic, goals, settings.horizon)


def _chosen(
    stage: str, traffic: Traffic, ladders: IntArray, settings: ShadowPriceSettings, seed: int, session: Session
) -> tuple[Ladders, IntArray]:
    """The best mixture of ladders, shape (k, G, C, N), by sampled play, and where users learn from other play to stop.

    All are played, then ever fewer of them on ever more tasks.
    """
    steps = len(settings.tasks) + 1

    def compute() -> dict[str, Any]:
        _, left = np.unique(ladders.reshape(len(ladders), -1), axis=0, return_index=True)
        for number, tasks in enumerate(settings.tasks):
            session.progress(stage, number, steps, np.nan)
            played = play(traffic, ladders[left], tasks, derived_seed(seed, "comparison", number))
            kept = contenders(played, settings.standard_errors)
            left, played = left[kept], played.of(kept)
        session.progress(stage, len(settings.tasks), steps, np.nan)
        shares = choose(played, settings.standard_errors).shares
        users = play(traffic, ladders[left], settings.tasks[-1], derived_seed(seed, "users"))
        utility = np.einsum("gk,kgn->gn", shares, users.utility)
        policy = mixture(ladders[left], shares)
        return {
            "models": policy.models.tolist(),
            "probability": policy.probability.tolist(),
            "stop": (utility.argmax(axis=1) + 1).tolist(),
        }

    found = session.stage(stage, compute)
    session.progress(stage, steps, steps, np.nan)
    return Ladders(found["models"], found["probability"]), np.array(found["stop"])


def provider_regret(traffic: Traffic, policy: Ladders, equilibrium: TrafficEquilibrium) -> float:
    """The exact cost of a policy where users answer it exactly, above the optimum's and as a share of it."""
    horizon = equilibrium.multipliers.shape[-1]
    stop, payoffs = counting_response(traffic, policy, horizon)
    cost = traffic.group_weight @ np.take_along_axis(payoffs.provider_cost, stop[:, None] - 1, axis=1)[:, 0]
    least = traffic.group_weight @ equilibrium.provider_cost
    return float(cost / least - 1.0)
