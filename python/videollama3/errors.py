"""The package's own exceptions; what else goes wrong arrives as Python's own.

An argument out of its range is a ValueError, a missing file a FileNotFoundError, what the system refuses an OSError, what
the engine cannot do right a NotImplementedError, too little memory a MemoryError.
"""

from __future__ import annotations


class FormatError(ValueError):
    """Bytes that are not what they claim to be: truncated or corrupt files, wrong fields."""


class LimitError(ValueError):
    """Larger than a limit; the message says which and how to raise it."""


class Cancelled(Exception):
    """The work was cancelled before it ended."""
