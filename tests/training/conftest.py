"""Settings with budgets too small to learn anything, for tests of the machinery."""

from collections.abc import Callable
from typing import Any

import pytest

from stackroute.configs.training import TrainingSettings, settings_from

Content = dict[str, Any]
LearnerContent = Callable[..., Content]
TinyContent = Callable[..., Content]
TinySettings = Callable[..., TrainingSettings]

LEARNER = {
    "steps": 64,
    "rounds": 2,
    "batch_size": 16,
    "tasks_per_commitment": 4,
    "learning_rate": 0.003,
    "final_learning_rate": 0.0003,
    "hidden_layers": [8],
    "activation": "tanh",
}
ON_POLICY = {"rollout_length": 2, "entropy_bonus": 0.01}
OFF_POLICY = {"buffer_size": 48, "minibatch_size": 16, "gradient_steps": 2}
OWN_KEYS = {
    "ppo": ON_POLICY | {"minibatches": 2, "epochs": 2},
    "a2c": ON_POLICY,
    "sac": OFF_POLICY,
    "td3": OFF_POLICY,
    "tqc": OFF_POLICY,
    "dqn": OFF_POLICY,
}


def learner(algorithm: str, **changes: object) -> Content:
    return LEARNER | {"algorithm": algorithm} | OWN_KEYS[algorithm] | changes


def provider(algorithm: str, **changes: object) -> Content:
    width = {} if algorithm in ("sac", "tqc") else {"exploration": 1.0, "final_exploration": 0.1}
    return learner(algorithm, **(width | changes))


def user(algorithm: str, action: str | None = "grid", **changes: object) -> Content:
    chosen = {"decision": "task", "action": action} if action else {"decision": "pass", "tasks_per_commitment": 1}
    width = {"exploration": 1.0, "final_exploration": 0.1} if algorithm == "td3" else {}
    return learner(algorithm, **(chosen | width | changes))


OVERVIEW = {"provider": provider("dqn"), "cascades": 5, "contenders": 1.0}
CERTIFICATE = {"tolerance": 0.002, "standard_errors": 4.0, "tasks": 10_000}


def content(
    scheme: str = "follower_first",
    *,
    user_algorithm: str = "ppo",
    user_action: str | None = "grid",
    provider_algorithm: str = "ppo",
    refined: bool = False,
    features: str = "raw",
) -> Content:
    players: Content = {
        "scheme": scheme,
        "features": features,
        "user": user(user_algorithm, user_action),
        "provider": provider(provider_algorithm),
    }
    if scheme != "follower_first":
        longer = {"steps": 128, "rounds": 4}
        return players | {name: players[name] | longer for name in ("user", "provider")}
    return players | {"overview": OVERVIEW if refined else None, "certificate": CERTIFICATE if refined else None}


@pytest.fixture
def user_content() -> LearnerContent:
    return user


@pytest.fixture
def provider_content() -> LearnerContent:
    return provider


@pytest.fixture
def tiny_content() -> TinyContent:
    return content


@pytest.fixture
def tiny_settings() -> TinySettings:
    def made(*arguments: Any, **options: Any) -> TrainingSettings:
        return settings_from(content(*arguments, **options), "tiny.yaml")

    return made


@pytest.fixture
def short_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look of the certificate at a commitment takes few tasks."""
    monkeypatch.setattr("stackroute.training.learn.certificate._FIRST_TASKS", 1_000)
