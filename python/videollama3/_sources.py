"""Pictures and clips of the media processors, and when the frames of clips are shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .media import Frames, Lender

_CLIP_KEYS = ("video", "url", "path")


def flat(pictures: Any) -> list[Any]:
    """Lists of pictures to any depth, and arrays of several, as one list."""
    made: list[Any] = []
    for picture in pictures:
        several = isinstance(picture, (list, tuple)) or getattr(picture, "ndim", 0) == 4
        made.extend(flat(picture) if several else [picture])
    return made


def is_clip(frames: Any) -> bool:
    """Whether a list is the frames of one clip: pictures, not clips."""
    first = frames[0] if frames else None
    return hasattr(first, "convert") or getattr(first, "ndim", 0) == 3


@contextlib.contextmanager
def naming_allow_addresses() -> Iterator[None]:
    """What fetches in here says of an address that is not public which option would allow it."""
    try:
        yield
    except ValueError as error:
        if "not public" not in str(error):
            raise
        raise ValueError(f"{error}: allow_addresses of from_pretrained names blocks of an inner network") from None


def source(runtime: Any, value: Any, name: str, allow_addresses: list[str], video: bool = False) -> Any:
    """A path, an address, or what Lender takes."""
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        with naming_allow_addresses():
            return runtime.media_address(value, video, allow_addresses)
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        return runtime.media_path(value)
    lender = Lender(runtime, 0)
    return lender.media[lender.one(value, name)]


def timed(clips: Any, metadata: Any) -> list[Any]:
    """Clips in memory with the times that the reference's video_metadata gives their frames."""
    if metadata is None:
        return list(clips)
    said = metadata if isinstance(metadata, (list, tuple)) else [metadata]
    if len(said) != len(clips):
        raise ValueError(f"[video_processor] there are {len(clips)} clips and video_metadata of {len(said)}")
    made = []
    for clip, about in zip(clips, said):
        about = about if isinstance(about, dict) else vars(about)
        if isinstance(clip, (str, bytes, Frames)) or hasattr(clip, "__fspath__"):
            raise NotImplementedError("[video_processor] video_metadata is of clips in memory: a file has its own")
        if not about.get("fps"):
            raise ValueError('[video_processor] video_metadata needs "fps"')
        indices = about.get("frames_indices")
        made.append(Frames(clip, timestamps=[int(i) / about["fps"] for i in (range(len(clip)) if indices is None else indices)]))
    return made


def clip_sources(runtime: Any, clip: Any, name: str, allow_addresses: list[str]) -> list[Any]:
    if isinstance(clip, (list, tuple)) and all(isinstance(frame, str) or hasattr(frame, "__fspath__") for frame in clip):
        return [runtime.media_path(frame) for frame in clip]
    if isinstance(clip, (list, tuple, Frames)) or hasattr(clip, "shape"):
        lender = Lender(runtime, 0)
        return [lender.media[lender.frames({}, clip, name)]]
    return [source(runtime, clip, name, allow_addresses, video=True)]


def timed_messages(conversations: list[Any], metadata: Any) -> list[Any]:
    """Conversations whose clips, all of them in memory, have the times that video_metadata gives their frames, in their order."""
    said = list(metadata) if isinstance(metadata, (list, tuple)) else [metadata]
    count = 0

    def part_of(part: Any) -> Any:
        nonlocal count
        key = next((key for key in _CLIP_KEYS if part.get(key) is not None), None) if isinstance(part, dict) else None
        if key is None or part.get("type") not in ("video", None):
            return part
        count += 1
        if count > len(said):
            return part
        return {**part, key: timed([part[key]], said[count - 1:count])[0]}

    made = [[{**message, "content": [part_of(part) for part in message["content"]]}
             if isinstance(message, dict) and isinstance(message.get("content"), (list, tuple)) else message for message in messages]
            for messages in conversations]
    if count != len(said):
        raise ValueError(f"[processor] there are {count} clips and video_metadata of {len(said)}")
    return made


class VideoMetadata(dict):  # type: ignore[type-arg]
    """What was looked at of a clip, by key and by attribute: fps, duration, total_num_frames, frames_indices, timestamps, …"""

    def __init__(self, report: dict[str, Any]) -> None:
        duration = report["total_num_frames"] / report["fps"] if report["fps"] else None
        super().__init__({**report, "duration": duration})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"VideoMetadata has {sorted(self)}, not {name!r}") from None
