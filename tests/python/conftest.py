"""What the tests of the Python package share: the folders of models and media, and whether they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared"


def shared(name: str) -> Path:
    """A file or folder of ../shared; the test is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is not there")
    return path


def whole_folder(name: str, into: Path) -> Path:
    """../shared/goldens/models/NAME with links that were written out as text followed."""
    source = shared(f"goldens/models/{name}")
    into.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        target = path
        if path.stat().st_size < 200:
            text = path.read_text(encoding="utf-8").strip()
            if text.startswith("../"):
                target = (source / text).resolve()
        (into / path.name).symlink_to(target)
    return into


@pytest.fixture(scope="session")
def demo() -> Path:
    return PROJECT / "models/demo"


@pytest.fixture(scope="session")
def tiny() -> Path:
    return PROJECT / "models/tiny"


@pytest.fixture(scope="session")
def media() -> Path:
    return PROJECT / "examples/media"
