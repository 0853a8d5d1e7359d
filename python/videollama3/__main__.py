"""`python -m videollama3` is the program videollama3 that is installed with the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program() -> Path:
    """The compiled program."""
    return Path(__file__).parent / "bin" / "videollama3"


def main() -> int:
    path = program()
    if not path.exists():
        print(f"videollama3: this package was built without the program ({path})", file=sys.stderr)
        return 1
    os.execv(path, ["videollama3", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
