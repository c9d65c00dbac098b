"""Rendering of a task for every environment: as text, as an image, in a window."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled, ResetNeeded

from stackroute.envs.timeline_text import transcript

if TYPE_CHECKING:
    from stackroute.envs.task import Task

MODES = ("ansi", "human", "rgb_array")
"""The render modes that all environments have."""

FRAMES_PER_SECOND = 2
"""Frames of videos and windows; one pass of a task is one frame."""

Image: TypeAlias = npt.NDArray[np.uint8]

Frame: TypeAlias = str | Image | None
"""What `render` returns: a text (`"ansi"`), an image (`"rgb_array"`), or None (`"human"`, or no render mode)."""


def checked_mode(mode: Any) -> str | None:
    """Validate a render mode.

    Args:
        mode: One of `MODES`, or None for no rendering.

    Returns:
        The mode.

    Raises:
        ValueError: It is none of these.
    """
    if mode is None:
        return None
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"render_mode: {mode!r} is not allowed; expected None or one of {', '.join(MODES)}")
    return mode


class Window:
    """A window of the screen, opened when the first frame is shown.

    pygame has one window in a process: environments that are shown at the same time share it. A copy of a window,
    pickled or deep, has not been opened.
    """

    def __init__(self) -> None:
        self._clock: Any = None

    def __reduce__(self) -> tuple[type[Window], tuple[()]]:
        return type(self), ()

    def show(self, frame: Image) -> None:
        """Show an image, and wait so long that `FRAMES_PER_SECOND` is not exceeded.

        Args:
            frame: The image, shape (height, width, 3).

        Raises:
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        pygame = _pygame()
        height, width, _ = frame.shape
        if self._clock is None:
            pygame.display.init()
            pygame.display.set_caption("stackroute")
            self._clock = pygame.time.Clock()
        # Asked for anew each time: another environment may have closed the window that both share.
        screen = pygame.display.get_surface()
        if screen is None or screen.get_size() != (width, height):
            screen = pygame.display.set_mode((width, height))
        screen.blit(pygame.image.frombuffer(frame.tobytes(), (width, height), "RGB"), (0, 0))
        pygame.display.flip()
        # Without it the desktop takes the window for hung.
        pygame.event.pump()
        self._clock.tick(FRAMES_PER_SECOND)

    def close(self) -> None:
        """Close the window if it is open."""
        if self._clock is not None:
            _pygame().display.quit()
            self._clock = None


class Rendered:
    """What the environments of a single task share: the task, and its rendering.

    Attributes:
        task: The task in play, None before the first reset.
        render_mode: One of `MODES`, or None.
    """

    task: Task | None = None
    render_mode: str | None

    def _set_up_rendering(self, mode: Any) -> None:
        self.render_mode = checked_mode(mode)
        self._window = Window()

    def render(self) -> Any:
        """The task so far: a text (`"ansi"`), an image (`"rgb_array"`), or None (`"human"`: shown in a window)."""
        return render(self.render_mode, self._task_in_play(), self._window)

    def close(self) -> None:
        """Close the window, if there is one."""
        self._window.close()

    def _task_in_play(self) -> Task:
        if self.task is None:
            raise ResetNeeded("there is no task; call reset first")
        return self.task

    def _show(self) -> None:
        """Show the task after a reset or a move, where a human watches."""
        if self.render_mode == "human":
            self.render()


def render(mode: str | None, task: Task, window: Window) -> Frame:
    """Render a task as it stands.

    Args:
        mode: One of `MODES`, or None: then there is a warning, as from the environments of Gymnasium and PettingZoo.
        task: The task.
        window: Where `"human"` shows it.

    Returns:
        A text (`"ansi"`), an image of shape (height, width, 3) (`"rgb_array"`), otherwise None.

    Raises:
        gymnasium.error.DependencyNotInstalled: Pillow or pygame is needed and missing.
    """
    if mode is None:
        gymnasium.logger.warn(
            "You are calling render method without specifying any render mode. "
            f"You can specify the render_mode at initialization: one of {', '.join(MODES)}."
        )
        return None
    if mode == "ansi":
        return transcript(task)
    # Pillow is an extra, and slow to import for those who draw nothing.
    from stackroute.envs import timeline

    image = timeline.draw(task)
    if mode == "rgb_array":
        return image
    window.show(image)
    return None


def _pygame() -> ModuleType:
    try:
        import pygame
    except ImportError as error:
        message = "pygame is not installed; run \"pip install 'stackroute[render]'\""
        raise DependencyNotInstalled(message) from error
    return pygame
