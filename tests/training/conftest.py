"""Settings with budgets too small to learn anything, for tests of the machinery: those of tiny.yaml and their like."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stackroute.configs.training import TrainingSettings, settings_from

Content = dict[str, Any]

TINY: Content = YAML(typ="safe").load(Path(__file__).with_name("tiny.yaml"))
ON_POLICY, PPO_ALONE = ("rollout_length", "entropy_bonus"), ("minibatches", "epochs")
OFF_POLICY = {"buffer_size": 48, "minibatch_size": 16, "gradient_steps": 2}
EXPLORATION = {"exploration": 1.0, "final_exploration": 0.1}
CERTIFICATE = {"tolerance": 0.002, "standard_errors": 4.0, "tasks": 10_000}


def learner(player: str, algorithm: str) -> Content:
    left_out = {"ppo": (), "a2c": PPO_ALONE}.get(algorithm, (*ON_POLICY, *PPO_ALONE))
    made = {key: value for key, value in TINY[player].items() if key not in left_out and key not in EXPLORATION}
    made |= {"algorithm": algorithm} | (OFF_POLICY if len(left_out) > len(PPO_ALONE) else {})
    explores = algorithm == "td3" or (player == "provider" and algorithm not in ("sac", "tqc"))
    return made | (EXPLORATION if explores else {})


def content(
    scheme: str = "follower_first",
    *,
    user_algorithm: str = "ppo",
    user_action: str | None = "grid",
    provider_algorithm: str = "ppo",
    refined: bool = False,
    features: str = "raw",
) -> Content:
    user, provider = learner("user", user_algorithm), learner("provider", provider_algorithm)
    if user_action is None:
        del user["action"]
        user |= {"decision": "pass", "tasks_per_commitment": 1}
    else:
        user["action"] = user_action
    if scheme != "follower_first":
        longer = {"steps": 128, "rounds": 4}
        return {"scheme": scheme, "features": features, "user": user | longer, "provider": provider | longer}
    made = TINY | {"features": features, "user": user, "provider": provider}
    overview = {"places": 5, "contenders": 1.0}
    return made | ({"overview": overview, "certificate": CERTIFICATE} if refined else {})


@pytest.fixture
def tiny_content() -> Callable[..., Content]:
    return content


@pytest.fixture
def tiny_settings() -> Callable[..., TrainingSettings]:
    return lambda *arguments, **options: settings_from(content(*arguments, **options), "tiny.yaml")


@pytest.fixture
def short_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look of the certificate at a commitment takes few tasks."""
    monkeypatch.setattr("stackroute.training.learn.certificate._FIRST_TASKS", 1_000)
