"""Prompts of generate and embed: text or ids as they stand, and in vLLM's form with the pictures and clips that stand in
the places of their placeholders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from . import _core, _kinds
from .media import Frames, count_frames, is_array, is_pixels

_KEYS = ("prompt", "prompt_token_ids", "multi_modal_data", "mm_processor_kwargs", "multi_modal_uuids", "cache_salt")
# What a clip's metadata may say; the last three say nothing that its frames do not.
_METADATA = ("fps", "timestamps", "frames_indices", "total_num_frames", "duration", "do_sample_frames", "width", "height",
             "video_backend")


@dataclass(frozen=True)
class ReadPrompt:
    """What a prompt comes down to: ids where it shows nothing, else its text and the parts of a message that show what it
    does, in the order of its placeholders."""

    ids: Optional[list[int]] = None
    text: Optional[str] = None
    said: Optional[str] = None  # the prompt where it was given as text
    parts: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)  # of pictures and clips
    cache_salt: Optional[str] = None


def is_one_prompt(prompts: Any) -> bool:
    if isinstance(prompts, (str, Mapping)):
        return True
    shape = getattr(prompts, "shape", "T")
    if isinstance(prompts, (bytes, bytearray)) or not hasattr(prompts, "__len__") or not shape:
        raise TypeError(f"[llm] a {type(prompts).__name__} is no prompt: give a text, token ids, or a list of these")
    if len(shape) > 1:  # rows of ids
        return False
    return len(prompts) > 0 and all(hasattr(token, "__index__") for token in prompts)


def is_prompt_dict(value: Any) -> bool:
    """Whether this is a prompt and no message."""
    return isinstance(value, Mapping) and "role" not in value


def read_prompt(core: _core.Llm, prompt: Any) -> ReadPrompt:
    if not isinstance(prompt, Mapping):
        return ReadPrompt(ids=_ids_of(core, prompt), said=prompt if isinstance(prompt, str) else None)
    for name, value in prompt.items():
        if name not in _KEYS and value is not None:
            raise NotImplementedError(f'[llm] a prompt cannot have "{name}"; it may have {", ".join(_KEYS)}')
    said = {name: value for name, value in prompt.items() if value is not None}
    pictures, clips = _media_of(said)
    salt = said.get("cache_salt")
    if salt is not None and not isinstance(salt, str):
        raise TypeError(f"[llm] the cache_salt of a prompt is {salt!a}; it should be a text")
    if not pictures and not clips:
        if said.get("mm_processor_kwargs"):
            raise ValueError("[llm] a prompt has mm_processor_kwargs and no pictures and clips in multi_modal_data")
        return ReadPrompt(ids=_ids_of(core, said.get("prompt_token_ids", said.get("prompt"))), said=_said(said), cache_salt=salt)
    text = _text_of(core, said)
    parts = _in_places(text, *core.media_tokens, pictures, clips)
    options = said.get("mm_processor_kwargs") or {}
    if not isinstance(options, Mapping):
        raise TypeError(f"[llm] mm_processor_kwargs is a {type(options).__name__}; it should be a dict")
    return ReadPrompt(text=text, said=_said(said), parts=parts, options=dict(options), cache_salt=salt)


def _said(prompt: Mapping[str, Any]) -> Optional[str]:
    text = prompt.get("prompt")
    return text if isinstance(text, str) else None


def places_of(text: str, image: str, video: str) -> list[bool]:
    """Of each placeholder of a prompt, in order, whether it is a clip's."""
    places: list[bool] = []
    at = 0
    while True:
        i, v = text.find(image, at), text.find(video, at)
        found = min((place for place in (i, v) if place >= 0), default=-1)
        if found < 0:
            return places
        places.append(found == v and image != video)
        at = found + len(video if found == v else image)


def _ids_of(core: _core.Llm, prompt: Any) -> list[int]:
    if prompt is None:
        raise ValueError('[llm] a prompt has neither "prompt" nor "prompt_token_ids"')
    ids = core.tokenizer.encode(prompt, True) if isinstance(prompt, str) else _listed(prompt)
    if not ids:
        raise ValueError("[llm] a prompt has no tokens")
    return ids


def _listed(ids: Any) -> list[int]:
    if not hasattr(ids, "__len__") or not all(hasattr(token, "__index__") for token in ids):
        raise TypeError(f"[llm] a prompt is {ids!a:.80}; it should be a text, or a list of token ids")
    if len(getattr(ids, "shape", "T")) != 1:
        raise ValueError(f"[llm] a prompt is of the shape {tuple(ids.shape)}; token ids are a list, and several prompts a list of lists")
    return [_kinds.integer(token, "prompt_token_ids") for token in ids]


def _text_of(core: _core.Llm, said: Mapping[str, Any]) -> str:
    """The prompt's text; ids are given back theirs where it stands for nothing but them."""
    if "prompt_token_ids" not in said:
        text = said.get("prompt")
        if isinstance(text, str):
            return text
        if text is None:
            raise ValueError('[llm] multi_modal_data comes without a "prompt" whose placeholders it fills')
        said = {"prompt_token_ids": text}
    ids = _listed(said["prompt_token_ids"])
    text = core.tokenizer.decode(ids, False)
    if core.tokenizer.encode(text, True) != ids:
        raise NotImplementedError("[llm] prompt_token_ids beside multi_modal_data are not those of their own text: give the "
                                  'text as "prompt"')
    return text


def _in_places(text: str, image: str, video: str, pictures: list[Any], clips: list[Any]) -> list[dict[str, Any]]:
    """Parts of a message, in the order of the placeholders."""
    if image == video and pictures and clips:
        raise NotImplementedError(f'[llm] this checkpoint has "{image}" for pictures and for clips: a prompt cannot say which is '
                                  "which; show them with chat")
    places = [bool(clips)] * text.count(image) if image == video else places_of(text, image, video)
    if (places.count(False), places.count(True)) != (len(pictures), len(clips)):
        raise ValueError(f'[llm] the prompt has {places.count(False)} "{image}" and {places.count(True)} "{video}" for '
                         f"{len(pictures)} pictures and {len(clips)} clips of multi_modal_data")
    left, right = iter(pictures), iter(clips)
    return [next(right) if is_clip else next(left) for is_clip in places]


def _media_of(said: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    data = said.get("multi_modal_data") or {}
    if not isinstance(data, Mapping):
        raise TypeError(f'[llm] multi_modal_data is a {type(data).__name__}; it should be a dict of "image" and "video"')
    for name, value in data.items():
        if name not in ("image", "video") and value is not None:
            raise NotImplementedError(f'[llm] multi_modal_data has "{name}"; this model sees "image" and "video"')
    pictures = [{"type": "image", "image": _shown(picture, "image")} for picture in _pictures(data.get("image"))]
    clips = [_clip(_shown(clip, "video")) for clip in _clips(data.get("video"))]
    return pictures, clips


def _shown(value: Any, name: str) -> Any:
    if value is None:
        raise NotImplementedError(f'[llm] multi_modal_data has None under "{name}": what was shown earlier is not kept under its '
                                  "uuid; give it again")
    if isinstance(value, Mapping):
        raise NotImplementedError(f'[llm] multi_modal_data has a dict under "{name}" ({", ".join(map(str, value))}): embeddings are '
                                  "not taken; give the pixels")
    return value


def _pictures(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (list, tuple)) or (is_array(value) and len(value.shape) == 4):
        return list(value)
    return [value]


def _has_metadata(value: Any) -> bool:
    """Whether this is a clip and what is said of it."""
    return isinstance(value, tuple) and len(value) == 2 and not is_pixels(value[1]) and (
        value[1] is None or isinstance(value[1], Mapping) or hasattr(value[1], "fps"))


def _clips(value: Any) -> list[Any]:
    if value is None:
        return []
    if _has_metadata(value):
        return [value]
    if is_array(value):
        return list(value) if len(value.shape) == 5 else [value]
    if not isinstance(value, (list, tuple)):
        return [value]
    of_one = len(value) > 0 and all(is_pixels(frame) and len(getattr(frame, "shape", "HWC")) == 3 for frame in value)
    return [value] if of_one else list(value)


def _clip(value: Any) -> dict[str, Any]:
    """The part of a message that shows a clip, by its frames alone or with (frames, metadata)."""
    if not _has_metadata(value) or value[1] is None:
        return {"type": "video", "video": value[0] if _has_metadata(value) else value}
    frames, given = value
    about = {name: said for name, said in dict(given if isinstance(given, Mapping) else vars(given)).items() if said is not None}
    unknown = [name for name in about if name not in _METADATA]
    if unknown:
        raise ValueError(f'[llm] the metadata of a clip has "{unknown[0]}"; known are {", ".join(_METADATA)}')
    if not (isinstance(frames, (list, tuple)) or is_array(frames)):
        raise NotImplementedError("[llm] metadata is of frames in memory: a clip's file has its own")
    if "timestamps" in about and "frames_indices" in about:
        raise ValueError("[llm] the metadata of a clip says when its frames are shown twice: timestamps and frames_indices")
    part: dict[str, Any] = {"type": "video"}
    if "do_sample_frames" in about:
        part["do_sample_frames"] = bool(about["do_sample_frames"])
    times, fps = _times(about, count_frames(frames))
    sampled = part.get("do_sample_frames", False)
    if times is None and fps is not None and sampled:
        part["pictures_rate"] = fps
        fps = None
    elif times is not None and not sampled and "do_sample_frames" in part:
        del part["do_sample_frames"]  # all of them, which is what frames with times mean
    part["video"] = Frames(frames, fps=fps, timestamps=times)
    return part


def _times(about: Mapping[str, Any], count: int) -> tuple[Optional[list[float]], Optional[float]]:
    """When each of a clip's frames is shown, or how many are a second."""
    if "timestamps" in about:
        return [float(time) for time in about["timestamps"]], None
    fps, total = about.get("fps"), about.get("total_num_frames")
    if fps is None and total and about.get("duration"):
        fps = total / about["duration"]
    if fps is not None and not 0 < float(fps) < float("inf"):
        raise ValueError(f"[llm] the metadata of a clip has the fps {fps!r}; it should be above 0")
    indices: Optional[Sequence[Any]] = about.get("frames_indices")
    if indices is None:
        if total is not None and int(total) != count:
            raise ValueError(f"[llm] the metadata of a clip says total_num_frames {total} of {count} frames, and no frames_indices "
                             "says which they are")
        return None, None if fps is None else float(fps)
    if fps is None:
        raise ValueError("[llm] the metadata of a clip has frames_indices and no fps: when they are shown is not known")
    return [int(index) / float(fps) for index in indices], None
