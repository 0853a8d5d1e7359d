"""Pictures and clips that a program has in memory: the same answers as from files, and no copies."""

from __future__ import annotations

import base64
import gc
import http.server
import io
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from videollama3 import LLM, FormatError, Frames, _core

numpy = pytest.importorskip("numpy")
PIL = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def llm(demo: Path) -> Iterator[LLM]:
    with LLM(demo, threads=2) as opened:
        yield opened


def shown(kind: str, value: Any, **options: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, kind: value, **options}, {"type": "text", "text": "What is it?"}]}]


@pytest.fixture(scope="module")
def pixels(media: Path) -> Any:
    return numpy.asarray(PIL.open(media / "shapes.png").convert("RGB"))


@pytest.fixture(scope="module")
def frames() -> Any:
    """A square that moves: [6, 84, 112, 3]."""
    made = numpy.full((6, 84, 112, 3), 20, numpy.uint8)
    for i in range(6):
        made[i, 10:40, 12 * i : 12 * i + 30] = (230, 40, 30)
    return made


def test_a_picture_in_every_form(llm: LLM, media: Path, pixels: Any) -> None:
    path = media / "shapes.png"
    data = path.read_bytes()
    expected = llm.chat(shown("image", str(path)))
    assert expected.usage.image_tokens > 0
    forms: dict[str, Any] = {
        "Path": path,
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "data:": "data:image/png;base64," + base64.b64encode(data).decode(),
        "BytesIO": io.BytesIO(data),
        "Pillow": PIL.open(path),
        "Pillow RGBA": PIL.open(path).convert("RGB").convert("RGBA"),
        "[H, W, 3]": pixels,
        "[3, H, W]": pixels.transpose(2, 0, 1),
        "[3, H, W] dense": numpy.ascontiguousarray(pixels.transpose(2, 0, 1)),
        "read only": pixels.view(),
        "int16": pixels.astype("int16"),
        "int64": pixels.astype("int64").transpose(2, 0, 1),
        "uint16, the other byte order": pixels.astype(">u2"),
        "a part of an array": numpy.pad(pixels, ((3, 3), (5, 5), (0, 0)))[3:-3, 5:-5],
    }
    forms["read only"].flags.writeable = False
    for name, form in forms.items():
        result = llm.chat(shown("image", form))
        assert (result.text, result.usage.image_tokens) == (expected.text, expected.usage.image_tokens), name
        assert result.prompt_token_ids == expected.prompt_token_ids, name
    with path.open("rb") as file:
        assert llm.chat(shown("image", file)).text == expected.text
    nested = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": "What is it?"}]}]
    assert llm.chat(nested).text == expected.text
    assert llm.chat([{"role": "user", "content": [pixels, "What is it?"]}]).text == expected.text


def test_torch(llm: LLM, pixels: Any) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(pixels.copy())
    expected = llm.chat(shown("image", pixels)).text
    assert llm.chat(shown("image", tensor.int())).text == expected
    assert llm.chat(shown("image", tensor)).text == expected
    assert llm.chat(shown("image", tensor.permute(2, 0, 1))).text == expected
    with pytest.raises(ValueError, match="uint8"):
        llm.chat(shown("image", tensor.float()))


def test_a_clip_in_every_form(llm: LLM, frames: Any) -> None:
    expected = llm.chat(shown("video", frames, fps=2))
    (clip,) = expected.clips
    assert clip.frames == [0, 1, 2, 3, 4, 5] and clip.timestamps == [0, 0.5, 1, 1.5, 2, 2.5]
    pictures = [PIL.fromarray(frame) for frame in frames]
    for name, form in {
        "list of arrays": list(frames),
        "[T, 3, H, W]": numpy.ascontiguousarray(frames.transpose(0, 3, 1, 2)),
        "every second row": numpy.repeat(frames, 2, axis=1)[:, ::2],
        "list of pictures": pictures,
        "mixed": [*frames[:3], *pictures[3:]],
    }.items():
        result = llm.chat(shown("video", form, fps=2))
        assert result.prompt_token_ids == expected.prompt_token_ids, name
        assert result.text == expected.text, name
    in_one = llm.chat(shown("video", Frames(frames, fps=2)))
    assert in_one.prompt_token_ids == expected.prompt_token_ids
    bare = llm.chat([{"role": "user", "content": [Frames(frames, fps=2), "What is it?"]}])
    assert bare.prompt_token_ids == expected.prompt_token_ids


def test_rates_and_times_of_frames(llm: LLM, frames: Any) -> None:
    def seen(value: Any, **options: Any) -> Any:
        return llm.chat(shown("video", value, **options), max_tokens=1).clips[0]

    assert seen(frames).fps_assumed and seen(frames).timestamps == [0, 1, 2, 3, 4, 5]
    assert seen(Frames(frames, timestamps=[0, 0.1, 0.7, 2, 3, 9])).timestamps == [0, 0.1, 0.7, 2, 3, 9]
    assert seen(frames, timestamps=[0, 0.1, 0.7, 2, 3, 9]).frames == [0, 1, 2, 3, 4, 5]
    assert seen(frames, pictures_rate=4, fps=2, min_frames=1).frames == [0, 2, 4]
    assert len(seen(Frames(frames, fps=2), num_frames=3).frames) == 3
    assert seen(frames[:1]).frames == [0]
    assert seen(frames[:2], fps=8).frames == [0, 1]
    three = seen(Frames(frames, fps=2), num_frames=3)
    assert (three.frames, three.timestamps) == ([0, 2, 4], [0, 1, 2])
    assert seen(frames, fps=2, num_frames=3).timestamps == three.timestamps
    with pytest.raises(ValueError, match="exclude each other"):
        Frames(frames, fps=1, timestamps=[0])
    with pytest.raises(ValueError, match="6 frames and 2 times"):
        seen(Frames(frames, timestamps=[0, 1]))


def test_a_call_says_how_many_frames_are_looked_at(llm: LLM, frames: Any) -> None:
    def seen(value: Any, **settings: Any) -> Any:
        return llm.chat(shown("video", value), max_tokens=1, **settings).clips[0]

    for value in (frames, list(frames), Frames(frames, fps=2), Frames(frames, timestamps=[0, 1, 2, 3, 4, 5])):
        assert seen(value, num_frames=2).frames == [0, 3]
        assert seen(value, videos={"num_frames": 2}).frames == [0, 3]
        assert len(seen(value, max_frames=4).frames) == 4
        assert len(seen(value, num_frames=2, videos={"do_sample_frames": False}).frames) == 6
        with pytest.raises(ValueError, match="fps is -1"):
            seen(value, fps=-1)
        with pytest.raises(ValueError, match="fps is nan"):
            seen(value, fps=float("nan"))
    slower = seen(Frames(frames, fps=2), fps=1, min_frames=1)
    assert (slower.frames, slower.timestamps) == ([0, 2, 4], [0, 1, 2])
    assert seen(frames, fps=0.5, min_frames=1).frames == [0, 2, 4]
    prompt = {"prompt": "".join(llm._core.media_tokens[1:]), "multi_modal_data": {"video": frames}}
    assert llm.generate(prompt, num_frames=2, max_tokens=1).clips[0].frames == [0, 3]
    assert llm.generate({**prompt, "mm_processor_kwargs": {"num_frames": 3}}, max_tokens=1).clips[0].frames == [0, 2, 4]
    assert llm.plan(shown("video", frames), num_frames=2).media[0].frames == 2
    assert llm.chat(shown("video", frames), max_tokens=1, mm_processor_kwargs={"num_frames": 2}).clips[0].frames == [0, 3]


def test_a_clips_file(llm: LLM, media: Path) -> None:
    path = media / "moving.mp4"
    expected = llm.chat(shown("video", str(path)))
    with path.open("rb") as file:
        assert llm.chat(shown("video", file)).prompt_token_ids == expected.prompt_token_ids
    for form in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert llm.chat(shown("video", form)).prompt_token_ids == expected.prompt_token_ids
    with path.open("rb") as file:
        file.seek(4)  # what is left is no clip any more
        with pytest.raises(FormatError):
            llm.chat(shown("video", file))


def test_what_is_no_picture(llm: LLM, media: Path, pixels: Any) -> None:
    for value, message in (
        (pixels.astype("float32"), "array of float32, not of uint8"),
        (pixels.astype(">f4"), "array of >f4, not of uint8"),
        (pixels.astype("bool"), "array of bool"),
        (pixels.astype("object"), "array of object"),
        (pixels.astype("int32") + 200, r"array of int32 from \d+ to 4\d\d: pixels are 0 to 255"),
        (pixels.astype("int8") * 0 - 1, "array of int8 from -1 to -1"),
        (pixels[:, :, 0], r"shape \(\d+, \d+\)"),
        (numpy.zeros((4, 5, 6), numpy.uint8), r"\(4, 5, 6\)"),
        (numpy.zeros((0, 5, 3), numpy.uint8), "empty"),
        (b"", "no data"),
        (b"no picture", r"messages\[0\].content\[0\]"),
    ):
        with pytest.raises(ValueError, match=message):
            llm.chat(shown("image", value))
    with (media / "../README.md").resolve().parent.parent.joinpath("README.md").open() as text:
        with pytest.raises(TypeError, match='"rb"'):
            llm.chat(shown("image", text))
    with pytest.raises(TypeError, match="several pictures"):
        llm.chat(shown("image", [pixels, pixels]))
    with pytest.raises(TypeError, match="say what it holds"):
        llm.chat([{"role": "user", "content": [b"bytes"]}])
    with pytest.raises(ValueError, match="no frames"):
        llm.chat(shown("video", Frames([])))
    with pytest.raises(TypeError, match="object"):
        llm.chat(shown("image", object()))


def test_the_engine_reads_the_memory_itself(llm: LLM, media: Path, pixels: Any, frames: Any) -> None:
    """What is written after the medium was made is what is seen, where nothing was copied."""

    def answer(kind: str, medium: Any) -> Any:
        box, settings = _core.Mailbox(), {"max_new_tokens": 8, "do_sample": False}
        messages = [{"role": "user", "content": [{"type": kind, kind: "x"}, {"type": "text", "text": "What is it?"}]}]
        job = llm._core.answer({"conversations": [messages], "generate": {**settings, "logprobs": 0}}, None, {"x": medium}, None, box)
        while not job.ended:
            llm._core.wait(box, 1.0)
            box.take()
        return [entry[2] for entry in llm._core.result(job)["outputs"][0]["logprobs"]]

    black = numpy.zeros_like(pixels)
    medium = llm._core.media_pixels([black], [], "x")
    black[:] = pixels
    assert answer("image", medium) == answer("image", llm._core.media_pixels([pixels], [], "x"))
    still = numpy.zeros_like(frames)
    medium = llm._core.media_pixels([still], [], "x")
    still[:] = frames
    assert answer("video", medium) == answer("video", llm._core.media_pixels([frames], [], "x"))
    assert answer("video", medium) != answer("video", llm._core.media_pixels([numpy.zeros_like(frames)], [], "x"))
    data = (media / "shapes.png").read_bytes()
    buffer = bytearray(len(data))
    medium = llm._core.media_bytes(buffer, "x")
    buffer[:] = data
    assert answer("image", medium) == answer("image", llm._core.media_bytes(data, "x"))


def test_all_that_was_lent_is_let_go(llm: LLM, pixels: Any) -> None:
    """The engine holds a reference until the answer is there, and none afterwards."""

    class Kept(numpy.ndarray):  # type: ignore[misc, name-defined]
        """An array that can be watched."""

    array = numpy.array(pixels).view(Kept)
    watched = weakref.ref(array)
    medium = llm._core.media_pixels([array], [], "x")
    del array
    gc.collect()
    assert watched() is not None, "the medium reads its memory"
    del medium
    llm.chat("x", max_tokens=1)
    gc.collect()
    assert watched() is None
    for value in (numpy.array(pixels), bytearray(b"no picture")):
        row = llm.chat([shown("image", value)], on_error="return", max_tokens=1)
        del row
        if isinstance(value, bytearray):
            value.append(1)  # raises BufferError where it is still lent


class Host(http.server.BaseHTTPRequestHandler):
    """Files of a folder, those under /late after late_s, and /slow, which never ends."""

    folder = Path()
    late_s = 0.0

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not self.server.over.wait(0.05):  # type: ignore[attr-defined]
                pass
            return
        if self.path.startswith("/late/"):
            time.sleep(self.late_s)
        path = self.folder / self.path.removeprefix("/late").strip("/")
        if not path.exists():
            self.send_error(404)
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def host(media: Path) -> Iterator[str]:
    Host.folder = media
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def ended_in_time(llm: LLM, host: str, late_s: float) -> bool:
    """Whether the deadline of an answer counts what the fetching takes. Where it does not, the answer ends after twice
    late_s and a second, on any machine; where it does, on a busy one a little after late_s and a second.
    """
    Host.late_s = late_s
    deadline = late_s + 1
    began = time.monotonic()
    (row,) = llm.chat([shown("image", f"{host}/late/shapes.png")], deadline=deadline, max_tokens=20000, ignore_eos=True, cut_to_context=True,
                      on_error="return")
    took = time.monotonic() - began
    assert isinstance(row, TimeoutError) or row.finish_reason == "deadline"
    assert took >= deadline
    return took < late_s + deadline


def test_addresses(demo: Path, media: Path, host: str) -> None:
    with LLM(demo, threads=2, fetch={"allow_addresses": ["127.0.0.0/8"], "image_timeout": 3600}) as llm:
        expected = llm.chat(shown("image", str(media / "shapes.png")))
        assert llm.chat(shown("image", f"{host}/shapes.png")).text == expected.text
        nested = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"{host}/shapes.png"}}, {"type": "text", "text": "What is it?"}]}]
        assert llm.chat(nested).prompt_token_ids == expected.prompt_token_ids
        assert llm.plan(nested).media[0].tokens == expected.usage.image_tokens
        clip = llm.chat(shown("video", f"{host}/moving.mp4"))
        assert clip.prompt_token_ids == llm.chat(shown("video", str(media / "moving.mp4"))).prompt_token_ids
        with pytest.raises(FileNotFoundError, match="absent.png"):
            llm.chat(shown("image", f"{host}/absent.png"))
        slow = [llm.stream(shown("image", f"{host}/slow")) for _ in range(4)]
        assert llm.chat("Others are answered meanwhile.", max_tokens=1, deadline=600).token_ids  # which those are not
        for stream in slow:
            stream.close()
        with pytest.raises(TimeoutError, match="deadline of 0.3 s passed while .* fetched"):
            llm.chat(shown("image", f"{host}/slow"), deadline=0.3)
        assert any(ended_in_time(llm, host, late_s) for late_s in (3.0, 10.0, 40.0))
        assert llm.chat(shown("image", f"{host}/shapes.png"), deadline=600).text == expected.text
    with LLM(demo, threads=2) as llm:
        with pytest.raises(ValueError, match="127.0.0.1"):
            llm.chat(shown("image", f"{host}/shapes.png"))
    with LLM(demo, threads=2, fetch=False) as llm:
        with pytest.raises(NotImplementedError, match="http"):
            llm.chat(shown("image", f"{host}/shapes.png"))
    with pytest.raises(ValueError, match='fetch has no "allowed"'):
        LLM(demo, fetch={"allowed": []})
