"""Which answers a model has words for."""

from __future__ import annotations

import json
import os
from typing import Any, Iterable

from .._hub import folder_of
from .errors import TaskError
from .output import check_unicode
from .records import json_lines, read_json


def has_words(vocabulary: Iterable[str], answer: str) -> bool:
    """Whether every word of the answer is a token: alone, or behind a blank (byte-level BPE writes it as Ġ)."""
    words = answer.split()
    return bool(words) and all(word in vocabulary or "Ġ" + word in vocabulary for word in words)


def share_of_words(model: str, rows: str) -> dict[str, Any]:
    """Of the rows of a file with an answer, how many have one that the model, a folder or a name, has words for.

    Small models have small vocabularies: a word that they were never taught is spelt at best. The other answers
    are listed, with how many questions have them.
    """
    try:
        folder = str(folder_of(model))
    except OSError as error:
        raise TaskError(str(error)) from None
    file = os.path.join(folder, "tokenizer.json")
    tokenizer = read_json(folder, "tokenizer.json", "the model's folder")
    vocabulary = tokenizer.get("model", {}).get("vocab") if isinstance(tokenizer, dict) else None
    if not isinstance(vocabulary, dict):
        raise TaskError(f'[{file}] has no object "vocab" under "model"')
    known, asked = 0, 0
    others: dict[str, int] = {}
    for record in json_lines(os.path.dirname(rows) or ".", os.path.basename(rows), "the rows' folder"):
        if "answer" not in record.data:
            continue
        answers = record.answers("answer")
        check_unicode(answers, record.origin, "answer")
        asked += 1
        if any(has_words(vocabulary, answer) for answer in ([answers] if isinstance(answers, str) else answers)):
            known += 1
        else:
            name = json.dumps(answers) if isinstance(answers, list) else answers
            others[name] = others.get(name, 0) + 1
    if asked == 0:
        raise TaskError(f"[{rows}] has no row with an answer")
    return {"questions": asked, "with_words": known, "share": known / asked, "others": others}
