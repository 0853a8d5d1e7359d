"""Answers as they come."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any, Callable, Optional

from . import _core
from ._llm_calls import AsyncDriver, Work
from .errors import Cancelled
from .results import Result, StreamEvent


class _StreamBase:
    """What both kinds of streams share: events that have come, and the end."""

    result: Optional[Result]  # when the answer has ended

    def __init__(self, core: _core.Llm, box: _core.Mailbox, work: Work) -> None:
        self.result = None
        self._core = core
        self._box = box
        self._events: deque[StreamEvent] = deque()
        self._over = False
        self._work = work
        self._job: Optional[_core.Job] = work.start(box, True)

    @property
    def status(self) -> Optional[dict[str, Any]]:
        """How far the request is; None before it is known and after its end."""
        return None if self._job is None else self._core.status(self._job)

    def _cancel(self) -> None:
        self._over = True
        if self._job is not None:
            self._core.cancel(self._job)

    def _next(self) -> Optional[StreamEvent]:
        """An event that has come. After the last one _over is set; raises what made the answer fail."""
        if not self._events and not self._over and self._job is not None:
            ended = self._job.ended  # before its events: none comes after
            events: list[tuple[int, int, int, str, Any, Any]] = list(self._job.events())
            for sequence, index, token, text, logprob, reason in events:
                value = None if logprob is None else logprob[1]
                self._events.append(StreamEvent(text, token, index, sequence, value, reason))
            if ended and not self._events:
                self._over = True
                job, self._job = self._job, None
                self.result = self._work.outcome(self._core, job)
        return self._events.popleft() if self._events else None


class Stream(_StreamBase):
    """Tokens as they come: an iterator of StreamEvent, and its result at the end. One that is let go is cancelled."""

    def __init__(self, core: _core.Llm, work: Work) -> None:
        super().__init__(core, _core.Mailbox(), work)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        try:
            while True:
                event = self._next()
                if event is not None:
                    return event
                if self._over:
                    raise StopIteration
                self._core.wait(self._box, 3600.0)
                self._box.take()
        except StopIteration:
            raise
        except BaseException:  # Ctrl-C among them
            self.close()
            raise

    def close(self) -> None:
        """Cancels the request within a step of the model; one that has ended stays as it is."""
        self._events.clear()
        self._cancel()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class AsyncStream(_StreamBase):
    """Stream for asyncio, of the loop in which it is made."""

    def __init__(self, core: _core.Llm, driver: AsyncDriver, work: Work) -> None:
        self._driver = driver
        self._broken_off = False
        super().__init__(core, driver.box, work)
        self._news = asyncio.Event()
        assert self._job is not None
        self._number = self._job.number
        self._driver.watch(self._number, _telling(weakref.ref(self), self._driver, self._number))

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> StreamEvent:
        self._driver.check_loop()
        if self._broken_off:
            raise Cancelled("[llm] waiting for the next token was cancelled, or timed out, and the request with it; asyncio.wait with a "
                            "timeout leaves it going")
        try:
            while True:
                self._news.clear()
                event = self._next()
                if event is not None:
                    return event
                if self._over:
                    self._driver.forget(self._number)
                    raise StopAsyncIteration
                await self._news.wait()
        except StopAsyncIteration:
            raise
        except BaseException as error:  # the task's cancellation among them
            await self.aclose()
            self._broken_off = isinstance(error, asyncio.CancelledError)
            raise

    async def aclose(self) -> None:
        """Cancels the request within a step of the model; one that has ended stays as it is."""
        self._events.clear()
        self._cancel()
        self._driver.forget(self._number)

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _telling(stream: weakref.ref[AsyncStream], driver: AsyncDriver, number: int) -> Callable[[], None]:
    """Tells a stream of news. One that was let go is cancelled, and forgotten with its end."""

    def told() -> None:
        there = stream()
        if there is None:
            driver.forget(number)
        else:
            there._news.set()

    return told
