"""What is wrong with a set of questions, said with file, row, field and value."""

from __future__ import annotations

import json
from typing import Any


class TaskError(ValueError):
    """A folder, file or row that cannot be turned into questions. Nothing has been written."""


def shown(value: Any) -> str:
    """A value as messages quote it: JSON, at most 80 characters."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    text = text if len(text) <= 80 else text[:77] + "..."
    return text.encode("utf-8", "backslashreplace").decode()
