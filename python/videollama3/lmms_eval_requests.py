"""What lmms-eval asks, as `videollama3.LLM` is asked. Needs neither of them."""

from __future__ import annotations

import os
from typing import Any, Optional

# What tasks say of generation and this engine does as said, under its own names.
_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "min_new_tokens": "min_new_tokens",
    "seed": "seed",
}
# What they say that has no meaning here: what it would do is always so, or a matter of other models.
_WITHOUT_MEANING = {"use_cache", "image_aspect_ratio", "do_sample", "until", "max_new_tokens", "max_gen_toks", "num_beams"}


def settings_of(said: Optional[dict[str, Any]], max_new_tokens: int) -> tuple[dict[str, Any], list[str]]:
    """Settings of LLM.chat for what a task says of generation, and the names that are not heeded.

    Greedy unless the task asks to draw: by do_sample, or by a temperature above 0 where it does not say. `until`
    ends an answer before the text. Raises ValueError for beams.
    """
    said = dict(said or {})
    if (said.get("num_beams") or 1) != 1:
        raise ValueError(f'[videollama3_cpp] "num_beams" is {said["num_beams"]}: answers have one beam')
    temperature = said.get("temperature")
    drawn = said.get("do_sample")
    if drawn is None:
        drawn = bool(temperature)
    settings: dict[str, Any] = {"do_sample": bool(drawn) and temperature != 0}
    limit = said.get("max_new_tokens", said.get("max_gen_toks"))
    settings["max_new_tokens"] = int(limit) if limit else max_new_tokens
    until = said.get("until")
    stops = [until] if isinstance(until, str) else [text for text in until or [] if text]
    if stops:
        settings["stop"] = stops
    for name, ours in _SETTINGS.items():
        if said.get(name) is not None and (settings["do_sample"] or name not in ("temperature", "top_p", "top_k",
                                                                                "min_p", "seed")):
            settings[ours] = said[name]
    unheeded = [name for name, value in said.items()
                if value is not None and name not in _SETTINGS and name not in _WITHOUT_MEANING]
    return settings, unheeded


def _clip_of(part: dict[str, Any], clips: dict[str, Any]) -> dict[str, Any]:
    """A clip, or a stretch of one: its times stand in the part, or beside its path in a dict of their own."""
    source, times = part["url"], {"start_time": part.get("start_time"), "end_time": part.get("end_time")}
    if isinstance(source, dict):
        times = {"start_time": source.get("video_start"), "end_time": source.get("video_end")}
        source = source.get("url") or source.get("path")
    seen = clips if isinstance(source, (str, os.PathLike)) else {  # frames in memory are looked at as given
        name: value for name, value in clips.items() if name not in ("fps", "num_frames")}
    said = {name: value for name, value in times.items() if value is not None}
    return {"type": "video", "video": source, **seen, **said}


def message_of(message: dict[str, Any], clips: dict[str, Any], pictures: dict[str, Any]) -> dict[str, Any]:
    """A message of the harness as the engine takes it; `clips` and `pictures` are options of every one.

    Pictures and clips are what the task gives: paths, addresses, Pillow's pictures, arrays. Raises
    NotImplementedError for sound.
    """
    content = message.get("content")
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    parts: list[dict[str, Any]] = []
    for part in content or []:
        kind = part.get("type")
        if kind == "text":
            parts.append({"type": "text", "text": part["text"]})
        elif kind == "image":
            parts.append({"type": "image", "image": part["url"], **pictures})
        elif kind == "video":
            parts.append(_clip_of(part, clips))
        else:
            raise NotImplementedError(f'[videollama3_cpp] a part of type "{kind}": the model sees and reads, '
                                      "and no more")
    return {"role": message["role"], "content": parts}
