"""Learning curves against the exact equilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackroute.training.output import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.training.runs import Run


def draw_learning_curves(run: Run, path: Path) -> None:
    """Draw the exact regret of both players while they learned, with the equilibrium as the zero line.

    Args:
        run: A finished run.
        path: The PNG file.

    Raises:
        ImportError: matplotlib is not installed (the [plot] extra).
        OutputError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    delays = "delays allowed" if run.throttling else "no delays"
    figure.suptitle(f"{run.config.name} ({delays}, seed {run.seed})")
    stages = (
        ("1. User learns to answer any commitment", run.pair.user_curve, "user's mean exact regret", "patiences tried"),
        (
            "2. Provider learns against that user",
            run.pair.provider_curve,
            "provider's exact regret",
            "commitments tried",
        ),
    )
    for axes, (title, curve, measure, steps) in zip(panels, stages, strict=True):
        thousands, percent = [count / 1e3 for count in curve.steps], [100 * regret for regret in curve.regret]
        axes.plot(thousands, percent, color="#0072B2", label="learned")
        axes.axhline(0, color="black", linestyle="--", linewidth=1, label="Stackelberg equilibrium")
        axes.set(title=title, xlabel=f"{steps} (thousands)", ylabel=f"{measure} (%)")
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_ylim(bottom=-0.004, top=2 * max(*percent, 1))
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=150)
