"""The page: the answer in words, pictures, policies, and what can be taken away."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import streamlit as st

from stackroute._extras import install
from stackroute.agents.errors import PolicyFileError, UntrustedFileError
from stackroute.analytic import InvalidGameError
from stackroute.configs import GameConfig, game_names
from stackroute.configs.loading import as_yaml
from stackroute.configs.tables import MeasuredModel
from stackroute.training.cli.answers import Question, answer
from stackroute.training.cli.explanation import explain
from stackroute.training.cli.quantities import record
from stackroute.training.cli.table_advice import TableAdvice
from stackroute.training.cli.table_advice_in_words import limits_of_game, sections_of
from stackroute.training.explorer.asked import Asked
from stackroute.training.explorer.controls import LINK, controls, plain
from stackroute.training.explorer.pictures import response
from stackroute.training.explorer.plane import chart, legend, plane_of
from stackroute.training.explorer.policies import as_json, as_table, learned_policy, policies
from stackroute.training.explorer.state import Source, State, as_link
from stackroute.training.figures.frontier import frontier_picture
from stackroute.training.figures.plane import plane_picture
from stackroute.training.figures.scenario import scenario
from stackroute.training.figures.style import save, style
from stackroute.training.market.market import Scenario
from stackroute.training.market.thresholds import thresholds
from stackroute.training.output import RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from stackroute.analytic.equilibrium import Routing
    from stackroute.configs.tables import ModelTable
    from stackroute.training.cli.answers import Answer
    from stackroute.training.explorer.policies import Policy

_DRAWING = threading.Lock()
"""Held while a picture is drawn, as matplotlib's style is that of the process."""

_TABS = {"Cost and waiting": "frontier", "When users stay": "response", "Value and penalty": "plane"}
"""The pictures, by what their tabs are called."""

_PICTURES: dict[str, Callable[[GameConfig, Routing, bool], Figure]] = {
    "frontier": lambda config, *_: frontier_picture(config),
    "response": lambda config, routing, _: response(config, routing),
    "plane": plane_picture,
}


def show(asked: Asked) -> None:
    """Show the page."""
    st.set_page_config("stackroute explore", layout="centered")
    warned = st.container()
    with st.sidebar:
        name = asked.name or st.selectbox("Game", game_names(), key="game", bind="query-params")
        source = _read(replace(asked, name=name, run="").as_argument())
        state = controls(source, warned)
        run = st.text_input("A learned provider: folder of a run of stackroute train", asked.run, key="run")
    config = state.config(source)
    st.title(plain(config.name))
    st.caption(plain(scenario(config)))
    try:
        # Shown only where it takes more than half a second.
        with st.spinner("Computing: the first time takes longer, as code is compiled", show_time=True):
            found = answer(config, Question(state.routing, state.throttling))
            (heading, sentences), *others = _sections(source.table, state, found).items()
            said = sentences()
    except InvalidGameError as error:
        st.error(plain(f"The paper's cascades are not for these models: {error}. Choose any lottery of models."))
        st.stop()
    _write(heading, said)
    picture = _pictures(config, source.config, state)
    listed = policies(found, state.commitment(config), _learned(run, config, found))
    st.subheader("What policies cost and give")
    st.table(as_table(config, listed).set_index("policy").map("{:.4g}".format))
    for heading, sentences in others:
        _write(heading, sentences())
    _downloads(config, found, listed, partial(_drawn, picture, config, state.routing, state.throttling))
    _link(state, changed=state != State.of(source.config))


@st.cache_resource(max_entries=20, show_spinner=False)
def _read(asked: str) -> Source:
    """What is explored; its files are read once."""
    given = Asked.from_argument(asked)
    return Source.read(str(given.name), given.columns, given.units, given.decimal, given.changes)


def _sections(table: ModelTable | None, state: State, found: Answer) -> dict[str, Callable[[], list[str]]]:
    """The answer and more in words, as `advise` says it of a table at full speed, and otherwise as `solve` does."""
    config, game = found.config, found.equilibrium.game
    if state.throttling:
        return {"The answer": partial(explain, found)}
    if table is None:
        return {
            "The answer": partial(explain, found),
            "What would change it": lambda: [
                limits_of_game(one, config, state.routing) for one in thresholds(game, state.routing)
            ],
        }
    measured = {model.label: model for model in table.models}
    # What was changed by hand was not measured.
    models = [
        measured[one.label]
        if all(getattr(measured[one.label], name) == number for name, number in one)
        else MeasuredModel(**one.model_dump())
        for one in state.models
    ]
    users = Scenario(state.waiting_cost_per_hour or 0.0, state.value, state.churn_penalty, config.units.money)
    return sections_of(TableAdvice(replace(table, models=tuple(models)), users, state.routing))


def _write(heading: str, sentences: list[str]) -> None:
    """A heading with its sentences in a list."""
    st.subheader(heading)
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def _pictures(config: GameConfig, usual: GameConfig, state: State) -> str:
    """Show the picture of the tab that is open, and give its name."""
    opened = "frontier"
    tabs = st.tabs(list(_TABS), on_change="rerun", key="picture", bind="query-params")
    for tab, (words, name) in zip(tabs, _TABS.items(), strict=True):
        if not tab.open:
            continue
        opened = name
        with tab:
            if name == "plane":
                plane = plane_of(config, usual, state.routing, state.throttling)
                st.vega_lite_chart(chart(plane, config), width="stretch", alt=f"{words}: {scenario(config)}")
                st.html(legend(plane))
            else:
                png = _drawn(name, config, state.routing, state.throttling, ".png")
                st.image(png, width="stretch", alt=f"{words}: {scenario(config)}")
    return opened


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs={GameConfig: GameConfig.model_dump_json})
def _drawn(name: str, config: GameConfig, routing: Routing, throttling: bool, ending: str) -> bytes:
    """A picture as a file."""
    with TemporaryDirectory() as folder, _DRAWING, style():
        path = Path(folder) / f"{name}{ending}"
        save(_PICTURES[name](config, routing, throttling), path)
        return path.read_bytes()


def _learned(run: str, config: GameConfig, found: Answer) -> Policy | None:
    if not run:
        return None
    try:
        return learned_policy(Path(run), config, found)
    except ModuleNotFoundError as error:
        st.error(plain(f"Learned players need {error.name}: {install('train')}"))
    except (RunError, PolicyFileError, UntrustedFileError) as error:
        st.error(plain(str(error)))
    return None


def _downloads(config: GameConfig, found: Answer, listed: dict[str, Policy], drawn: Callable[[str], bytes]) -> None:
    """Buttons for the game, the numbers and the picture that is shown."""
    st.subheader("Take it away")
    files: dict[str, tuple[str, str | Callable[[], bytes]]] = {
        "The game (YAML)": (f"{config.name}.yaml", as_yaml(config)),
        "Policies (CSV)": (f"{config.name}.csv", str(as_table(config, listed).to_csv(index=False))),
        "All numbers (JSON)": (f"{config.name}.json", json.dumps(as_json(config, record(found), listed), indent=2)),
        "The picture (PNG)": (f"{config.name}.png", partial(drawn, ".png")),
        "The picture (SVG)": (f"{config.name}.svg", partial(drawn, ".svg")),
    }
    with st.container(horizontal=True):
        for label, (name, content) in files.items():
            st.download_button(label, content, name, key=label, on_click="ignore")


def _link(state: State, *, changed: bool) -> None:
    """Keep the numbers in the page's address, from which they are restored."""
    text = as_link(state)
    if changed and st.query_params.get(LINK) != text:
        st.query_params[LINK] = text
    elif not changed and LINK in st.query_params:
        del st.query_params[LINK]
    st.caption("The address of this page holds all numbers above: keep it, or send it to who explores the same game.")
