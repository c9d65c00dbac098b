"""The report on a market: what theory says about pairs of measured models, how sure it is, and what would change it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stackroute.configs import ConfigError
from stackroute.training.market.market import (
    OUTCOMES,
    REASONS,
    REGIMES,
    Assessment,
    assess,
    config_of,
    file_name,
    games_of,
    route_in_words,
)
from stackroute.training.market.robustness import RATIOS, routes, shares
from stackroute.training.output import escaped, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackroute.analytic.game import BoolArray, IntArray
    from stackroute.configs import GameConfig
    from stackroute.configs.tables import ModelTable
    from stackroute.training.market.market import Pair, Scenario
    from stackroute.training.market.robustness import Best

_SIGNS = ("S", "R", "C", "S")
"""The routes in the table over ranges."""

_MOST_GAMES = 2_000_000
_HOUR = 3600.0

_SHARES = ["share in order", "share in regime", "share misaligned", "share throttling"]


@dataclass(frozen=True, eq=False)
class Market:
    """A table of models as a market.

    Attributes:
        pairs: All pairs, those first whose users lose most by the provider's choice.
        found: What theory says about them in the middle scenario, arrays of shape (pairs,).
        listed: The pairs that are reported one by one, the first of all.
        draws: From how many draws of the measurements the shares are; the seed fixes them.
    """

    table: ModelTable
    scenario: Scenario
    pairs: tuple[Pair, ...]
    found: Assessment
    listed: tuple[Pair, ...]
    draws: int
    seed: int

    @cached_property
    def pair_table(self) -> pd.DataFrame:
        """The listed pairs in the middle scenario, as text."""
        sure = shares(
            self.listed, self.scenario.middle, self.found.regime[: len(self.listed)], draws=self.draws, seed=self.seed
        )
        percent = sure.map(lambda share: "" if math.isnan(share) else f"{share:.0%}")
        rows = [
            {
                "standard": pair.standard.label,
                "reasoning": pair.reasoning.label,
                "worth": REGIMES[regime],
                "the provider serves": route_in_words(route, cascade, stays),
                "users would choose": ("standard", "reasoning")[preferred] if misaligned else "the same",
                "gap": f"{gap:.3g}" if misaligned else "0",
                "P*": "never" if math.isnan(threshold) else f"{threshold:.3g}",
                "throttling pays": "yes" if throttles else "no",
            }
            for pair, regime, route, cascade, stays, preferred, gap, misaligned, threshold, throttles in zip(
                self.listed, *self.found, strict=False
            )
        ]
        return pd.DataFrame(rows).join(percent.set_axis(_SHARES, axis="columns"))

    @cached_property
    def over_ranges(self) -> Assessment:
        """The listed pairs over the whole scenario, shape (listed, waiting costs, values, churn penalties)."""
        return assess(games_of(self.listed, self.scenario))

    @property
    def range_table(self) -> pd.DataFrame:
        """What is served to the listed pairs' users over the whole scenario, in signs."""
        found = self.over_ranges
        signs = np.array(_SIGNS)[found.route]
        for holds, sign in ((~found.stays, "-"), (found.misaligned, "!"), (found.throttles, "t")):
            signs = np.char.add(signs, np.where(holds, sign, ""))
        numbers = (self.scenario.waiting_costs, self.scenario.churn_penalties)
        rows = pd.MultiIndex.from_product(
            [[pair.label for pair in self.listed], *([f"{number:g}" for number in one] for one in numbers)],
            names=["pair", "an hour", "P"],
        )
        columns = [f"V = {value:g}" for value in self.scenario.values]
        cells = np.moveaxis(signs, 2, -1).reshape(len(rows), len(columns))
        table = pd.DataFrame(cells, rows, columns).reset_index()
        return table if len(self.scenario.waiting_costs) > 1 else table.drop(columns="an hour")

    @property
    def origin_of_shares(self) -> str:
        """What the shares are of."""
        blank = (self.pair_table[_SHARES] == "").all(axis=1)
        if blank.all():
            return "No shares: the table has neither counts nor standard errors."
        without = " Pairs without counts and standard errors have none." if blank.any() else ""
        return f"The shares are of {self.draws:,} draws from what the measurements allow.{without}"

    @property
    def warnings(self) -> list[str]:
        """What looks like numbers in other units."""
        models, value = self.table.models, self.scenario.middle.values[0]
        found = []
        median = float(np.median([model.latency for model in models]))
        if median > _HOUR:
            found.append(f"latency: the median is {median:g} seconds; if it is in another unit, say --unit latency=ms")
        dear = [model for model in models if model.cost > value]
        if dear:
            one = max(dear, key=lambda model: model.cost)
            found.append(
                f"cost: a pass of {one.label} costs {one.cost:g}, and a solved task is worth only {value:g} "
                f"({len(dear)} such models); if it is in another unit, say --unit cost=usd/1k"
            )
        return found

    @property
    def robustness_table(self) -> pd.DataFrame:
        """What is served to the listed pairs' users where later passes succeed more or less often."""
        games = games_of(self.listed, self.scenario.middle)[:, 0, 0, 0]
        rows = []
        for k, pair in enumerate(self.listed):
            measured = [m.second_success / m.success for m in pair if m.second_success]
            ratios = [(ratio, ratio) for ratio in RATIOS] + ([tuple(measured)] if len(measured) == 2 else [])
            rows.append((pair.label, *_compared(routes(games[k], ratios))))
        return pd.DataFrame(rows, columns=["pair", *(f"ratio {ratio:g}" for ratio in RATIOS), "measured"])


def market_of(
    table: ModelTable, pairs: Sequence[Pair], scenario: Scenario, *, limit: int, draws: int, seed: int
) -> Market:
    """A market that lists the pairs, `limit` at most, whose users lose most by the provider's choice."""
    listed = min(limit, len(pairs))
    combinations = len(scenario.waiting_costs) * len(scenario.values) * len(scenario.churn_penalties)
    for name, number in (("draws", draws), ("waiting-cost, value and churn-penalty: combinations", combinations)):
        if number * listed > _MOST_GAMES:
            raise ConfigError(
                f"{name}: {number:,} are not allowed with {listed} pairs; expected at most {_MOST_GAMES // listed:,}"
            )
    found = assess(games_of(pairs, scenario.middle)[:, 0, 0, 0])
    order = np.argsort(-found.gap, kind="stable")
    by_loss = tuple(pairs[k] for k in order.tolist())
    found = Assessment._make(values[order] for values in found)
    return Market(table, scenario, by_loss, found, by_loss[:limit], draws, seed)


def as_markdown(market: Market, picture: str | None = None) -> str:
    """The report as Markdown, with the name of the picture beside it."""
    middle, money, everything = market.scenario.middle, market.scenario.money, len(market.listed) == len(market.pairs)
    parts: list[str | pd.DataFrame] = [
        f"# Market report: {escaped(market.table.name)}",
        f"{len(market.table.models)} models, {len(market.pairs)} pairs in which the reasoning model is better, dearer "
        f"and slower. Source: {escaped(market.table.source)}.",
        f"Understood: {escaped(market.table.understood)}." if market.table.understood else "",
        "\n".join(f"- Warning: {escaped(line)}" for line in market.warnings),
        f"Scenario: an hour of waiting costs the user {middle.waiting_costs[0]:g} {money}, a solved task is worth "
        f"{middle.values[0]:g} {money} to the user, and an abandoned task costs the provider "
        f"{middle.churn_penalties[0]:g} {money}. These are assumptions, not measurements.",
        "\n".join(f"- {line}" for line in in_words(market)),
        f"![What the provider serves]({picture})" if picture else "",
        "## The pairs, by what users lose"
        if everything
        else f"## The {len(market.listed)} pairs whose users lose most",
        market.pair_table,
        "Worth: the models that are worth a pass to the user. P*: throttling pays only below this churn penalty. "
        f"{market.origin_of_shares} In order: the reasoning model is better, dearer and slower. Of these draws: the "
        "regime is the one given, the user would choose otherwise, throttling pays.",
        *_ranges(market),
        "## If later passes succeed more or less often",
        market.robustness_table,
        "The theory takes attempts for independent. Here a later pass succeeds with the given ratio of the first one's "
        "probability; ≠ marks what differs from ratio 1. Measured: with the success of the second try in the table, "
        "where it has one.",
    ]
    if market.table.rejected:
        parts += ["## Rows that were not used", "\n".join(f"- {escaped(str(row))}" for row in market.table.rejected)]
    return markdown(parts)


def in_words(market: Market) -> list[str]:
    """The whole market in a few lines."""
    found, middle, money = market.found, market.scenario.middle, market.scenario.money
    at = f"an hour {middle.waiting_costs[0]:g}, V = {middle.values[0]:g}, P = {middle.churn_penalties[0]:g} {money}"
    left = found.route[~found.stays]
    reasons = {why: int((np.array(REASONS)[left] == why).sum()) for why in dict.fromkeys(REASONS)}
    lines = [
        f"What comes of it: {_counts(found.outcome, enumerate(OUTCOMES))}.",
        *(f"Users leave after one pass in {pairs} pairs, because {why}." for why, pairs in reasons.items() if pairs),
        f"Worth a pass to the user: {_counts(found.regime, REGIMES.items())}.",
    ]
    for name, holds in (("misaligned", "users would choose otherwise"), ("throttles", "throttling pays")):
        here: BoolArray = getattr(found, name)
        line = f"In {here.sum()} pairs ({here.mean():.0%}) {holds}"
        if market.scenario != middle:
            share = getattr(market.over_ranges, name).mean()
            line += f" in the middle of the ranges ({at}); over the ranges, in {share:.0%} of the listed pairs' games"
        lines.append(f"{line}.")
    return lines


def as_json(market: Market) -> dict[str, Any]:
    """The listed pairs for programs, in the words of the report."""
    return {
        "table": market.table.name,
        "models": len(market.table.models),
        "pairs": len(market.pairs),
        "understood": market.table.understood,
        "warnings": market.warnings,
        "summary": in_words(market),
        "listed": market.pair_table.to_dict("records"),
        "rejected": [vars(row) for row in market.table.rejected],
    }


def game_configs(market: Market) -> list[GameConfig]:
    """The listed pairs as games in the middle scenario."""
    middle = market.scenario.middle
    configs = []
    names: set[str] = set()
    for pair in market.listed:
        stem = "-".join(filter(None, (file_name(model.label) for model in pair))) or "pair"
        # Some file systems take A for a.
        name = next(name for name in chain([stem], (f"{stem}-{k}" for k in count(2))) if name.lower() not in names)
        names.add(name.lower())
        configs.append(config_of(name, pair, market.table, middle))
    return configs


def _ranges(market: Market) -> list[str | pd.DataFrame]:
    found = market.over_ranges
    if found.route[0].size == 1:
        return []
    table = market.range_table
    return [
        "## Over ranges",
        table,
        ("An hour: what one of waiting costs the user. " if "an hour" in table else "")
        + "S: the standard model; R: the reasoning model; C: a cascade. "
        "-: users leave after one pass. !: users would choose otherwise. t: throttling pays. Over all "
        f"{found.route[0].size} combinations of waiting cost, value and churn penalty, users of these pairs would "
        f"choose otherwise in {found.misaligned.mean():.0%} of the games, and throttling pays in "
        f"{found.throttles.mean():.0%}.",
    ]


def _compared(found: list[Best]) -> list[str]:
    """Routes in words, with a sign where one differs from ratio 1; empty where nothing was measured."""
    usual = found[RATIOS.index(1.0)]
    cells = []
    for one in found:
        text = route_in_words(one.route, one.cascade, one.stays)
        cells.append(text if (one.route, one.stays) == (usual.route, usual.stays) else f"≠ {text}")
    return [*cells, *[""] * (len(RATIOS) + 1 - len(cells))]


def _counts(indices: IntArray, names: Iterable[tuple[int, str]]) -> str:
    """How often each index is there, by name."""
    numbers = ((name, int((indices == index).sum())) for index, name in names)
    return ", ".join(f"{name} in {number} ({number / len(indices):.0%})" for name, number in numbers if number)
