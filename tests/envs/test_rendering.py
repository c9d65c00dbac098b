import copy
import pickle
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from pettingzoo.test import render_test
from pettingzoo.utils.conversions import parallel_to_aec

import stackroute.envs
from stackroute import Game
from stackroute.envs import ProviderEnv, UserEnv, env, parallel_env, raw_env, rendering
from stackroute.envs.rendering import MODES, Window, checked_mode
from stackroute.envs.rules import ABANDON, RE_PROMPT
from stackroute.envs.task import Task
from stackroute.envs.variant import Variant

BLUE, ORANGE = (0, 114, 178), (230, 159, 0)
HOPELESS = Game([1e-9, 2e-9], [0.02, 0.04], [0.2, 1.1], value=5, churn_penalty=0.1)


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(rendering, "FRAMES_PER_SECOND", 1000)


def begin(game: Any = "gpt-4.1-o3-dev", number: int = 0, **options: Any) -> Task:
    return Task(Variant.of(game, **options), 3, number)


def play(game: Any, action: list[float], passes: int, number: int = 0, **options: Any) -> Task:
    task = begin(game, number, **options)
    task.act(np.array(action))
    while not task.over and task.passes < passes:
        task.answer(RE_PROMPT)
    return task


def alternate(passes: int) -> Task:
    task = begin(HOPELESS, commitment="pass", throttling=True)
    task.act(np.array([0.0, 0.02]))
    for index in range(1, passes):
        task.answer_and_act(RE_PROMPT, np.array([index % 2, 0.01 * (index % 5)]))
    return task


def text_of(task: Task) -> str:
    text = rendering.render("ansi", task, Window())
    assert isinstance(text, str)
    return text


def image_of(task: Task) -> Any:
    image = rendering.render("rgb_array", task, Window())
    assert isinstance(image, np.ndarray)
    return image


def share_of(colour: tuple[int, int, int], part: Any) -> float:
    return float((part == colour).all(axis=-1).mean())


def test_text_of_a_task_that_nothing_has_happened_to() -> None:
    assert text_of(begin(number=2)).splitlines() == [
        "task 2: gpt-4.1 or o3",
        "the provider is to commit",
        "provider's cost 0, user's utility 0",
    ]


def test_text_of_a_solved_task() -> None:
    assert text_of(play("gpt-4.1-o3-dev", [0, 0.3], 100, number=12)).splitlines() == [
        "task 12: starts on gpt-4.1, moves a re-prompted task to o3 with probability 0.3",
        "pass 1 on gpt-4.1: cost 0.02433, waited 0.2025, failed",
        "pass 2 on gpt-4.1: cost 0.02433, waited 0.2025, failed",
        "pass 3 on o3: cost 0.03841, waited 1.136, failed",
        "pass 4 on o3: cost 0.03841, waited 1.136, failed",
        "pass 5 on o3: cost 0.03841, waited 1.136, failed",
        "pass 6 on o3: cost 0.03841, waited 1.136, solved",
        "solved: worth 5",
        "provider's cost 0.2023, user's utility 0.0496",
    ]


def test_text_of_a_task_that_is_slowed_and_abandoned() -> None:
    task = play("gpt-4.1-o3-dev", [0, 0.3, 0.02, 0.1], 3, number=8, throttling=True)
    lines = [
        "task 8: starts on gpt-4.1, moves a re-prompted task to o3 with probability 0.3, "
        "slows gpt-4.1 by 0.1, slows o3 by 0.5",
        "pass 1 on gpt-4.1: cost 0.02433, waited 0.2025 + 0.1 delay, failed",
        "pass 2 on gpt-4.1: cost 0.02433, waited 0.2025 + 0.1 delay, failed",
        "pass 3 on o3: cost 0.03841, waited 1.136 + 0.5 delay, failed",
    ]
    assert text_of(task).splitlines() == [
        *lines,
        "the user is to answer",
        "provider's cost 0.08708, user's utility -2.241",
    ]
    task.answer(ABANDON)
    assert text_of(task).splitlines() == [
        *lines,
        "the user left: churn penalty 0.1",
        "provider's cost 0.1871, user's utility -2.241",
    ]


def test_text_of_a_truncated_task() -> None:
    task = play(HOPELESS, [1, 0.5], 3, max_passes=2)
    assert text_of(task).splitlines() == [
        "task 0: starts on reasoning model, keeps a re-prompted task there",
        "pass 1 on reasoning model: cost 0.04, waited 1.1, failed",
        "pass 2 on reasoning model: cost 0.04, waited 1.1, failed",
        "truncated after 2 passes",
        "provider's cost 0.08, user's utility -2.2",
    ]
    assert "truncated after 1 pass\n" in text_of(play(HOPELESS, [1, 0.5], 3, max_passes=1))


def test_text_of_a_task_without_commitment_says_whose_move_it_is() -> None:
    game = raw_env("gpt-4.1-o3-dev", commitment="pass", render_mode="ansi")
    game.reset(seed=3)
    first = "task 0: gpt-4.1 or o3, chosen before every pass"
    assert game.render() == f"{first}\nthe provider is to choose\nprovider's cost 0, user's utility 0"
    game.step(np.array([0.0]))
    lines = [first, "pass 1 on gpt-4.1: cost 0.02433, waited 0.2025, failed"]
    totals = "provider's cost 0.02433, user's utility -0.2025"
    assert game.render().splitlines() == [*lines, "the user is to answer", totals]
    game.step(RE_PROMPT)
    assert game.render().splitlines() == [*lines, "the provider is to choose", totals]
    game.step(np.array([1.0]))
    assert game.render().splitlines()[2].startswith("pass 2 on o3: cost 0.03841")


def test_labels_stay_on_one_line_of_the_text() -> None:
    task = begin()
    task.labels = ("a model\nof two lines", "o3")
    assert text_of(task).splitlines()[0] == "task 0: a model of two lines or o3"


def test_frames_of_an_episode_have_one_shape_and_differ() -> None:
    task = begin(HOPELESS)
    frames = [image_of(task)]
    task.act(np.array([0.0, 0.3]))
    frames.append(image_of(task))
    for answer in (RE_PROMPT, RE_PROMPT, RE_PROMPT, ABANDON):
        task.answer(answer)
        frames.append(image_of(task))
    height, width, _ = frames[0].shape
    assert (height % 2, width % 2) == (0, 0), "video formats want even sides"
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((height, width, 3), "uint8")}
    assert len({frame.tobytes() for frame in frames}) == len(frames)


def test_identical_tasks_look_the_same() -> None:
    first, second = (play(HOPELESS, [0, 0.3], 6) for _ in range(2))
    np.testing.assert_array_equal(image_of(first), image_of(second))


def test_a_frame_can_be_written_to() -> None:
    image = image_of(begin())
    image[:] = 0


def test_passes_are_in_the_lane_of_their_model() -> None:
    from stackroute.envs.timeline_passes import LANES, LEFT, RIGHT

    def shares(task: Task) -> list[tuple[float, float]]:
        image = image_of(task)
        lanes = [image[int(lane.top) : int(lane.bottom), int(LEFT) : int(RIGHT)] for lane in LANES]
        return [(share_of(BLUE, lane), share_of(ORANGE, lane)) for lane in lanes]

    assert shares(begin(HOPELESS)) == [(0, 0), (0, 0)]
    (blue, orange), below = shares(play(HOPELESS, [0, 0], 5))
    assert (blue > 0.2, orange, below) == (True, 0, (0, 0))
    above, (blue, orange) = shares(play(HOPELESS, [1, 0], 5))
    assert (above, blue, orange > 0.2) == ((0, 0), 0, True)
    (above_blue, above_orange), (below_blue, below_orange) = shares(play(HOPELESS, [0, 1], 5))
    assert (above_orange, below_blue) == (0, 0)
    assert below_orange > above_blue > 0


def test_a_delay_is_paler_than_service() -> None:
    from stackroute.envs.timeline_passes import LANES, LEFT, RIGHT

    def share(delay: float) -> float:
        image = image_of(play(HOPELESS, [1, 0, 0, delay], 2, throttling=True))
        return share_of(ORANGE, image[int(LANES[1].top) : int(LANES[1].bottom), int(LEFT) : int(RIGHT)])

    assert share(0) > 2 * share(1) > 0


TASKS = {
    "nothing": lambda: begin(),
    "nothing, per pass": lambda: begin(commitment="pass"),
    "one pass": lambda: play(HOPELESS, [0, 0.5], 1),
    "200 passes": lambda: play(HOPELESS, [0, 0.02], 200),
    "1000 passes": lambda: play(HOPELESS, [0, 0.001], 2000),
    "200 passes, alternating": lambda: alternate(200),
    "no latency": lambda: play(Game([0.1, 0.2], [0, 0], [0, 0], 1, 0, strict=False), [0, 0.5], 6),
    "no latency at first": lambda: play(Game([1e-9, 2e-9], [0, 1], [0, 1], 1, 0), [0, 0.5], 6),
    "delays only": lambda: play(Game([1e-9, 2e-9], [0, 1], [0, 1e-9], 9, 0), [0, 0.5, 1, 1], 6, throttling=True),
    "tiny": lambda: play(Game([1e-9, 2e-9], [0, 5e-324], [0, 5e-324], 5e-324, 5e-324), [0, 0.5], 6),
    "huge": lambda: play(Game([1e-9, 2e-9], [0, 1.2345e200], [0, 1.2345e200], 1.2345e200, 1.2345e200), [0, 0.5], 6),
    "long delays": lambda: play(
        Game([1e-9, 2e-9], [1.2345e-100, 1], [1.2345e-100, 1.2345e-99], 1.2345e-98, 1e99),
        [0, 0.5, 0.12345, 0.54321],
        6,
        throttling=True,
    ),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("answer", [None, ABANDON])
def test_nothing_is_cut_off_at_the_edges(name: str, answer: int | None) -> None:
    task = TASKS[name]()
    if answer is not None and task.log and not task.over:
        task.answer(answer)
    image = image_of(task)
    inner = np.zeros(image.shape[:2], dtype=bool)
    inner[8:-8, 8:-8] = True
    assert (image[~inner] == 255).all()
    assert len(text_of(task).splitlines()) == 3 + task.passes


def test_labels_of_any_length_fit() -> None:
    task = play(HOPELESS, [0, 0.5], 2)
    task.labels = ("a" * 300, "a reasoning model\nwith " + "words " * 100)
    image = image_of(task)
    assert (image[:, -8:] == 255).all()
    assert (image[:, :8] == 255).all()


@pytest.mark.parametrize("mode", [None, *MODES])
def test_allowed_modes(mode: str | None) -> None:
    assert checked_mode(mode) == mode


@pytest.mark.parametrize("mode", ["", "rgb", 3, ["ansi"]])
def test_other_modes_are_errors(mode: Any) -> None:
    with pytest.raises(ValueError, match=r"render_mode: .* is not allowed; expected None or one of ansi, human, rgb_"):
        checked_mode(mode)


def test_rendering_without_a_mode_warns() -> None:
    game = raw_env(HOPELESS)
    game.reset(seed=1)
    with pytest.warns(UserWarning, match="without specifying any render mode"):
        assert game.render() is None


def test_a_window_shows_the_image() -> None:
    import pygame

    task, window = play(HOPELESS, [0, 0.5], 3), Window()
    assert rendering.render("human", task, window) is None
    shown = pygame.display.get_surface()
    assert shown is not None
    np.testing.assert_array_equal(pygame.surfarray.array3d(shown).swapaxes(0, 1), image_of(task))
    window.close()
    window.close()
    assert pygame.display.get_surface() is None


def test_a_window_keeps_to_its_frame_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "FRAMES_PER_SECOND", 20)
    window, frame = Window(), np.zeros((20, 40, 3), dtype=np.uint8)
    window.show(frame)
    start = time.perf_counter()
    for _ in range(3):
        window.show(frame)
    assert time.perf_counter() - start > 0.1
    window.close()


def test_two_windows_share_the_screen() -> None:
    first, second = Window(), Window()
    for window, size in ((first, 20), (second, 40), (first, 20)):
        window.show(np.full((size, 2 * size, 3), size, dtype=np.uint8))
    first.close()
    second.show(np.zeros((40, 80, 3), dtype=np.uint8))
    second.close()


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_a_window_has_not_been_opened(copied: Any) -> None:
    import pygame

    window = Window()
    copied(window).close()
    window.show(np.zeros((20, 40, 3), dtype=np.uint8))
    other = copied(window)
    other.close()
    assert pygame.display.get_surface() is not None, "closing the copy left the window open"
    window.close()


def test_an_environment_that_is_shown_can_be_copied() -> None:
    game = raw_env(HOPELESS, render_mode="human")
    game.reset(seed=1)
    game.step(np.array([0.0, 0.5]))
    other = copy.deepcopy(game)
    other.step(ABANDON)
    other.close()
    game.close()
    assert (game.task.over, other.task.over) == (False, True)


@pytest.mark.parametrize("options", [{}, {"commitment": "pass", "throttling": True}])
@pytest.mark.parametrize("make", [env, lambda **options: parallel_to_aec(parallel_env(**options))])
def test_pettingzoo_rendering(make: Any, options: dict[str, Any]) -> None:
    render_test(lambda render_mode: make(render_mode=render_mode, **options))


def test_a_missing_pygame_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'stackroute\[render\]'"):
        Window().show(np.zeros((20, 40, 3), dtype=np.uint8))


def test_a_missing_pillow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("timeline", "timeline_canvas", "timeline_passes"):
        monkeypatch.delitem(sys.modules, f"stackroute.envs.{name}", raising=False)
        monkeypatch.delattr(stackroute.envs, name, raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    task = begin()
    assert text_of(task)
    for mode in ("rgb_array", "human"):
        with pytest.raises(DependencyNotInstalled, match=r"pip install 'stackroute\[render\]'"):
            rendering.render(mode, task, Window())


def test_letters_without_matplotlib_fit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from stackroute.envs import timeline_canvas

    task = play("claude-3.7-sonnet-thinking-dev", [0, 0.5], 4)
    usual = image_of(task)
    monkeypatch.setattr(timeline_canvas, "find_spec", lambda name: None)
    timeline_canvas._font.cache_clear()
    other = image_of(task)
    timeline_canvas._font.cache_clear()
    assert other.shape == usual.shape
    assert not np.array_equal(other, usual)
    assert (other[:, -8:] == 255).all()


def test_importing_the_environments_imports_nothing_that_draws() -> None:
    code = "import sys, stackroute.envs.pettingzoo_env; print({'PIL', 'pygame', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("face", ["aec", "parallel", "provider", "provider by pass", "user"])
def test_a_human_sees_every_reset_and_every_move(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[tuple[int, ...]] = []
    monkeypatch.setattr(Window, "show", lambda self, frame: frames.append(frame.shape))
    moves = 2
    if face in ("aec", "parallel"):
        pair = (env if face == "aec" else parallel_env)("g4b", render_mode="human", max_passes=1)
        pair.reset(seed=5)
        for action in (np.array([0.0, 0.3]), 0):
            pair.step(action if face == "aec" else {"provider_0": action, "user_0": action})
    elif face == "user":
        user = UserEnv("g4b", render_mode="human", max_passes=1)
        user.reset(seed=5)
        user.step(0)
        moves = 1
    else:
        options: Any = {"commitment": "pass"} if "pass" in face else {}
        provider = ProviderEnv("g4b", "random", render_mode="human", **options)
        provider.reset(seed=5)
        provider.step(np.zeros(provider.action_space.shape))
        moves = 1
    assert len(frames) == 1 + moves
