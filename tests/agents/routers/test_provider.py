from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents import CountingUser
from stackroute.agents.routers import Outcomes, RandomRouter, RouterProvider, SingleModelRouter
from stackroute.analytic import Game, Traffic, traffic_payoffs
from stackroute.envs import ProviderVectorEnv, UserVectorEnv

Array = NDArray[np.float64]

GAMES = Game([[0.9, 0.95], [0.5, 0.8], [0.1, 0.6], [0.3, 0.2]], [0.1, 0.8], [0.5, 1], value=4, churn_penalty=5)
TRAFFIC = Traffic(GAMES, [0.4, 0.3, 0.2, 0.1], context=[0, 0, 1, 1])
FEATURES = np.array([[0.0], [1.0]])
LOG = Outcomes(FEATURES, np.array([[0.7, 0.8], [0.2, 0.7]]), np.full((2, 2), [0.1, 0.8]), np.full((2, 2), [0.5, 1.0]))
FITTED = SingleModelRouter().fit(LOG, np.random.default_rng(0))
TASKS = 200_000
REPROMPTS = ["redraw", "stick", "escalate", "update"]


class Shy:
    """Draws any model for the easy tasks and the second for the others; after a failure it prefers the other one."""

    def __init__(self) -> None:
        self.failed = np.zeros(2)

    def fit(self, log: Outcomes, rng: np.random.Generator) -> "Shy":
        return self

    def route(self, features: Array, knob: float) -> Array:
        rows = np.where(features == 0.0, [0.6, 0.4], [0.0, 1.0])
        return rows if not self.failed.any() else np.eye(2)[[self.failed.argmin()]].repeat(len(features), axis=0)

    def update(self, features: Array, model: int, quality: float, cost: float, latency: float) -> None:
        self.failed[model] += 1


class Unsure(Shy):
    """Its rows sum to 2."""

    def route(self, features: Array, knob: float) -> Array:
        return np.ones((len(features), 2))


@pytest.mark.parametrize("reprompt", REPROMPTS)
def test_exact_payoffs_are_those_of_play(reprompt: Any) -> None:
    provider = RouterProvider(Shy(), 0.5, FEATURES, reprompt, order=[0, 1])
    exact = traffic_payoffs(TRAFFIC, provider.policy, horizon=3)
    env = ProviderVectorEnv(TASKS, TRAFFIC, CountingUser([3]), routing="pass")
    env.reset(seed=3)
    cost, utility, playing = np.zeros(TASKS), np.zeros(TASKS), np.ones(TASKS, dtype=bool)
    while playing.any():
        rewards, ended, _ = env.advance(
            env.variant.actions.routed(env.tasks.game, *provider.route(env.tasks.waiting()))
        )
        infos = env.step_infos
        cost -= playing * rewards
        utility += playing * (infos["value"] - infos["latency"])
        playing &= ~ended
    for played, expected in ((cost, exact.provider_cost[0, 2]), (utility, exact.user_utility[0, 2])):
        # Wrong once in 15,000 times.
        assert abs(played.mean() - expected) < 4 * played.std() / TASKS**0.5


def test_it_plays_against_a_learning_user() -> None:
    provider = RouterProvider(Shy(), 0.5, FEATURES)
    env = UserVectorEnv(50_000, TRAFFIC, provider, routing="pass")
    env.reset(seed=4)
    rewards, _, _ = env.advance(np.zeros(50_000, dtype=np.int64))
    (utility,), _ = traffic_payoffs(TRAFFIC, provider.policy, horizon=2)
    rows = provider.policy.start[TRAFFIC.context]  # type: ignore[union-attr]
    fails = 1 - TRAFFIC.weight @ (rows * GAMES.success).sum(axis=1)
    assert abs(rewards.mean() - (utility[1] - utility[0]) / fails) < 4 * rewards.std() / 50_000**0.5


def test_rounding_of_a_router_does_not_matter() -> None:
    class Rounded(Shy):
        def route(self, features: Array, knob: float) -> Array:
            return np.full((len(features), 2), [1 + 3e-16, 0.0])

    assert RouterProvider(Rounded(), 0.5, FEATURES, "stick").policy.probability.tolist() == [[1, 0]] * 2  # type: ignore[union-attr]


def test_escalation_goes_up_the_order_and_stays_at_its_end() -> None:
    router = RandomRouter().fit(Outcomes(FEATURES, *np.ones((3, 2, 3))), np.random.default_rng(0))
    policy = RouterProvider(router, 0.5, FEATURES, "escalate", order=[2, 0, 1]).policy
    assert policy.models.tolist() == [[0, 1, 1], [1, 1, 1], [2, 0, 1]]  # type: ignore[union-attr]


def test_an_online_router_learns_from_failures_between_passes() -> None:
    router = Shy()
    policy = RouterProvider(router, 0.5, FEATURES, "update").policy
    chosen = policy.until(4)[policy.probability.argmax(axis=-1)]  # type: ignore[union-attr]
    assert chosen.tolist() == [[0, 1, 0, 1], [1, 0, 0, 1]]
    assert not router.failed.any()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"knob": 1.1}, ValueError, "knob: 1.1 is not allowed"),
        ({"reprompt": "again"}, ValueError, "reprompt: 'again'"),
        ({"reprompt": "escalate"}, ValueError, "order: "),
        ({"reprompt": "update", "router": FITTED}, TypeError, "update"),
        ({"router": Unsure()}, ValueError, "do not sum to 1"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RouterProvider(**({"router": Shy(), "knob": 0.5, "features": FEATURES} | change))
