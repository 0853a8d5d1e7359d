"""Benchmarks of the field as the rows that `videollama3 eval` reads.

    python -m videollama3.tasks list
    python -m videollama3.tasks convert mvbench /data/mvbench

docs/python_tasks.md says what every set's folder holds, and how its questions are asked and scored.
"""

from .convert import convert
from .errors import TaskError
from .sets import SETS, TaskSet

__all__ = ["SETS", "TaskError", "TaskSet", "convert"]
