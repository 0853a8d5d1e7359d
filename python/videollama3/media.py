"""Pictures and clips of messages: what a program has in memory is lent to the engine, which reads it there.

The memory of bytes and arrays must not be written to before the request has ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Optional, Union

from ._kinds import dtype_name, kind_of

if TYPE_CHECKING:
    from ._core import Llm, Media, Runtime

_VIDEO_KEYS = ("video", "video_url", "input_video", "video_path")
_IMAGE_KEYS = ("image", "image_url", "input_image", "image_path")


class Frames:
    """A clip that is decoded already: a list of pictures (Pillow, arrays), or an array [T, H, W, 3] or [T, 3, H, W].

    fps: how many are shown a second; or timestamps: when each is shown, in seconds, ascending. Without either, one
    a second is assumed. All are looked at, up to max_frames, unless the part or the call says otherwise.
    """

    def __init__(self, frames: Any, *, fps: Optional[float] = None, timestamps: Optional[Sequence[float]] = None) -> None:
        if fps is not None and timestamps is not None:
            raise ValueError("[Frames] fps and timestamps exclude each other")
        self.frames = frames
        self.fps = fps
        self.timestamps = timestamps


def _is_bytes(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview))


def _is_picture(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "tobytes") and hasattr(value, "mode")


def is_array(value: Any) -> bool:
    return hasattr(value, "shape") and (hasattr(value, "__dlpack__") or hasattr(value, "__array_interface__"))


def _is_file(value: Any) -> bool:
    return hasattr(value, "read")


def is_pixels(value: Any) -> bool:
    return _is_picture(value) or is_array(value)


def _is_memory(value: Any) -> bool:
    return _is_bytes(value) or is_pixels(value) or _is_file(value) or isinstance(value, Frames)


def _pixels(value: Any, where: str) -> Any:
    """What the engine takes: an array as it is, of wider integers as bytes; of Pillow's pictures their bytes, which are stored
    otherwise there."""
    if not _is_picture(value):
        return value if kind_of(value) is None else _in_bytes(value, where)
    picture = _on_white(value) if _is_clear(value) else value if value.mode == "RGB" else value.convert("RGB")
    return (picture.tobytes(), picture.height, picture.width)


def _in_bytes(value: Any, where: str) -> Any:
    """An array of numpy or torch as uint8."""
    dtype = dtype_name(value.dtype)
    if dtype == "uint8":
        return value
    if "int" not in str(getattr(value.dtype, "name", dtype)):
        raise ValueError(f"[{where}] is an array of {dtype}, not of uint8: pixels are 0 to 255; floating-point pictures are to be "
                         "scaled and rounded by whoever knows their range")
    wide = value.long() if kind_of(value) == "pt" else value  # torch has no extremes of all integers
    if 0 not in value.shape and not 0 <= int(wide.min()) <= int(wide.max()) <= 255:
        raise ValueError(f"[{where}] is an array of {dtype} from {int(wide.min())} to {int(wide.max())}: pixels are 0 to 255")
    return wide.byte() if kind_of(value) == "pt" else value.astype("uint8")


def _is_clear(picture: Any) -> bool:
    """Whether a picture of Pillow's may be seen through."""
    return "A" in picture.getbands() or getattr(picture, "info", {}).get("transparency") is not None


def _on_white(picture: Any) -> Any:
    """As the reference shows what can be seen through."""
    from PIL import Image

    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, (255, 255, 255, 255)), clear).convert("RGB")


def count_frames(frames: Sequence[Any]) -> int:
    return sum(frame.shape[0] if is_array(frame) and len(frame.shape) == 4 else 1 for frame in frames)


def tells_sampling(options: Mapping[str, Any]) -> bool:
    """Whether these options of clips say how many frames are looked at."""
    if options.get("do_sample_frames") is not None:
        return bool(options["do_sample_frames"])
    return options.get("fps") is not None or options.get("num_frames") is not None


class Lender:
    """Messages of one request on their way to the engine: media holds what they show from memory. clips: what the request
    says of its clips."""

    def __init__(self, core: Union[Llm, Runtime], max_frames: int, clips: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._core = core
        self._max_frames = clips["max_frames"] if isinstance(clips.get("max_frames"), int) else max_frames
        self._sampled = tells_sampling(clips)
        self.media: dict[str, Media] = {}

    def messages(self, messages: Any, where: str = "messages") -> list[Any]:
        if isinstance(messages, str):
            return [{"role": "user", "content": messages}]
        if not isinstance(messages, Sequence):
            raise TypeError(f"[{where}] is a {type(messages).__name__}; it should be a list of messages")
        if not messages:
            raise ValueError(f"[{where}] there are no messages")
        return [self._message(message, f"{where}[{i}]") for i, message in enumerate(messages)]

    def _message(self, message: Any, where: str) -> Any:
        if not isinstance(message, Mapping):
            return message
        made = {name: value for name, value in message.items() if value is not None}  # None is how OpenAI's clients write nothing
        if "content" in message:
            made.setdefault("content", "")
        content = made.get("content")
        if _is_memory(content):
            content = [content]
        if isinstance(content, (list, tuple)):
            made["content"] = [self._part(part, f"{where}.content[{i}]") for i, part in enumerate(content)]
        return made

    def _part(self, part: Any, where: str) -> Any:
        if isinstance(part, Frames) or (is_array(part) and len(part.shape) == 4):
            return self._part({"type": "video", "video": part}, where)
        if is_pixels(part):
            return self._part({"type": "image", "image": part}, where)
        if _is_memory(part):
            raise TypeError(
                f'[{where}] is a {type(part).__name__}: say what it holds, {{"type": "image", "image": …}} or '
                '{"type": "video", "video": …}'
            )
        if not isinstance(part, Mapping):
            return part
        made = dict(part)
        for key, value in part.items():
            if isinstance(value, Mapping) and any(_holds_memory(inner) for inner in value.values()):
                made[key] = self._part({**value, "type": part.get("type")}, where)
                made[key].pop("type")
            elif _holds_memory(value):
                self._place(made, key, value, where)
        return made

    def _place(self, part: dict[str, Any], key: str, value: Any, where: str) -> None:
        is_clip = str(part.get("type", "")).find("video") >= 0 or key in _VIDEO_KEYS
        if not is_clip:
            if isinstance(value, (list, tuple, Frames)):
                raise TypeError(f'[{where}] "{key}" holds several pictures: a part is one picture, or a clip')
            part[key] = self.one(value, where)
        elif isinstance(value, (list, tuple)) and not all(is_pixels(frame) for frame in value):
            part[key] = [self.one(frame, f"{where}[{i}]") if _is_memory(frame) else frame for i, frame in enumerate(value)]
        elif isinstance(value, (list, tuple, Frames)) or is_pixels(value):
            part[key] = self.frames(part, value, where)
        else:
            part[key] = self.one(value, where)

    def one(self, value: Any, where: str) -> str:
        """A picture, or what a file of a picture or clip holds."""
        if is_pixels(value):
            medium = self._core.media_pixels([_pixels(value, where)], [], where)
        elif _is_bytes(value):
            medium = self._core.media_bytes(value, where)
        elif _is_file(value):
            medium = self._file(value, where)
        else:
            raise TypeError(f"[{where}] takes paths, addresses, bytes, files, Pillow pictures and arrays, not {type(value).__name__}")
        self.media[where] = medium
        return where

    def _file(self, value: Any, where: str) -> Media:
        name = getattr(value, "name", None)
        shown = name if isinstance(name, str) else where
        try:
            at_the_start = value.tell() == 0 and not (hasattr(value, "writable") and value.writable())
            descriptor = value.fileno() if at_the_start else -1
        except (OSError, AttributeError):
            descriptor = -1
        if descriptor >= 0 and os.path.isfile(f"/proc/self/fd/{descriptor}") and "b" in getattr(value, "mode", ""):
            return self._core.media_file(descriptor, shown)
        data = value.read()
        if isinstance(data, str):
            raise TypeError(f'[{where}] is a file of text: open it with "rb"')
        return self._core.media_bytes(data, shown)

    def frames(self, part: dict[str, Any], value: Any, where: str) -> str:
        """Frames that are decoded, with the options of their part: its fps is their rate unless pictures_rate says it. All are
        looked at where neither part nor call says how many."""
        frames, fps, times = value, None, part.pop("timestamps", None)
        if isinstance(value, Frames):
            frames, fps = value.frames, value.fps
            times = value.timestamps if times is None else times
        if is_pixels(frames):
            frames = [frames]
        if len(frames) == 0:
            raise ValueError(f"[{where}] has no frames")
        seconds = [float(time) for time in times] if times is not None else []
        self.media[where] = self._core.media_pixels([_pixels(frame, where) for frame in frames], seconds, where)
        if fps is not None and not seconds:
            part["pictures_rate"] = fps
        if part.get("do_sample_frames") is None:
            self._sample(part, bool(seconds), count_frames(frames))
        return where

    def _sample(self, part: dict[str, Any], timed: bool, count: int) -> None:
        if not timed and part.get("pictures_rate") is None and part.get("fps") is not None:
            part["pictures_rate"] = part.pop("fps")
        if self._sampled or part.get("num_frames") is not None or part.get("fps") is not None:
            return
        if timed:
            part["num_frames"] = min(count, part.get("max_frames") or self._max_frames)
        else:
            part["fps"] = part.get("pictures_rate") or 1


def _holds_memory(value: Any) -> bool:
    return _is_memory(value) or (isinstance(value, (list, tuple)) and any(_is_memory(item) for item in value))


def has_text(messages: Any) -> bool:
    """Whether any message says something beside showing media."""
    if isinstance(messages, str):
        return bool(messages)
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, str) and content:
            return True
        for part in content if isinstance(content, (list, tuple)) else ():
            if isinstance(part, str) and part:
                return True
            if isinstance(part, Mapping) and part.get("text"):
                return True
    return False


def has_media(messages: Any) -> bool:
    if isinstance(messages, str):
        return False
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        if _is_memory(content):
            return True
        for part in content if isinstance(content, (list, tuple)) else ():
            if _is_memory(part) or (isinstance(part, Mapping) and any(key in part for key in (*_IMAGE_KEYS, *_VIDEO_KEYS))):
                return True
    return False
