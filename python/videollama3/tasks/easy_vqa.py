"""easy-vqa: simple shapes with simple questions, as the package of this name holds them."""

from __future__ import annotations

import importlib.util
import os
from typing import Iterator

from .errors import TaskError, shown
from .records import Record, read_json
from .rows import Row, Source

_SHAPES = ("circle", "rectangle", "triangle")


def installed_folder() -> str:
    """Where the installed package is. It is not imported."""
    spec = importlib.util.find_spec("easy_vqa")
    if spec is None or not spec.submodule_search_locations:
        raise TaskError("[easy-vqa] needs a folder, or the package: pip install easy-vqa")
    return list(spec.submodule_search_locations)[0]


def easy_vqa(source: Source) -> Iterator[Row]:
    """The folder is that of the package, or its `data`."""
    base = "data/" if os.path.isdir(source.whole("data")) else ""
    file = f"{base}{source.split}/questions.json"
    questions = read_json(source.root, file)
    if not isinstance(questions, list):
        raise TaskError(f"[{file}] should hold a list of questions, not {shown(questions)}")
    for index, item in enumerate(questions):
        if not isinstance(item, list) or len(item) != 3:
            raise TaskError(f"[{file}:{index + 1}] should be a question, its answer and the number of its picture, "
                            f"not {shown(item)}")
        record = Record(dict(zip(("question", "answer", "image"), item)), file, index + 1)
        answer = record.text("answer")
        number = record.integer("image", 0, 1 << 31)
        yield Row(record.origin, "easy_vqa", {
            "id": str(index),
            "task": "presence" if answer in ("yes", "no") else "shape" if answer in _SHAPES else "color",
            "image": source.file(record, "image", f"{base}{source.split}/images", f"{number}.png"),
            "question": record.text("question"),
            "answer": answer,
            "score": "exact",
        })
