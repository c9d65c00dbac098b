"""The report on a market: what theory says about pairs of measured models, how sure it is, and what would change it."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.configs import GameConfig
from stackroute.configs.games import Model, Models, Units
from stackroute.training.market.market import ANNOUNCED, CASCADE, REGIMES, ROUTES, assess, games_of
from stackroute.training.market.robustness import RATIOS, Route, routes
from stackroute.training.market.uncertainty import Shares, shares
from stackroute.training.output import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stackroute.analytic import Game
    from stackroute.configs.tables import MeasuredModel, ModelTable
    from stackroute.training.market.market import Assessment, Pair, Scenario

_SIGNS = ("S", "R", "C", "A")
"""The routes in the table over ranges."""


@dataclass(frozen=True, eq=False)
class Market:
    """A table of models as a market.

    Attributes:
        table: The models.
        pairs: All pairs.
        scenario: Users and provider, over ranges.
        listed: The pairs that are reported one by one.
        draws: From how many draws of the measurements the shares are.
        seed: Fixes them.
    """

    table: ModelTable
    pairs: tuple[Pair, ...]
    scenario: Scenario
    listed: tuple[Pair, ...]
    draws: int
    seed: int

    @cached_property
    def middle(self) -> Assessment:
        """All pairs in the middle scenario, shape (pairs,)."""
        return assess(_middle_games(self.pairs, self.scenario))

    @cached_property
    def listed_middle(self) -> Assessment:
        """The listed pairs in the middle scenario, shape (listed,)."""
        return assess(_middle_games(self.listed, self.scenario))

    @cached_property
    def over_ranges(self) -> Assessment:
        """The listed pairs over the whole scenario, shape (listed, waiting costs, values, churn penalties)."""
        return assess(games_of(self.listed, self.scenario))

    @cached_property
    def shares(self) -> list[Shares]:
        """What measurement errors leave open about the listed pairs in the middle scenario."""
        return shares(self.listed, self.scenario.middle, draws=self.draws, seed=self.seed)

    @cached_property
    def robustness(self) -> list[list[Route]]:
        """The listed pairs' routes for each ratio of `RATIOS`, and last for the measured one if there is one."""
        games = _middle_games(self.listed, self.scenario)
        found = []
        for k, pair in enumerate(self.listed):
            measured = [m.second_success / m.success for m in (pair.standard, pair.reasoning) if m.second_success]
            ratios = [(ratio, ratio) for ratio in RATIOS] + ([tuple(measured)] if len(measured) == 2 else [])
            found.append(routes(games[k], ratios))
        return found


def _middle_games(pairs: Sequence[Pair], scenario: Scenario) -> Game:
    """The games of pairs in the middle scenario, shape (pairs,)."""
    return games_of(pairs, scenario.middle).reshape(len(pairs))


def market_of(
    table: ModelTable, pairs: Sequence[Pair], scenario: Scenario, *, limit: int, draws: int, seed: int
) -> Market:
    """A market that lists the pairs whose users lose most by the provider's choice.

    Args:
        table: The models.
        pairs: Its pairs.
        scenario: Users and provider.
        limit: How many pairs are listed at most.
        draws: How many draws of the measurements.
        seed: Fixes them.
    """
    gap = assess(_middle_games(pairs, scenario)).gap
    order = np.argsort(-gap, kind="stable")[:limit]
    return Market(table, tuple(pairs), scenario, tuple(pairs[int(k)] for k in order), draws, seed)


def as_markdown(market: Market, picture: str | None = None) -> str:
    """The report as Markdown.

    Args:
        market: The market.
        picture: The name of the picture beside it.
    """
    middle, money = market.scenario.middle, market.scenario.money
    parts = [
        f"# Market report: {market.table.name}",
        f"{len(market.table.models)} models, {len(market.pairs)} pairs in which the reasoning model is better, dearer "
        f"and slower. Source: {market.table.source}.",
        f"Scenario: an hour of waiting costs the user {middle.waiting_costs[0]:g} {money}, a solved task is worth "
        f"{middle.values[0]:g} {money} to the user, and an abandoned task costs the provider "
        f"{middle.churn_penalties[0]:g} {money}. These are assumptions, not measurements.",
        "\n".join(in_words(market)),
        f"![What the provider serves]({picture})" if picture else "",
        "## The pairs, by what users lose"
        if len(market.listed) == len(market.pairs)
        else f"## The {len(market.listed)} pairs whose users lose most",
        markdown_table(PAIR_COLUMNS, pair_rows(market)),
        "Worth: the models that are worth a pass to the user. P*: throttling pays only below this churn penalty. The "
        f"shares are of {market.draws:,} draws from what the measurements allow: that the pair is in the three orders, "
        "and, of those draws, that the regime is the one given, that the user would choose otherwise, and that "
        "throttling pays.",
        *_ranges(market),
        "## If later passes succeed more or less often",
        markdown_table(("pair", *(f"ratio {ratio:g}" for ratio in RATIOS), "measured"), robustness_rows(market)),
        "The theory takes attempts for independent. Here a later pass succeeds with the given ratio of the first one's "
        "probability; what differs from ratio 1 is in bold. Measured: with the success of the second try in the table, "
        "where it has one.",
    ]
    if market.table.rejected:
        parts += ["## Rows that were not used", "\n".join(rejected_lines(market.table))]
    return "\n\n".join(part for part in parts if part) + "\n"


PAIR_COLUMNS = (
    "standard",
    "reasoning",
    "worth",
    "the provider serves",
    "users would choose",
    "gap",
    "P*",
    "throttling pays",
    "share in order",
    "share in regime",
    "share misaligned",
    "share throttling",
)
"""The columns of `pair_rows`."""


def pair_rows(market: Market) -> list[tuple[str, ...]]:
    """The listed pairs in the middle scenario."""
    found = market.listed_middle
    rows: list[tuple[str, ...]] = []
    for k, (pair, share) in enumerate(zip(market.listed, market.shares, strict=True)):
        regime = list(REGIMES).index(found.regime[k])
        rows.append(
            (
                pair.standard.label,
                pair.reasoning.label,
                REGIMES[found.regime[k]],
                _route(found.route[k], found.cascade[k], bool(found.stays[k])),
                ("standard", "reasoning")[found.preferred[k] - 1] if found.misaligned[k] else "the same",
                f"{found.gap[k]:.3g}" if found.misaligned[k] else "0",
                "never" if math.isnan(found.threshold[k]) else f"{found.threshold[k]:.3g}",
                "yes" if found.throttles[k] else "no",
                _share(share.in_order),
                _share(share.regimes[regime]),
                _share(share.misaligned),
                _share(share.throttles),
            )
        )
    return rows


def in_words(market: Market) -> list[str]:
    """The whole market in a few lines."""
    found, count = market.middle, len(market.pairs)
    served = Counter(ROUTES[route] for route in found.route.tolist())
    worth = Counter(REGIMES[regime] for regime in found.regime.tolist())
    return [
        f"- The provider serves: {_counts(served, ROUTES, count)}.",
        f"- Worth a pass to the user: {_counts(worth, REGIMES.values(), count)}.",
        f"- In {int(found.misaligned.sum())} pairs ({found.misaligned.mean():.0%}) users would choose otherwise.",
        f"- In {int(found.throttles.sum())} pairs ({found.throttles.mean():.0%}) throttling pays.",
    ]


def robustness_rows(market: Market) -> list[tuple[str, ...]]:
    """The listed pairs' routes where later passes succeed more or less often."""
    rows = []
    for pair, found in zip(market.listed, market.robustness, strict=True):
        usual = found[RATIOS.index(1.0)]
        cells = []
        for one in found:
            text = _route(one.route, one.cascade, one.stays)
            cells.append(text if (one.route, one.stays) == (usual.route, usual.stays) else f"**{text}**")
        rows.append((pair.label, *cells, *[""] * (len(RATIOS) + 1 - len(cells))))
    return rows


def rejected_lines(table: ModelTable) -> list[str]:
    """The rows that were not used, with the reason."""
    return [f"- line {row.line}, {row.label}: {row.reason}" for row in table.rejected]


def game_configs(market: Market) -> list[GameConfig]:
    """The listed pairs as games in the middle scenario."""
    middle = market.scenario.middle
    configs = []
    names: Counter[str] = Counter()
    for pair in market.listed:
        name = re.sub(r"[^A-Za-z0-9._]+", "-", pair.label).strip("-._")
        names[name] += 1
        configs.append(
            GameConfig(
                name=name if names[name] == 1 else f"{name}-{names[name]}",
                description=f"{pair.label}, from a table of measured models",
                units=Units.model_validate({"money": market.scenario.money, "latency": "seconds"}),
                models=Models(standard=_model(pair.standard), reasoning=_model(pair.reasoning)),
                value=middle.values[0],
                churn_penalty=middle.churn_penalties[0],
                waiting_cost_per_hour=middle.waiting_costs[0],
                sources=[market.table.source, "Waiting cost, value and churn penalty: a scenario, not a measurement."],
            )
        )
    return configs


def as_json(market: Market) -> dict[str, Any]:
    """The listed pairs for programs, in the words of the report."""
    return {
        "table": market.table.name,
        "models": len(market.table.models),
        "pairs": len(market.pairs),
        "summary": [line.removeprefix("- ") for line in in_words(market)],
        "listed": [dict(zip(PAIR_COLUMNS, cells, strict=True)) for cells in pair_rows(market)],
        "rejected": [vars(row) for row in market.table.rejected],
    }


def _ranges(market: Market) -> list[str]:
    waiting, values, penalties = (
        market.scenario.waiting_costs,
        market.scenario.values,
        market.scenario.churn_penalties,
    )
    if len(waiting) * len(values) * len(penalties) == 1:
        return []
    found, several = market.over_ranges, len(waiting) > 1
    rows = []
    for k, pair in enumerate(market.listed):
        for (w, hour), (j, penalty) in product(enumerate(waiting), enumerate(penalties)):
            signs = [
                _SIGNS[found.route[k, w, v, j]]
                + ("" if found.stays[k, w, v, j] else "-")
                + ("!" if found.misaligned[k, w, v, j] else "")
                + ("t" if found.throttles[k, w, v, j] else "")
                for v in range(len(values))
            ]
            rows.append((pair.label, *([f"{hour:g}"] if several else []), f"{penalty:g}", *signs))
    columns = ("pair", *(["an hour"] if several else []), "P", *(f"V = {value:g}" for value in values))
    return [
        "## Over ranges",
        markdown_table(columns, rows),
        ("An hour: what one of waiting costs the user. " if several else "")
        + "S: the standard model; R: the reasoning model; C: a cascade; A: all re-prompts to the reasoning model. "
        "-: users leave after one pass. !: users would choose otherwise. t: throttling pays. Over all "
        f"{found.route[0].size} combinations of waiting cost, value and churn penalty, users of these pairs would "
        f"choose otherwise in {found.misaligned.mean():.0%} of the games, and throttling pays in "
        f"{found.throttles.mean():.0%}.",
    ]


def _route(route: int, cascade: float, stays: bool) -> str:
    if route == ANNOUNCED and not stays:
        return "standard, once: all re-prompts would go to reasoning"
    text = f"cascade, s = {cascade:.3g}" if route == CASCADE else ROUTES[route]
    return text if stays else f"{text}, once"


def _counts(counts: Counter[str], names: Iterable[str], of: int) -> str:
    return ", ".join(f"{name} in {counts[name]} ({counts[name] / of:.0%})" for name in names if counts[name])


def _share(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"


def _model(model: MeasuredModel) -> Model:
    return Model(label=model.label, success=model.success, cost=model.cost, latency=model.latency)
