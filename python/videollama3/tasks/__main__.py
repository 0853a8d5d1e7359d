"""python -m videollama3.tasks: results on stdout, everything else on stderr; 0 done, 1 failed, 2 usage."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Optional, Sequence

from .convert import convert, task_set
from .errors import TaskError
from .sets import SETS
from .words import share_of_words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m videollama3.tasks", description="Benchmarks of the field as the "
                                     "rows that `videollama3 eval` reads.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the sets, what their folders hold and how they are scored")
    listing.add_argument("set", nargs="?", metavar="SET", help="this one alone")
    listing.add_argument("--json", action="store_true", help="as JSON")
    converting = commands.add_parser("convert", help="a set's folder into rows")
    converting.add_argument("set", metavar="SET", help="its name, as `list` shows it")
    converting.add_argument("folder", nargs="?", metavar="FOLDER", help="as the original evaluation has it")
    converting.add_argument("--split", metavar="S", help="the first that `list` shows, unless told otherwise")
    converting.add_argument("--out", metavar="OUT", help="the folder of the rows (SET.tasks)")
    converting.add_argument("--limit", type=int, default=0, metavar="N",
                            help="at most N questions of each task, or N pairs of them")
    converting.add_argument("--fps", type=float, default=1.0, metavar="F",
                            help="frames a second that will be looked at, for subtitles (1)")
    converting.add_argument("--max-frames", type=int, default=180, metavar="N",
                            help="the most frames of a clip, for subtitles (180)")
    converting.add_argument("--skip-missing", action="store_true",
                            help="leave out questions whose picture, clip or subtitles are missing")
    converting.add_argument("--overwrite", action="store_true", help="replace a folder that convert made")
    converting.add_argument("--json", action="store_true", help="the report as JSON")
    words = commands.add_parser("words", help="the share of questions whose answers a model has words for")
    words.add_argument("model", metavar="MODEL", help="its folder or name")
    words.add_argument("rows", metavar="ROWS", help="a file of rows")
    words.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _list(arguments: argparse.Namespace) -> None:
    chosen = [task_set(arguments.set)] if arguments.set else list(SETS.values())
    if arguments.json:
        print(json.dumps([{"name": s.name, "title": s.title, "holds": s.holds, "scores": s.scores,
                           "splits": list(s.splits)} for s in chosen], indent=1))
        return
    for s in chosen:
        print(f"{s.name}\n    {s.title}; splits: {', '.join(s.splits)}\n    folder: {s.holds}\n    scores: {s.scores}")


def _convert(arguments: argparse.Namespace) -> None:
    report = convert(arguments.set, arguments.folder, split=arguments.split, out=arguments.out,
                     limit=arguments.limit, fps=arguments.fps, max_frames=arguments.max_frames,
                     skip_missing=arguments.skip_missing, overwrite=arguments.overwrite)
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    print(_told(report))
    if report["missing"]["count"]:
        first = report["missing"]["first"]
        print(f"missing: {report['missing']['count']} pictures, clips or subtitles, the first {', '.join(first)}",
              file=sys.stderr)


def _told(report: dict[str, Any]) -> str:
    lines = [f"{report['out']}: {report['rows']} rows of {report['questions']} questions"]
    lines += [f"  {name}: {count}" for name, count in report["files"].items()]
    lines += [f"  left out: {count}, {reason}" for reason, count in report["left_out"].items()]
    if report["not_scored"]:
        lines.append(f"  not scored: {report['not_scored']}")
    if report["pictures_written"]:
        lines.append(f"  pictures written: {report['pictures_written']}")
    lines += [f"  {what}: {count}" for what, count in report["noted"].items()]
    return "\n".join(lines)


def _words(arguments: argparse.Namespace) -> None:
    found = share_of_words(arguments.model, arguments.rows)
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    print(f"{found['with_words']} of {found['questions']} questions ({100 * found['share']:.2f} %) have an answer "
          "that the model has words for")
    others = sorted(found["others"].items(), key=lambda item: -item[1])
    if others:
        print("no words for: " + ", ".join(f"{answer} ({count})" for answer, count in others[:20])
              + (f" and {len(others) - 20} more" if len(others) > 20 else ""))


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        {"list": _list, "convert": _convert, "words": _words}[arguments.command](arguments)
    except TaskError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    except OSError as error:
        place = f"[{error.filename}] " if error.filename is not None else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
