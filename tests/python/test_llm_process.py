"""What an LLM does to its process: threads, signals, forks, memory, and the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import videollama3
from conftest import PROJECT
from videollama3 import LLM

LONG: dict[str, Any] = {"max_tokens": 20000, "ignore_eos": True, "cut_to_context": True}

# In a process of its own: `llm` is open, and the script says "ready" when something is under way.
HEAD = f"""
import asyncio, os, signal, sys, threading, time
sys.path.insert(0, {str(Path(videollama3.__file__).parents[1])!r})
from videollama3 import LLM
llm = LLM({str(PROJECT / "models/tiny")!r}, threads=1)
LONG = dict(max_tokens=20000, ignore_eos=True, cut_to_context=True)
CLIP = [dict(role="user", content=[dict(type="video", video={str(PROJECT / "examples/media/moving.mp4")!r}), "What?"])]
def ready():
    print("ready", flush=True)
"""


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HEAD + textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(script: str) -> subprocess.CompletedProcess[str]:
    process = start(script)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def interrupt(script: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds from Ctrl-C to the end of the process."""
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return time.monotonic() - began, subprocess.CompletedProcess(process.args, process.returncode, out, err)


INTERRUPTED = {
    "decoding": "ready(); llm.chat('Tell me.', **LONG)",
    "prefill": "ready(); llm.chat('word ' * 3000, **LONG)",
    "a batch of clips": "ready(); llm.chat([CLIP] * 2000)",
    "a stream": """
        for event in llm.stream('Tell me.', **LONG):
            if event.index == 0: ready()
    """,
    "vectors": "ready(); llm.embed(['word ' * 500] * 2000)",
}


@pytest.mark.parametrize("what", INTERRUPTED)
def test_ctrl_c_ends_a_call(what: str) -> None:
    seconds, ended = interrupt(
        "try:\n" + textwrap.indent(textwrap.dedent(INTERRUPTED[what]).strip(), "    ") + "\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
        "llm.chat('again', max_tokens=1)\nprint('and answers', flush=True)\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "interrupted\nand answers\n"
    assert seconds < 30  # no time is asserted: benchmarks/RESULTS.md has what was measured


def test_ctrl_c_ends_a_loop_of_asyncio() -> None:
    _, ended = interrupt(
        """
        async def main():
            ready()
            await asyncio.gather(llm.achat('Tell me.', **LONG), llm.achat([CLIP] * 500))
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print('interrupted', flush=True)
        llm.chat('again', max_tokens=1)
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr


def test_a_handler_of_the_programs_own_is_called() -> None:
    ended = run(
        """
        def handle(number, frame): raise RuntimeError('mine')
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            llm.chat('Tell me.', **LONG)
        except RuntimeError as error:
            print(error)
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "mine\n"), ended.stderr


@pytest.mark.parametrize(
    "script",
    [
        "threading.Thread(target=lambda: llm.chat('Tell me.', **LONG), daemon=True).start(); time.sleep(0.2)",
        "[threading.Thread(target=lambda: llm.chat('Tell me.', **LONG), daemon=True).start() for _ in range(20)]; time.sleep(0.2)",
        "stream = llm.stream('Tell me.', **LONG); next(stream)",
        "llm.stream(CLIP, **LONG)",
        "next(llm.stream('Tell me.', **LONG)); llm.x = llm",  # a cycle
        "raise SystemExit(0)",
    ],
)
def test_python_ends_with_requests_under_way(script: str) -> None:
    ended = run(script)
    assert ended.returncode == 0 and "Fatal" not in ended.stderr, (ended.returncode, ended.stderr)


def test_a_fork_is_told() -> None:
    ended = run(
        """
        thread = threading.Thread(target=lambda: llm.chat('Tell me.', **LONG), daemon=True)
        thread.start()
        stream = llm.stream('Tell me.', **LONG)
        next(stream)
        child = os.fork()
        if child == 0:
            for ask in (llm.chat, llm.stream, llm.embed, llm.generate, llm.plan):
                try:
                    ask('a')
                    os._exit(1)
                except RuntimeError as error:
                    if 'fork' not in str(error): os._exit(2)
            stream.close()
            other = LLM(llm.model, threads=1)
            if not other.chat('a', max_tokens=2, ignore_eos=True).token_ids: os._exit(3)
            other.close()
            del llm, stream, other
            sys.exit(0)  # what runs at the end of Python runs here as well
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(len(llm.chat('a', max_tokens=2, ignore_eos=True).token_ids))
        """
    )
    assert (ended.returncode, ended.stdout) == (0, "0\n2\n"), ended.stderr


def test_threads_share_one_model(tiny: Path) -> None:
    with LLM(tiny, threads=1) as llm:
        settings: dict[str, Any] = {"max_tokens": 8, "ignore_eos": True, "temperature": 0}
        expected = {text: llm.chat(text, **settings).token_ids for text in ("Tell me.", "What?", "Say.")}
        wrong: list[Any] = []

        def ask(number: int) -> None:
            try:
                for text in list(expected)[number % 3 :]:
                    if llm.chat(text, **settings).token_ids != expected[text]:
                        wrong.append(text)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(100)]
        steps = llm.stats()["steps"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert llm.stats()["steps"] - steps < 200 * 8, "they share steps"


def test_the_lock_is_free_meanwhile(tiny: Path) -> None:
    with LLM(tiny, threads=1) as llm:
        ticks = 0
        over = threading.Event()

        def tick() -> None:
            nonlocal ticks
            while not over.is_set():
                time.sleep(0.002)
                ticks += 1

        thread = threading.Thread(target=tick)
        thread.start()
        llm.chat("Tell me.", **{**LONG, "deadline": 0.5})
        over.set()
        thread.join()
        assert ticks > 20


def rss_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def test_memory_stays(tiny: Path) -> None:
    """A few hundred calls of every kind; benchmarks/RESULTS.md has the figures of ten thousand."""
    numpy = pytest.importorskip("numpy")
    with LLM(tiny, threads=1) as llm:
        picture = numpy.zeros((56, 56, 3), numpy.uint8)
        shown = [{"role": "user", "content": [picture, "What?"]}]

        def some() -> None:
            for _ in range(50):
                llm.chat(shown, max_tokens=1)
                next(llm.stream("a", max_tokens=3, ignore_eos=True))
                llm.embed("a")
                llm.chat([[{"role": "user", "content": [{"type": "image", "image": b"broken"}]}]], on_error="return")
            asyncio.run(loop())

        async def loop() -> None:
            await llm.achat("a", max_tokens=1)
            async for _ in llm.astream("a", max_tokens=9, ignore_eos=True):
                break

        some()
        some()
        before, descriptors = rss_kib(), len(os.listdir("/proc/self/fd"))
        for _ in range(4):
            some()
        assert rss_kib() - before < 8192
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
