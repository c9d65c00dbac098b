"""Calls in processes of their own: whatever one does to its process, it ends no other."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from multiprocessing.process import BaseProcess

_T = TypeVar("_T")

_LONGEST_WAIT = 60
_DYING_SECONDS = 5


@dataclass(frozen=True)
class Ended:
    """A call has given no result: what it raised or how its process ended, and the traceback if there is one."""

    error: str
    traceback: str | None = None


def in_processes(
    calls: Sequence[Callable[[], _T]], jobs: int, seconds: float | None, preload: Sequence[str]
) -> Generator[tuple[int, _T | Ended]]:
    """Call functions, each in a process of its own, which ends with this one and does not hear Ctrl-C.

    Args:
        calls: The functions; anything that cloudpickle can pickle.
        jobs: Processes at a time.
        seconds: How long a call may take; None for any time.
        preload: Modules that the processes find loaded where they can be forked; only those of the first use count.

    Yields:
        The number of a call that is finished, and what it returned.
    """
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([*preload])
    waiting, running = deque(enumerate(calls)), list[_Running[_T]]()
    limit = math.inf if seconds is None else seconds
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, call = waiting.popleft()
                try:
                    running.append(_Running(number, *_start(context, call), time.monotonic() + limit))
                except Exception as error:
                    yield number, Ended(f"{type(error).__name__}: {error}", traceback.format_exc())
            handles = [handle for one in running for handle in (one.receiver, one.process.sentinel)]
            first = min((one.deadline for one in running), default=0.0)
            connection.wait(handles, min(max(first - time.monotonic(), 0), _LONGEST_WAIT))
            for one in [one for one in running if one.is_over()]:
                running.remove(one)
                yield one.number, one.outcome(limit)
    finally:
        for one in running:
            one.kill()


@dataclass(eq=False)
class _Running(Generic[_T]):
    number: int
    process: BaseProcess
    receiver: connection.Connection
    deadline: float

    def is_over(self) -> bool:
        return self.receiver.poll() or not self.process.is_alive() or time.monotonic() > self.deadline

    def outcome(self, limit: float) -> _T | Ended:
        try:
            with suppress(EOFError, OSError):
                if self.receiver.poll():
                    received: _T | Ended = self.receiver.recv()
                    return received
            if time.monotonic() > self.deadline:
                return Ended(f"TimeoutError: not finished after {limit:g} seconds")
            self.process.join(_DYING_SECONDS)
            self.kill()
            code = self.process.exitcode or 0
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
            return Ended(f"its process ended {how}, without a result")
        finally:
            self.kill()
            self.receiver.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def _start(context: Any, call: Callable[[], Any]) -> tuple[BaseProcess, connection.Connection]:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, cloudpickle.dumps(call)))
    with _undisturbed():
        process.start()
    sender.close()
    return process, receiver


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process begun here does not import the user's script, and is deaf to Ctrl-C from its beginning."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if os.name == "posix" else set()
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _run(sender: connection.Connection, pickled: bytes) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        outcome = cloudpickle.loads(pickled)()
    except BaseException as error:
        outcome = Ended(f"{type(error).__name__}: {error}", traceback.format_exc())
    sender.send(outcome)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
