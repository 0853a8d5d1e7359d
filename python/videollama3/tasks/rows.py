"""The questions that a set's reader yields, and the files that they are about."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Optional, Union

from .errors import TaskError, shown
from .records import Record

CLIP_ENDINGS = ("mp4", "avi", "mov", "mkv")  # in the order in which the original evaluation looks


@dataclass(frozen=True)
class File:
    """A picture or clip of the set's folder; `path` is relative to it."""

    path: str
    there: bool


@dataclass(frozen=True)
class Picture:
    """A picture that stands in a row: written as a file of its own. `origin` is its place, for messages."""

    data: bytes
    origin: str


@dataclass(frozen=True)
class Row:
    """A question as `videollama3 eval` reads it, but for File and Picture in place of paths.

    `set` names the file of rows that it belongs to; `subtitles` is the folder or file that its prompt is made of.
    """

    origin: str
    set: str
    fields: dict[str, Any]
    subtitles: Optional[File] = None


@dataclass(frozen=True)
class LeftOut:
    """A question of the set that is not asked, and why."""

    reason: str


@dataclass
class Source:
    """The folder of a set, and how it is looked at. `noted`: what the report counts besides."""

    root: str
    split: str
    fps: float = 1.0
    max_frames: int = 180
    noted: dict[str, int] = field(default_factory=dict)
    _listed: dict[str, bool] = field(default_factory=dict)

    def path(self, record: Record, name: str, folder: str, last: str) -> str:
        """FOLDER/LAST, where `last` is what the field `name` says. Refuses one that leads out of the folder."""
        parts = re.split(r"[/\\]", last)
        if parts[0] == "" or ".." in parts or re.match(r"[A-Za-z]:", last) or "\0" in last:
            raise TaskError(f'[{record.origin}] "{name}" should be a path within the folder, not {shown(last)}')
        return os.path.normpath(f"{folder}/{last}" if folder else last).replace(os.sep, "/")

    def file(self, record: Record, name: str, folder: str, last: str) -> File:
        path = self.path(record, name, folder, last)
        return File(path, self._is_there(path))

    def clip(self, record: Record, name: str, folder: str, stem: str,
             endings: Iterable[str] = CLIP_ENDINGS) -> File:
        """The first of FOLDER/STEM.mp4, .avi, … that is there."""
        tried = [self.path(record, name, folder, f"{stem}.{ending}") for ending in endings]
        for path in tried:
            if self._is_there(path):
                return File(path, True)
        return File(tried[0], False)

    def note(self, what: str) -> None:
        self.noted[what] = self.noted.get(what, 0) + 1

    def whole(self, file: Union[File, str]) -> str:
        return os.path.join(self.root, file.path if isinstance(file, File) else file)

    def _is_there(self, path: str) -> bool:
        if path not in self._listed:  # many questions are about the same clip
            self._listed[path] = os.path.exists(os.path.join(self.root, path))
        return self._listed[path]


def letter_of(index: int) -> str:
    return chr(ord("A") + index)


def bracketed(options: Iterable[str]) -> str:
    """"(A) first", "(B) second", … on lines of their own, each with its end."""
    return "".join(f"({letter_of(i)}) {option}\n" for i, option in enumerate(options))
