"""Requests under way, for a thread that waits for them or for a loop of asyncio."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from . import _core

# Requests of one call that are under way together: enough for the steps to be full, and no more of a large batch's
# media in memory.
_AT_ONCE = 64


@dataclass(frozen=True)
class Work:
    """A request: how it is handed to the engine, and what is made of what comes back."""

    start: Callable[[_core.Mailbox, bool], _core.Job]
    finish: Callable[[dict[str, Any]], Any]

    def outcome(self, core: _core.Llm, job: _core.Job) -> Any:
        """Of a job that has ended, once."""
        return self.finish({**core.result(job), "request_id": str(job.number)})


@dataclass(frozen=True)
class Call:
    """The requests of one call. on_error: "raise" or "return"."""

    works: list[Work]
    on_error: str


class Progress:
    """A call's requests, started a few at a time in their order, and what came of them."""

    def __init__(self, core: _core.Llm, call: Call) -> None:
        self._core = core
        self._call = call
        self._next = 0
        self._rows: list[Any] = [None] * len(call.works)
        self._live: dict[int, tuple[int, _core.Job]] = {}
        self._failure: Optional[BaseException] = None

    def start(self, box: _core.Mailbox) -> list[int]:
        """Starts what there is room for; the numbers of the new jobs."""
        numbers = []
        while len(self._live) < _AT_ONCE and self._next < len(self._rows) and self._failure is None:
            row, self._next = self._next, self._next + 1
            try:
                job = self._call.works[row].start(box, False)
            except Exception as error:  # what is wrong with this request
                self._failed(row, error)
                continue
            self._live[job.number] = (row, job)
            numbers.append(job.number)
        return numbers

    @property
    def over(self) -> bool:
        return not self._live and (self._failure is not None or self._next == len(self._rows))

    def look_at(self, number: int) -> bool:
        """Takes the result of a job that has ended (True)."""
        row, job = self._live[number]
        if not job.ended:
            return False
        del self._live[number]
        try:
            self._rows[row] = self._call.works[row].outcome(self._core, job)
        except Exception as error:
            self._failed(row, error)
        return True

    def _failed(self, row: int, error: Exception) -> None:
        if self._call.on_error == "return":
            self._rows[row] = error
        elif self._failure is None:
            self._failure = error
            if len(self._rows) > 1 and hasattr(error, "add_note"):
                error.add_note(f"of request {row} of {len(self._rows)}")
            self.cancel()

    def cancel(self) -> None:
        for _, job in self._live.values():
            self._core.cancel(job)

    def rows(self) -> list[Any]:
        if self._failure is not None:
            raise self._failure
        return self._rows


class SyncDriver:
    """Waits on the calling thread; signal handlers run meanwhile."""

    def __init__(self, core: _core.Llm) -> None:
        self._core = core

    def run(self, call: Call) -> list[Any]:
        progress = Progress(self._core, call)
        box = _core.Mailbox()
        try:
            progress.start(box)
            while not progress.over:
                self._core.wait(box, 3600.0)
                for number in box.take():
                    progress.look_at(number)
                progress.start(box)
        except BaseException:  # Ctrl-C among them
            progress.cancel()
            raise
        return progress.rows()


class AsyncDriver:
    """Waits in a loop of asyncio, by a descriptor that is readable when there is news."""

    def __init__(self, core: _core.Llm, loop: asyncio.AbstractEventLoop) -> None:
        self.box = _core.Mailbox()
        self._core = core
        self._loop = weakref.ref(loop)  # which keeps this
        self._watched: dict[int, Callable[[], Any]] = {}

    def check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop():
            raise RuntimeError("[llm] this stream is of another loop of asyncio than the one that asks it: it tells its own of news")

    def watch(self, number: int, told: Callable[[], Any]) -> None:
        loop = self._loop()
        if not self._watched and loop is not None:
            loop.add_reader(self.box.fileno(), self._ready)
        self._watched[number] = told

    def forget(self, number: int) -> None:
        loop = self._loop()
        if self._watched.pop(number, None) is None or self._watched or loop is None or loop.is_closed():
            return
        loop.remove_reader(self.box.fileno())
        self.box.release()  # a program may have many loops, one after the other

    def _ready(self) -> None:
        for number in self.box.take():
            told = self._watched.get(number)
            if told is not None:
                told()

    async def run(self, call: Call) -> list[Any]:
        progress = Progress(self._core, call)
        news = asyncio.Event()
        came: deque[int] = deque()
        watched: set[int] = set()

        def told(number: int) -> None:
            came.append(number)
            news.set()

        def start() -> None:
            for number in progress.start(self.box):
                watched.add(number)
                self.watch(number, functools.partial(told, number))

        try:
            start()
            while not progress.over:
                await news.wait()
                news.clear()
                while came:
                    number = came.popleft()
                    if number in watched and progress.look_at(number):
                        watched.discard(number)
                        self.forget(number)
                start()
        except BaseException:  # the task's cancellation among them
            progress.cancel()
            raise
        finally:
            for number in watched:
                self.forget(number)
        return progress.rows()
