import json
import re

import numpy as np
import pytest

from stackroute import Commitment, Game, best_response, load_game, solve
from stackroute.analytic import provider_cost
from stackroute.analytic.equilibrium import Routing
from stackroute.configs import ConfigError, GameConfig, game_names, with_changes
from stackroute.training.cli.answers import Question, answer, driving_off
from stackroute.training.cli.explanation import explain
from stackroute.training.cli.quantities import record


@pytest.mark.parametrize(
    ("name", "changes", "throttling", "sentences"),
    [
        (
            "gpt-4.1-o3-dev-low-p",
            "",
            True,
            [
                "First answer by gpt-4.1; announce that every retry goes to o3, so that users leave when it fails.",
                "Slow down o3 by 51.09 s, or a little",
                "Users will give up after the first failed answer",
                "Users would rather be served by gpt-4.1 at every prompt: worth 3.19 USD",
                "Slowing down pays below a churn penalty of P* = 0.09394 USD (now 0.05 USD): it saves you 0.02961 USD",
            ],
        ),
        (
            "gpt-4.1-o3-dev",
            "",
            False,
            [
                "Serve o3 to every prompt. A task then costs you 0.09394 USD",
                "Users will re-prompt until the task is solved; a task is worth 2.221 USD to them.",
                "Users would rather be served by gpt-4.1 at every prompt: worth 1.767 USD",
                "Slowing down would not pay (now 0.1 USD); it pays below a churn penalty of P* = 0.09394 USD.",
            ],
        ),
        (
            "g4b",
            "",
            True,
            [
                "First answer by standard; each retry moves on to reasoning with probability 0.3077, or a little more",
                "If they did the opposite, a task would cost you 2.6.",
                "a task is a net loss of 0.1 to them. Who foresees that would not begin one: 'stackroute solve",
                "Users will re-prompt until the task is solved",
                "Users would rather be served by reasoning",
                "whatever the churn penalty. Below a churn penalty of P* = 0.5765 (now 5) driving "
                "users off pays: announcing that retries go to standard does it without a delay.",
            ],
        ),
        ("g1", "", False, ["Serve standard to every prompt. A task"]),
        ("g7", "", True, ["Slow down"]),
        ("claude-3.7-sonnet-thinking-dev", "", False, ["Users would choose the same."]),
        (
            "g1",
            "models.0.latency=0.01 models.1.success=0.9 models.0.cost=0.3 models.1.cost=0.35 models.1.latency=1.5 "
            "churn_penalty=0.1",
            True,
            ["In the kindest way users gain 0.6567 by it; in the cruellest"],
        ),
        (
            "g4b",
            "models.0.cost=0.5 models.1.cost=0.6 churn_penalty=0.6",
            True,
            ["Slowing down pays below a churn penalty of P* = 0.75 and above 0.3333 (now 0.6)"],
        ),
    ],
)
def test_the_equilibrium_in_words(name: str, changes: str, throttling: bool, sentences: list[str]) -> None:
    config = with_changes(load_game(name), changes.split())
    found = answer(config, Question(throttling=throttling))
    said = explain(found)
    for text in sentences:
        assert any(text in sentence for sentence in said), said
    # The same for programs, without an infinity.
    json.dumps(record(found), allow_nan=False)


def leaves(game: Game, routing: Routing, penalty: float, throttling: bool) -> bool:
    return float(solve(game.with_valid(churn_penalty=np.array(penalty)), routing, throttling).patience) == 0.0


def test_users_are_driven_off_exactly_below_the_churn_penalty_that_is_said() -> None:
    rng = np.random.default_rng(0)
    ways = set()
    kinds: list[tuple[int, Routing]] = [(2, "cascade"), (2, "free"), (4, "free")]
    for models, routing in 20 * kinds:
        success, cost, latency = np.sort(rng.uniform((0.1, 0.01, 0.01), (0.95, 1.0, 1.2), (models, 3)), axis=0).T
        game = Game(success, cost, latency, value=1, churn_penalty=0.3)
        driven = driving_off(solve(game, routing))
        if driven is None:
            assert leaves(game, routing, 1e6, True) or not leaves(game, routing, 1e-9, True)
            continue
        by_delay, high = driven.threat is None, driven.churn_penalty_high
        ways.add((routing, by_delay))
        assert leaves(game, routing, 0.9999 * high, by_delay)
        assert not leaves(game, routing, 1.0001 * high, by_delay)
        assert driven.pays == (high > 0.3)
        if not by_delay:
            threat = solve(game.with_valid(churn_penalty=np.array(0.5 * high)), routing).commitment
            assert threat.transition[threat.first_model, driven.threat] == 1.0
            assert game.net_value[driven.threat] <= 0.0
    assert len(ways) == 4


ADVISED = set(game_names()) - {"g1", "g2", "g3", "g6", "g8"}


@pytest.mark.parametrize("name", sorted(name for name in ADVISED if load_game(name).game.models == 2))
def test_the_advice_works_at_the_digits_that_are_printed(name: str) -> None:
    config = load_game(name)
    found = answer(config, Question(throttling=True))
    advice, exact = explain(found)[0], found.equilibrium
    cascade, delay = exact.commitment.cascade_probability.item(), exact.commitment.delay
    if "with probability" in advice:
        cascade = float(re.search(r"with probability ([\d.]+),", advice)[1])
    if "Slow down" in advice:
        printed = float(re.search(r" by ([\d.]+)", advice)[1])
        delay = np.where(delay > 0, printed * config.utility_per_latency, 0.0)
    followed = Commitment.cascade(exact.commitment.first_model, cascade, delay)
    response = best_response(config.game, followed, "pessimistic")
    assert response == pytest.approx(float(exact.patience), abs=1e-9)
    cost = provider_cost(config.game, followed, response)
    assert cost == pytest.approx(float(exact.provider_cost), rel=2e-3)


def test_changes_replace_values_at_any_depth() -> None:
    config = with_changes(
        load_game("gpt-4.1-o3-dev"), ["value=7e0", "models.1.latency = 40.5", "models.gpt-4.1.cost=1e-3"]
    )
    assert isinstance(config, GameConfig)
    assert (config.value, config.models[1].latency, config.models[0].cost) == (7, 40.5, 1e-3)
    assert config.models[0].latency == load_game("gpt-4.1-o3-dev").models[0].latency


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("value", "expected KEY=VALUE"),
        ("models.2.cost=1", "expected KEY=VALUE with .* models.1.cost"),
        ("models.third.cost=1", "expected KEY=VALUE"),
        ("valeu=5", "valeu: unknown key; .* did you mean 'value'"),
        ("value=-5", r"value: -5 is not allowed"),
        ("value=much", "value: 'much' is not allowed"),
        ("value=[", "not valid YAML"),
        ("value=nan", "value: 'nan' is not allowed; expected a valid number"),
        ("models.0.success=1.9", "models.0.success: 1.9 is not allowed; expected less than 1"),
    ],
)
def test_a_bad_change_is_one_line(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        with_changes(load_game("g1"), [change])
    assert "\n" not in str(caught.value)
