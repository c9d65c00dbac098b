"""The report on a market: what theory says about pairs of measured models, how sure it is, and what would change it."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stackroute.configs import GameConfig
from stackroute.configs.games import Model
from stackroute.training.market.market import REGIMES, ROUTES, Assessment, assess, games_of, route_in_words
from stackroute.training.market.robustness import RATIOS, routes, shares
from stackroute.training.output import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackroute.configs.tables import ModelTable
    from stackroute.training.market.market import Pair, Scenario
    from stackroute.training.market.robustness import Best

_SIGNS = ("S", "R", "C", "A")
"""The routes in the table over ranges."""

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
    found = assess(games_of(pairs, scenario.middle)[:, 0, 0, 0])
    order = np.argsort(-found.gap, kind="stable")
    by_loss = tuple(pairs[k] for k in order.tolist())
    found = Assessment._make(values[order] for values in found)
    return Market(table, scenario, by_loss, found, by_loss[:limit], draws, seed)


def as_markdown(market: Market, picture: str | None = None) -> str:
    """The report as Markdown, with the name of the picture beside it."""
    middle, money, everything = market.scenario.middle, market.scenario.money, len(market.listed) == len(market.pairs)
    parts: list[str | pd.DataFrame] = [
        f"# Market report: {market.table.name}",
        f"{len(market.table.models)} models, {len(market.pairs)} pairs in which the reasoning model is better, dearer "
        f"and slower. Source: {market.table.source}.",
        f"Scenario: an hour of waiting costs the user {middle.waiting_costs[0]:g} {money}, a solved task is worth "
        f"{middle.values[0]:g} {money} to the user, and an abandoned task costs the provider "
        f"{middle.churn_penalties[0]:g} {money}. These are assumptions, not measurements.",
        "\n".join(f"- {line}" for line in in_words(market)),
        f"![What the provider serves]({picture})" if picture else "",
        "## The pairs, by what users lose"
        if everything
        else f"## The {len(market.listed)} pairs whose users lose most",
        market.pair_table,
        "Worth: the models that are worth a pass to the user. P*: throttling pays only below this churn penalty. The "
        f"shares are of {market.draws:,} draws from what the measurements allow: that the pair is in the three orders, "
        "and, of those draws, that the regime is the one given, that the user would choose otherwise, and that "
        "throttling pays.",
        *_ranges(market),
        "## If later passes succeed more or less often",
        market.robustness_table,
        "The theory takes attempts for independent. Here a later pass succeeds with the given ratio of the first one's "
        "probability; what differs from ratio 1 is in bold. Measured: with the success of the second try in the table, "
        "where it has one.",
    ]
    if market.table.rejected:
        parts += ["## Rows that were not used", "\n".join(f"- {row}" for row in market.table.rejected)]
    return markdown(parts)


def in_words(market: Market) -> list[str]:
    """The whole market in a few lines."""
    found = market.found
    served = Counter(ROUTES[route] for route in found.route)
    worth = Counter(REGIMES[regime] for regime in found.regime)
    return [
        f"The provider serves: {_counts(served, ROUTES)}.",
        f"Worth a pass to the user: {_counts(worth, REGIMES.values())}.",
        f"In {found.misaligned.sum()} pairs ({found.misaligned.mean():.0%}) users would choose otherwise.",
        f"In {found.throttles.sum()} pairs ({found.throttles.mean():.0%}) throttling pays.",
    ]


def as_json(market: Market) -> dict[str, Any]:
    """The listed pairs for programs, in the words of the report."""
    return {
        "table": market.table.name,
        "models": len(market.table.models),
        "pairs": len(market.pairs),
        "summary": in_words(market),
        "listed": market.pair_table.to_dict("records"),
        "rejected": [vars(row) for row in market.table.rejected],
    }


def game_configs(market: Market) -> list[GameConfig]:
    """The listed pairs as games in the middle scenario."""
    middle = market.scenario.middle
    configs = []
    names: Counter[str] = Counter()
    for pair in market.listed:
        name = re.sub(r"[^A-Za-z0-9._]+", "-", pair.label).strip("-._")
        names[name] += 1
        content = {
            "name": name if names[name] == 1 else f"{name}-{names[name]}",
            "description": f"{pair.label}, from a table of measured models",
            "units": {"money": market.scenario.money, "latency": "seconds"},
            "models": [{key: getattr(model, key) for key in Model.model_fields} for model in pair],
            "value": middle.values[0],
            "churn_penalty": middle.churn_penalties[0],
            "waiting_cost_per_hour": middle.waiting_costs[0],
            "sources": [market.table.source, "Waiting cost, value and churn penalty: a scenario, not a measurement."],
        }
        configs.append(GameConfig.model_validate(content))
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
        + "S: the standard model; R: the reasoning model; C: a cascade; A: all re-prompts to the reasoning model. "
        "-: users leave after one pass. !: users would choose otherwise. t: throttling pays. Over all "
        f"{found.route[0].size} combinations of waiting cost, value and churn penalty, users of these pairs would "
        f"choose otherwise in {found.misaligned.mean():.0%} of the games, and throttling pays in "
        f"{found.throttles.mean():.0%}.",
    ]


def _compared(found: list[Best]) -> list[str]:
    """Routes in words, in bold what differs from ratio 1; empty where nothing was measured."""
    usual = found[RATIOS.index(1.0)]
    cells = []
    for one in found:
        text = route_in_words(one.route, one.cascade, one.stays)
        cells.append(text if (one.route, one.stays) == (usual.route, usual.stays) else f"**{text}**")
    return [*cells, *[""] * (len(RATIOS) + 1 - len(cells))]


def _counts(counts: Counter[str], names: Iterable[str]) -> str:
    return ", ".join(
        f"{name} in {counts[name]} ({counts[name] / counts.total():.0%})" for name in names if counts[name]
    )
