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

# Nothing is expected within a time: this only ends a test that hangs, on the busiest machine.
PATIENCE_S = 600

# In a process of its own: `llm` is open. What the scripts ask for would take hours, so that what interrupts a call comes
# while it is under way, however busy the machine is.
HEAD = f"""
import asyncio, os, signal, sys, threading, time
sys.path.insert(0, {str(Path(videollama3.__file__).parents[1])!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # where whoever started this ignores it
from videollama3 import LLM
llm = LLM({str(PROJECT / "models/tiny")!r}, threads=1)
LONG = dict(max_tokens=20000, ignore_eos=True, cut_to_context=True)
CLIP = [dict(role="user", content=[dict(type="video", video={str(PROJECT / "examples/media/moving.mp4")!r}), "What?"])]
def is_running():
    stats = llm.stats()
    return any(stats[name] for name in ("processing", "encoding", "prefilling", "decoding"))
def when(true, do):
    def watch():
        while not true(): time.sleep(0.002)
        do()
    threading.Thread(target=watch, daemon=True).start()
def ready():
    print("ready", flush=True)
def quietly(ask, *words, **settings):
    # How a call ends together with Python is not the question, and what it would print on stderr then may end Python.
    try: ask(*words, **settings)
    except Exception: pass
"""


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HEAD + textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return ended(start(script))


def interrupt(script: str) -> subprocess.CompletedProcess[str]:
    """Of a script that says "ready" when something is under way: how it ended after Ctrl-C."""
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()
    process.send_signal(signal.SIGINT)
    return ended(process)


INTERRUPTED = {
    "decoding": "when(lambda: llm.stats()['decoding'], ready); llm.chat(['Tell me.'] * 5000, **LONG)",
    "prefill": "when(lambda: llm.stats()['prefilling'], ready); llm.chat(['word ' * 3000] * 5000, **LONG)",
    "a batch of clips": "when(is_running, ready); llm.chat([CLIP] * 20000)",
    "a stream": """
        while True:
            for event in llm.stream('Tell me.', **LONG):
                if event.index == 9: ready()
    """,
    # What is under way is not counted: 0.3 s are for being within the call most of the time.
    "vectors": "ids = llm.tokenizer.encode('word ' * 3000); when(lambda: time.sleep(0.3) is None, ready); llm.embed([ids] * 5000)",
}


@pytest.mark.parametrize("what", INTERRUPTED)
def test_ctrl_c_ends_a_call(what: str) -> None:
    """No time is asserted, benchmarks/RESULTS.md has what was measured: the call itself would take hours."""
    after = interrupt(
        "try:\n" + textwrap.indent(textwrap.dedent(INTERRUPTED[what]).strip(), "    ") + "\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
        "llm.chat('again', max_tokens=1)\nprint('and answers', flush=True)\n"
    )
    assert after.returncode == 0, after.stderr
    assert after.stdout.replace("ready\n", "") == "interrupted\nand answers\n"


def test_ctrl_c_ends_a_loop_of_asyncio() -> None:
    after = interrupt(
        """
        async def main():
            when(is_running, ready)
            await asyncio.gather(llm.achat(['Tell me.'] * 5000, **LONG), llm.achat([CLIP] * 20000))
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print('interrupted', flush=True)
        llm.chat('again', max_tokens=1)
        """
    )
    assert (after.returncode, after.stdout) == (0, "interrupted\n"), after.stderr


def test_a_handler_of_the_programs_own_is_called() -> None:
    after = run(
        """
        def handle(number, frame): raise RuntimeError('mine')
        signal.signal(signal.SIGALRM, handle)
        try:
            when(is_running, lambda: os.kill(os.getpid(), signal.SIGALRM))
            llm.chat(['Tell me.'] * 5000, **LONG)
        except RuntimeError as error:
            print(error)
        """
    )
    assert (after.returncode, after.stdout) == (0, "mine\n"), after.stderr


@pytest.mark.parametrize(
    "script",
    [
        "threading.Thread(target=quietly, args=(llm.chat, 'Tell me.'), kwargs=LONG, daemon=True).start(); time.sleep(0.2)",
        "[threading.Thread(target=quietly, args=(llm.chat, 'Tell me.'), kwargs=LONG, daemon=True).start() for _ in range(20)]; time.sleep(0.2)",
        "stream = llm.stream('Tell me.', **LONG); next(stream)",
        "llm.stream(CLIP, **LONG)",
        "next(llm.stream('Tell me.', **LONG)); llm.x = llm",  # a cycle
        "raise SystemExit(0)",
    ],
)
def test_python_ends_with_requests_under_way(script: str) -> None:
    after = run(script)
    assert (after.returncode, after.stderr) == (0, ""), (after.returncode, after.stderr)


# What a daemon thread repeats until Python ends.
ENDLESS = {
    "nothing of ours": "time.sleep(0.01)",
    "tokenizer": "tokenizer('hello world ' * 1000)",
    "forward": "model(input_ids=[[5] * 500])",
    "turns": "threads = [threading.Thread(target=lambda: model(input_ids=[[5] * 500])) for _ in range(3)]; "
             "[thread.start() for thread in threads]; [thread.join() for thread in threads]",
    "streamer": "model.generate([[1, 2, 3]], max_new_tokens=5000, eos_token_id=511, streamer=TextStreamer(tokenizer))",
    "a call in a callback": "model.generate([[1, 2]], max_new_tokens=5000, eos_token_id=511, logits_processor=[scores])",
}


@pytest.mark.parametrize("kind", list(ENDLESS))
def test_python_ends_with_calls_under_way(kind: str) -> None:
    after = run(
        f"""
        import contextlib
        from videollama3 import AutoTokenizer, TextStreamer, VideoLlama3ForConditionalGeneration
        model = VideoLlama3ForConditionalGeneration.from_pretrained(llm.model, threads=1)
        tokenizer = AutoTokenizer.from_pretrained(llm.model)
        begun = threading.Event()
        def scores(ids, scores):
            model(input_ids=[[1, 2]])
            return scores
        def repeat():
            begun.set()
            # From Python 3.12 on no thread begins while it ends.
            with contextlib.redirect_stdout(open(os.devnull, "w")), contextlib.suppress(RuntimeError):
                while True: {ENDLESS[kind]}
        threading.Thread(target=repeat, daemon=True).start()
        begun.wait()
        time.sleep(0.2)
        """
    )
    assert (after.returncode, after.stderr) == (0, ""), (after.returncode, after.stderr)


def test_a_fork_is_told() -> None:
    after = run(
        """
        threading.Thread(target=quietly, args=(llm.chat, 'Tell me.'), kwargs=LONG, daemon=True).start()
        stream = llm.stream('Tell me.', **LONG)
        next(stream)
        child = os.fork()
        if child == 0:
            llm.close()
            for ask in (llm.chat, llm.stream, llm.embed, llm.generate, llm.plan, lambda text: llm.stats()):
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
    assert (after.returncode, after.stdout) == (0, "0\n2\n"), after.stderr


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
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_threads_share_steps(tiny: Path) -> None:
    """Answers that began before the first count and end behind the second one: in every step each has a token."""
    with LLM(tiny, threads=1) as llm:
        counted = threading.Event()
        begun = threading.Barrier(9)
        cut: list[Any] = []

        def ask() -> None:
            with llm.stream("Tell me.", **LONG) as stream:
                next(stream)
                begun.wait(PATIENCE_S)
                counted.wait(PATIENCE_S)
                cut.append(stream.status)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        begun.wait(PATIENCE_S)
        before = after = llm.stats()
        while after["steps"] < before["steps"] + 50:
            time.sleep(0.002)
            after = llm.stats()
        counted.set()
        for thread in threads:
            thread.join()
        assert len(cut) == 8 and None not in cut, "all were under way"
        # One step's tokens are counted before the step itself is.
        assert after["new_tokens"] - before["new_tokens"] >= 8 * (after["steps"] - before["steps"] - 2)


def test_the_lock_is_free_meanwhile(tiny: Path) -> None:
    """What would go on for long is ended by a thread that runs meanwhile."""
    with LLM(tiny, threads=1) as llm:

        def tick() -> None:
            while not llm.stats()["decoding"]:
                time.sleep(0.002)
            for _ in range(20):
                time.sleep(0.002)
            llm.close()

        thread = threading.Thread(target=tick)
        thread.start()
        rows = llm.chat(["Tell me."] * 64, **{**LONG, "deadline": PATIENCE_S}, on_error="return")
        thread.join()
        assert all(isinstance(row, videollama3.Cancelled) or row.finish_reason == "cancelled" for row in rows), rows


def rss_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def test_memory_stays(tiny: Path) -> None:
    """Calls of every kind by the hundred; benchmarks/RESULTS.md has the figures of ten thousand.

    What is never given back grows with every round. What is taken once, as an allocator's room for one thread more, is
    not there in all of them.
    """
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

        def growth() -> tuple[int, int]:
            """KiB and descriptors that 200 calls of each kind leave behind."""
            before, descriptors = rss_kib(), len(os.listdir("/proc/self/fd"))
            for _ in range(4):
                some()
            gc.collect()
            return rss_kib() - before, len(os.listdir("/proc/self/fd")) - descriptors

        some()
        some()
        grown: list[tuple[int, int]] = []
        while len(grown) < 5 and not any(kib < 8192 and descriptors <= 2 for kib, descriptors in grown):
            grown.append(growth())
        assert any(kib < 8192 and descriptors <= 2 for kib, descriptors in grown), grown
