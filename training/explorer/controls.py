"""What can be changed, beside the page: a slider or a field for every number."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

import numpy as np
import streamlit as st

from stackroute.configs import ConfigError
from stackroute.configs.games import DisplayUnits, Model
from stackroute.configs.loading import validated
from stackroute.training.explorer.state import MOST_MODELS, State, from_link

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs import GameConfig
    from stackroute.training.explorer.state import Source

Kind = Literal["success", "amount", "positive", "share"]

LINK = "state"
"""The name of the link's one parameter."""

_ROUTINGS = {"cascade": "the paper's cascades", "free": "any lottery of models for retries"}
_SUCCESSES = [0.001, 0.002, 0.005, *(np.arange(1, 100) / 100).tolist(), 0.995, 0.998, 0.999]
_TINY, _MOST = 1e-9, 1e12
_STEPS = 40
"""How many steps to either side of the usual number; eight of them double it."""


def plain(text: str) -> str:
    """A text that is not ours, without effect where streamlit reads Markdown."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def controls(source: Source, warned: DeltaGenerator) -> State:
    """Show all inputs, and give what they hold; what is wrong with a link is said where it is `warned`."""
    _begin(source, warned)
    usual, unit = source.config, DisplayUnits.of(source.config)
    start: State = st.session_state.start
    st.toggle("Type the numbers instead of sliding", key="typed", on_change=_again)
    st.subheader("Users and provider")
    of_value, of_money = _in(unit.utility), _in(unit.money)
    value = _number(f"Value of a solved task to users{of_value}", "value", start.value, usual.value, "positive")
    waiting = start.waiting_cost_per_hour
    if waiting is not None:
        label = f"Cost of an hour of waiting to users{of_money}"
        waiting = _number(label, "waiting", waiting, usual.waiting_cost_per_hour or waiting, "positive")
    scale = usual.churn_penalty or float(usual.game.cost_of_pass.min())
    label = f"Cost of an abandoned task to the provider{of_money}"
    penalty = _number(label, "penalty", start.churn_penalty, scale, "amount")

    st.subheader("Models")
    labels = list(usual.labels)
    if len(labels) > 1:
        labels = st.multiselect("Which take part", labels, start.labels, key=_key("models"), max_selections=MOST_MODELS)
        labels = [label for label in usual.labels if label in labels]
    if not labels:
        st.error("Which take part: none is not allowed; expected at least one model.")
        st.stop()
    models = [_model(label, source, start, opened=len(labels) <= 2) for label in labels]

    st.subheader("What the provider may do")
    # The paper's cascades are of two models.
    routing: Routing | None = "cascade" if len(labels) == 1 else "free"
    if len(labels) == 2:
        listed: list[Routing] = ["cascade", "free"]
        begins = listed.index(start.routing)
        routing = st.radio("Commit to", listed, begins, format_func=lambda one: _ROUTINGS[one], key=_key("routing"))
    throttling = st.toggle("Slow models down", start.throttling, key=_key("throttling"))
    with st.expander("A commitment of your own"):
        first, retries, delays = _own(labels, source.config, start, routing == "cascade", throttling)
    st.button("Start again", on_click=_again, args=(State.of(usual),))
    content = {
        "game": usual.name,
        "models": [model.model_dump() for model in models],
        "value": value,
        "churn_penalty": penalty,
        "waiting_cost_per_hour": waiting,
        "routing": routing,
        "throttling": throttling,
        "first": first,
        "retries": retries,
        "delays": delays,
    }
    now: State = validated(content, usual.name, State)
    st.session_state.now = now
    return now


def _begin(source: Source, warned: DeltaGenerator) -> None:
    """Where the inputs begin: what a link holds, the first time that a game is shown, or the game as it is."""
    if st.session_state.get("shown") == source.config.name:
        return
    start = State.of(source.config)
    if "shown" not in st.session_state and LINK in st.query_params:
        try:
            start = from_link(st.query_params[LINK], source)
        except ConfigError as error:
            warned.error(plain(f"{error}. All numbers are those of the game."))
    st.session_state.shown = source.config.name
    _again(start)


def _again(start: State | None = None) -> None:
    """Make all inputs anew, with what they hold now or with other numbers."""
    st.session_state.start = start or st.session_state.now
    st.session_state.made = st.session_state.get("made", 0) + 1


def _key(name: str) -> str:
    return f"{st.session_state.made} {name}"


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _number(label: str, name: str, start: float, usual: float, kind: Kind) -> float:
    """An input for a number: a slider around the usual one, with what it begins with, or a field."""
    if st.session_state.typed:
        low = min(_TINY, start) if kind in ("success", "positive") else 0.0
        high = {"success": max(1.0 - _TINY, start), "share": 1.0}.get(kind, _MOST)
        step = 0.01 if kind in ("success", "share") else 10.0 ** (math.floor(math.log10(usual)) - 1)
        return float(st.number_input(label, low, high, start, step, "%.6g", key=_key(name)))
    if kind == "success":
        places = _SUCCESSES
    elif kind == "share":
        places = (np.arange(101) / 100).tolist()
    else:
        around = usual * 2.0 ** (np.arange(-_STEPS, _STEPS + 1) / 8.0)
        places = [*([0.0] if kind == "amount" else []), *(float(f"{one:.3g}") for one in around)]
    # What is written alike is one place.
    options = {_written(one): one for one in [*places, usual, start] if _allowed(one, kind)}
    return float(st.select_slider(label, sorted(options.values()), options[_written(start)], _written, key=_key(name)))


def _written(number: float) -> str:
    return f"{number:.6g}"


def _allowed(number: float, kind: Kind) -> bool:
    return number <= _MOST and (number > 0.0 or kind in ("amount", "share"))


def _model(label: str, source: Source, start: State, *, opened: bool) -> Model:
    """The numbers of a model."""
    config, unit = source.config, DisplayUnits.of(source.config)
    usual = config.models[config.labels.index(label)]
    now = start.models[start.labels.index(label)] if label in start.labels else usual
    time = "unit of value" if config.units.latency == "value" else config.units.latency
    # Where a number is 0, its slider goes around the greatest of the models.
    cost, latency = (max(getattr(model, name) for model in config.models) or 1.0 for name in ("cost", "latency"))
    with st.expander(plain(label), expanded=opened):
        return Model(
            label=label,
            success=_number("Success of a pass", f"success {label}", now.success, usual.success, "success"),
            cost=_number(f"Cost of a pass{_in(unit.money)}", f"cost {label}", now.cost, usual.cost or cost, "amount"),
            latency=_number(
                f"Latency of a pass ({time})", f"latency {label}", now.latency, usual.latency or latency, "amount"
            ),
        )


def _own(
    labels: list[str], config: GameConfig, start: State, cascade: bool, throttling: bool
) -> tuple[str, list[float], list[float]]:
    """The first model, the retries and the delays of a commitment of one's own."""
    begins = labels.index(start.first) if start.first in labels else 0
    first = st.selectbox("First answer by", labels, begins, key=_key("first")) if len(labels) > 1 else labels[0]
    retries = [_started(start, "retries", label, 0.5) for label in labels]
    if cascade and len(labels) == 2:
        moved = _number(f"Each retry moves on to {plain(labels[1])}", "cascade", retries[1], 0.5, "share")
        retries = [1.0 - moved, moved]
    elif len(labels) > 1:
        retries = [
            _number(f"Retries by {plain(label)}, parts", f"retries {label}", now, 0.5, "share")
            for label, now in zip(labels, retries, strict=True)
        ]
    delays = [_started(start, "delays", label, 0.0) for label in labels]
    if throttling:
        time = "unit of value" if config.units.latency == "value" else config.units.latency
        scale = max(model.latency for model in config.models) or 1.0
        delays = [
            _number(f"Delay of {plain(label)} ({time})", f"delay {label}", now, scale, "amount")
            for label, now in zip(labels, delays, strict=True)
        ]
    return first, retries, delays


def _started(start: State, name: str, label: str, otherwise: float) -> float:
    """What a model's number of one's own commitment begins with."""
    numbers: list[float] = getattr(start, name)
    return numbers[start.labels.index(label)] if label in start.labels else otherwise
