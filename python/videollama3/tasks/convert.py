"""From a set's folder to rows."""

from __future__ import annotations

import difflib
import math
import os
from typing import Any, Optional

from .easy_vqa import installed_folder
from .errors import TaskError
from .output import Output
from .rows import LeftOut, Source
from .sets import SETS, TaskSet


def task_set(name: str) -> TaskSet:
    """The set of this name; case, blanks, dashes and underscores do not count."""
    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    for found in SETS.values():
        if plain(name) in (plain(found.name), plain(found.title)):
            return found
    near = difflib.get_close_matches(name.lower(), SETS, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(SETS)}"
    raise TaskError(f'[convert] there is no set "{name}"{hint}')


def convert(name: str, folder: Optional[str] = None, *, split: Optional[str] = None, out: Optional[str] = None,
            limit: int = 0, fps: float = 1.0, max_frames: int = 180, skip_missing: bool = False,
            overwrite: bool = False) -> dict[str, Any]:
    """Writes the rows of a set into the new folder `out` (default: NAME.tasks), and returns the report.

    folder        as the original evaluation has it; may be absent for easy_vqa, whose package is looked for
    split         one of SETS[name].splits; the first by default
    limit         at most so many questions of each task, or pairs of them where they are asked in pairs; 0: all
    fps, max_frames  how clips will be looked at: which subtitles are in a prompt depends on it
    skip_missing  questions whose picture, clip or subtitles are missing are left out and counted, instead of an error
    overwrite     a folder that convert made before is replaced

    The report is what OUT/convert.json holds: "set", "split", "questions" in the set (one that is asked twice counts
    once), "rows" written, "left_out" (rows, by reason), "files" (rows of each), "not_scored", "pictures_written",
    "noted" (what else was counted: clips without subtitles), "missing". It also has "out". Raises TaskError, and
    leaves nothing behind, where something cannot be read as the set's.
    """
    chosen = task_set(name)
    if split is None:
        split = chosen.splits[0]
    if split not in chosen.splits:
        raise TaskError(f'[convert] {chosen.name} has no split "{split}"; it has {", ".join(chosen.splits)}')
    if limit < 0 or not (math.isfinite(fps) and fps > 0) or max_frames < 1:
        raise TaskError(f"[convert] limit is {limit}, at least 0; fps is {fps}, above 0; max_frames is {max_frames}, "
                        "at least 1")
    if folder is None:
        if chosen.name != "easy_vqa":
            raise TaskError(f"[convert] {chosen.name} needs the folder that holds {chosen.holds}")
        folder = installed_folder()
    if not os.path.isdir(folder):
        raise TaskError(f"[{folder}] is no folder")
    source = Source(folder, split, fps, max_frames)
    target = out if out is not None else chosen.name + ".tasks"
    with Output(target, source, limit, skip_missing, overwrite) as output:
        for row in chosen.read(source):
            if isinstance(row, LeftOut):
                output.leave_out(row)
            else:
                output.add(row)
        return {**output.finish(chosen.name), "out": target}
