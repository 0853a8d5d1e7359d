"""Answers as they come, and asyncio."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import videollama3
from videollama3 import LLM

LONG: dict[str, Any] = {"max_tokens": 20000, "ignore_eos": True, "cut_to_context": True}


@pytest.fixture(scope="module")
def llm(tiny: Path) -> Iterator[LLM]:
    with LLM(tiny, threads=1) as opened:
        yield opened


# Nothing is expected within a time: this only ends a test that hangs, on the busiest machine.
PATIENCE_S = 600


def running(llm: LLM) -> int:
    stats = llm.stats()
    return sum(stats[name] for name in ("queued", "processing", "encoding", "prefilling", "decoding"))


def wait_until_idle(llm: LLM) -> None:
    end = time.monotonic() + PATIENCE_S
    while running(llm) and time.monotonic() < end:
        time.sleep(0.005)
    assert running(llm) == 0


def test_events_are_the_answer(llm: LLM) -> None:
    whole = llm.chat("Tell me.", max_tokens=20, ignore_eos=True, temperature=0)
    stream = llm.stream("Tell me.", max_tokens=20, ignore_eos=True, temperature=0, logprobs=0)
    assert stream.result is None
    events = list(stream)
    assert [event.token_id for event in events] == whole.token_ids
    assert [event.index for event in events] == list(range(20))
    assert "".join(event.text for event in events) == whole.text
    assert [event.finish_reason for event in events] == [None] * 19 + ["length"]
    assert all(event.logprob is not None and event.logprob < 0 for event in events)
    assert stream.result is not None and stream.result.text == whole.text
    assert list(stream) == []


def test_several_answers_at_once(llm: LLM) -> None:
    stream = llm.stream("Tell me.", n=2, temperature=1.5, seed=3, max_tokens=4, ignore_eos=True)
    events = list(stream)
    assert stream.result is not None
    for sequence in (0, 1):
        assert [e.token_id for e in events if e.sequence == sequence] == stream.result.outputs[sequence].token_ids


def test_closing_cancels(llm: LLM) -> None:
    before = llm.stats()["cancelled"]
    stream = llm.stream("Tell me.", **LONG)
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
    with llm.stream("Tell me.", **LONG) as other:
        next(other)
        # The status is of the last step that ended; the first token comes within one.
        status, end = other.status, time.monotonic() + PATIENCE_S
        while (status is None or status["state"] != "decoding") and time.monotonic() < end:
            time.sleep(0.005)
            status = other.status
        assert status is not None and status["state"] == "decoding" and status["new_tokens"] >= 1
    dropped = llm.stream("Tell me.", **LONG)
    next(dropped)
    del dropped
    gc.collect()
    wait_until_idle(llm)
    assert llm.stats()["cancelled"] - before == 3


def test_errors_come_where_the_events_would(llm: LLM, media: Path) -> None:
    absent = [{"role": "user", "content": [{"type": "image", "image": str(media / "absent.png")}]}]
    stream = llm.stream(absent)
    with pytest.raises(FileNotFoundError, match="absent.png"):
        next(stream)
    with pytest.raises(TypeError, match="several conversations"):
        llm.stream(["a", "b"])
    with pytest.raises(ValueError, match="temperature"):
        llm.stream("a", temprature=1)


def test_awaited(llm: LLM) -> None:
    async def ask() -> None:
        settings: dict[str, Any] = {"max_tokens": 6, "ignore_eos": True, "temperature": 0}
        alone = llm.chat("Tell me.", **settings)
        assert (await llm.achat("Tell me.", **settings)).token_ids == alone.token_ids
        rows = await llm.achat(["Tell me.", "Say."], **settings)
        assert rows[0].token_ids == alone.token_ids and len(rows) == 2
        many = await asyncio.gather(*(llm.achat("Tell me.", **settings) for _ in range(50)))
        assert all(result.token_ids == alone.token_ids for result in many)
        assert (await llm.agenerate("a", max_tokens=2, ignore_eos=True)).usage.completion_tokens == 2
        assert (await llm.aembed("a")).vector == llm.embed("a").vector
        assert (await llm.aplan("a")).fits
        with pytest.raises(FileNotFoundError):
            await llm.achat([{"role": "user", "content": [{"type": "image", "image": "/absent.png"}]}])

    asyncio.run(ask())
    asyncio.run(ask())  # a loop of its own


def test_the_loop_goes_on_meanwhile(llm: LLM) -> None:
    """What would go on for long is ended by a task that runs meanwhile."""

    async def ask() -> None:
        waiting = asyncio.create_task(llm.achat(["Tell me."] * 64, **{**LONG, "deadline": PATIENCE_S}))
        while not llm.stats()["decoding"] and not waiting.done():
            await asyncio.sleep(0.005)
        for _ in range(10):
            await asyncio.sleep(0.005)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(ask())
    wait_until_idle(llm)


def test_streamed_in_a_loop(llm: LLM) -> None:
    async def ask() -> None:
        whole = await llm.achat("Tell me.", max_tokens=9, ignore_eos=True, temperature=0)
        stream = llm.astream("Tell me.", max_tokens=9, ignore_eos=True, temperature=0)
        ids = [event.token_id async for event in stream]
        assert ids == whole.token_ids and stream.result is not None and stream.result.text == whole.text
        async with llm.astream("Tell me.", **LONG) as long:
            async for _ in long:
                break
        with pytest.raises(FileNotFoundError):
            async for _ in llm.astream([{"role": "user", "content": [{"type": "image", "image": "/absent.png"}]}]):
                pass

    asyncio.run(ask())
    wait_until_idle(llm)


def test_a_cancelled_task_cancels_its_request(llm: LLM) -> None:
    async def ask() -> None:
        before = llm.stats()["cancelled"]
        tasks = [asyncio.create_task(llm.achat(["Tell me.", "Say."], **LONG))]

        async def listen() -> None:
            async for _ in llm.astream("Tell me.", **LONG):
                pass

        tasks.append(asyncio.create_task(listen()))
        end = time.monotonic() + PATIENCE_S
        while running(llm) < 3 and time.monotonic() < end:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError)
        wait_until_idle(llm)
        assert llm.stats()["cancelled"] - before == 3
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(llm.achat("Tell me.", **LONG), timeout=0.2)
        wait_until_idle(llm)

    asyncio.run(ask())


def test_a_stream_that_was_waited_for_in_vain_says_so(llm: LLM) -> None:
    async def ask() -> None:
        stream = llm.astream("Tell me.", **LONG)
        while True:
            waiting = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            if waiting.cancel():
                break
        with pytest.raises(asyncio.CancelledError):
            await waiting
        for _ in range(2):
            with pytest.raises(videollama3.Cancelled, match="waiting for the next token was cancelled"):
                await stream.__anext__()
        wait_until_idle(llm)
        closed = llm.astream("Tell me.", **LONG)
        await closed.aclose()
        assert [event async for event in closed] == []

    asyncio.run(ask())


def test_a_stream_is_of_its_loop(llm: LLM) -> None:
    async def ask() -> None:
        stream = llm.astream("Tell me.", **LONG)

        async def other() -> None:
            await asyncio.wait_for(stream.__anext__(), PATIENCE_S)

        with pytest.raises(RuntimeError, match="another loop"):
            await asyncio.to_thread(asyncio.run, other())
        assert (await stream.__anext__()).index == 0  # its own goes on
        await stream.aclose()

    asyncio.run(ask())
    wait_until_idle(llm)


def test_closing_the_model_ends_what_is_under_way(tiny: Path) -> None:
    async def ask() -> None:
        llm = LLM(tiny, threads=1)
        waiting = asyncio.create_task(llm.achat("Tell me.", **LONG))
        early = llm.astream("Tell me.", **LONG)
        await early.__anext__()
        await asyncio.to_thread(llm.close)
        result = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(result[0], videollama3.Cancelled) or result[0].finish_reason == "cancelled"
        async for _ in early:
            pass

    asyncio.run(ask())
