"""Converted sets go through `videollama3 eval`."""

import json
import os
import subprocess

import pytest
import task_folders

import videollama3
from videollama3.tasks import convert

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(videollama3.__file__)), "bin", "videollama3")
DEMO = str(task_folders.ROOT / "models/demo")


def evaluated(tmp_path, files, *options):
    """The summary and the answers of eval."""
    if not os.path.exists(PROGRAM):
        pytest.skip("the package was built without the program")
    done = subprocess.run([PROGRAM, "eval", DEMO, *files, "--out", str(tmp_path / "eval"), "--threads", "1", "--json",
                           *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = (tmp_path / "eval/answers.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(done.stdout), [json.loads(line) for line in answers]


def test_easy_vqa_end_to_end(tmp_path):
    task_folders.easy_vqa(tmp_path / "data")
    convert("easy_vqa", str(tmp_path / "data"), out=str(tmp_path / "out"))
    summary, answers = evaluated(tmp_path, [str(tmp_path / "out/easy_vqa.jsonl")], "--max-new-tokens", "8")
    assert summary["overall"]["count"] == 4 and summary["complete"]
    assert {name: task["count"] for name, task in summary["tasks"].items()} == {"color": 2, "presence": 1, "shape": 1}
    rows = [json.loads(line) for line in (tmp_path / "out/easy_vqa.jsonl").read_text().splitlines()]
    by_id = {answer["id"]: answer for answer in answers}
    right = 0
    for row in rows:
        assert by_id[row["id"]]["question"] == row["question"]
        same = by_id[row["id"]]["reply"].strip().rstrip(".").lower() == row["answer"]
        assert by_id[row["id"]]["score"] == float(same)
        right += same
    assert summary["overall"]["accuracy"] == right / 4


def test_every_set_is_asked_and_scored(tmp_path):
    pytest.importorskip("pyarrow")
    files, expected = [], {}
    for name, make in task_folders.MAKERS.items():
        make(tmp_path / name)
        out = tmp_path / f"{name}.tasks"
        convert(name, str(tmp_path / name), out=str(out), limit=1)
        for path in sorted(out.glob("*.jsonl")):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            unscored = sum(row["score"] == "not_scored" for row in rows)
            expected[path.stem] = (len(rows) - unscored, unscored)
            files.append(str(path))
    summary, answers = evaluated(tmp_path, files, "--max-new-tokens", "2")
    assert {name: (of["count"], of.get("not_scored", 0)) for name, of in summary["sets"].items()} == expected
    assert len(answers) == sum(map(sum, expected.values()))
    assert all((answer["score"] is None) == (answer["by"] == "not_scored") for answer in answers)
    assert summary["sets"]["mme"]["pairs"]["count"] == len(task_folders.MME_TASKS)
    assert "recall" in summary["sets"]["charades_sta"]
