"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Union


def write_whole(path: Path, content: Union[str, bytes]) -> None:
    """Writes a file beside `path`, synced, and renames it: until then, and where writing fails, what was at `path` stays.

    A link at `path` is replaced, and what it leads to stays as it is. Text is UTF-8. Throws OSError with `path`."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with open(new, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, str(path)) from None
    finally:
        new.unlink(missing_ok=True)
