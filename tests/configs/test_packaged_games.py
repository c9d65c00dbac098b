from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from stackroute.analytic import Regime, misalignment, solve, throttling_gain
from stackroute.configs import game_names, load_game
from stackroute.configs.training import load_training_settings, settings_from

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

SECONDS = {"seconds": 1, "minutes": 60}


def files(folder: str) -> dict[str, Traversable]:
    root = resources.files("stackroute.configs").joinpath(folder)
    found = [entry for entry in root.iterdir() if entry.name.endswith(".yaml")]
    return {entry.name.removesuffix(".yaml"): entry for entry in found}


def read(file: Traversable) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


RAW = files("games/canonical") | files("games/real")


def test_every_file_is_a_packaged_game() -> None:
    assert game_names() == sorted(RAW)
    assert len(files("games/real")) == 57


@pytest.mark.parametrize("name", sorted(RAW))
def test_numbers_equal_the_file(name: str) -> None:
    raw = read(RAW[name])
    models = raw["models"]
    unit = raw["units"]["latency"]
    factor = 1 if unit == "value" else raw["waiting_cost_per_hour"] * SECONDS[unit] / 3600
    loaded = load_game(name)
    game = loaded.game
    assert game.success.tolist() == [model["success"] for model in models]
    assert game.cost.tolist() == [model["cost"] for model in models]
    np.testing.assert_allclose(game.latency, [factor * model["latency"] for model in models], rtol=1e-15)
    assert game.value == raw["value"]
    assert game.churn_penalty == raw["churn_penalty"]
    assert loaded.name == raw["name"] == name
    assert loaded.labels == tuple(model["label"] for model in models)
    assert loaded.sources == raw["sources"] != []
    assert loaded.description
    assert "\n" not in loaded.description


CLAUDE = ((0.2444, 0.2933), (0.044858, 0.095923), (16.12, 61.64))
O3 = ((0.2, 0.4089), (0.024335, 0.038413), (11.39, 63.92))
NANO = ((0.0311, 0.2), (0.000966, 0.024335), (6.09, 11.39))


@pytest.mark.parametrize(
    ("name", "models", "waiting_cost", "value", "churn_penalty"),
    [
        ("gpt-4.1-o3-dev", O3, 64, 5, 0.1),
        ("gpt-4.1-o3-dev-low-p", O3, 64, 5, 0.05),
        ("gpt-4.1-o3-cascade", O3, 12, 0.469, 0.4),
        ("claude-3.7-sonnet-thinking-dev", CLAUDE, 64, 5, 0.1),
        ("gpt-4.1-nano-gpt-4.1-cascade", NANO, 12, 0.646, 0.12),
    ],
)
def test_real_games_hold_the_measured_figures(
    name: str, models: tuple, waiting_cost: float, value: float, churn_penalty: float
) -> None:
    loaded = load_game(name)
    success, cost, seconds = models
    assert loaded.units.money == "USD"
    assert loaded.game.success.tolist() == list(success)
    assert loaded.game.cost.tolist() == list(cost)
    np.testing.assert_allclose(loaded.game.latency, np.array(seconds) * waiting_cost / 3600, rtol=1e-14)
    assert (loaded.game.value, loaded.game.churn_penalty) == (value, churn_penalty)


def test_real_games_show_what_their_descriptions_say() -> None:
    dev, low, cascade, nano = (
        load_game(name).game
        for name in (
            "gpt-4.1-o3-dev",
            "gpt-4.1-o3-dev-low-p",
            "gpt-4.1-o3-cascade",
            "gpt-4.1-nano-gpt-4.1-cascade",
        )
    )
    assert solve(dev).commitment.first_model == 1
    assert solve(dev, throttling=True).provider_cost == solve(dev).provider_cost
    assert solve(low, throttling=True).provider_cost < solve(low).provider_cost
    for game in (cascade, nano):
        found = solve(game)
        assert found.commitment.first_model == 0
        assert 0 < found.commitment.cascade_probability[0] < 1
        assert found.patience == 1


STATED = re.compile(
    r"the provider (?P<route>serves|cascades from) (?P<first>.+?)(?P<threat> and would send re-prompts to .+?)?, "
    r"users (?P<users>stay|leave after one pass), they would (?P<prefer>choose the same|rather have .+); "
    r"throttling (?P<throttling>pays|does not pay)$"
)


@pytest.mark.parametrize("name", [name for name in sorted(RAW) if STATED.search(load_game(name).description)])
def test_what_a_description_states_is_what_theory_says(name: str) -> None:
    config = load_game(name)
    found, stated = solve(config.game), STATED.search(config.description)
    assert stated is not None
    labels = config.labels
    first = int(found.commitment.first_model)
    cascade = float(found.commitment.cascade_probability[0]) if first == 0 else 0.0
    assert (stated["route"] == "cascades from") == (0 < cascade < 1)
    assert (stated["threat"] is not None) == (cascade == 1)
    served = labels[first]
    assert stated["first"].removesuffix(f" to {labels[1]}") == served
    assert (stated["users"] == "stay") == (float(found.patience) > 0)
    aligned = misalignment(config.game)
    if float(aligned.gap) > 1e-9 * config.value:
        assert stated["prefer"] == f"rather have {labels[int(aligned.preferred_model)]}"
    else:
        assert stated["prefer"] == "choose the same"
    assert (stated["throttling"] == "pays") == bool(throttling_gain(config.game).pays)


def test_most_real_games_state_what_theory_says() -> None:
    assert sum(STATED.search(load_game(name).description) is not None for name in RAW) == 51


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (("g1", "g2", "g7", "g8"), Regime.BOTH_WORTH),
        (("g3",), Regime.NEITHER_WORTH),
        (("g4", "g4b"), Regime.ONLY_REASONING_WORTH),
        (("g5", "g5b", "g6"), Regime.ONLY_STANDARD_WORTH),
    ],
)
def test_canonical_games_lie_in_their_regimes(names: tuple[str, ...], rule: Regime) -> None:
    assert [solve(load_game(name).game).regime for name in names] == [rule] * len(names)


def test_a_file_can_be_loaded_by_path_and_names_ignore_case(tmp_path: Path) -> None:
    assert load_game("G4b").name == "g4b"
    text = RAW["gpt-4.1-o3-dev"].read_text(encoding="utf-8")
    for suffix in (".yaml", ".yml"):
        path = tmp_path / f"mine{suffix}"
        path.write_text(text, encoding="utf-8")
        assert load_game(path) == load_game(str(path)) == load_game("gpt-4.1-o3-dev")


def test_minutes_are_sixty_seconds(tmp_path: Path) -> None:
    raw = read(RAW["gpt-4.1-o3-dev"])
    raw["units"]["latency"] = "minutes"
    path = tmp_path / "minutes.yaml"
    YAML(typ="safe", pure=True).dump(raw, path)
    slow, fast = load_game(path).game.latency, load_game("gpt-4.1-o3-dev").game.latency
    np.testing.assert_allclose(slow, 60 * fast, rtol=1e-14)


@pytest.mark.parametrize("name", ["follower_first", "simultaneous", "simultaneous_blind"])
def test_training_settings_equal_the_files(name: str) -> None:
    raw = read(files("training")[name])
    learners = files("learners")
    for player in ("user", "provider"):
        raw[player] = read(learners[raw[player]])
    settings = load_training_settings(name)
    assert settings == settings_from(raw, name)
    assert settings.scheme == name
    assert (load_training_settings() == settings) is (name == "follower_first")
