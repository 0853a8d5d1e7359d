"""How long a clip is, as its container says, and at which times it is looked at.

Subtitles are put into prompts when rows are made, and which ones depends on the frames that will be looked at.
MP4 and MOV (ISO 14496-12), Matroska and WebM (RFC 9559) and AVI say their length in their heads: no decoder is
needed.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, Iterator, Optional

from .errors import TaskError

_MOST_HEAD_BYTES = 64 << 20


def duration_s(path: str, name: str) -> float:
    """Seconds of the clip at `path`, above 0. Raises TaskError that calls it `name`."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(12)
            stream.seek(0)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                seconds = _mp4(stream, os.fstat(stream.fileno()).st_size)
            elif head[:4] == b"\x1aE\xdf\xa3":
                seconds = _matroska(stream)
            elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                seconds = _avi(stream)
            else:
                raise TaskError(f"[{name}] is no MP4, MOV, Matroska, WebM or AVI file, whose length could be read")
    except OSError as error:
        raise TaskError(f"[{name}] cannot be read: {error.strerror}") from None
    except (struct.error, IndexError):
        seconds = None
    if seconds is None or not 0 < seconds < 1e7:
        raise TaskError(f"[{name}] does not say in its head how long it is")
    return seconds


def sampled_times(seconds: float, fps: float, max_frames: int) -> list[float]:
    """When a clip is looked at: `fps` times a second, 4 times at least and max_frames at most, evenly.

    The engine's arithmetic for clips (VideoLlama3VideoProcessor.sample_frames of the reference), but for the
    rounding to frames.
    """
    count = max(1, int(min(max(seconds * fps, 4.0), float(max_frames))))
    return [seconds * i / count for i in range(count)]


def _boxes(stream: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of what the boxes from `begin` to `end` hold."""
    while begin + 8 <= end:
        stream.seek(begin)
        size, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", stream.read(8))
            head = 16
        elif size == 0:
            size = end - begin
        if size < head:
            return
        yield kind, begin + head, min(begin + size, end)
        begin += size


def _mp4(stream: BinaryIO, size: int) -> Optional[float]:
    """The longest of its tracks of pictures; of fragments, what mehd says."""
    scale, whole = 0, 0
    tracks: list[float] = []

    def times(at: int) -> tuple[int, int]:
        stream.seek(at)
        version = stream.read(4)[0]
        stream.seek(16 if version == 1 else 8, os.SEEK_CUR)
        return struct.unpack(">IQ" if version == 1 else ">II", stream.read(12 if version == 1 else 8))

    def track(begin: int, end: int) -> Optional[float]:
        length, pictures = None, False
        for kind, at, stop in _boxes(stream, begin, end):
            if kind == b"mdia":
                for inner, inner_at, _ in _boxes(stream, at, stop):
                    if inner == b"mdhd":
                        rate, units = times(inner_at)
                        length = units / rate if rate else None
                    elif inner == b"hdlr":
                        stream.seek(inner_at + 8)
                        pictures = stream.read(4) == b"vide"
        return length if pictures else None

    for kind, at, stop in _boxes(stream, 0, size):
        if kind != b"moov":
            continue
        for inner, inner_at, inner_stop in _boxes(stream, at, stop):
            if inner == b"mvhd":
                scale, _ = times(inner_at)
            elif inner == b"trak":
                length = track(inner_at, inner_stop)
                if length is not None:
                    tracks.append(length)
            elif inner == b"mvex":
                for fragment, fragment_at, _ in _boxes(stream, inner_at, inner_stop):
                    if fragment == b"mehd":
                        stream.seek(fragment_at)
                        version = stream.read(4)[0]
                        (whole,) = struct.unpack(">Q" if version == 1 else ">I", stream.read(8 if version else 4))
    longest = max(tracks, default=0.0)
    if longest == 0 and scale and whole:
        return whole / scale
    return longest or None


def _element(stream: BinaryIO) -> Optional[tuple[int, int, int]]:
    """Kind, begin and size (-1: not said) of the element of EBML that is next."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    kind = int.from_bytes(first + stream.read(8 - first[0].bit_length()), "big")
    first = stream.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    size = int.from_bytes(bytes([first[0] ^ (1 << (7 - more))]) + stream.read(more), "big")
    return kind, stream.tell(), -1 if size == (1 << (7 * (more + 1))) - 1 else size


def _matroska(stream: BinaryIO) -> Optional[float]:
    scale = 1_000_000
    length: Optional[float] = None
    stop: Optional[int] = None
    while stream.tell() < _MOST_HEAD_BYTES or stop is not None:
        if stop is not None and stream.tell() >= stop:
            break
        element = _element(stream)
        if element is None:
            break
        kind, begin, size = element
        if kind == 0x18538067:  # Segment: goes on within it
            continue
        if kind == 0x1549A966:  # Info
            stop = begin + size
            continue
        if stop is not None and kind in (0x2AD7B1, 0x4489) and size not in (1, 2, 3, 4, 8):
            break
        if stop is not None and kind == 0x2AD7B1:  # TimestampScale
            scale = int.from_bytes(stream.read(size), "big")
        elif stop is not None and kind == 0x4489:  # Duration
            length = float(struct.unpack(">d" if size == 8 else ">f", stream.read(size))[0])
        elif size < 0:
            break
        stream.seek(begin + size)
    return None if length is None else length * scale / 1e9


def _avi(stream: BinaryIO) -> Optional[float]:
    head = stream.read(4096)
    at = head.find(b"avih")
    if at < 0:
        return None
    frame_us, total = struct.unpack_from("<I", head, at + 8)[0], struct.unpack_from("<I", head, at + 24)[0]
    return float(frame_us * total) / 1e6
