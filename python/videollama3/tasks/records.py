"""Rows of a set's files: read one by one, each value checked where it is used.

Every reader yields Record objects that know their file and row, so that whatever is wrong is named with both.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from typing import Any, Iterator, NoReturn, Optional, Sequence, Union

from .errors import TaskError, shown


def is_number(value: Any) -> bool:
    """Whether it is a number that a float holds: no bool, not infinite, no integer of hundreds of digits."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


class Record:
    """An object of a file. Its getters return what they promise or raise TaskError with the place."""

    def __init__(self, data: dict[str, Any], file: str, row: Union[int, str], path: str = "") -> None:
        self.data = data
        self.file = file
        self.row = row
        self._path = path  # of the object in its row: "metadata."

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.row}"

    def fail(self, field: str, should: str) -> NoReturn:
        """Raises: `field` is not what it should be."""
        name = self._path + field
        if field not in self.data:
            raise TaskError(f'[{self.origin}] has no "{name}"; it should be {should}')
        raise TaskError(f'[{self.origin}] "{name}" should be {should}, not {shown(self.data[field])}')

    def text(self, field: str, empty: bool = False) -> str:
        """A text; `empty`: "" and null are one, too."""
        value = self.data.get(field)
        if value is None and empty and field in self.data:
            return ""
        if not isinstance(value, str) or (not value.strip() and not empty):
            self.fail(field, "a text")
        return value

    def name(self, field: str) -> str:
        """A text or an integer, as a text: ids and names of files."""
        value = self.data.get(field)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            self.fail(field, "a text or an integer")
        return value

    def number(self, field: str) -> float:
        value = self.data.get(field)
        if value is None or not is_number(value):
            self.fail(field, "a number")
        return float(value)

    def integer(self, field: str, least: int, most: int) -> int:
        """An integer in [least, most]; a text that holds one (CSV) is one."""
        value = self.data.get(field)
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fail(field, f"an integer from {least} to {most}")
        return value

    def texts(self, field: str, least: int = 1) -> list[str]:
        """A list of texts; numbers count as texts."""
        value = self.data.get(field)
        if not isinstance(value, list) or len(value) < least:
            self.fail(field, f"a list of at least {least} text" + ("s" if least > 1 else ""))
        for item in value:
            if isinstance(item, bool) or not isinstance(item, (str, int, float)):
                self.fail(field, "a list of texts")
        return [item if isinstance(item, str) else json.dumps(item) for item in value]

    def answers(self, field: str) -> Union[str, list[str]]:
        """A text or number, or a list of them: as a text, or as texts. Empty ones of a list are left out."""
        if isinstance(self.data.get(field), list):
            found = [text for text in self.texts(field) if text.strip()]
            return found or self.fail(field, "a list with a text that is not empty")
        value = self.data.get(field)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
            self.fail(field, "a text, a number or a list of them")
        return value if isinstance(value, str) else json.dumps(value)

    def letter(self, field: str, letters: str) -> str:
        """One of `letters`, in brackets or not."""
        value = self.data.get(field)
        letter = value.strip().strip("()").rstrip(".") if isinstance(value, str) else ""
        if len(letter) != 1 or letter not in letters:
            self.fail(field, f"a letter from {letters[0]} to {letters[-1]}")
        return letter

    def child(self, field: str) -> "Record":
        value = self.data.get(field)
        if not isinstance(value, dict):
            self.fail(field, "an object")
        return Record(value, self.file, self.row, f"{self._path}{field}.")

    def children(self, field: str) -> list["Record"]:
        value = self.data.get(field)
        if not isinstance(value, list):
            self.fail(field, "a list of objects")
        return [
            Record(item, self.file, self.row, f"{self._path}{field}[{i}].")
            if isinstance(item, dict)
            else self.fail(field, "a list of objects")
            for i, item in enumerate(value)
        ]

    def picture(self, field: str) -> Optional[bytes]:
        """The bytes of a picture that stands in the row, as parquet files have them; None for null."""
        value = self.data.get(field)
        if isinstance(value, dict) and value.get("bytes") is None and value.get("path") is None:
            value = None
        if value is None and field in self.data:
            return None
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes) or not data:
            self.fail(field, "the bytes of a picture")
        return data


def _open_text(root: str, file: str, place: str = "the set's folder") -> str:
    path = os.path.join(root, file)
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        raise TaskError(f"[{path}] is not there: {place} should hold {file}") from None
    except UnicodeDecodeError as error:
        raise TaskError(f"[{path}] is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise TaskError(f"[{path}] cannot be read: {error.strerror}") from None


def _parsed(text: str, origin: str) -> Any:
    def refused(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"[{origin}] is not JSON: {error}") from None


def read_json(root: str, file: str, place: str = "the set's folder") -> Any:
    """The value that a file of JSON holds; `place` is what messages call the folder."""
    return _parsed(_open_text(root, file, place), file)


def json_list(root: str, file: str, field: Optional[str] = None) -> Iterator[Record]:
    """The objects of a file that holds a list of them, itself or under `field`; rows count from 1."""
    value = read_json(root, file)
    if field is not None:
        value = Record(value if isinstance(value, dict) else {}, file, 1).data.get(field)
    if not isinstance(value, list):
        where = f' under "{field}"' if field is not None else ""
        raise TaskError(f"[{file}] should hold a list of objects{where}, not {shown(value)}")
    for i, item in enumerate(value, 1):
        yield _object(item, file, i)


def json_object(root: str, file: str) -> Iterator[tuple[str, Record]]:
    """Names and objects of a file that holds an object of objects; a row is called like its name."""
    value = read_json(root, file)
    if not isinstance(value, dict):
        raise TaskError(f"[{file}] should hold an object of objects, not {shown(value)}")
    for name, item in value.items():
        yield name, _object(item, file, name)


def json_lines(root: str, file: str, place: str = "the set's folder") -> Iterator[Record]:
    """The objects of a file that has one on every line; rows are lines, from 1."""
    for i, line in enumerate(_open_text(root, file, place).split("\n"), 1):
        if line.strip():
            yield _object(_parsed(line, f"{file}:{i}"), file, i)


def _object(value: Any, file: str, row: Union[int, str]) -> Record:
    if not isinstance(value, dict):
        raise TaskError(f"[{file}:{row}] should be an object, not {shown(value)}")
    return Record(value, file, row)


def csv_rows(root: str, file: str) -> Iterator[Record]:
    """The rows of a CSV file with a head line; a row is called like the line on which it ends."""
    # Lines end with CR, LF or both: U+2028 and form feeds, at which str.splitlines cuts, stand in cells.
    reader = csv.DictReader(io.StringIO(_open_text(root, file), newline=""), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                names = len(reader.fieldnames or [])
                raise TaskError(f"[{file}:{reader.line_num}] should have {names} cells, as the first line has")
            yield Record(row, file, reader.line_num)
    except csv.Error as error:
        raise TaskError(f"[{file}:{reader.line_num}] is not CSV: {error}") from None


def parquet_rows(root: str, file: str, columns: Sequence[str]) -> Iterator[Record]:
    """The rows of a parquet file, few at a time; columns that are not there are named."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise TaskError(
            f"[{file}] is a parquet file, which the package pyarrow reads: pip install 'videollama3[tasks]'"
        ) from None
    path = os.path.join(root, file)
    if not os.path.isfile(path):
        raise TaskError(f"[{path}] is not there: the set's folder should hold {file}")
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            there = table.schema_arrow.names
            missing = [name for name in columns if name not in there]
            if missing:
                raise TaskError(f"[{file}] has no column \"{missing[0]}\"; it has {', '.join(there)}")
            row = 0
            for batch in table.iter_batches(batch_size=16, columns=list(columns)):
                for data in batch.to_pylist():
                    row += 1
                    yield Record(data, file, row)
    except (pyarrow.ArrowException, OSError) as error:
        raise TaskError(f"[{file}] cannot be read as parquet: {str(error).splitlines()[0]}") from None


def split_rows(root: str, folder: str, split: str, columns: Sequence[str]) -> Iterator[tuple[int, Record]]:
    """The rows of a split, counted from 0 over its files, which data sets of the hub call
    FOLDER/SPLIT-00000-of-00003.parquet."""
    place = os.path.join(root, folder)
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    found = [name for name in names if name.startswith(split + "-") and name.endswith(".parquet")]
    if not found:
        raise TaskError(f"[{place}] has no {split}-….parquet")
    _check_parts(place, split, found)
    index = 0
    for name in found:
        for record in parquet_rows(root, f"{folder}/{name}" if folder else name, columns):
            yield index, record
            index += 1


def _check_parts(place: str, split: str, found: list[str]) -> None:
    """Refuses a split of which a part is missing. A name may go on behind the count of parts."""
    numbered = [re.match(r"(\d{1,9})-of-(\d{1,9})(?!\d)", name[len(split) + 1:]) for name in found]
    parts = {(int(match[1]), match[2]) for match in numbered if match}
    for count in sorted({count for _, count in parts}):
        missing = next((i for i in range(int(count)) if (i, count) not in parts), None)
        if missing is not None:
            raise TaskError(f"[{place}] has no {split}-{missing:05}-of-{count}.parquet, one of its {int(count)} parts")
