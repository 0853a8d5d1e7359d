"""Folders of models by path or name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import _core


def folder_of(
    name: Any,
    *,
    revision: str | None = None,
    token: Any = None,
    cache_dir: Any = None,
    local_files_only: bool = False,
) -> Path:
    """An existing folder as it is; else the snapshot of the model of that name. Throws OSError naming both."""
    path = Path(os.fspath(name)).expanduser()
    if path.is_file():
        return path.parent
    if path.is_dir():
        return path
    if token is True:
        token = None  # the one that is stored
    return Path(_core.resolve_model(str(name), revision, token if token is not False else "", cache_dir, local_files_only))
