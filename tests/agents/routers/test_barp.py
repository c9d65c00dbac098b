from typing import Any

import numpy as np
import pytest

from stackroute.agents.routers import BaRP, Outcomes, SingleModelRouter, costs_of_reaction
from stackroute.analytic import Commitment, Game, best_response, provider_cost

KNOBS = (0.2, 0.5, 0.8, 0.95)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def worth(reached: Any, router: Any, truth: Outcomes, knob: float) -> float:
    """The paper's expected reward, with the cap of the costs out of reach."""
    cost, quality = reached(router, truth, knob)
    return float(knob * quality - (1 - knob) * cost / np.quantile(truth.cost, 0.95))


def test_one_policy_is_better_than_the_best_single_model_at_every_knob(make_log: Any, reached: Any) -> None:
    log, truth = make_log()
    router, single = BaRP().fit(log, rng()), SingleModelRouter().fit(log, rng())
    gains = [worth(reached, router, truth, knob) - worth(reached, single, truth, knob) for knob in KNOBS]
    assert min(gains) > -0.01
    assert gains[2] > 0.03
    assert gains[3] > 0.08
    begun = BaRP(epochs=1).fit(log, rng())
    assert np.mean([worth(reached, router, truth, knob) - worth(reached, begun, truth, knob) for knob in KNOBS]) > 0.02
    costs = [reached(router, truth, knob)[0] for knob in np.linspace(0, 1, 11)]
    assert (np.diff(costs) > -0.05).all()
    assert costs[-1] > 2 * costs[0]


def test_shuffled_features_are_no_better_than_the_best_mix(make_log: Any, reached: Any, mixed: Any) -> None:
    # Of many kinds of task, a policy that takes noise for a reason cannot be right about most by luck.
    log, truth = make_log(tasks=1000, kinds=60)
    router = BaRP(epochs=15).fit(log._replace(features=rng().permutation(log.features)), rng())
    for knob in KNOBS:
        cost, quality = reached(router, truth, knob)
        assert quality <= mixed(log, truth, cost + 0.05) + 0.02


def test_seldom_observed_models_count_for_what_was_not_seen() -> None:
    # The second model is better, but its answers are known for one task in ten.
    random = rng(1)
    quality = (random.random((1000, 2)) < [0.4, 0.8]).astype(float)
    quality[random.random(1000) < 0.9, 1] = np.nan
    log = Outcomes(random.normal(size=(1000, 2)), quality, np.ones((1000, 2)), np.ones((1000, 2)))
    assert BaRP(epochs=15).fit(log, rng()).route(log.features, 1.0)[:, 1].mean() > 0.95


def test_the_costs_of_reaction_are_those_of_the_game() -> None:
    random = rng(2)
    games = Game(
        random.uniform(0.02, 0.98, (200, 2)),
        random.uniform(0.1, 2, (200, 2)),
        random.uniform(0.1, 2, (200, 2)),
        value=3,
        churn_penalty=4,
    )
    serving, leaving = costs_of_reaction(games.success, games.cost, games.latency, 3.0, 4.0)
    stays = leaving == 0.0
    assert 0.2 < stays.mean() < 0.8
    for model in (0, 1):
        commitment = Commitment.static(model)
        expected = provider_cost(games, commitment, best_response(games, commitment))
        np.testing.assert_allclose((serving + leaving)[:, model], expected, rtol=1e-9)


def test_the_costs_of_reaction_at_the_ends() -> None:
    quality = np.array([0.0, 1.0, 0.0, 1.0, 0.5, np.nan])
    latency = np.array([0.0, 0.5, 0.5, 2.0, 0.5, 0.5])
    serving, leaving = costs_of_reaction(quality, np.full(6, 2.0), latency, value=1.0, churn_penalty=7.0)
    np.testing.assert_array_equal(serving, [2, 2, 2, 2, 2, np.nan])
    # The user of the fifth is indifferent and leaves.
    np.testing.assert_array_equal(leaving, [7, 0, 7, 0, 3.5, np.nan])


def test_the_reward_of_reaction_lowers_the_providers_cost() -> None:
    # On the first kind the dear model is cheaper for each solved task; on the second nobody stays.
    random = rng(3)
    kind = random.integers(2, size=600)
    quality = np.array([[0.15, 0.9], [0.06, 0.09]])[kind]
    features = np.eye(2)[kind] + random.normal(0, 0.1, (600, 2))
    log = Outcomes(features, quality, np.full((600, 2), [1.0, 4.0]), np.full((600, 2), 0.1))
    bill = sum(costs_of_reaction(*log[1:], value=1.0, churn_penalty=5.0))

    def paid(router: BaRP, knob: float) -> float:
        return float((router.fit(log, rng()).route(features, knob) * bill).sum(axis=1).mean())

    reacting = paid(BaRP(epochs=15, users_react=True, value=1.0, churn_penalty=5.0), 0.5)
    assert reacting == pytest.approx(bill.min(axis=1).mean(), rel=1e-6)
    assert reacting < paid(BaRP(epochs=15), 0.5) - 0.3


@pytest.mark.parametrize(
    ("change", "message"), [({"value": 0.0}, "value: 0.0"), ({"churn_penalty": -1.0}, "churn_penalty: -1.0")]
)
def test_bad_settings_are_named(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BaRP(**change).fit(Outcomes(*np.ones((4, 1, 1))), rng())  # type: ignore[arg-type]
