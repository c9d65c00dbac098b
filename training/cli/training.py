"""The commands that train, and those that look at what was trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackroute.training.cli.console import (
    GAME,
    JsonOption,
    RoutingOption,
    SeedOption,
    ThrottlingOption,
    app,
    console,
    fail,
    print_json,
    print_written,
    require,
    resumable,
)

if TYPE_CHECKING:
    from stackroute.training.learn.runs import RunSpec

_DEFAULT_SETTINGS = "follower_first"

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run of 'stackroute train'.")]


@app.command("train")
def train_command(
    game: Annotated[str | None, GAME] = None,
    routing: RoutingOption = None,
    throttling: ThrottlingOption = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder; if not given, in runs/, named by what is trained."),
    ] = None,
    settings: Annotated[
        str, typer.Option(metavar="SETTINGS", help="Packaged training settings or the path of a .yaml file.")
    ] = _DEFAULT_SETTINGS,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Replace a setting, as in --set provider=provider_sac; repeatable."
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the run in a folder; all else is as it was.")
    ] = None,
) -> None:
    """Train a user and a provider on a game, and evaluate them exactly.

    Writes report.json, learning_curves.png, both policies, finished stages and TensorBoard logs to the output folder,
    which must not hold a run already. A run that was stopped, by Ctrl-C or otherwise, goes on with --resume after the
    last stage that it has finished, and ends as if it had not been stopped.

    Examples:
    stackroute train gpt-4.1-o3-dev-low-p --throttling --seed 1 --out runs/mine

    stackroute train g4b --set provider=provider_sac

    stackroute train g5 --routing free

    stackroute train --resume runs/mine
    """
    require("train", "plot")
    from stackroute.configs import load_game
    from stackroute.configs.training import load_training_settings
    from stackroute.training.cli.display import evaluation_table, held_out_table, stages_in_words, training_progress
    from stackroute.training.figures.curves import draw_learning_curves
    from stackroute.training.learn.runs import REPORT, RUN, RunSpec, read_spec, run_game

    if (game is None) == (resume is None):
        fail("GAME: give either a game or --resume DIR")
    if resume is not None:
        folder, spec = resume, read_spec(resume)
    else:
        config = load_game(str(game))
        spec = RunSpec(config, load_training_settings(settings, changes or []), throttling, seed, routing)
        folder = out if out is not None else Path("runs") / _name(spec, settings, changes or [])
        if (folder / RUN).exists():
            fail(f"{folder}: holds a run already; go on with --resume {folder}, or choose another folder by --out")
    advice = f"go on with: stackroute train --resume {folder}"
    with resumable(advice), training_progress(console, spec.config.name) as on_progress:
        pair = run_game(spec, folder, resume=resume is not None, on_progress=on_progress)
    draw_learning_curves(folder, folder / "learning_curves.png")
    console.print(evaluation_table(spec.config, pair.evaluation, f"{spec.config.name}, seed {spec.seed}"))
    console.print(stages_in_words(pair))
    if pair.held_out:
        console.print(held_out_table(pair.held_out))
    print_written([folder / REPORT])


def _name(spec: RunSpec, settings: str, changes: list[str]) -> str:
    """The folder of a run by default: what tells it from other runs."""
    from stackroute.analytic import default_routing
    from stackroute.training.output import file_name

    unusual = [] if spec.routing == default_routing(spec.config.game) else [str(spec.routing)]
    parts = [spec.config.name, *unusual, *(["throttling"] if spec.throttling else [])]
    parts += [] if settings == _DEFAULT_SETTINGS else [Path(settings).stem]
    return file_name("-".join([*parts, *changes, f"seed{spec.seed}"]))


@app.command("evaluate")
def evaluate_command(
    run: RunArgument,
    provider: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Evaluate this provider instead: .npz, or .zip of SB3.")
    ] = None,
    user: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Evaluate this user instead: .npz, or .zip of SB3.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load .zip files, which can run code of their author.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the players of a run exactly, on the run's game: regrets for both tie-breakings, and what they chose.

    Examples:
    stackroute evaluate runs/mine

    stackroute evaluate runs/mine --provider model.zip --trust
    """
    require("train")
    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.display import evaluation_table
    from stackroute.training.cli.quantities import with_units
    from stackroute.training.learn.runs import evaluate_run, read_spec

    spec = read_spec(run)
    evaluation = evaluate_run(run, provider=provider, user=user, trust=trust)
    if as_json:
        print_json(with_units(DisplayUnits.of(spec.config), asdict(evaluation)))
        return
    console.print(evaluation_table(spec.config, evaluation, f"{spec.config.name}, {run}"))
    model, throttling = (
        "right" if right else "wrong" for right in (evaluation.start_model_right, evaluation.throttling_right)
    )
    distance, routed = evaluation.routing_error, "cascade" if spec.routing == "cascade" else "lottery"
    error = "" if distance is None else f"; distance from the optimal {routed} {distance:.4f}"
    console.print(f"Start model {model}, throttling {throttling}{error}.")


@app.command("plot")
def plot_command(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Output folder; the run's own if not given.")] = None,
) -> None:
    """Draw a run: what was learned against the exact equilibrium.

    Regret against steps with the equilibrium as the zero line, and the learned response over the cascade probability
    against the exact one.

    Example: stackroute plot runs/mine
    """
    require("train", "plot")
    from stackroute.training.figures.curves import draw_run
    from stackroute.training.learn.runs import read_spec
    from stackroute.training.output import output_folder

    read_spec(run)
    print_written(draw_run(run, output_folder(out or run)))


@app.command("quickstart")
def quickstart_command(
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder; runs/quickstart-seedSEED if not given.")
    ] = None,
) -> None:
    """Train on two games of gpt-4.1 and o3, in one of which throttling pays; takes a minute or two."""
    require("train", "plot")
    from stackroute.configs.training import load_training_settings
    from stackroute.training.cli.quickstart import quickstart

    folder = out if out is not None else Path(f"runs/quickstart-seed{seed}")
    quickstart(folder, load_training_settings(), seed=seed, console=console)
