"""The numbers of an answer once, with their units: as rows of a table, as JSON, as CSV."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from stackroute.analytic import Regime, Route, misalignment
from stackroute.training.cli.answers import driving_off, slowing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.answers import Answer

Record = dict[str, Any]

TIES = {"provider_cost_pessimistic": "provider_cost", "user_utility_worst": "user_utility"}
"""What a tie may change, and what it is without."""

_ASKED = ("game", "routing", "throttling", "tie_breaking")
_ROUNDING = 1e-6


class _Quantity(NamedTuple):
    """What a number counts ("money", "utility", or neither), of what, and its name in tables."""

    counts: str
    of: str
    label: str = ""


_QUANTITIES = {
    "start": _Quantity("", "probability", "first answer by"),
    "retries": _Quantity("", "probability", "retries by"),
    "delay": _Quantity("utility", "of waiting per pass", "delay"),
    "patience": _Quantity("", "probability", "user's patience"),
    "provider_cost": _Quantity("money", "per task", "provider's cost of a task"),
    "provider_cost_pessimistic": _Quantity("money", "per task", "the same, user's ties against it"),
    "user_utility": _Quantity("utility", "per task", "user's utility of a task"),
    "user_utility_worst": _Quantity("utility", "per task", "the same, provider's ties against it"),
    "offers": _Quantity("utility", "per task", "utility that would be given"),
    "price": _Quantity("utility", "per pass", "price"),
    "ladders": _Quantity("", "probability", "served by"),
    "stop": _Quantity("", "failures after which users stop", "users stop after failures"),
    "solved": _Quantity("", "share of tasks", "share of tasks solved"),
    "predicted_cost": _Quantity("money", "per task"),
    "loss": _Quantity("", "share of the optimum's cost"),
    "price_of_staying": _Quantity("money", "per unit of utility"),
    "price_of_leaving": _Quantity("money", "per unit of utility"),
    "success": _Quantity("", "probability, first attempt"),
    "retry_ratio": _Quantity("", "share of the success of a first attempt"),
    "escalation": _Quantity("", "share of the success of a first attempt"),
    "correlation": _Quantity("", "of attempts at a task"),
    "horizon": _Quantity("", "attempts"),
    "outside_option": _Quantity("utility", "per task"),
    "floor": _Quantity("utility", "per task"),
    "harm": _Quantity("utility", "per wrong answer"),
    "false_accept": _Quantity("", "probability"),
    "false_reject": _Quantity("", "probability"),
    "gap": _Quantity("utility", "per task"),
    "provider_gain": _Quantity("money", "per task"),
    "user_loss": _Quantity("utility", "per task"),
    "user_loss_worst": _Quantity("utility", "per task"),
    "churn_penalty_low": _Quantity("money", "per abandoned task"),
    "churn_penalty_high": _Quantity("money", "per abandoned task"),
    "first_model": _Quantity("", "model, counted from 0"),
    "cascade": _Quantity("", "probability"),
    "lottery": _Quantity("", "probability of serving a re-prompt"),
    "first": _Quantity("", "probability"),
    "cost": _Quantity("money", "per task"),
    "leave": _Quantity("", "share of tasks abandoned"),
    "share": _Quantity("", "share of users or tasks"),
    "value": _Quantity("utility", "per solved task"),
    "waiting_cost": _Quantity("utility", "per hour"),
    "churn_penalty": _Quantity("money", "per abandoned task"),
    "same": _Quantity("", "share of draws"),
    "in_order": _Quantity("", "share of draws"),
    "routing_error": _Quantity("", "probability"),
    "provider_regret": _Quantity("", "share of the equilibrium's cost"),
    "provider_regret_pessimistic": _Quantity("", "share of the equilibrium's cost"),
    "on_path_regret": _Quantity("", "share of the equilibrium's cost"),
    "user_regret": _Quantity("", "share of the largest utility of a pass"),
}
"""All numbers that commands print as JSON: a name means the same wherever it stands."""


def record(answer: Answer, without: Answer | None = None) -> Record:
    """An answer by the names of its numbers, with the answer `without` the changes beside it; models by their labels.

    "retries" are those after a failure of the likeliest first model; a task that a cascade has moved on stays there.
    """
    found, labels = answer.equilibrium, answer.serving.labels
    commitment, question = found.commitment, answer.question
    contents: Record = {"game": answer.config.name, "routing": found.routing, "throttling": found.throttling}
    contents["tie_breaking"] = found.tie_breaking
    for name, value in question.changes.items():
        one = value[0] if isinstance(value, tuple) and len(value) == 1 else value
        contents[name] = dict(zip(answer.config.labels, one, strict=True)) if isinstance(one, tuple) else one
    if question.rival is not None and answer.offers is not None:
        contents |= {"rival": question.rival.name, "serves": answer.serving.name}
        contents["offers"] = {"own": or_none(answer.offers[0]), "rival": or_none(answer.offers[1])}
    if answer.price is not None:
        contents["price"] = answer.price
    if found.game.models <= 2:
        contents["regime"] = Regime(int(found.regime)).name.lower()
    contents |= {
        "route": Route(int(found.route)).name.lower(),
        "start": dict(zip(labels, commitment.start.tolist(), strict=True)),
        "retries": dict(zip(labels, commitment.transition[commitment.first_model].tolist(), strict=True)),
        "delay": dict(zip(labels, commitment.delay.tolist(), strict=True)),
        "patience": float(found.patience),
        "provider_cost": answer.provider_cost,
        "provider_cost_pessimistic": answer.provider_cost_pessimistic,
        "user_utility": float(found.user_utility) + answer.outside,
    }
    if answer.is_optimum:
        contents["user_utility_worst"] = float(found.user_utility_worst) + answer.outside
        misaligned = misalignment(found.game, found.throttling, found.routing)
        contents["hull"] = [label for label, kept in zip(labels, found.hull.tolist(), strict=True) if kept]
        contents["misalignment"] = {
            "preferred_model": labels[int(misaligned.preferred_model)],
            "gap": float(misaligned.gap),
        }
        contents["throttling_gain"] = {
            name: or_none(value) if isinstance(value, float) else value for name, value in vars(slowing(found)).items()
        }
        driven = driving_off(found)
        contents["driving_off"] = driven and driven._asdict() | {
            "threat": None if driven.threat is None else labels[driven.threat]
        }
    if without:
        contents["without"] = {name: one for name, one in record(without).items() if name not in _ASKED}
    return contents


def units(unit: DisplayUnits, contents: Record) -> dict[str, str]:
    """The unit of every number in a record, wherever its name stands, and of all numbers below that name."""
    counted = {"": "", "money": unit.money or "money", "utility": unit.utility or "utility"}
    found = dict.fromkeys(name for path, _ in _flat(contents) for name in path if name == _quantity_of(path))
    return {name: f"{counted[_QUANTITIES[name].counts]} {_QUANTITIES[name].of}".strip() for name in found}


def with_units(unit: DisplayUnits, contents: Record) -> Record:
    """A record as JSON, with the "units" of its numbers."""
    return contents | {"units": units(unit, contents)}


def as_csv(records: Iterable[tuple[DisplayUnits, Record]]) -> str:
    """A table with a row for each record and a column for each number, its unit in brackets."""
    import pandas as pd

    rows = []
    for shown, contents in records:
        unit = units(shown, contents)
        row = {}
        for path, value in _flat(contents):
            name = _quantity_of(path)
            row[".".join(path) + (f" ({unit[name]})" if name else "")] = value
        rows.append({name: " ".join(value) if isinstance(value, list) else value for name, value in row.items()})
    return str(pd.DataFrame(rows).to_csv(index=False))


def rows(unit: DisplayUnits, contents: Record) -> dict[str, str]:
    """The numbers of a record that people read, as texts by their names in tables."""
    shown: dict[str, str] = {}
    for name, quantity in _QUANTITIES.items():
        value, without_ties = contents.get(name), contents.get(TIES.get(name, ""))
        if value is None or not quantity.label or (without_ties is not None and not differ(value, without_ties)):
            continue
        write = _writer(name, unit)
        if isinstance(value, dict):
            texts = [f"{write(one)} {label}".strip() for label, one in value.items() if one]
            shown[quantity.label] = ", ".join(texts) or "none"
        else:
            shown[quantity.label] = write(value)
    if len(contents.get("hull", ())) > 1:
        shown["models that can serve retries"] = ", ".join(contents["hull"])
    return shown


def _writer(name: str, unit: DisplayUnits) -> Callable[[float], str]:
    """What writes a number of that name."""
    if name == "delay":
        return unit.in_time
    if name in ("start", "retries", "ladders"):
        return lambda share: "" if share == 1.0 else f"{100.0 * share:.4g} %"
    return {"money": unit.in_money, "utility": unit.in_utility, "": "{:.4g}".format}[_QUANTITIES[name].counts]


def differ(one: float, other: float) -> bool:
    """Whether two amounts differ by more than rounding."""
    return not math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING * 1e-3)


def or_none(number: float) -> float | None:
    """The same number, None where it is not finite."""
    return number if math.isfinite(number) else None


def _flat(contents: Record, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a record holds at any depth, with the names above it."""
    for name, value in contents.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value


def _quantity_of(path: tuple[str, ...]) -> str | None:
    """The first name of a path that is a number's; what is below are labels of models."""
    return next((name for name in path if name in _QUANTITIES), None)
