"""What an LLM and its calls are told, read: sizes, folders, adapters, whose turn a request is."""

from __future__ import annotations

import errno
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from ._hub import folder_of

Folder = Union[str, "os.PathLike[str]"]
Size = Union[int, str]

# What a request says of its pictures and clips beside its settings of generation: all together, and singly.
MEDIA_NAMES = ("images", "videos", "fps", "num_frames", "min_frames", "max_frames", "min_pixels", "max_pixels")

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?) *((?:[kmgt]i?)?)b?")
_MOST_BYTES = 2**50



# What is said of a request's turn, in words and types; an adapter is a name or a number.
_TURN_TYPES: dict[str, tuple[str, Any]] = {
    "priority": ("an integer of 32 bits", numbers.Integral),
    "deadline": ("a number of seconds", numbers.Real),
    "client": ("a text", str),
    "cache_salt": ("a text", str),
    "cut_to_context": ("True or False", bool),
}


def check_turn(name: str, value: Any) -> None:
    if name not in _TURN_TYPES:
        return
    wanted, kind = _TURN_TYPES[name]
    words = f"[llm] {name} is {value!a}; it should be {wanted}"
    if not isinstance(value, kind):
        raise TypeError(words)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(words)
    if name == "priority" and not -(2**31) <= value < 2**31:
        raise ValueError(words)


def bytes_of(name: str, size: Optional[Size], origin: str = "llm") -> Optional[int]:
    """A number of bytes, or "4 GiB"."""
    if size is None:
        return None
    wrong = f'[{origin}] "{name}" is {size!r}; it should be a number of bytes from 0 on, or a text like "4 GiB"'
    if isinstance(size, bool) or not isinstance(size, (numbers.Real, str)):
        raise TypeError(wrong)
    count: Any = size
    if isinstance(size, str):
        read = _SIZE.fullmatch(size.strip().lower())
        if read is None:
            raise ValueError(wrong)
        count = float(read[1]) * _UNITS[read[2]]
    if not count >= 0:
        raise ValueError(wrong)
    if count > _MOST_BYTES:
        raise ValueError(f'[{origin}] "{name}" is {size!r}, more than 1 PiB, the most there may be')
    if not isinstance(size, str) and count != int(count):
        raise ValueError(wrong)
    return int(count)


def checkpoint_folder(model: Folder, **where: Any) -> str:
    """The folder of a checkpoint; a name is looked up in the hub's cache and downloaded where it is not there."""
    text = os.fspath(model)
    path = Path(text).expanduser()
    is_path = path.is_absolute() or text.startswith(".") or text.count("/") > 1
    if is_path and not path.exists():
        raise FileNotFoundError(errno.ENOENT, "[llm] there is no such folder", text)
    return str(folder_of(text, **where))


def media_settings(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Takes options of pictures and clips that stand singly, and gives them to whichever has them."""
    made: dict[str, dict[str, Any]] = {}
    for name in MEDIA_NAMES[2:]:
        value = settings.pop(name, None)
        if value is None:
            continue
        made.setdefault("videos", {})[name] = value
        if name.endswith("pixels"):
            made.setdefault("images", {})[name] = value
    return made


def take_other_names(sampling: Any, settings: dict[str, Any]) -> Any:
    """Takes arguments of vLLM's calls: sampling_params, which is sampling, options of pictures and clips, and those of which only
    what is done anyway can be honoured."""
    named = settings.pop("sampling_params", None)
    if named is not None and sampling is not None:
        raise ValueError("[llm] settings are given twice: as sampling and as sampling_params")
    settings.pop("use_tqdm", None)  # nothing is printed
    if settings.pop("lora_request", None) is not None:
        raise NotImplementedError("[llm] lora_request is not taken: LLM(…, adapters=…) opens adapters, and adapter= names one")
    for name, value in (settings.pop("mm_processor_kwargs", None) or {}).items():
        if name not in MEDIA_NAMES:
            raise ValueError(f'[llm] mm_processor_kwargs of a call has "{name}"; known are {", ".join(MEDIA_NAMES)}')
        if settings.get(name) is not None:
            raise ValueError(f'[llm] "{name}" is given twice: beside mm_processor_kwargs and in it')
        settings[name] = value
    return sampling if named is None else named


def adapters_of(adapters: Union[Mapping[str, Folder], Sequence[Folder], None]) -> dict[str, Folder]:
    if adapters is None:
        return {}
    if isinstance(adapters, Mapping):
        return dict(adapters)
    if isinstance(adapters, (str, os.PathLike)):
        raise TypeError("[llm] adapters is one folder; it should be a list of folders, or a dict of names and folders")
    return {Path(os.fspath(folder)).name: folder for folder in adapters}


def fetch_of(fetch: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(fetch)
    if "cache_size" in made:
        made["cache_size"] = bytes_of("cache_size", made["cache_size"])
    return made


def compute_of(compute: str, dtype: Any) -> str:
    """Weights stay as the checkpoint stores them; float32 asks for products in it."""
    name = str(dtype).rsplit(".", maxsplit=1)[-1]
    if dtype is None or name == "auto":
        return compute
    if name in ("float32", "f32"):
        return "f32"
    raise ValueError(f'[llm] dtype is {dtype!r}; it should be "auto", the dtype of the checkpoint, or "float32"')


def one_per_row(sampling: Any, rows: int) -> list[Any]:
    if not isinstance(sampling, (list, tuple)):
        return [sampling] * rows
    if len(sampling) != rows:
        raise ValueError(f"[llm] there are {rows} requests and {len(sampling)} samplings")
    return list(sampling)
