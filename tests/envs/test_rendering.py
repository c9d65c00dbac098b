import copy
import pickle
import subprocess
import sys
from itertools import product
from typing import Any

import matplotlib
import numpy as np
import pygame
import pytest
from gymnasium.error import DependencyNotInstalled

import stackroute.envs
from stackroute import Commitment, Game
from stackroute.configs.games import DisplayUnits
from stackroute.envs import ABANDON, RE_PROMPT, ProviderEnv, UserEnv, env, parallel_env, raw_env, rendering, timeline
from stackroute.envs.rendering import Episode, Image, Pass, Status, Window, transcript

pytestmark = pytest.mark.usefixtures("screen")

HOPELESS = Game([1e-9, 2e-9], [0.02, 0.04], [0.2, 1.1], value=5, churn_penalty=0.1)
IN_DOLLARS = DisplayUnits("USD", "USD", "s", 64 / 3600)
NAMES = ("gpt-4.1", "o3", "o3-pro", "claude", "gemini")


def cascade(models: int, delay: float = 0.0, probability: float = 0.3) -> Commitment:
    moves = np.full(models - 1, probability) if models != 2 else probability
    return Commitment.cascade(0, moves, delay, models=models)


def episode(served_by: tuple[int, ...] = (), models: int = 2, status: Status = "user", **fields: Any) -> Episode:
    """A task served by these models; the cost, latency and delay of a pass are multiples of `unit`."""
    unit, delay = fields.pop("unit", 1.0), fields.pop("delay", 0.0)
    passes = [Pass(k, 0.02 * unit, (0.2 + k) * unit, delay * unit, False) for k in served_by]
    if status == "solved":
        passes[-1] = Pass(passes[-1].model, 0.02 * unit, 0.2 * unit, delay * unit, True)
    known: dict[str, Any] = {
        "number": 3,
        "labels": NAMES[:models],
        "commitment": cascade(models, delay * unit),
        "value": 5.0 * unit,
        "churn_penalty": 0.1 * unit,
        "per_pass": False,
        "units": DisplayUnits(),
    }
    return Episode(passes=tuple(passes), status=status, **{**known, **fields})


def share_of(model: int, image: Image) -> float:
    colour = [int(timeline.COLOURS[model][place : place + 2], 16) for place in (1, 3, 5)]
    return float((image == colour).all(axis=-1).mean())


def test_text_of_a_slowed_task_has_its_units() -> None:
    game = raw_env("gpt-4.1-o3-dev", render_mode="ansi")
    game.reset(seed=8)
    assert game.render().splitlines() == [
        "task 0, models: gpt-4.1 or o3",
        "the provider is to commit",
        "provider's cost 0 USD, user's utility 0 USD",
    ]
    game.step([0.0, 0.3, 0.02, 0.1])
    game.step(RE_PROMPT)
    game.step(RE_PROMPT)
    lines = [
        "task 0, commitment: starts on gpt-4.1, moves a re-prompted task with probability 0.3 from gpt-4.1 to o3, "
        "slows gpt-4.1 by 5.625 s, o3 by 28.12 s",
        "pass 1 on gpt-4.1: cost 0.02433 USD, latency 11.39 s, delay 5.625 s, failed",
        "pass 2 on gpt-4.1: cost 0.02433 USD, latency 11.39 s, delay 5.625 s, failed",
        "pass 3 on o3: cost 0.03841 USD, latency 63.92 s, delay 28.12 s, failed",
    ]
    totals = "provider's cost 0.08708 USD, user's utility -2.241 USD"
    assert game.render().splitlines() == [*lines, "the user is to answer", totals]
    game.step(ABANDON)
    totals = "provider's cost 0.1871 USD, user's utility -2.241 USD"
    assert game.render().splitlines() == [*lines, "the user left, churn penalty 0.1 USD", totals]


def test_text_of_choices_by_pass_says_whose_move_it_is() -> None:
    game = raw_env(HOPELESS, routing="pass", throttling=False, render_mode="ansi", max_passes=2)
    game.reset(seed=3)
    standing = []
    for action in ([0.0], RE_PROMPT, [1.0], RE_PROMPT):
        standing.append(game.render().splitlines()[-2])
        game.step(action)
    assert standing == ["the provider is to choose", "the user is to answer"] * 2
    assert game.render().splitlines() == [
        "task 0, models: standard model or reasoning model, chosen before every pass",
        "pass 1 on standard model: cost 0.02, latency 0.2, failed",
        "pass 2 on reasoning model: cost 0.04, latency 1.1, failed",
        "truncated after 2 passes",
        "provider's cost 0.06, user's utility -1.3",
    ]


def test_text_of_a_solved_task() -> None:
    lines = transcript(episode((0, 0), status="solved", units=DisplayUnits("EUR"))).splitlines()
    assert lines[2:4] == ["pass 2 on gpt-4.1: cost 0.02 EUR, latency 0.2, solved", "solved, worth 5"]
    assert lines[4] == "provider's cost 0.04 EUR, user's utility 4.6"


@pytest.mark.parametrize(
    ("commitment", "words"),
    [
        (cascade(1), "starts on gpt-4.1, keeps a re-prompted task there"),
        (cascade(2, probability=1), "starts on gpt-4.1, serves a re-prompted task on o3"),
        (Commitment([0, 1], [[0.5, 0.5], [0, 1]]), "starts on o3, keeps a re-prompted task there"),
        (
            Commitment([0.25, 0.75], [[0.5, 0.5], [0.5, 0.5]]),
            "starts with probability 0.25 on gpt-4.1, 0.75 on o3, "
            "serves a re-prompted task with probability 0.5 on gpt-4.1, 0.5 on o3",
        ),
        (
            cascade(3, 2.0),
            "starts on gpt-4.1, moves a re-prompted task with probability 0.3 from gpt-4.1 to o3, "
            "0.3 from o3 to o3-pro, slows gpt-4.1 by 2, o3 by 2, o3-pro by 2",
        ),
    ],
)
def test_commitments_in_words(commitment: Commitment, words: str) -> None:
    models = commitment.start.size
    assert episode(models=models, commitment=commitment).commitment_in_words() == f"commitment: {words}"


def test_frames_of_a_task_have_one_even_size_differ_and_can_be_drawn_again() -> None:
    stages = [
        episode(commitment=None, status="provider"),
        *(episode((0,) * passes) for passes in (0, 1, 2, 12, 13)),
        *(episode((0, 0), status=status) for status in ("solved", "abandoned", "truncated")),
    ]
    frames = [timeline.draw(stage) for stage in stages]
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((640, 960, 3), "uint8")}
    assert len({frame.tobytes() for frame in frames}) == len(frames)
    np.testing.assert_array_equal(timeline.draw(stages[-1]), frames[-1])
    frames[0][:] = 0


@pytest.mark.parametrize("models", [1, 2, 5])
def test_the_last_passes_have_the_colours_of_their_models_and_delays_none(models: int) -> None:
    for model in range(models):
        image = timeline.draw(episode((*range(models), *(model,) * 12), models))
        drawn = [share_of(other, image) > 0 for other in range(models)]
        assert drawn == [other == model for other in range(models)]
    plain, slowed = (timeline.draw(episode((0, 0), models, delay=delay)) for delay in (0.0, 0.4))
    assert share_of(0, plain) > 2 * share_of(0, slowed) > 0


LABELS = {"of 300 letters": "W" * 300, "with mathtext": "$x_{1 50% #\\frac", "of two lines": "модель λ\nΩ", "empty": ""}


@pytest.mark.parametrize(
    ("name", "unit"),
    [*product(["of 300 letters"], [0.0, 5e-324, 1.2345e40]), *product(LABELS, [1.2345e-100])],
)
def test_nothing_is_cut_off_at_the_edges(name: str, unit: float) -> None:
    statuses: dict[int, Status] = {1: "user", 13: "truncated", 1000: "abandoned"}
    for passes, status in statuses.items():
        served_by = tuple(k % 5 for k in range(passes))
        stage = episode(served_by, 5, status, unit=unit, delay=0.5, labels=(LABELS[name], *NAMES[1:]), units=IN_DOLLARS)
        image = timeline.draw(stage)
        inner = np.zeros(image.shape[:2], dtype=bool)
        inner[8:-8, 8:-8] = True
        assert (image[~inner] == 255).all()
        assert len(transcript(stage).splitlines()) == 3 + passes


def test_letters_that_the_font_lacks_are_drawn_as_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackroute.configs.text._letters", lambda: set(map(chr, range(32, 127))))
    image, escaped = (
        timeline.draw(episode((0,), labels=(name, "o3"))) for name in ("模型🦙", r"\u6a21\u578b\U0001f999")
    )
    np.testing.assert_array_equal(image, escaped)


def test_a_name_cannot_command_the_terminal() -> None:
    assert r"pass 1 on red\x1b[31m: cost" in transcript(episode((0,), labels=("red\x1b[31m", "o3")))


def test_a_picture_does_not_depend_on_the_settings_of_matplotlib() -> None:
    expected = timeline.draw(episode((0, 1), delay=0.1))
    with matplotlib.rc_context({"text.usetex": True, "font.family": "serif", "axes.grid": True, "savefig.dpi": 50}):
        np.testing.assert_array_equal(timeline.draw(episode((0, 1), delay=0.1)), expected)


def test_units_come_with_games_that_were_loaded() -> None:
    assert stackroute.envs.variant.Variant.of(["gpt-4.1-o3-dev", "g4b", HOPELESS]).units == [
        pytest.approx(IN_DOLLARS),
        DisplayUnits(),
        DisplayUnits(),
    ]
    assert raw_env("gpt-4.1-o3-dev", reward_unit="relative").variant.units == [DisplayUnits()]


def test_a_window_shows_the_image_at_its_frame_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[float] = []
    monkeypatch.setattr(
        pygame.time, "Clock", lambda: type("Clock", (), {"tick": lambda self, fps: ticks.append(fps)})()
    )
    game = raw_env(HOPELESS, throttling=False, render_mode="human")
    game.reset(seed=1)
    game.step([0.0, 0.5])
    shown = pygame.display.get_surface()
    assert shown is not None
    expected = timeline.draw(game._episode())
    np.testing.assert_array_equal(pygame.surfarray.array3d(shown).swapaxes(0, 1), expected)
    assert ticks == [rendering.FRAMES_PER_SECOND] * 2
    twin = copy.deepcopy(game)
    twin.step(ABANDON)
    twin.close()
    assert [one.terminations["user_0"] for one in (game, twin)] == [False, True]
    game.close()
    game.close()
    assert pygame.display.get_surface() is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_windows_share_the_screen_and_their_copies_have_not_been_opened(copied: Any) -> None:
    first, second = Window(), Window()
    for window, size in ((first, 20), (second, 40), (first, 20)):
        window.show(np.full((size, 2 * size, 3), size, dtype=np.uint8))
    copied(first).close()
    assert pygame.display.get_surface() is not None, "closing the copy left the window open"
    first.close()
    second.show(np.zeros((40, 80, 3), dtype=np.uint8))
    second.close()


@pytest.mark.parametrize(("name", "missing"), [("pygame", "pygame"), ("matplotlib", "matplotlib.figure")])
def test_a_missing_library_names_the_extra(name: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "stackroute.envs.timeline")
    monkeypatch.delattr(stackroute.envs, "timeline")
    monkeypatch.setitem(sys.modules, missing, None)
    game = raw_env(HOPELESS, throttling=False, render_mode="human")
    with pytest.raises(DependencyNotInstalled, match=rf"^{name} is not installed: .* -m pip install .*\[render\]"):
        game.reset()


def test_only_drawing_imports_what_draws_and_never_a_user_interface() -> None:
    code = (
        "import sys, stackroute\n"
        "game = stackroute.envs.raw_env(render_mode='rgb_array')\n"
        "game.reset()\n"
        "print({'PIL', 'pygame', 'matplotlib'} & set(sys.modules))\n"
        "game.render()\n"
        "print({'pygame', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["set()", "set()", ""]


@pytest.mark.parametrize("name", ["aec", "parallel", "provider", "provider by pass", "user"])
def test_a_human_sees_every_reset_and_every_move(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[tuple[int, ...]] = []
    monkeypatch.setattr(Window, "show", lambda self, frame: frames.append(frame.shape))
    if name in ("aec", "parallel"):
        pair = (env if name == "aec" else parallel_env)("g4b", render_mode="human", max_passes=1)
        pair.reset(seed=5)
        for action in (np.array([0.0, 0.3, 0.0, 0.0]), 0):
            pair.step(action if name == "aec" else {"provider_0": action, "user_0": action})
    else:
        options: Any = {"routing": "pass"} if "pass" in name else {}
        single: Any = (UserEnv if name == "user" else ProviderEnv)("g4b", "random", render_mode="human", **options)
        single.reset(seed=5)
        single.step(0 if name == "user" else np.zeros(single.action_space.shape))
    assert len(frames) == (3 if name in ("aec", "parallel") else 2)
