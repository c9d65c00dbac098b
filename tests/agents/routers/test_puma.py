from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from stackroute.agents.routers import PUMA, fit_profiles, migration_regret
from stackroute.analytic import Game, Population, solve_population

Array = NDArray[np.float64]
TYPICAL = np.array([4.0, 1.0])
OLD = Game([0.4, 0.7], [1, 6], [1, 2.5], value=1, churn_penalty=0)
NEW = Game([0.3, 0.6, 0.9], [0.3, 2.4, 10.8], [3, 3, 1.8], value=1, churn_penalty=0)
"""Fast solutions cost the provider a lot, so that it matters how long users wait."""


class Market(NamedTuple):
    """What users are under the new models, and what has been learned of them under either."""

    users: Population
    true: Array
    old: Array
    new: Array


def learned(rng: np.random.Generator, profiles: Array, game: Game) -> Array:
    """Profiles from a number of decisions of each user, on tasks of hidden difficulty."""
    shape = (len(profiles), 80)
    model = rng.integers(game.models, size=shape)
    chance, latency = game.success[model] * rng.beta(2, 2, shape), game.latency[model]
    worth = profiles[:, :1] * chance - profiles[:, 1:] * latency
    return fit_profiles(chance, latency, rng.random(shape) < 1 / (1 + np.exp(-worth)), TYPICAL)


def market(seed: int) -> Market:
    """Most users change alike; of two small groups, each changes in its own way."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, size=120, p=[0.84, 0.08, 0.08])
    old = np.array([[3, 0.8], [10, 0.8], [6, 4]])[kind] * np.exp(rng.normal(0, 0.15, (120, 2)))
    change = np.array([[-0.2, 0.1], [0.5, 1.2], [0.9, -0.9]])[kind] + rng.normal(0, 0.05, (120, 2))
    new = old * np.exp(change)
    users = Population(*new.T, churn_penalty=np.array([20, 60, 60])[kind], share=np.ones(120))
    return Market(users, new, learned(rng, old, OLD), learned(rng, new, NEW))


@pytest.fixture(scope="module")
def markets() -> list[Market]:
    return [market(seed) for seed in range(8)]


def test_profiles_are_found_from_decisions() -> None:
    rng = np.random.default_rng(0)
    true = np.exp(rng.normal([1.2, 0.0], 0.6, (10, 2)))
    chance, latency = rng.uniform(0, 1, (2, 10, 2000))
    stayed = rng.random((10, 2000)) < 1 / (1 + np.exp(latency * true[:, 1:] - chance * true[:, :1]))
    few = fit_profiles(chance[:, :20], latency[:, :20], stayed[:, :20], TYPICAL)
    many = fit_profiles(chance, latency, stayed, TYPICAL)
    errors = [np.abs(np.log(found / true)).mean() for found in (few, many)]
    assert errors[1] < 0.2
    assert errors[1] < errors[0] / 2
    assert fit_profiles(chance[:1, :0], latency[:1, :0], stayed[:1, :0], TYPICAL) == pytest.approx(TYPICAL[None])


def test_chosen_users_are_of_all_kinds(markets: list[Market]) -> None:
    for seed, (users, _, old, _) in enumerate(markets):
        chosen = PUMA(users=8).choose_users(old, np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == len(chosen) <= 8
        dear = users.churn_penalty[chosen] > 20
        assert dear.any()
        assert not dear.all()
    few = PUMA(users=8).choose_users(np.ones((5, 2)), np.random.default_rng(0))
    assert len(few) >= 1


def test_the_adapter_learns_the_change_of_those_it_has_seen() -> None:
    old = np.exp(np.random.default_rng(0).normal(0, 1, (30, 2)))
    new = np.column_stack([old[:, 0] ** 1.5, old[:, 1] * 2])
    adapter = PUMA(penalty=1e-6).fit(old, new)
    np.testing.assert_allclose(adapter.move(old), new, rtol=1e-3)
    far = old * 1e6
    np.testing.assert_allclose(adapter.move(far) / far, np.exp(np.log(new / old).mean(axis=0)) * np.ones((30, 1)))


def test_a_few_chosen_by_clusters_come_nearer_to_refitting_than_as_many_drawn_or_none(markets: list[Market]) -> None:
    errors, regrets = [], []
    for seed, (users, _, old, new) in enumerate(markets):
        rng = np.random.default_rng(seed)
        chosen = PUMA().choose_users(old, rng)
        drawn = [rng.choice(len(old), len(chosen), replace=False) for _ in range(4)]
        moved = [PUMA().fit(old[few], new[few]).move(old) for few in (chosen, *drawn)]
        error, regret = (
            np.array([of(supposed) for supposed in (*moved, old)])
            for of in (
                lambda found, new=new: float(np.square(np.log(found / new)).mean() ** 0.5),
                lambda found, new=new, users=users: migration_regret(NEW, users, found, new),
            )
        )
        errors.append([error[0], error[1:-1].mean(), error[-1]])
        regrets.append([regret[0], regret[1:-1].mean(), regret[-1]])
    clustered, random, unmoved = np.mean(errors, axis=0)
    assert clustered < 0.9 * min(random, unmoved)
    clustered, random, unmoved = np.mean(regrets, axis=0)
    assert clustered < 0.5 * min(random, unmoved)


def test_the_regret_of_the_truth_is_that_of_the_exact_optimum(markets: list[Market]) -> None:
    users, true, old, new = markets[0]
    best = solve_population(NEW, users).provider_cost
    assert migration_regret(NEW, users, true, true) == 0
    lost = migration_regret(NEW, users, new, true)
    assert lost >= -1e-9
    assert migration_regret(NEW, users, old, new) == pytest.approx(migration_regret(NEW, users, old, true) - lost)
    # All are taken to stay with the cheapest model, and those leave who wait for less than its 3 / 0.3.
    patient = np.column_stack([np.full(120, 100.0), np.ones(120)])
    leaves = true[:, 0] < 10 * true[:, 1]
    assert 0 < leaves.sum() < 120
    pays = float(users.share @ np.where(leaves, 0.3 + 0.7 * users.churn_penalty, 0.3 / 0.3))
    assert migration_regret(NEW, users, patient, true) == pytest.approx(pays - best)
