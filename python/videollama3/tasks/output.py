"""Writes questions as the rows that `videollama3 eval` reads: the whole folder, or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from typing import IO, Any, Optional

from .errors import TaskError, shown
from .rows import File, LeftOut, Picture, Row, Source

REPORT = "convert.json"
NAMED = 5  # missing files that a message names
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
)


def _ending(picture: Picture) -> str:
    data = picture.data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    for magic, ending in _MAGIC:
        if data.startswith(magic):
            return ending
    raise TaskError(f"[{picture.origin}] holds {len(data)} bytes that are no PNG, JPEG, WebP, GIF, BMP or TIFF: "
                    f"they begin with {bytes(data[:8]).hex(' ')}")


class Output:
    """The folder of rows that is made beside `out` and takes its name when it is complete.

    A context manager: left without finish(), nothing of it stays.
    """

    def __init__(self, out: str, source: Source, limit: int, skip_missing: bool, overwrite: bool) -> None:
        self._out = os.path.abspath(out)
        self._source = source
        self._limit = limit
        self._skip_missing = skip_missing
        self._files: dict[str, IO[str]] = {}
        self._counts: dict[str, int] = {}
        self._per_task: dict[tuple[str, str], int] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._left_out: dict[str, int] = {}
        self._not_asked = 0  # questions that no row was made of
        self._missing: dict[str, set[str]] = {}  # the ids of the questions that need the file
        self._pictures: set[str] = set()
        self._not_scored = 0
        self._pairs: dict[tuple[str, str, str], bool] = {}
        self._check_free(overwrite)
        parent = os.path.dirname(self._out)
        os.makedirs(parent, exist_ok=True)
        self._parent = os.path.realpath(parent)
        self._folder = tempfile.mkdtemp(prefix="." + os.path.basename(self._out) + ".", dir=self._parent)

    def _check_free(self, overwrite: bool) -> None:
        if not os.path.lexists(self._out) or (os.path.isdir(self._out) and not os.listdir(self._out)):
            return
        ours = os.path.isfile(os.path.join(self._out, REPORT))
        if not ours:
            raise TaskError(f"[{self._out}] is there and was not made by convert: give --out another name")
        if not overwrite:
            raise TaskError(f"[{self._out}] is there: give --out another name, or --overwrite to replace it")

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, _: object, error: Optional[BaseException], __: object) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # a full disk: what is left to write has no room either
                file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self._out

    def leave_out(self, left: LeftOut) -> None:
        """A question that no row was made of."""
        self._not_asked += 1
        self._count_out(left.reason)

    def _count_out(self, reason: str) -> None:
        self._left_out[reason] = self._left_out.get(reason, 0) + 1

    def add(self, row: Row) -> None:
        for field, value in row.fields.items():
            check_unicode(value, row.origin, field)
        task = str(row.fields.get("task", row.set))
        name = str(row.fields["id"])
        before = self._ids.setdefault((row.set, name), row.origin)
        if before is not row.origin:
            raise TaskError(f"[{row.origin}] has the id {shown(name)}, as {before} has")
        if self._lacks(_files(row.fields), name):
            self._count_out("its picture or clip is missing")
            return
        if row.subtitles is not None and self._lacks([row.subtitles], name):
            self._count_out("its subtitles are missing")
            return
        if not self._is_within_limit(row, task):
            self._count_out("beyond --limit")
            return
        line = json.dumps(self._written(row.fields), ensure_ascii=False)
        self._file(row.set).write(line + "\n")
        self._counts[row.set] = self._counts.get(row.set, 0) + 1
        self._not_scored += row.fields.get("score") == "not_scored"

    def _lacks(self, files: list[File], name: str) -> bool:
        missing = [file.path for file in files if not file.there]
        for path in missing:
            self._missing.setdefault(path, set()).add(name)
        return bool(missing)

    def _is_within_limit(self, row: Row, task: str) -> bool:
        if self._limit <= 0:
            return True
        pair = (row.set, task, str(row.fields.get("pair")))
        if "pair" in row.fields and pair in self._pairs:  # a pair goes as a whole
            return self._pairs[pair]
        count = self._per_task[(row.set, task)] = self._per_task.get((row.set, task), 0) + 1
        within = count <= self._limit
        if "pair" in row.fields:
            self._pairs[pair] = within
        return within

    def finish(self, name: str) -> dict[str, Any]:
        """Gives the folder its name and returns the report, which it also holds."""
        if self._missing and not self._skip_missing:
            raise TaskError(self._missing_message() + "; --skip-missing leaves their questions out")
        if not self._counts:
            reasons = "; ".join(f"{n} {reason}" for reason, n in self._left_out.items())
            raise TaskError(f"[{self._source.root}] has no question to ask" + (f": {reasons}" if reasons else ""))
        for file in self._files.values():
            file.close()
        report = {"set": name, **self._report()}
        with open(os.path.join(self._folder, REPORT), "w", encoding="utf-8") as stream:
            json.dump(report, stream, ensure_ascii=False, indent=1)
            stream.write("\n")
        os.chmod(self._folder, 0o777 & ~_umask())
        self._take_name()
        return report

    def _report(self) -> dict[str, Any]:
        rows = sum(self._counts.values())
        return {
            "split": self._source.split,
            "questions": len({name for _, name in self._ids}) + self._not_asked,  # some are asked twice
            "rows": rows,
            "left_out": self._left_out,
            "files": {name + ".jsonl": count for name, count in self._counts.items()},
            "not_scored": self._not_scored,
            "pictures_written": len(self._pictures),
            "noted": self._source.noted,
            "missing": {"count": len(self._missing), "first": sorted(self._missing)[:NAMED]},
        }

    def _missing_message(self) -> str:
        names = sorted(self._missing)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        questions = len(set().union(*self._missing.values()))
        return (f"[{self._source.root}] lacks {len(names)} of its pictures, clips or subtitles, for {questions} "
                f"question{'s' if questions > 1 else ''}: {', '.join(names[:NAMED])}{more}")

    def _take_name(self) -> None:
        old: Optional[str] = None
        if os.path.lexists(self._out):
            old = tempfile.mkdtemp(prefix="." + os.path.basename(self._out) + ".", dir=self._parent)
            os.rename(self._out, os.path.join(old, "old"))
        os.rename(self._folder, os.path.join(self._parent, os.path.basename(self._out)))
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def _file(self, name: str) -> IO[str]:
        if name not in self._files:
            self._files[name] = open(os.path.join(self._folder, name + ".jsonl"), "w", encoding="utf-8")
        return self._files[name]

    def _written(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._written(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._written(item) for item in value]
        if isinstance(value, File):
            # The rows lie in a folder that may be moved together with the set's: paths lead from one to the other.
            whole = os.path.join(os.path.realpath(self._source.root), *value.path.split("/"))
            return os.path.relpath(whole, os.path.join(self._parent, os.path.basename(self._out)))
        if isinstance(value, Picture):
            return self._picture_file(value)
        return value

    def _picture_file(self, picture: Picture) -> str:
        name = f"media/{hashlib.sha256(picture.data).hexdigest()[:32]}.{_ending(picture)}"
        if name not in self._pictures:
            path = os.path.join(self._folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(picture.data)
            self._pictures.add(name)
        return name


def _files(value: Any) -> list[File]:
    if isinstance(value, dict):
        return [file for item in value.values() for file in _files(item)]
    if isinstance(value, list):
        return [file for item in value for file in _files(item)]
    return [value] if isinstance(value, File) else []


def check_unicode(value: Any, origin: str, field: str) -> None:
    """Refuses texts in `value` that cannot be written: a JSON escape or a file's name may hold half a character."""
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            check_unicode(item, origin, field)
    text = value.path if isinstance(value, File) else value
    if isinstance(text, str):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            part = text[max(0, error.start - 20):error.end + 20]
            raise TaskError(f'[{origin}] "{field}" should be Unicode, but has the lone surrogate '
                            f"U+{ord(text[error.start]):04X}: {shown(part)}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
