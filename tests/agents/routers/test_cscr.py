from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import CSCR, Outcomes
from stackroute.agents.routers.cscr import _cost_bands

Array = NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cheap_pool(seed: int) -> tuple[Outcomes, Outcomes, Array]:
    """Five cheap models and a dear one; most tasks are easy, some of medium difficulty, few are hard."""
    random = rng(seed)
    kind = random.choice(3, size=800, p=[0.6, 0.3, 0.1])
    success = np.array([[0.9] * 5 + [0.95], [0.6] * 5 + [0.95], [0.1] * 5 + [0.9]])[kind]
    features = np.eye(3)[kind] + random.normal(0, 0.2, (800, 3))
    cost = np.tile([1.0, 1.1, 1.2, 1.3, 1.4, 10.0], (800, 1))
    truth = Outcomes(features, success, cost, cost)
    return truth._replace(quality=(random.random(success.shape) < success).astype(float)), truth, kind


def test_its_loss_falls_tasks_are_near_what_solves_them_and_it_beats_every_mix(
    make_log: Any, reached: Any, mixed: Any
) -> None:
    log, truth = make_log()
    router = CSCR().fit(log, rng())
    near = router.similarity(truth.features)
    for model in range(4):
        assert np.corrcoef(near[:, model], truth.quality[:, model])[0, 1] > 0.5
    assert router.loss_[-1] < 0.95 * router.loss_[0]
    cost, quality = reached(router, truth, 1.0)
    assert quality > mixed(log, truth, cost) + 0.1
    costs = [reached(router, truth, knob)[0] for knob in np.linspace(0, 1, 11)]
    assert (np.diff(costs) >= -1e-9).all()


def test_shuffled_features_are_no_better_than_the_best_mix(make_log: Any, reached: Any, mixed: Any) -> None:
    log, truth = make_log(tasks=1000, kinds=60)
    router = CSCR().fit(log._replace(features=rng().permutation(log.features)), rng())
    for knob in (0.5, 0.8, 1.0):
        cost, quality = reached(router, truth, knob)
        assert quality <= mixed(log, truth, cost + 0.05) + 0.02


def test_bands_separate_what_cheap_models_solve_from_what_they_do_not() -> None:
    log, truth, kind = cheap_pool(0)

    def dear(router: CSCR) -> tuple[float, float]:
        """The share of easy and of hard tasks that goes to the dear model."""
        share = router.fit(log, rng()).route(truth.features, 0.8)[:, -1]
        return float(share[kind == 0].mean()), float(share[kind == 2].mean())

    easy, hard = dear(CSCR())
    assert easy < 0.05
    assert hard > 0.9
    # Without them, as in the plain contrastive loss, all tasks are near the one model that solves nearly all.
    assert dear(CSCR(bands=1))[0] > 0.9


@pytest.mark.parametrize(
    ("cost", "bands", "expected"),
    [
        ([1.0, 2, 3, 4], 4, [0, 1, 2, 3]),
        ([4.0, 3, 2, 1], 2, [1, 1, 0, 0]),
        ([1.0, 5], 4, [0, 1]),
        ([3.0], 4, [0]),
        ([1.0, 2, 3, 4, 5, 6, 7, 8], 4, [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_bands_are_quantiles_of_cost_with_fewer_for_few_models(
    cost: list[float], bands: int, expected: list[int]
) -> None:
    assert _cost_bands(np.array(cost), bands).tolist() == expected


def test_models_of_equal_cost_share_a_band() -> None:
    band = _cost_bands(np.array([1.0, 1, 1, 2, 2, 9]), 4)
    assert len(set(band[:3])) == len(set(band[3:5])) == 1
    assert band[0] < band[3] < band[5]


def test_the_loss_is_the_papers() -> None:
    # Against its formula by loops, with a model that is not known.
    import torch

    quality = np.array([[1.0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 1, np.nan]])
    log = Outcomes(rng(4).normal(size=(3, 2)), quality, np.full((3, 4), [1.0, 2, 3, 8]), np.ones((3, 4)))
    router = CSCR(bands=2).fit(log, rng())
    parameters = {name: torch.from_numpy(getattr(router, f"{name}_")) for name in ("hidden", "hidden_bias", "head")}
    parameters["head_bias"] = torch.from_numpy(router.head_bias_)
    found = router._loss(router._standard(log.features), quality, rng())(parameters, np.arange(3))
    near, cost, losses = router.similarity(log.features), np.array([1.0, 2, 3, 8]) / 8, []
    for task in (0, 2):
        terms = []
        for band in ([0, 1], [2, 3]):
            right = [m for m in band if quality[task, m] == 1]
            if right:
                heat = 0.2 + 0.1 * cost[band].mean()
                up = sum(np.exp(near[task, m] / heat) for m in right)
                known = [m for m in range(4) if not np.isnan(quality[task, m])]
                terms.append(-np.log(up / sum(np.exp((near[task, m] - 0.1 * cost[m]) / heat) for m in known)))
        losses.append(np.mean(terms))
    assert float(found) == pytest.approx(np.mean(losses), abs=1e-12)


def test_only_the_nearest_models_are_compared_by_cost(make_log: Any) -> None:
    log, truth = make_log(models=6)
    router = CSCR(nearest=2, epochs=2).fit(log, rng())
    near = router.similarity(truth.features)
    chosen = router.route(truth.features, 0.0).argmax(axis=1)
    best_two = np.argsort(near, axis=1)[:, -2:]
    np.testing.assert_array_equal(chosen, best_two.min(axis=1))
