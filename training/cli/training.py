"""The commands that train, and those that look at what was trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stackroute.training.cli.console import (
    ChurnPenaltyOption,
    CorrelationOption,
    CostOption,
    HorizonOption,
    JsonOption,
    LatencyOption,
    ModelsOption,
    PricesOption,
    RoutingOption,
    SecondPriceOption,
    SeedOption,
    ThrottlingOption,
    ValueOption,
    app,
    console,
    fail,
    outcome_options,
    print_json,
    print_written,
    require,
    resumable,
)
from stackroute.training.cli.market import ColumnsOption, DecimalOption, UnitOption, mapping

if TYPE_CHECKING:
    from stackroute.training.learn.runs import RunSpec

_DEFAULT_SETTINGS = "follower_first"

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run of 'stackroute train'.")]


@app.command("train")
def train_command(
    game: Annotated[
        str | None,
        typer.Argument(
            metavar="GAME",
            help="A packaged name (see 'stackroute games') or the path of a .yaml file; or measured outcomes by task: "
            "metr, evalperf, bfcl, a folder or a CSV file; or a log of requests as CSV.",
        ),
    ] = None,
    routing: RoutingOption = None,
    throttling: ThrottlingOption = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output folder; if not given, in runs/, named by what is trained."),
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="SETTINGS",
            help="Packaged training settings or the path of a .yaml file; not given: follower_first, or shadow_price "
            "of measured outcomes.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting, as in --set user=user_dqn; repeatable."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with the run in a folder; all else is as it was.")
    ] = None,
    models: ModelsOption = None,
    value: ValueOption = None,
    churn_penalty: ChurnPenaltyOption = None,
    cost: CostOption = None,
    latency: LatencyOption = None,
    second_price: SecondPriceOption = None,
    context: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The feature that the provider sees; not given: none.",
            rich_help_panel="Of measured outcomes by task",
        ),
    ] = None,
    horizon: HorizonOption = None,
    correlation: CorrelationOption = None,
    columns: ColumnsOption = None,
    unit: UnitOption = None,
    decimal: DecimalOption = None,
    prices: PricesOption = None,
) -> None:
    """Train a user and a provider on a game, and evaluate them exactly.

    Writes report.json, learning_curves.png, both policies, finished stages and TensorBoard logs to the output folder,
    which must not hold a run already. A run that was stopped, by Ctrl-C or otherwise, goes on with --resume after the
    last stage that it has finished, and ends as if it had not been stopped.

    On measured outcomes by task the provider learns which model serves which attempt, and users learn after how many
    failures to stop. metr, evalperf and bfcl come with models, prices and a value; with --models all is as you say.

    For example:

    stackroute train gpt-4.1-o3-dev-low-p --throttling --seed 1 --out runs/mine

    stackroute train g4b --set provider=provider_sac

    stackroute train g5 --routing free

    stackroute train metr --models GPT-4o,o1 --cost 1,4.8 --latency 1,5.5 --value 30 --churn-penalty 1.5

    stackroute train --resume runs/mine
    """
    require("train", "plot")
    from stackroute.configs import load_game
    from stackroute.configs.outcome_files import is_outcomes
    from stackroute.configs.training import load_training_settings
    from stackroute.training.cli.display import evaluation_table, held_out_table, stages_in_words, training_progress
    from stackroute.training.cli.training_on_tasks import resume_on_tasks, train_on_tasks
    from stackroute.training.figures.curves import draw_learning_curves
    from stackroute.training.learn.runs import REPORT, RUN, RunSpec, is_on_tasks, read_spec, run_game

    if (game is None) == (resume is None):
        fail("GAME: give either a game or --resume DIR")
    of_outcomes = outcome_options(
        models=models,
        value=value,
        churn_penalty=churn_penalty,
        cost=cost,
        latency=latency,
        second_price=second_price,
        context=context,
        horizon=horizon,
        correlation=correlation,
        columns=columns,
        unit=unit,
        decimal=decimal,
        prices=prices,
    )
    if resume is not None and is_on_tasks(resume):
        resume_on_tasks(resume)
        return
    if game is not None and is_outcomes(game, mapping("columns", [columns or ""])):
        if routing or throttling:
            fail(f"routing, throttling: are for games; {game!r} holds measured outcomes")
        train_on_tasks(game, of_outcomes, settings, changes or [], seed, out)
        return
    if resume is not None:
        folder, spec = resume, read_spec(resume)
    else:
        config = load_game(str(game))
        for option in of_outcomes:
            fail(f"{option}: is for measured outcomes; {game!r} is a game")
        chosen = settings or _DEFAULT_SETTINGS
        spec = RunSpec(config, load_training_settings(chosen, changes or []), throttling, seed, routing)
        folder = out if out is not None else Path("runs") / _name(spec, chosen, changes or [])
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
    players: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Folders of runs of 'stackroute train'; or saved players (.npz, or .zip of SB3), or FILE.py:NAME for "
            "your own. The last runs that file, which can do whatever you can.",
            show_default=False,
        ),
    ],
    provider: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of runs: this provider instead, .npz or .zip of SB3.")
    ] = None,
    user: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of runs: this user instead, .npz or .zip of SB3.")
    ] = None,
    games: Annotated[
        list[str] | None,
        typer.Option("--game", metavar="GAME", help="Judge on this game; repeatable. Not given: the runs' games."),
    ] = None,
    throttling: Annotated[
        bool | None,
        typer.Option(
            "--throttling/--no-throttling", help="Allow delays. Not given: where a run does; with one run, as it does."
        ),
    ] = None,
    routing: RoutingOption = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load .zip files, which can run code of their author.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the players of a run exactly, on the run's game: regrets for both tie-breakings, and what they chose.

    Several runs or players are compared on the same games, side by side with the equilibrium. A provider without a
    user is answered by the exact best response, a user without a provider answers the equilibrium's commitment.

    NAME in a file of yours is a provider, with commit(game, random_numbers), or a user, with
    patience(game, commitment, random_numbers), or a class or function that makes one.

    For example:

    stackroute evaluate runs/mine

    stackroute evaluate runs/mine --provider model.zip --trust

    stackroute evaluate runs/mine runs/other mine.py:Halves --game gpt-4.1-o3-dev --game g4b
    """
    require("train")
    from stackroute.training.cli.training_on_tasks import evaluate_on_tasks
    from stackroute.training.learn.runs import is_on_tasks

    single = len(players) == 1 and _is_run(players[0])
    if single and is_on_tasks(Path(players[0])):
        if provider or user or games or throttling is not None or routing:
            fail(f"provider, user, game, throttling, routing: are for games; {players[0]} is a run on measured tasks")
        evaluate_on_tasks(Path(players[0]), as_json)
    elif single and not games and throttling is None and routing is None:
        _evaluate_one(Path(players[0]), provider, user, trust, as_json)
    else:
        _compare(players, provider, user, games or [], throttling, routing, trust, as_json)


def _is_run(name: str) -> bool:
    """Whether a player is named by the folder of a run."""
    from stackroute.training.own_code import is_own_code

    return not is_own_code(name) and Path(name).suffix not in (".npz", ".zip")


def _evaluate_one(run: Path, provider: Path | None, user: Path | None, trust: bool, as_json: bool) -> None:
    """Evaluate one run on its own game."""
    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.display import evaluation_table, percent
    from stackroute.training.cli.quantities import with_units
    from stackroute.training.learn.runs import REPORT, evaluate_run, intact, read_json, read_spec

    spec = read_spec(run)
    evaluation = evaluate_run(run, provider=provider, user=user, trust=trust)
    if as_json:
        print_json(with_units(DisplayUnits.of(spec.config), asdict(evaluation)))
        return
    console.print(evaluation_table(spec.config, evaluation, f"{spec.config.name}, {run}"))
    model, throttles = (
        "right" if right else "wrong" for right in (evaluation.start_model_right, evaluation.throttling_right)
    )
    distance, routed = evaluation.routing_error, "cascade" if spec.routing == "cascade" else "lottery"
    error = "" if distance is None else f"; distance from the optimal {routed} {distance:.4f}"
    console.print(f"Start model {model}, throttling {throttles}{error}.")
    with intact(run):
        console.print(f"Before learning the regret was {percent(read_json(run / REPORT)['untrained_regret'])}.")


def _compare(
    players: list[str],
    provider: Path | None,
    user: Path | None,
    games: list[str],
    throttling: bool | None,
    routing: Literal["cascade", "free"] | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Judge several players on the same games."""
    from stackroute.analytic import default_routing
    from stackroute.configs import load_game
    from stackroute.configs.games import DisplayUnits
    from stackroute.training.cli.display import comparison_table
    from stackroute.training.cli.quantities import with_units
    from stackroute.training.learn.judging import Contestant, compare, contestant
    from stackroute.training.learn.runs import players_of_run, read_spec

    if len(set(players)) < len(players):
        fail(f"RUN: {' '.join(players)}: expected different ones")
    specs = {name: read_spec(Path(name)) for name in players if _is_run(name)}
    if not specs and (provider or user):
        fail("provider, user: are for runs; name the players themselves")
    if not specs and not games:
        fail("game: missing; expected --game GAME, as none of these is a run with a game")
    contestants = [
        Contestant(name, *players_of_run(Path(name), provider=provider, user=user, trust=trust))
        if name in specs
        else contestant(name, trust=trust)
        for name in players
    ]
    configs = [load_game(name) for name in games] or [spec.config for spec in specs.values()]
    unique = list({config.name: config for config in configs}.values())
    if len(unique) < len({config.model_dump_json() for config in configs}):
        fail("game: several games have one name; expected different names")
    delays = any(spec.throttling for spec in specs.values()) if throttling is None else throttling
    of_runs = {str(spec.routing) for spec in specs.values()}
    records = []
    for config in unique:
        usual = default_routing(config.game)
        # What one of them may commit to, all may.
        routed = routing or ("free" if "free" in of_runs else usual)
        found = compare(config, contestants, throttling=delays, routing=routed)
        if as_json:
            unit = DisplayUnits.of(config)
            judged = [with_units(unit, {"player": name, **asdict(one)}) for name, one in found.items()]
            records.append({"game": config.name, "routing": routed, "throttling": delays, "players": judged})
        else:
            title = f"{config.name}: {'with' if delays else 'without'} delays, routing {routed}"
            console.print(comparison_table(config, found, title))
    if as_json:
        print_json(records)


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
    from stackroute.training.figures.curves import draw_run, draw_tasks_learned
    from stackroute.training.learn.runs import is_on_tasks
    from stackroute.training.output import output_folder

    draw = draw_tasks_learned if is_on_tasks(run) else draw_run
    print_written(draw(run, output_folder(out or run)))


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
