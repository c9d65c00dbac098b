"""A run: one game trained, evaluated and kept in a folder, from which it can be resumed, evaluated again and drawn."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from stackroute._version import __version__
from stackroute.agents.errors import PolicyFileError
from stackroute.agents.saving import load_provider, load_user, save_policy
from stackroute.analytic import default_routing
from stackroute.analytic.equilibrium import Routing
from stackroute.configs import ConfigError, GameConfig
from stackroute.configs.loading import validated
from stackroute.configs.training import TrainingSettings
from stackroute.envs.policies import ProviderPolicy, UserPolicy
from stackroute.training.learn.judging import judge
from stackroute.training.learn.schemes import train
from stackroute.training.learn.session import Session
from stackroute.training.output import (
    OutputError,
    RunError,
    checksum,
    locked,
    output_folder,
    replacing,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stackroute.training.learn.evaluation import Evaluation
    from stackroute.training.learn.result import TrainedPair
    from stackroute.training.learn.session import OnProgress

RUN, REPORT, CURVES, TIMES = "run.json", "report.json", "curves.json", "times.json"
USER, PROVIDER, NETWORK = "user.npz", "provider.npz", "provider-network.npz"
PLACES = "places.json"
TRAFFIC, LADDERS = "traffic.npz", "ladders.json"
STAGES, LOGS = "stages", "tensorboard"

_Spec = TypeVar("_Spec")

_CHECKSUM = "checksum"
_TASKS = "tasks"
_OPTIONS = ("routing", "throttling", "seed")


@dataclass(frozen=True)
class RunSpec:
    """All that determines a run's result, as `run.json` keeps it.

    Attributes:
        config: The game; "game" in the file.
        settings: How to train.
        throttling: Whether the provider can delay.
        seed: Fixes everything.
        routing: What the provider may commit to; None for `stackroute.analytic.default_routing`, which is then kept.
    """

    config: Annotated[GameConfig, Field(alias="game")]
    settings: TrainingSettings
    throttling: bool
    seed: int
    routing: Routing | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "routing", self.routing or default_routing(self.config.game))


def report(spec: RunSpec, pair: TrainedPair) -> dict[str, Any]:
    """A run as JSON: what was learned beside the equilibrium, and both regrets, after each part."""
    return {
        "game": spec.config.name,
        "routing": spec.routing,
        "throttling": spec.throttling,
        "seed": spec.seed,
        "scheme": spec.settings.scheme,
        **asdict(pair.evaluation),
        "untrained_regret": pair.untrained_regret,
        "certified": pair.certified,
        "stages": [
            {
                "stage": name,
                "provider_regret": evaluation.provider_regret,
                "user_regret": evaluation.user_regret,
                "learned": asdict(evaluation.learned),
            }
            for name, evaluation in pair.stages.items()
        ],
        **({"held_out": pair.held_out} if pair.held_out else {}),
    }


def read_spec(folder: Path) -> RunSpec:
    """The specification that a run's folder holds.

    Raises:
        RunError: There is none, it cannot be used, or it is that of a run on measured tasks.
    """
    if is_on_tasks(folder):
        raise RunError(f"{folder}: is a run on measured tasks; expected one on a game")
    return specification(folder, RunSpec)


def is_on_tasks(folder: Path) -> bool:
    """Whether a run is on measured tasks, in place of a game; RunError where there is none."""
    content = read_json(folder / RUN)
    return isinstance(content, dict) and _TASKS in content


def specification(folder: Path, kind: type[_Spec]) -> _Spec:
    """As `read_spec`, of a kind of specification."""
    content = read_json(folder / RUN)
    try:
        spec: _Spec = validated(content, "run", TypeAdapter(kind))
    except ConfigError as error:
        raise RunError(f"{folder / RUN}: is no specification of a run ({error})") from None
    if content.pop(_CHECKSUM, None) != checksum(content):
        raise RunError(f"{folder / RUN}: was changed after the run began; train anew, in another folder")
    return spec


def read_json(path: Path) -> Any:
    """JSON from a run's folder.

    Raises:
        RunError: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path}: no such file; expected the folder of a run of 'stackroute train'") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from None


@contextmanager
def intact(folder: Path) -> Iterator[None]:
    """Raise a RunError that names the folder where what is read from a run's files is not as it was written."""
    try:
        yield
    except PolicyFileError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise RunError(f"{folder}: its files are not as they were written ({what}); train anew elsewhere") from error


def run_game(
    spec: RunSpec, folder: Path, *, resume: bool = False, on_progress: OnProgress | None = None, logs: bool = True
) -> TrainedPair:
    """Train on a game and write the report, the curves, the policies and the times to a folder.

    Args:
        spec: What determines the result.
        folder: The run's folder, made if it does not exist.
        resume: Whether to go on after the last stage that an earlier run of the same specification has finished there;
            the result is the same. Otherwise what an earlier run of the same specification has left there is removed.
        on_progress: Called with the stage, the rounds done, the rounds in all and the exact regret after every round.
        logs: Whether to write TensorBoard logs.

    Returns:
        The trained pair and everything measured about it.

    Raises:
        RunError: The folder holds another run, of this version of stackroute or another, or none that can go on.
        OutputError: The folder or a file cannot be written, or another process works in the folder.
    """
    with session_of(spec, folder, resume=resume, on_progress=on_progress, logs=logs) as session:
        options: Any = {name: getattr(spec, name) for name in _OPTIONS}
        pair = train(spec.config.game, spec.settings, session=session, **options)
        for name, player in ((USER, pair.user), (PROVIDER, pair.provider), (NETWORK, pair.network)):
            with replacing(folder / name) as unfinished:
                save_policy(player, unfinished)
        write_json(folder / CURVES, {name: asdict(curve) for name, curve in pair.curves.items()})
        write_json(folder / PLACES, pair.walks)
        write_times(session, folder)
        write_json(folder / REPORT, report(spec, pair))
        return pair


@contextmanager
def session_of(
    spec: object, folder: Path, *, resume: bool, on_progress: OnProgress | None, logs: bool = True
) -> Iterator[Session]:
    """Work in a run's folder, with the session that keeps its stages there; as of `run_game`, for any specification."""
    content = _content(spec)
    with locked(folder):
        if resume or (folder / RUN).exists():
            _check_same(spec, folder)
        if not resume:
            start(spec, folder)
        # What the stages of another run have given is none of this one's.
        key, logged = checksum(content), folder / LOGS if logs else None
        yield Session(folder / STAGES, key=key, log_folder=logged, on_progress=on_progress)


def write_times(session: Session, folder: Path) -> None:
    """Write what a run has taken so far."""
    write_json(folder / TIMES, {unit: round(spent, 2) for unit, spent in session.spent().items()})


def _content(spec: object) -> dict[str, Any]:
    return {"version": __version__, **TypeAdapter(type(spec)).dump_python(spec, mode="json", by_alias=True)}


def _check_same(spec: object, folder: Path) -> None:
    """Refuse a folder of another run, which would be replaced or gone on with as if it were this one."""
    specification(folder, type(spec))
    found = read_json(folder / RUN)
    for name, value in _content(spec).items():
        if found.get(name) != value:
            told = f"{name}: {found.get(name)}, not {value}" if name in ("version", *_OPTIONS) else name
            raise RunError(f"{folder}: holds another run ({told}); train in another folder")


def start(spec: object, folder: Path) -> None:
    """Remove what an earlier run has left in a folder, and write the specification.

    Raises:
        OutputError: The folder cannot be written to.
    """
    output_folder(folder)
    for name in (STAGES, LOGS):
        shutil.rmtree(folder / name, ignore_errors=True)
    try:
        for name in (REPORT, CURVES, TIMES, USER, PROVIDER, NETWORK, PLACES, TRAFFIC, LADDERS):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: an earlier run cannot be removed ({error.strerror})") from None
    content = _content(spec)
    write_json(folder / RUN, content | {_CHECKSUM: checksum(content)})


def evaluate_run(
    folder: Path, *, provider: Path | None = None, user: Path | None = None, trust: bool = False
) -> Evaluation:
    """Evaluate the players of a run exactly on its game.

    Args:
        folder: The folder of a finished run.
        provider: A file of another provider to evaluate in place of the run's.
        user: A file of another user.
        trust: Whether to load files that can run code.

    Returns:
        The players beside the exact equilibrium.

    Raises:
        RunError: The folder holds no finished run, or the provider delays in a run without throttling, or commits to no
            cascade in a run with cascades.
        PolicyFileError: A file holds no such player.
        UntrustedFileError: A file can run code, and `trust` is not given.
    """
    spec = read_spec(folder)
    leader, follower = players_of_run(folder, provider=provider, user=user, trust=trust)
    assert spec.routing is not None, "it is kept"
    try:
        return judge(spec.config.game, leader, follower, throttling=spec.throttling, routing=spec.routing)
    except ValueError as error:
        raise RunError(f"{folder}: {error}") from None


def players_of_run(
    folder: Path, *, provider: Path | None = None, user: Path | None = None, trust: bool = False
) -> tuple[ProviderPolicy, UserPolicy]:
    """The players of a run, or others in their place: as of `evaluate_run`."""
    try:
        leader = load_provider(provider or folder / PROVIDER, trust=trust)
        follower = load_user(user or folder / USER, trust=trust)
    except FileNotFoundError as error:
        raise RunError(str(error) if error.filename is None else f"{error.filename}: no such file") from None
    if not isinstance(follower, UserPolicy):
        raise RunError(f"user: {type(follower).__name__} is not allowed; expected one with one patience for a task")
    return leader, follower
