"""What YAML does silently, and what it reads otherwise than people mean."""

from pathlib import Path

import pytest
import yaml

from stackroute.configs import ConfigError, load_game
from stackroute.configs.training import load_training_settings

CONFIGS = Path(__file__).parents[2] / "configs"
GOOD = """
name: mine
description: two models
units: {money: USD, latency: seconds}
models:
  standard: {label: small, success: 0.4, cost: 0.01, latency: 5}
  reasoning: {label: large, success: 0.7, cost: 0.05, latency: 40}
waiting_cost_per_hour: 30
value: 1.0
churn_penalty: 0.2
sources: [invented]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: 1.0", "value: 1.0\nvalue: 3.0", "value: repeated key at line 10"),
        ("cost: 0.01, latency", "cost: 0.01, cost: 0.02, latency", "cost: repeated key"),
        ("name: mine", "name: 2024-99-99", "not valid YAML"),
        ("value: 1.0", "value: !!int abc", "not valid YAML"),
        ("cost: 0.01", "cost: 1e-2", "YAML reads this one as text, write 0.01"),
        ("name: mine", "name: ../escaped", "name: '../escaped' is not allowed"),
        ("name: mine", "name: [mine]", "name: \\['mine'\\] is not allowed"),
    ],
)
def test_traps_are_errors(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert load_game(path).value == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_game(path)
    assert "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("minibatches", [64, 3, 16])
def test_minibatches_divide_what_is_collected(tmp_path: Path, minibatches: int) -> None:
    learner = yaml.safe_load((CONFIGS / "learners" / "user_ppo.yaml").read_text())
    content = yaml.safe_load((CONFIGS / "training" / "follower_first.yaml").read_text())
    content["user"] = learner | {"batch_size": 4}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_training_settings(path).user.batch_size == 4
    content["user"]["minibatches"] = minibatches
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=f"user: minibatches: {minibatches} is not allowed; expected a divisor"):
        load_training_settings(path)
