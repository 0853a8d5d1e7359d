"""Prompts in vLLM's form, with pictures and clips beside them: what chat makes of the same, and refusals by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from videollama3 import LLM, AutoProcessor, Frames

numpy = pytest.importorskip("numpy")
PIL = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def llm(demo: Path) -> Iterator[LLM]:
    with LLM(demo, threads=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def processor(demo: Path) -> AutoProcessor:
    return AutoProcessor.from_pretrained(demo)


@pytest.fixture(scope="module")
def frames() -> Any:
    made = numpy.full((6, 84, 112, 3), 20, numpy.uint8)
    for i in range(6):
        made[i, 10:40, 12 * i : 12 * i + 30] = (230, 40, 30)
    return made


def messages(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}]


def prompt(processor: Any, *kinds: str) -> str:
    """As people make it for vLLM: the template's text, its placeholders not expanded."""
    shown = messages(*({"type": kind, kind: "x"} for kind in kinds))
    return str(processor.apply_chat_template(shown, tokenize=False, add_generation_prompt=True))


def seen_of(made: Any) -> list[Any]:
    """What was looked at, without where the request has it."""
    return [replace(clip, name="") for clip in made.clips]


def same(made: Any, expected: Any) -> None:
    assert made.prompt_token_ids == expected.prompt_token_ids
    assert made.text == expected.text and made.text
    assert seen_of(made) == seen_of(expected)
    assert (made.usage.image_tokens, made.usage.video_tokens) == (expected.usage.image_tokens, expected.usage.video_tokens)


def test_pictures(llm: LLM, processor: Any, media: Path) -> None:
    path = media / "shapes.png"
    picture = PIL.open(path)
    pixels = numpy.asarray(picture.convert("RGB"))
    text = prompt(processor, "image")
    expected = llm.chat(messages({"type": "image", "image": str(path)}))
    assert expected.usage.image_tokens > 0
    for shown in (picture, pixels, [picture], (pixels,), pixels[None], str(path), path, path.read_bytes()):
        same(llm.generate({"prompt": text, "multi_modal_data": {"image": shown}}), expected)
    ids = llm.tokenizer.encode(text, True)
    same(llm.generate({"prompt_token_ids": ids, "multi_modal_data": {"image": picture}}), expected)
    rows = llm.generate([{"prompt": text, "multi_modal_data": {"image": picture}, "multi_modal_uuids": {"image": ["a"]}},
                         {"prompt": "hello", "multi_modal_data": {}}, "hello"], max_tokens=4)
    assert rows[0].prompt_token_ids == expected.prompt_token_ids
    assert rows[1].prompt_token_ids == rows[2].prompt_token_ids == llm.tokenizer.encode("hello", True)
    same(asyncio.run(llm.agenerate({"prompt": text, "multi_modal_data": {"image": picture}})), expected)


def test_each_stands_in_its_place(llm: LLM, processor: Any, media: Path, frames: Any) -> None:
    one, two = str(media / "shapes.png"), str(media / "scenes/chart.png")
    clip = {"type": "video", "video": frames, "fps": 2}
    expected = llm.chat(messages({"type": "image", "image": one}, clip, {"type": "image", "image": two}))
    data = {"image": [one, two], "video": (frames, {"fps": 2})}
    same(llm.generate({"prompt": prompt(processor, "image", "video", "image"), "multi_modal_data": data}), expected)
    turned = llm.generate({"prompt": prompt(processor, "image", "video", "image"), "multi_modal_data": {**data, "image": [two, one]}})
    assert turned.prompt_token_ids != expected.prompt_token_ids


def test_clips(llm: LLM, processor: Any, media: Path, frames: Any) -> None:
    text = prompt(processor, "video")

    def seen(shown: Any, **more: Any) -> Any:
        return llm.generate({"prompt": text, "multi_modal_data": {"video": shown}, **more})

    bare = llm.chat(messages({"type": "video", "video": frames}))
    pictures = [PIL.fromarray(frame) for frame in frames]
    for shown in (frames, [frames], list(frames), pictures, [pictures], frames[None], (frames, None), [(frames, {})]):
        same(seen(shown), bare)
    timed = llm.chat(messages({"type": "video", "video": frames, "fps": 2}))
    assert timed.clips[0].timestamps == [0, 0.5, 1, 1.5, 2, 2.5]
    opencv = {"total_num_frames": 6, "fps": 2.0, "duration": 3.0, "video_backend": "opencv", "frames_indices": [0, 1, 2, 3, 4, 5],
              "do_sample_frames": False, "width": 112, "height": 84}
    for about in ({"fps": 2}, opencv, SimpleNamespace(**opencv), {"total_num_frames": 6, "duration": 3}, {"timestamps": [i / 2 for i in range(6)]}):
        for shown in ((frames, about), [(frames, about)], (pictures, about)):
            made = seen(shown)
            assert made.prompt_token_ids == timed.prompt_token_ids, about
            assert made.text == timed.text and made.clips[0].timestamps == timed.clips[0].timestamps
    same(seen(Frames(frames, fps=2)), timed)
    # Every 25th frame of a clip of 50 a second was kept by whoever opened it.
    assert seen((frames, {"fps": 50, "frames_indices": range(0, 150, 25), "total_num_frames": 500})).clips[0].timestamps == [
        0, 0.5, 1, 1.5, 2, 2.5]
    # What is still to be sampled is.
    for about in ({"fps": 2, "do_sample_frames": True}, {**opencv, "do_sample_frames": True}):
        assert seen((frames, about), mm_processor_kwargs={"fps": 1, "min_frames": 1}).clips[0].frames == [0, 2, 4]
        assert len(seen((frames, about), mm_processor_kwargs={"num_frames": 2}).clips[0].frames) == 2
    two = llm.generate({"prompt": prompt(processor, "video", "video"), "multi_modal_data": {"video": [(frames, {"fps": 2}), frames[:2]]}})
    assert [clip.timestamps for clip in two.clips] == [[0, 0.5, 1, 1.5, 2, 2.5], [0, 1]]
    same(seen(str(media / "moving.mp4")), llm.chat(messages({"type": "video", "video": str(media / "moving.mp4")})))


def test_options(llm: LLM, processor: Any, media: Path) -> None:
    shown = {"prompt": prompt(processor, "video"), "multi_modal_data": {"video": str(media / "moving.mp4")}}
    expected = llm.chat(messages({"type": "video", "video": str(media / "moving.mp4")}), fps=1, max_pixels=20000)
    assert expected.clips[0].frames != llm.generate(shown).clips[0].frames
    same(llm.generate(shown, fps=1, max_pixels=20000), expected)
    same(llm.generate({**shown, "mm_processor_kwargs": {"fps": 1, "max_pixels": 20000}}), expected)
    same(llm.generate({**shown, "mm_processor_kwargs": {"videos_kwargs": {"fps": 1}, "max_pixels": 20000}}), expected)
    same(llm.generate({**shown, "mm_processor_kwargs": {"fps": 1}}, fps=7, max_pixels=20000), expected)  # its own go first
    whole = llm.generate({**shown, "mm_processor_kwargs": {"use_token_compression": False}})
    assert whole.usage.video_tokens > llm.generate(shown).usage.video_tokens
    vector = llm.embed({**shown, "mm_processor_kwargs": {"fps": 1, "max_pixels": 20000}})
    assert list(vector.vector) == list(llm.embed(messages({"type": "video", "video": str(media / "moving.mp4")}), fps=1, max_pixels=20000).vector)
    vectors = llm.embed([shown, {"prompt": "hello"}])
    assert len(vectors) == 2 and list(vectors[1].vector) == list(llm.embed("hello").vector)


def test_a_salt_of_its_own(demo: Path, processor: Any, media: Path) -> None:
    with LLM(demo, threads=2, feature_cache="64 MiB", prefix_cache="64 MiB") as llm:
        shown = {"prompt": prompt(processor, "image"), "multi_modal_data": {"image": str(media / "shapes.png")}}
        llm.generate({**shown, "cache_salt": "a"}, max_tokens=1)
        assert llm.generate({**shown, "cache_salt": "b"}, max_tokens=1).usage.cached_tokens == 0
        assert llm.generate({**shown, "cache_salt": "a"}, max_tokens=1).usage.cached_tokens > 0


def test_ids_that_are_none_are_named(llm: LLM) -> None:
    for prompt, kind, words in (
        ([10**20], ValueError, "prompt_token_ids.*beyond 64 bits"),
        ({"prompt_token_ids": [10**20]}, ValueError, "prompt_token_ids.*beyond 64 bits"),
        ({"prompt": 5}, TypeError, "a prompt is 5"),
        ({"prompt_token_ids": ["a"]}, TypeError, r"a prompt is \['a'\]"),
        ({"prompt_token_ids": numpy.array([[1, 2]])}, ValueError, r"shape \(1, 2\)"),
        (numpy.array(5), TypeError, "ndarray is no prompt"),
    ):
        with pytest.raises(kind, match=words):
            llm.generate(prompt, max_tokens=1)
        with pytest.raises(kind, match=words):
            llm.embed(prompt)
    rows = llm.generate(numpy.array([[5, 6], [7, 8]]), max_tokens=1)
    assert [row.prompt_token_ids for row in rows] == [[5, 6], [7, 8]]


def test_what_cannot_be_honoured_is_named(llm: LLM, processor: Any, frames: Any) -> None:
    text = prompt(processor, "image")
    pixels, clip = frames[0], prompt(processor, "video")
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"multi_modal_data": {"audio": [1]}}, NotImplementedError, 'has "audio"'),
        ({"multi_modal_data": {"image": {"image_embeds": pixels}}}, NotImplementedError, "image_embeds.*embeddings"),
        ({"multi_modal_data": {"image": [None]}, "multi_modal_uuids": {"image": ["a"]}}, NotImplementedError, "uuid"),
        ({"multi_modal_data": {"image": pixels.astype("float32")}}, ValueError, "uint8"),
        ({"multi_modal_data": {"image": 7}}, ValueError, "7"),
        ({"multi_modal_data": [pixels]}, TypeError, "multi_modal_data is a list"),
        ({"multi_modal_data": {"image": [pixels, pixels]}}, ValueError, r'1 "<\|image_pad\|>" and 0 .* for 2 pictures and 0 clips'),
        ({"multi_modal_data": {"video": frames}}, ValueError, "for 0 pictures and 1 clips"),
        ({"prompt": None, "multi_modal_data": {"image": pixels}}, ValueError, '"prompt" whose placeholders'),
        ({"multi_modal_data": {"image": pixels}, "mm_processor_kwargs": {"do_pan_and_scan": True}}, ValueError, "do_pan_and_scan"),
        ({"multi_modal_data": {"image": pixels}, "mm_processor_kwargs": {"messages": []}}, ValueError, '"messages"'),
        ({"multi_modal_data": {"image": pixels}, "mm_processor_kwargs": [1]}, TypeError, "mm_processor_kwargs is a list"),
        ({"mm_processor_kwargs": {"fps": 1}}, ValueError, "no pictures and clips"),
        ({"multi_modal_data": {"image": pixels}, "cache_salt": 1}, TypeError, "cache_salt"),
        ({"multi_modal_data": {"image": pixels}, "prompt_embeds": [1]}, NotImplementedError, '"prompt_embeds"'),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"fps": 2, "rate": 1})}}, ValueError, '"rate"; known are'),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"fps": 0})}}, ValueError, "above 0"),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"frames_indices": [1]})}}, ValueError, "no fps"),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"fps": 2, "frames_indices": [1]})}}, ValueError, "6 frames and 1 times"),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"fps": 2, "total_num_frames": 300})}}, ValueError, "total_num_frames 300"),
        ({"prompt": clip, "multi_modal_data": {"video": ("a.mp4", {"fps": 2})}}, NotImplementedError, "a clip's file has its own"),
        ({"prompt": clip, "multi_modal_data": {"video": (frames, {"timestamps": [1], "frames_indices": [1]})}}, ValueError, "twice"),
    ]
    for own, kind, words in wrong:
        given = {"prompt": text, **own}
        with pytest.raises(kind, match=words):
            llm.generate({name: value for name, value in given.items() if value is not None})
    torn = [*llm.tokenizer.encode("<|image_pad|>a", True), *llm.tokenizer.encode("c", True)]  # "ac" is one token
    with pytest.raises(NotImplementedError, match="not those of their own text"):
        llm.generate({"prompt_token_ids": torn, "multi_modal_data": {"image": pixels}})
