"""The algorithms of the benchmark by name: built in, registered, of other packages, or a scheme of training."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from stackroute.configs import ConfigError
from stackroute.configs.amortised import AmortisedSettings
from stackroute.configs.benchmarks import TrainedAlgorithm
from stackroute.configs.loading import packaged, read_settings
from stackroute.configs.training import load_training_settings
from stackroute.training.benchmark import plug_in, search, stackelberg_ppo, tabular
from stackroute.training.benchmark.problem import Solution
from stackroute.training.learn.session import Session
from stackroute.training.own_code import OwnCode, is_own_code

if TYPE_CHECKING:
    from stackroute.configs.training import TrainingSettings
    from stackroute.training.benchmark.problem import Algorithm, Problem

ENTRY_POINTS = "stackroute.algorithms"
"""The group of entry points in which an installed package names its algorithms."""

REGRET = "regret_"
"""Begins the names of the regrets that a scheme of training records: before it begins, and after each of its stages."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CHOOSING = ("provider", "both players")
"""The stages whose regret is that of what the provider would choose if it were stopped."""


@dataclass(frozen=True)
class Entrant:
    """An algorithm that takes part.

    Attributes:
        name: Its name.
        algorithm: What is called.
        summary: What it is, in a line; else its docstring says so.
        settings: Those of a scheme of training.
        source: The text of the file that it is from, where the user gave one.
    """

    name: str
    algorithm: Algorithm
    summary: str = ""
    settings: dict[str, Any] | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.summary:
            first_line = (self.algorithm.__doc__ or "").strip().split("\n")[0]
            object.__setattr__(self, "summary", first_line)


def stackelberg_gradient(problem: Problem) -> Solution:
    """Stackelberg gradient (after Fiez et al. 2020): leaders follow the total derivative through the user's reply."""
    from stackroute.training.benchmark import stackelberg_gradient

    return stackelberg_gradient.stackelberg_gradient(problem)


_REGISTERED: dict[str, Entrant] = {
    name: Entrant(name, algorithm)
    for name, algorithm in {
        "exact": search.exact,
        "best_static": search.best_static,
        "random": search.random_choice,
        "grid_search": search.grid_search,
        "cma_es": search.cma_es,
        "random_search": search.random_search,
        "plug_in": plug_in.plug_in,
        "tabular_q": tabular.tabular_q,
        "stackelberg_gradient": stackelberg_gradient,
        "stackelberg_ppo": stackelberg_ppo.stackelberg_ppo,
    }.items()
}


def register_algorithm(name: str, algorithm: Algorithm, summary: str = "") -> None:
    """Enter an algorithm into the benchmark.

    An installed package does without this call: an entry point of the group "stackroute.algorithms" with the name and
    the place of the algorithm makes it known to `stackroute benchmark` too.

    Args:
        name: A name that is not taken.
        algorithm: Called with a `stackroute.training.benchmark.problem.Problem`; returns a `Solution`.
        summary: What it is, in a line; the first line of its docstring if not given.

    Raises:
        ValueError: The name is taken, or has other characters than letters, digits, dots, dashes and underscores.
        TypeError: It cannot be called.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"algorithm: {name!r} is not allowed; expected letters, digits, dots, dashes and underscores")
    if name in algorithm_names():
        raise ValueError(f"algorithm: {name!r} is registered already")
    if not callable(algorithm):
        raise TypeError(f"algorithm: {algorithm!r} is not allowed; expected what can be called with a problem")
    _REGISTERED[name] = Entrant(name, algorithm, summary)


def enter_file(place: str) -> None:
    """Enter an algorithm of a Python file, FILE.py:NAME, under that name. It runs the file, which its user has to name.

    Raises:
        ConfigError: There is no such file, it cannot be run, or has no such function.
    """
    code = OwnCode.read(place)
    algorithm = code.load()
    if not callable(algorithm):
        raise ConfigError(f"algorithms: {place}: {algorithm!r} is not allowed; expected a function of a problem")
    # What is pickled for other processes is the text.
    summary = (algorithm.__doc__ or "").strip().split("\n")[0] or place
    _REGISTERED[place] = Entrant(place, code, summary, source=code.source)


def algorithm_names() -> list[str]:
    """The names of all algorithms, in order."""
    outside = metadata.entry_points(group=ENTRY_POINTS).names
    return sorted({*_REGISTERED, *packaged("algorithms"), *outside})


def find_algorithm(name: str) -> Entrant:
    """An algorithm by its name, or by the path of a .yaml file with settings of training.

    Registered ones come first, then the packaged ones, then those of other packages.

    Raises:
        ConfigError: There is none.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in packaged("algorithms") or name.endswith((".yaml", ".yml")):
        content = read_settings(name, "algorithms", TrainedAlgorithm)
        settings = load_training_settings(content.settings, content.changes)
        return Entrant(name, trained(settings), content.summary, settings.model_dump())
    for entry_point in metadata.entry_points(group=ENTRY_POINTS, name=name):
        try:
            algorithm: Algorithm = entry_point.load()
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"algorithms: {name!r}: {entry_point.value} cannot be loaded ({reason})") from None
        return Entrant(name, algorithm)
    if is_own_code(name):
        raise ConfigError(f"algorithms: {name!r} is only run where the command names it: --algorithms {name}")
    raise ConfigError(f"algorithms: {name!r} is not allowed; expected one of {', '.join(algorithm_names())}")


def trained(settings: TrainingSettings) -> Algorithm:
    """The algorithm that trains with given settings, and records the exact regret by stages and if it is certified."""

    def algorithm(problem: Problem) -> Solution:
        from stackroute.training.learn.schemes import train

        def on_progress(stage: str, done: int, total: int, regret: float) -> None:
            if not many and stage in _CHOOSING and not math.isnan(regret):
                problem.add(regret)

        many = isinstance(settings, AmortisedSettings)
        game = problem.game if many else problem.single
        pair = train(
            # A pair that learns many games learns none of the problem's, but has to be evaluated on one.
            problem.game[0],
            settings,
            throttling=problem.throttling,
            routing=problem.routing,
            seed=problem.seed,
            session=Session(on_progress=on_progress),
        )
        commitment = pair.provider.commit(game, np.zeros((*game.shape, 2 * game.models + 1)))
        patience = pair.user.patience(game, commitment, np.zeros(game.shape))
        if many:
            return Solution(commitment, patience)
        regrets = {
            "before_learning": pair.untrained_regret,
            **{f"after_{name.replace(' ', '_')}": stage.provider_regret for name, stage in pair.stages.items()},
        }
        info = {REGRET + name: regret for name, regret in regrets.items()}
        return Solution(commitment, patience, {**info, "certified": pair.certified})

    return algorithm
