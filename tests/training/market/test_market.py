"""The market against single games, the posterior against its distribution, and the robustness against the theory."""

import dataclasses
import html
import math
import re
import warnings
from pathlib import Path

import markdown_it
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stackroute import Game, load_game, misalignment, solve, throttling_gain
from stackroute.analytic import Commitment, Regime, best_response, provider_cost, random_games
from stackroute.configs import ConfigError
from stackroute.configs.loading import as_yaml
from stackroute.configs.tables import MeasuredModel, ModelTable, read_models
from stackroute.training.market.market import (
    ANNOUNCED,
    CASCADE,
    LEAVES,
    REASONING,
    STANDARD,
    Pair,
    Scenario,
    assess,
    games_of,
    pairs_of,
)
from stackroute.training.market.picture import draw_market
from stackroute.training.market.report import as_json, as_markdown, game_configs, in_words, market_of
from stackroute.training.market.robustness import RATIOS, draw_models, routes, shares

DEV = Scenario((64.0,), (5.0,), (0.1,), "USD")
RANGES = Scenario((12.0, 64.0), (1.0, 5.0, 15.0), (0.05, 0.1), "USD")


@pytest.fixture(scope="module")
def aider() -> ModelTable:
    return read_models("aider")


def test_pairs_are_those_in_the_three_orders(aider: ModelTable) -> None:
    pairs = pairs_of(aider)
    assert len(pairs) == 682
    games = games_of(pairs, DEV)
    for values in (games.success, games.cost, games.latency):
        assert (values[..., 0] < values[..., 1]).all()
    (named,) = pairs_of(aider, ["gpt-4.1:o3"])
    assert named.label == "gpt-4.1 / o3"
    assert named in pairs


def test_pairs_that_are_not_are_named(aider: ModelTable) -> None:
    with pytest.raises(
        ConfigError, match=r"pair: 'o3:gpt-4.1' is not allowed; success: gpt-4.1 has 0.2; expected more"
    ):
        pairs_of(aider, ["o3:gpt-4.1"])
    with pytest.raises(ConfigError, match=r"pair: 'gpt-4.1-o3' is not allowed; expected STANDARD:REASONING"):
        pairs_of(aider, ["gpt-4.1-o3"])
    cuts = tuple(
        MeasuredModel(name, 0.2 + 0.1 * k, 1.0 + k, 1.0 + k) for k, name in enumerate(["a", "a:b", "b:c", "c"])
    )
    with pytest.raises(ConfigError, match="it may mean 'a' with 'b:c' or 'a:b' with 'c'"):
        pairs_of(ModelTable("cuts", "me", cuts, ()), ["a:b:c"])
    assert len(pairs_of(aider, ["gpt-4.1:o3", "gpt-4.1:o3"])) == 1
    alone = ModelTable("alone", "me", (MeasuredModel("one", 0.5, 1, 1),), ())
    with pytest.raises(ConfigError, match="alone: no two of its 1 models are better, dearer and slower than another"):
        pairs_of(alone)
    colons = tuple(MeasuredModel(f"v:{k}", 0.2 + 0.1 * k, 1.0 + k, 1.0 + k) for k in range(2))
    assert pairs_of(ModelTable("colons", "me", colons, ()), ["v:0:v:1"]) == [Pair(*colons)]


def test_every_game_of_the_grid_is_assessed_as_by_itself(aider: ModelTable) -> None:
    pairs = pairs_of(aider)[::40]
    games = games_of(pairs, RANGES)
    assert games.shape == (len(pairs), 2, 3, 2)
    found = assess(games)
    for index in np.ndindex(games.shape):
        pair, w = pairs[index[0]], RANGES.waiting_costs[index[1]]
        models = (pair.standard, pair.reasoning)
        one = Game(
            [model.success for model in models],
            [model.cost for model in models],
            [model.latency * w / 3600 for model in models],
            RANGES.values[index[2]],
            RANGES.churn_penalties[index[3]],
        )
        best = solve(one)
        assert found.regime[index] == best.regime
        assert (found.route[index] == REASONING) == (best.commitment.first_model == 1)
        if found.route[index] == CASCADE:
            assert 0 < found.cascade[index] < 1
            assert found.cascade[index] == best.commitment.cascade_probability[0]
        assert found.stays[index] == (float(best.patience) > 0)
        gap = misalignment(one)
        assert found.gap[index] == pytest.approx(float(gap.gap), abs=1e-12)
        assert found.preferred[index] == gap.preferred_model
        assert found.throttles[index] == throttling_gain(one).pays


def test_a_known_pair_reads_as_in_its_packaged_game(aider: ModelTable) -> None:
    found = assess(games_of(pairs_of(aider, ["gpt-4.1:o3"]), DEV))
    game = load_game("gpt-4.1-o3-dev").game
    assert Regime(int(found.regime.item())) == Regime(int(solve(game).regime))
    assert (found.route.item(), bool(found.misaligned.item()), found.preferred.item()) == (REASONING, True, 0)
    assert found.threshold.item() == pytest.approx(float(throttling_gain(game).churn_penalty_high))
    assert not found.throttles.item()


def test_draws_follow_the_posterior() -> None:
    models = [
        MeasuredModel("counted", 0.2, 1.0, 5.0, count=225),
        MeasuredModel("error", 0.4, 1.0, 5.0, success_error=0.03, cost_error=0.2, latency_error=1.0),
        MeasuredModel("known", 0.6, 0.0, 5.0, cost_error=0.5),
    ]
    drawn = draw_models(models, 20_000, seed=3)
    # Jeffreys' posterior, by Kolmogorov and Smirnov; a fixed seed, and wrong once in 10,000 seeds.
    assert stats.kstest(drawn["success"][:, 0], stats.beta(45.5, 180.5).cdf).pvalue > 1e-4
    # The mean and the standard deviation to five standard errors.
    for name, k, mean, error in (("success", 1, 0.4, 0.03), ("cost", 1, 1.0, 0.2), ("latency", 1, 5.0, 1.0)):
        values = drawn[name][:, k]
        assert values.mean() == pytest.approx(mean, abs=5 * error / math.sqrt(20_000))
        assert values.std() == pytest.approx(error, rel=0.05)
    assert (drawn["success"][:, 2] == 0.6).all()
    assert (drawn["cost"][:, 2] == 0).all()
    assert (drawn["cost"][:, 0] == 1).all()
    again = draw_models(models, 20_000, seed=3)
    assert all((drawn[name] == again[name]).all() for name in drawn)


def shares_of(pair: Pair, scenario: Scenario, draws: int, seed: int = 0) -> pd.Series:
    regime = assess(games_of([pair], scenario)[:, 0, 0, 0]).regime
    return shares([pair], scenario, regime, draws=draws, seed=seed).loc[0]


def test_shares_say_how_sure_a_regime_is() -> None:
    # xi1 = 5 p1 - t1: with p1 = .2 and t1 = 1 exactly at the border, so that half of the draws lie on either side.
    standard = MeasuredModel("border", 0.2, 0.02, 3600.0, success_error=0.01)
    reasoning = MeasuredModel("good", 0.6, 0.03, 3601.0)
    found = shares_of(Pair(standard, reasoning), Scenario((1.0,), (5.0,), (0.1,), "USD"), draws=4_000, seed=1)
    assert found.in_order == 1
    # Four standard errors of a share of one half.
    assert found.in_regime == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4_000))
    certain = shares_of(Pair(MeasuredModel("one", 0.2, 0.02, 10.0, count=1e6), reasoning), DEV, draws=10)
    assert certain.in_regime == 1
    hopeless = Pair(MeasuredModel("same", 0.6, 0.02, 1.0, count=10), MeasuredModel("close", 0.61, 0.03, 2.0, count=10))
    assert 0.4 < shares_of(hopeless, DEV, draws=2_000).in_order < 0.65


def test_a_pair_that_is_never_in_order_has_no_shares(aider: ModelTable) -> None:
    pair = Pair(MeasuredModel("one", 0.6, 0.02, 10.0), MeasuredModel("other", 0.5, 0.03, 11.0, 1e-6))
    known = pairs_of(aider, ["gpt-4.1:o3"])[0]
    for others in ([], [known]):
        found = shares([pair, *others], DEV, np.zeros(1 + len(others), dtype=int), draws=20, seed=0)
        assert found.in_order[0] == 0
        assert found.loc[0, ["in_regime", "misaligned", "throttles"]].isna().all()
        assert not found.loc[1:].isna().any(axis=None)


def test_draws_that_are_all_the_same_have_no_shares(aider: ModelTable) -> None:
    pairs = [
        Pair(MeasuredModel("one", 0.4, 0.02, 10.0, *([0.01] * k)), MeasuredModel("other", 0.5, 0.03, 11.0))
        for k in (0, 1)
    ]
    found = shares(pairs, DEV, np.zeros(2, dtype=int), draws=50, seed=0)
    assert found.loc[0].isna().all()
    assert found.in_order[1] == 1
    table = ModelTable("bare", "me", tuple(pairs[0]), ())
    market = market_of(table, pairs[:1], DEV, limit=1, draws=50, seed=0)
    assert not set(market.pair_table.loc[0]) & {"100%", "0%"}
    assert "No shares: the table has neither counts nor standard errors." in as_markdown(market)


def test_an_enormous_error_gives_numbers() -> None:
    model = MeasuredModel("wide", 0.4, 1e-300, 10.0, cost_error=1e12, latency_error=1e12)
    drawn = draw_models([model], 500, seed=0)
    assert all(np.isfinite(values).all() and (values >= 0).all() for values in drawn.values())


def test_where_users_leave_it_is_said_why(aider: ModelTable) -> None:
    pairs = pairs_of(aider)
    market = market_of(aider, pairs, DEV, limit=len(pairs), draws=1, seed=0)
    threatened = market.found.route == ANNOUNCED
    assert threatened.sum() == 104
    assert not market.found.stays[threatened].any()
    assert (market.found.outcome[~market.found.stays] == LEAVES).all()
    assert (market.found.outcome[market.found.stays] == market.found.route[market.found.stays]).all()
    said = market.pair_table["the provider serves"][threatened].unique().tolist()
    assert said == [
        "standard; users leave after one pass, because every re-prompt would go to reasoning, "
        "which is not worth the wait"
    ]
    assert f"users leave after one pass in {(~market.found.stays).sum()} " in in_words(market)[0]
    signs = market.range_table["V = 5"][threatened]
    assert signs.str.startswith("S-").all()


def test_a_share_over_the_ranges_stands_beside_that_in_their_middle(aider: ModelTable) -> None:
    scenario = Scenario((64.0,), (5.0,), (0.01, 0.2), "USD")
    market = market_of(aider, pairs_of(aider, ["gpt-4.1:o3"]), scenario, limit=1, draws=10, seed=0)
    assert in_words(market)[-1] == (
        "In 0 pairs (0%) throttling pays in the middle of the ranges (an hour 64, V = 5, P = 0.2 USD); over the "
        "ranges, in 50% of the listed pairs' games."
    )


@pytest.mark.parametrize(
    ("latency", "cost", "named"), [(14_800.0, 0.01, "latency: the median"), (14.8, 21.7, "cost: a pass of big costs")]
)
def test_numbers_that_look_like_other_units_draw_a_warning(latency: float, cost: float, named: str) -> None:
    models = (MeasuredModel("small", 0.3, 0.001, latency), MeasuredModel("big", 0.4, cost, latency + 1))
    market = market_of(ModelTable("mine", "me", models, ()), [Pair(*models)], DEV, limit=1, draws=1, seed=0)
    (warning,) = market.warnings
    assert warning.startswith(named)
    assert f"- Warning: {named}" in as_markdown(market)


def test_too_much_work_is_refused_before_it_begins(aider: ModelTable) -> None:
    pairs = pairs_of(aider)
    with pytest.raises(ConfigError, match=r"draws: 10,000,000,000 are not allowed with 12 pairs; expected at most"):
        market_of(aider, pairs, DEV, limit=12, draws=10**10, seed=0)
    wide = Scenario(tuple(range(1, 1001)), tuple(range(1, 1001)), (0.1,), "USD")
    with pytest.raises(ConfigError, match="combinations: 1,000,000 are not allowed"):
        market_of(aider, pairs, wide, limit=12, draws=10, seed=0)
    many = tuple(MeasuredModel(str(k), 0.5, 1.0, 1.0) for k in range(5001))
    with pytest.raises(ConfigError, match="5,001 models are not allowed, as all pairs are compared"):
        pairs_of(ModelTable("many", "me", many, ()))


NAMES = (
    "通义千问", "αβγ 🦙", "gpt $3%", "o3 $4%", "a|b", "GPT", "gpt", "<script>alert(1)</script>", "![x](http://e.x/a.png)",
    "x" * 130 + "1", "x" * 130 + "2", "010", "1:30", "*a* `b` \\ &amp;",
)  # fmt: skip


def test_any_name_of_a_model_goes_everywhere(tmp_path: Path) -> None:
    models = tuple(MeasuredModel(name, 0.3 + 0.04 * k, 0.01 + 0.01 * k, 5.0 + k) for k, name in enumerate(NAMES))
    table = ModelTable("names", "me", models, ())
    market = market_of(table, pairs_of(table), DEV, limit=100, draws=1, seed=0)
    configs = game_configs(market)
    assert len({config.name.lower() for config in configs}) == len(configs) == 91
    assert max(len(config.name) for config in configs) < 100
    for config, pair in zip(configs, market.listed, strict=True):
        path = tmp_path / f"{config.name}.yaml"
        path.write_text(as_yaml(config), encoding="utf-8")
        assert load_game(path).labels == (pair.standard.label, pair.reasoning.label)
    text = markdown_it.MarkdownIt("commonmark").enable("table").render(as_markdown(market))
    assert {tag for tag in ("<script", "<img", "<em>", "<code>") if tag in text} == set()
    cells = {html.unescape(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", text)}
    assert set(NAMES) <= cells
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_market(dataclasses.replace(market, listed=market.listed[:14]), tmp_path / "market.png")


def test_at_ratio_1_the_route_is_that_of_the_theory() -> None:
    games = random_games(60, seed=2)
    for k in range(60):
        game = games[k]
        (found,) = routes(game, [1.0])
        best = solve(game)
        grid = Commitment.cascade([0] * 51 + [1], [*np.linspace(0, 1, 51), 0.0])
        least = float(provider_cost(game, grid, best_response(game, grid)).min())
        assert found.cost == pytest.approx(least, rel=1e-9)
        assert found.cost >= float(best.provider_cost) * (1 - 1e-9)


def test_later_passes_are_played_as_they_say() -> None:
    # By hand: the standard model solves .4 at first, then .2 on each pass, and the user stays: 1 + .6 / .2 passes.
    game = Game([0.4, 0.5], [0.1, 10.0], [0.1, 0.2], value=5, churn_penalty=50)
    (found,) = routes(game, [0.5])
    assert (found.route, found.stays) == (STANDARD, True)
    assert found.cost == pytest.approx(0.1 * (1 + 0.6 / 0.2))
    # A later success of nearly 1 for both models, one ratio each.
    (quick,) = routes(game, [(2.49, 1.99)])
    assert quick.cost == pytest.approx(0.1 * (1 + 0.6 / 0.996), rel=1e-9)


def test_a_threat_is_no_cascade(aider: ModelTable) -> None:
    (pair,) = pairs_of(aider, ["Grok 3 Beta:grok-4 (high)"])
    game = games_of([pair], DEV)[0, 0, 0, 0]
    found = assess(games_of([pair], DEV))
    (one,) = routes(game, [1.0])
    assert (one.route, one.stays) == (found.route.item(), bool(found.stays.item())) == (ANNOUNCED, False)


def test_the_report_and_the_games(aider: ModelTable, tmp_path: Path) -> None:
    market = market_of(
        aider, pairs_of(aider, ["gpt-4.1:o3", "gpt-4.1-nano:gpt-4.1"]), RANGES, limit=12, draws=200, seed=0
    )
    text = as_markdown(market, "market.png")
    for words in (
        "51 models, 2 pairs",
        "an hour of waiting costs the user 64 USD, a solved task is worth 5 USD",
        "![What the provider serves](market.png)",
        "## If later passes succeed more or less often",
    ):
        assert words in text
    assert "nan" not in text.replace("nano", "")
    assert list(market.range_table) == ["pair", "an hour", "P", "V = 1", "V = 5", "V = 15"]
    assert len(market.range_table) == 2 * 2 * 2
    assert market.robustness_table.shape == (2, 1 + len(RATIOS) + 1)
    content = as_json(market)
    assert {row["standard"] for row in content["listed"]} == {"gpt-4.1", "gpt-4.1-nano"}
    names = [config.name for config in game_configs(market)]
    assert sorted(names) == ["gpt-4.1-nano-gpt-4.1", "gpt-4.1-o3"]
    config = game_configs(market)[names.index("gpt-4.1-o3")]
    np.testing.assert_allclose(config.game.latency, np.array([11.39, 63.92]) * 64 / 3600)
