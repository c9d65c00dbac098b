import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stackroute.agents.errors import PolicyFileError
from stackroute.agents.files import read_arrays, write_arrays
from stackroute.agents.routers import (
    ROUTERS,
    ExtendingRouter,
    IServe,
    LogisticRouter,
    OmniRouter,
    OnlineRouter,
    Outcomes,
    Predictor,
    RandomRouter,
    RouteMoA,
    UserAware,
)
from stackroute.agents.routers.features import FeatureEncoder
from stackroute.agents.routers.saving import SavedRouter, load_router, save_router
from stackroute.analytic import Game, Ladders, Traffic

MODELS = ("small", "middle", "large")


def tasks(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = np.array(
        ["sort the list", "find the sum", "of all numbers", "in a file", "with a pivot", "quickly, please"]
    )
    prompts = [" ".join(rng.choice(words, 3)) + f" {k}" for k in range(count)]
    return pd.DataFrame({"size": rng.normal(size=count), "kind": rng.choice(["code", "chat"], count), "text": prompts})


def log_of(features: Any, seed: int = 0) -> Outcomes:
    rng = np.random.default_rng(seed)
    success = 1 / (1 + np.exp(-features[:, :1] - np.array([-1.0, 0.0, 1.0])))
    shape = success.shape
    quality = (rng.random(shape) < success) * 1.0
    quality[rng.random(shape) < 0.1] = np.nan
    return Outcomes(features, quality, rng.uniform(0.5, 1, shape) * [1, 3, 9], rng.uniform(0.5, 1, shape) * [1, 2, 3])


@pytest.fixture(scope="module")
def encoder() -> FeatureEncoder:
    return FeatureEncoder(components=3).fit(tasks(60), np.random.default_rng(0))


def of(name: str, router: Any, encoder: FeatureEncoder, **changes: Any) -> SavedRouter:
    order = tuple(range(len(router.named(MODELS)) if isinstance(router, ExtendingRouter) else 3))
    return replace(SavedRouter(name, router, encoder, MODELS, 0.6, "escalate", order), **changes)


def again(saved: SavedRouter, folder: Path) -> SavedRouter:
    save_router(saved, folder / "router.npz")
    return load_router(folder / "router.npz")


def assert_same(one: SavedRouter, other: SavedRouter, table: pd.DataFrame) -> None:
    policy, after = one.policy(table), other.policy(table)
    assert type(policy) is type(after)
    for name, value in vars(policy).items():
        np.testing.assert_array_equal(value, getattr(after, name))


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_is_the_same_after_saving(name: str, encoder: FeatureEncoder, tmp_path: Path) -> None:
    made: Any = ROUTERS[name]()
    if hasattr(made, "epochs"):
        made.epochs = 2
    router = made.fit(log_of(encoder.encode(tasks(60))), np.random.default_rng(1))
    saved = of(name, router, encoder)
    loaded = again(saved, tmp_path)
    new = tasks(15, seed=1)
    for knob in (0.0, 0.35, 1.0):
        changes = {"knob": knob, "reprompt": "redraw"}
        assert_same(replace(saved, **changes), replace(loaded, **changes), new)
    assert_same(saved, loaded, new)
    assert loaded.router == router
    assert (loaded.labels, loaded.order, loaded.reprompt, loaded.knob) == (MODELS, saved.order, "escalate", 0.6)
    if isinstance(router, OnlineRouter):
        assert_same(replace(saved, reprompt="update"), replace(loaded, reprompt="update"), new[:3])
        for each in (router, loaded.router):
            assert isinstance(each, OnlineRouter)
            each.update(encoder.encode(new)[0], 1, 1.0, np.nan, 2.0)
        assert_same(saved, loaded, new)


@pytest.mark.parametrize("rule", ["ladders", "lottery"])
@pytest.mark.parametrize("name", ["logistic regression", "RouteMoA"])
def test_the_user_aware_rule_is_the_same_after_saving(
    name: str, rule: Any, encoder: FeatureEncoder, tmp_path: Path
) -> None:
    features = encoder.encode(tasks(60))
    log = log_of(features)
    router = ROUTERS[name]().fit(log, np.random.default_rng(1))
    assert isinstance(router, Predictor)
    success = 1 / (1 + np.exp(-features[:, :1] - np.array([-1.0, 0.0, 1.0])))
    games = Game(success, log.cost, log.latency, value=20, churn_penalty=30)
    traffic = Traffic(router.extended(games) if isinstance(router, ExtendingRouter) else games, context=np.arange(60))
    expected = router.predict(features).success
    aware = UserAware(contexts=4, horizon=4, rule=rule).fit(expected, traffic, np.random.default_rng(0))
    aware.tune(expected, traffic)
    saved = of(name, router, encoder, aware=aware, reprompt=None)
    loaded = again(saved, tmp_path)
    assert loaded.aware == aware
    assert_same(saved, loaded, tasks(15, seed=1))
    assert not np.array_equal(vars(saved.policy(tasks(15, seed=1)))["models" if rule == "ladders" else "start"], 0)


def test_settings_are_kept(encoder: FeatureEncoder, tmp_path: Path) -> None:
    log = log_of(encoder.encode(tasks(60)))
    for name, router in {
        "OmniRouter": OmniRouter(loads=(0.5, 0.5, 0.2), attempts=2),
        "iServe": IServe(menu=((2.0, 0.25),), intent=0.9),
        "RouteMoA": RouteMoA(judge_accuracy=0.7),
    }.items():
        saved = of(name, router.fit(log, np.random.default_rng(0)), encoder)
        loaded = again(saved, tmp_path)
        assert loaded.router == router
        assert_same(saved, loaded, tasks(15, seed=1))


def test_what_a_router_serves_by_has_names(encoder: FeatureEncoder) -> None:
    log = log_of(encoder.encode(tasks(20)))
    for name, last in {"iServe": "large (cost x 1.8, wait x 0.6)", "RouteMoA": "middle with large"}.items():
        router = ROUTERS[name]().fit(log, np.random.default_rng(0))
        named = of(name, router, encoder).served_by
        assert named[:3] == MODELS
        assert named[-1] == last
        assert len(named) == router.route(log.features, 0.5).shape[1]


def test_without_columns_all_tasks_are_alike(tmp_path: Path) -> None:
    nothing = FeatureEncoder().fit(None, np.random.default_rng(0))
    router = LogisticRouter().fit(log_of(np.ones((20, 1))), np.random.default_rng(0))
    policy = again(of("logistic regression", router, nothing), tmp_path).policy(pd.DataFrame(index=range(4)))
    assert isinstance(policy, Ladders)
    assert policy.probability.shape == (4, 3)
    assert (policy.probability == policy.probability[0]).all()


def test_only_routers_by_their_names_are_saved(encoder: FeatureEncoder, tmp_path: Path) -> None:
    random = RandomRouter().fit(log_of(np.ones((20, 1))), np.random.default_rng(0))
    for name in ("UniRoute", "unknown"):
        with pytest.raises(TypeError, match=r"router: RandomRouter.* is not allowed as"):
            save_router(of(name, random, encoder), tmp_path / "router.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "unheard"}, "name: 'unheard' is not allowed; expected one of random"),
        ({"kind": "policy"}, "kind"),
        ({"knob": 1.5}, "knob"),
        ({"labels": ["small"]}, "labels: 1 are not allowed"),
        ({"router": {"penalty": "x"}}, "penalty"),
        ({"router": {"code": 1}}, "router: no setting code"),
        ({"order": [0, 0, 1]}, "order"),
        ({"aware": {"horizon": 1000}}, "horizon: 1000"),
        ({"aware": {}}, "has no attribute"),
        ({"more": 1}, "more"),
    ],
)
def test_other_files_are_refused(change: Any, message: str, encoder: FeatureEncoder, tmp_path: Path) -> None:
    router = LogisticRouter().fit(log_of(encoder.encode(tasks(20))), np.random.default_rng(0))
    path = tmp_path / "router.npz"
    save_router(of("logistic regression", router, encoder), path)
    specification, arrays = read_arrays(path, 2**20, "fiubU")
    write_arrays(path, specification | change, arrays)
    with pytest.raises(PolicyFileError, match=rf"router\.npz: not a saved router: .*{message}"):
        load_router(path)


def test_damaged_files_are_refused(encoder: FeatureEncoder, tmp_path: Path) -> None:
    router = LogisticRouter().fit(log_of(encoder.encode(tasks(20))), np.random.default_rng(0))
    path = tmp_path / "router.npz"
    save_router(of("logistic regression", router, encoder), path)
    whole = path.read_bytes()
    specification, arrays = read_arrays(path, 2**20, "fiubU")
    for damaged in (b"", b"not a file", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(PolicyFileError, match="not a saved router"):
            load_router(path)
    for change in (
        {"router.weights_": arrays["router.weights_"][:, 1:]},
        {"router.weights_": arrays["router.weights_"] * np.nan},
        {"router.weights_": np.array([{}], dtype=object)},
    ):
        write_arrays(path, specification, arrays | change)
        with pytest.raises(PolicyFileError, match="not a saved router"):
            load_router(path)
    np.savez(path, specification=np.array(json.dumps(specification)))
    with pytest.raises(PolicyFileError, match="not a saved router"):
        load_router(path)
    with pytest.raises(FileNotFoundError):
        load_router(tmp_path / "none.npz")
