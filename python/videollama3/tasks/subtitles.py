"""What is said in a clip and when, and which of it goes with the frames that are looked at."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Union

from .errors import TaskError
from .records import Record, is_number, json_list


@dataclass(frozen=True)
class Subtitle:
    """From `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


_TIMES = re.compile(r"(\d{1,9}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d{1,9}):(\d\d):(\d\d)[,.](\d{1,3})")
_TAGS = re.compile(r"</?[biusBIUS]>|</?font[^>]*>|\{\\[^}]*\}")


def read_srt(root: str, path: str) -> list[Subtitle]:
    """The subtitles of a SubRip file; lines of one are joined by blanks, tags of looks are left out."""
    try:
        with open(os.path.join(root, path), encoding="utf-8-sig", newline=None) as stream:
            lines = stream.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"[{path}] cannot be read as subtitles: {error}") from None
    result: list[Subtitle] = []
    for block in _blocks(lines, path):
        times = [int(part) for part in block[0]]
        begin, end = (times[i] * 3600 + times[i + 1] * 60 + times[i + 2] + times[i + 3] / 1000 for i in (0, 4))
        result.append(Subtitle(begin, end, _TAGS.sub("", " ".join(block[1])).strip()))
    return result


def _blocks(lines: list[str], path: str) -> list[tuple[list[str], list[str]]]:
    """Numbers of the line of times, and the lines of text that belong to it."""
    blocks: list[tuple[list[str], list[str]]] = []
    for number, line in enumerate(lines, 1):
        match = _TIMES.match(line.strip())
        if match:
            parts = list(match.groups())
            for i in (3, 7):
                parts[i] = parts[i].ljust(3, "0")
            if blocks and blocks[-1][1] and blocks[-1][1][-1].isdecimal():
                blocks[-1][1].pop()  # the number of this one
            blocks.append((parts, []))
        elif "-->" in line:
            raise TaskError(f'[{path}:{number}] should have times like "00:01:02,500 --> 00:01:04,000", not '
                            f"{line.strip()[:60]!r}")
        elif blocks and line.strip():
            blocks[-1][1].append(line.strip())
    return blocks


def seen_with(subtitles: list[Subtitle], times: list[float]) -> list[str]:
    """For every time the first subtitle that stands then, if it has a text: VideoMME's choice."""
    result = []
    for time in times:
        standing = next((s for s in subtitles if s.start < time < s.end), None)
        if standing is not None and standing.text.strip():
            result.append(standing.text)
    return result


def _clock_s(record: Record, field: str) -> float:
    match = re.fullmatch(r"(\d{1,9}):(\d\d?):(\d\d?(?:\.\d*)?)", record.text(field).strip())
    if match is None:
        record.fail(field, 'a time like "00:01:02.500"')
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def read_longvideobench(root: str, path: str, duration_s: float, offset_s: float) -> list[Subtitle]:
    """A file of LongVideoBench's: `start`, `end`, `line`, or `timestamp` and `text`; times without the offset."""
    result = []
    for record in json_list(root, path):
        if "timestamp" in record.data:
            times = record.data["timestamp"]
            if not isinstance(times, list) or len(times) != 2 or not is_number(times[0]):
                record.fail("timestamp", "a list of two times")
            begin = float(times[0])
            end = float(times[1]) if is_number(times[1]) else duration_s  # some have no end
            text = record.text("text", empty=True)
        else:
            begin, end = _clock_s(record, "start"), _clock_s(record, "end")
            text = record.text("line", empty=True)
        result.append(Subtitle(begin - offset_s, end - offset_s, text))
    return result


def interleaved(subtitles: list[Subtitle], times: list[float]) -> list[Union[str, list[int]]]:
    """Indices of frames, and between them what is said then.

    A subtitle comes behind the frames up to its middle. It is left out where no frame lies within it, or within
    half a second of its middle where it is shorter than a second (LongVideoBench's rule).
    """
    result: list[Union[str, list[int]]] = []
    next_frame = 0
    for subtitle in subtitles:
        middle = (subtitle.start + subtitle.end) / 2
        before = []
        while next_frame < len(times) and times[next_frame] <= middle:
            before.append(next_frame)
            next_frame += 1
        if before:
            result.append(before)
        begin, end = subtitle.start, subtitle.end
        if end - begin < 1:
            begin, end = middle - 0.5, middle + 0.5
        if any(begin < time < end for time in times):
            result.append(subtitle.text)
    if next_frame < len(times):
        result.append(list(range(next_frame, len(times))))
    return _joined(result)


def _joined(parts: list[Union[str, list[int]]]) -> list[Union[str, list[int]]]:
    """Frames with nothing said between them are one run."""
    result: list[Union[str, list[int]]] = []
    for part in parts:
        if isinstance(part, list) and result and isinstance(result[-1], list):
            result[-1] = result[-1] + part
        else:
            result.append(part)
    return result
