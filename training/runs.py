"""A run: one game trained, judged and written to a folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stackroute.training.follower_first import PROVIDER_STAGE, USER_STAGE, train
from stackroute.training.output import replacing, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from stackroute.configs import GameConfig
    from stackroute.configs.training import FollowerFirstSettings
    from stackroute.training.follower_first import OnProgress, TrainedPair

REPORT = "report.json"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        config: The game that was trained on.
        throttling: Whether the provider could delay.
        seed: The seed.
        pair: The trained pair and everything measured about it.
    """

    config: GameConfig
    throttling: bool
    seed: int
    pair: TrainedPair

    def report(self) -> dict[str, Any]:
        """The run as JSON: what was learned beside the equilibrium, and both regrets."""
        return {
            "game": self.config.name,
            "throttling": self.throttling,
            "seed": self.seed,
            "seconds": round(self.pair.seconds, 2),
            **asdict(self.pair.evaluation),
        }

    def save_policies(self, folder: Path) -> None:
        """Write both policies as `user.npz` and `provider.npz`.

        Raises:
            OutputError: A file cannot be written.
        """
        for name, policy in (("user", self.pair.user), ("provider", self.pair.provider)):
            with replacing(folder / f"{name}.npz") as unfinished:
                policy.save(unfinished)


def run_game(
    config: GameConfig,
    settings: FollowerFirstSettings,
    folder: Path,
    *,
    throttling: bool,
    seed: int,
    on_progress: OnProgress | None = None,
) -> Run:
    """Train on a game and write policies, TensorBoard logs and `report.json` to a folder.

    Args:
        config: The game.
        settings: How to train.
        folder: An existing folder; an earlier run's files there are replaced.
        throttling: Whether the provider can delay.
        seed: Fixes everything.
        on_progress: Told after every update the stage, the steps done, the steps in all and the exact regret.

    Returns:
        The run.

    Raises:
        OutputError: A file cannot be written.
    """
    logs = folder / "tensorboard"
    for stage in (USER_STAGE, PROVIDER_STAGE):
        shutil.rmtree(logs / stage, ignore_errors=True)
    pair = train(
        config.game,
        settings,
        throttling=throttling,
        seed=seed,
        log_folder=logs,
        on_progress=on_progress,
    )
    run = Run(config, throttling, seed, pair)
    run.save_policies(folder)
    write_json(folder / REPORT, run.report())
    return run
