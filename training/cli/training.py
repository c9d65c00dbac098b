"""The commands that train, and those that look at what was trained."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackroute.training.cli.console import (
    FolderOption,
    JsonOption,
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
SettingsOption = Annotated[
    str, typer.Option(metavar="SETTINGS", help="Packaged training settings or the path of a .yaml file.")
]
SettingChanges = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a setting, as in --set provider=provider_sac; repeatable."
    ),
]
CheckpointOption = Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints within a stage.")]


@app.command("train")
def train_command(
    game: Annotated[
        str | None,
        typer.Argument(metavar="GAME", help="A packaged name (see 'stackroute games') or the path of a .yaml file."),
    ] = None,
    throttling: ThrottlingOption = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder; if not given, in runs/, named by what is trained."),
    ] = None,
    settings: SettingsOption = _DEFAULT_SETTINGS,
    changes: SettingChanges = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the run in a folder; all else is as it was.")
    ] = None,
    checkpoint_seconds: CheckpointOption = 5.0,
) -> None:
    """Train a user and a provider on a game, and evaluate them exactly.

    Writes report.json, learning_curves.png, both policies, checkpoints and TensorBoard logs to the output folder,
    which must not hold a run already.
    A run that was stopped, by Ctrl-C or otherwise, goes on with --resume and ends as if it had not been.

    Examples:
    stackroute train gpt-4.1-o3-dev-low-p --throttling --seed 1 --out runs/mine

    stackroute train g4b --set provider=provider_sac

    stackroute train --resume runs/mine
    """
    require("train", "plot")
    from stackroute.configs import load_game
    from stackroute.configs.training import load_training_settings
    from stackroute.training.cli.display import evaluation_table, held_out_table, stages_in_words, training_progress
    from stackroute.training.figures.curves import draw_learning_curves
    from stackroute.training.learn.runs import REPORT, RUN, RunSpec, go_on, read_spec, start

    if (game is None) == (resume is None):
        fail("GAME: give either a game or --resume DIR")
    if resume is not None:
        folder, spec = resume, read_spec(resume)
    else:
        config = load_game(str(game))
        spec = RunSpec(config, load_training_settings(settings, changes or []), throttling, seed)
        folder = out if out is not None else Path("runs") / _name(spec, settings, changes or [])
        if (folder / RUN).exists():
            fail(f"{folder}: holds a run already; go on with --resume {folder}, or choose another folder by --out")
        start(spec, folder)
    advice = f"go on with: stackroute train --resume {folder}"
    with resumable(advice), training_progress(console, spec.config.name) as on_progress:
        run = go_on(folder, on_progress=on_progress, checkpoint_seconds=checkpoint_seconds)
    console.print(evaluation_table(spec.config, run.pair.evaluation, f"{spec.config.name}, seed {spec.seed}"))
    console.print(stages_in_words(run.pair))
    if run.pair.held_out:
        console.print(held_out_table(run.pair.held_out))
    draw_learning_curves(folder, folder / "learning_curves.png")
    print_written([folder / REPORT])


def _name(spec: RunSpec, settings: str, changes: list[str]) -> str:
    """The folder of a run by default: what tells it from other runs."""
    parts = [spec.config.name, *(["throttling"] if spec.throttling else [])]
    parts += [] if settings == _DEFAULT_SETTINGS else [Path(settings).stem]
    return "-".join([*parts, *(change.replace("/", "_") for change in changes), f"seed{spec.seed}"])


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
    from stackroute.training.cli.display import evaluation_table
    from stackroute.training.learn.runs import evaluate_run, read_spec

    spec = read_spec(run)
    evaluation = evaluate_run(run, provider=provider, user=user, trust=trust)
    if as_json:
        print_json(asdict(evaluation))
        return
    console.print(evaluation_table(spec.config, evaluation, f"{spec.config.name}, {run}"))
    model, throttling = (
        "right" if right else "wrong" for right in (evaluation.start_model_right, evaluation.throttling_right)
    )
    distance = evaluation.cascade_error
    error = "" if distance is None else f"; distance from the optimal cascade {distance:.4f}"
    console.print(f"Start model {model}, throttling {throttling}{error}.")


@app.command("plot")
def plot_command(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Output folder; the run's own if not given.")] = None,
) -> None:
    """Draw a run, or the results of a sweep: what was learned against the exact equilibrium.

    For a run: regret against steps with the equilibrium as the zero line, and the learned response over the cascade
    probability against the exact one. For a sweep over the churn penalty: learned throttling against the exact
    threshold.

    Example: stackroute plot runs/mine
    """
    require("train", "plot")
    from stackroute.training.benchmark.sweep import RESULTS
    from stackroute.training.benchmark.sweep_plot import draw_sweep
    from stackroute.training.figures.curves import draw_run
    from stackroute.training.learn.runs import read_spec
    from stackroute.training.output import output_folder

    draw = draw_sweep if (run / RESULTS).exists() else draw_run
    if draw is draw_run:
        read_spec(run)
    print_written(draw(run, output_folder(out or run)))


@app.command("sweep")
def sweep_command(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="A packaged sweep or the path of a .yaml file.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Output folder; sweeps/SWEEP if not given.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Train on many games, seeds and settings, and write one table of results.

    What is in the output folder already is not run again: the same command goes on where it was stopped. 'stackroute
    plot DIR' draws the results.

    Example: stackroute sweep throttling --jobs 2
    """
    require("train", "plot")
    from stackroute.configs.sweeps import load_sweep
    from stackroute.training.benchmark.sweep import RESULTS, SUMMARY, read_results, run_sweep
    from stackroute.training.benchmark.sweep_table import summary
    from stackroute.training.cli.display import sweep_progress
    from stackroute.training.output import write_text

    plan = load_sweep(sweep)
    folder = out if out is not None else Path("sweeps") / Path(sweep).stem
    try:
        with sweep_progress(console, Path(sweep).stem) as on_progress:
            table = run_sweep(plan, folder, jobs=jobs, on_progress=on_progress)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on", code=130)
    failed = [row for row in table if row["error"]]
    for row in failed:
        print(f"{row['run']}: {row['error']}", file=sys.stderr)
    write_text(folder / SUMMARY, summary(read_results(folder)))
    console.print(
        f"Wrote {folder / SUMMARY} and {folder / RESULTS}: {len(table) - len(failed)} runs, {len(failed)} failed"
    )
    if failed:
        raise typer.Exit(1)


@app.command("quickstart")
def quickstart_command(
    seed: SeedOption = 0,
    out: FolderOption = Path("runs/quickstart"),
) -> None:
    """Train on two games of gpt-4.1 and o3, in one of which throttling pays; takes a minute or two."""
    require("train", "plot")
    from stackroute.configs.training import load_training_settings
    from stackroute.training.cli.quickstart import quickstart

    quickstart(out, load_training_settings(), seed=seed, console=console)
