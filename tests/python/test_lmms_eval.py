"""The model videollama3_cpp in the harness itself, where it is installed: the same answers as `videollama3 eval`."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import task_folders

import videollama3
from videollama3.tasks import convert

PACKAGE = pathlib.Path(videollama3.__file__).absolute().parent
DEMO = str(task_folders.ROOT / "models/demo")

if importlib.util.find_spec("lmms_eval") is None:
    pytest.skip("lmms-eval is not installed", allow_module_level=True)


@pytest.fixture
def environment(tmp_path):
    """The package with the entry points of pyproject.toml, as an installed one has them; nothing from the hub."""
    project = (task_folders.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    entry = re.search(r'\[project\.entry-points\."lmms_eval\.models"\]\nvideollama3_cpp = "([^"]+)"', project)
    assert entry is not None
    info = tmp_path / "installed/videollama3-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: videollama3\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[lmms_eval.models]\nvideollama3_cpp = {entry[1]}\n")
    return {**os.environ, "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{info.parent}", "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "LMMS_EVAL_HOME": str(tmp_path / "home")}


def test_both_harnesses_agree(tmp_path, environment):
    task_folders.easy_vqa(tmp_path / "data")
    convert("easy_vqa", str(tmp_path / "data"), out=str(tmp_path / "out"))
    harness = subprocess.run(
        [sys.executable, "-m", "lmms_eval", "--model", "videollama3_cpp", "--model_args", f"model={DEMO},threads=1",
         "--include_path", str(task_folders.ROOT / "examples/lmms_eval"), "--tasks", "easy_vqa_rows", "--log_samples",
         "--output_path", str(tmp_path / "results")],
        cwd=tmp_path / "out", env=environment, capture_output=True, text=True)
    assert harness.returncode == 0, harness.stderr[-2000:]
    (results,) = (tmp_path / "results").rglob("*_results.json")
    (samples,) = (tmp_path / "results").rglob("*_samples_easy_vqa_rows.jsonl")
    theirs = json.loads(results.read_text())["results"]["easy_vqa_rows"]["exact_match,none"]

    ours = subprocess.run([str(PACKAGE / "bin/videollama3"), "eval", DEMO, str(tmp_path / "out/easy_vqa.jsonl"),
                           "--out", str(tmp_path / "eval"), "--threads", "1", "--json"],
                          capture_output=True, text=True)
    assert ours.returncode == 0, ours.stderr
    assert theirs == json.loads(ours.stdout)["overall"]["accuracy"]
    replies = {answer["id"]: answer["reply"] for answer in
               map(json.loads, (tmp_path / "eval/answers.jsonl").read_text().splitlines())}
    said = {str(sample["doc_id"]): sample["filtered_resps"]
            for sample in map(json.loads, samples.read_text().splitlines())}
    # The harness cuts blanks around a reply.
    assert {name: reply.strip() for name, reply in replies.items()} == {
        name: (reply if isinstance(reply, str) else reply[0]).strip() for name, reply in said.items()}


ROUNDS = """
from PIL import Image

def doc_to_visual(doc):
    return [Image.open(doc["image"]).convert("RGB")]

def doc_to_text(doc, lmms_eval_specific_kwargs=None, round_idx=None, previous_output=None, previous_round_info=None):
    if round_idx is None:
        return doc["questions"][0]
    if round_idx == len(doc["questions"]):
        return None, None, True, previous_output, None
    asked = doc["questions"][round_idx] + " you said: " + previous_output[-1]
    return doc_to_visual(doc), asked, False, previous_output, {"rounds": round_idx}

def process_results(doc, results):
    answers = results[0] if isinstance(results[0], list) else results
    return {"rounds": float(len(answers) == len(doc["questions"]))}
"""
ROUNDS_TASK = """
task: several_rounds
dataset_path: json
dataset_kwargs:
  data_files:
    test: rounds.jsonl
test_split: test
output_type: generate_until_multi_round
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: 24
metric_list:
  - metric: rounds
    aggregation: mean
    higher_is_better: true
"""


def test_several_rounds(tmp_path, environment):
    """A task that asks again with what was answered: the answers are those that LLM gives round by round."""
    picture = str(task_folders.ROOT / "examples/media/shapes.png")
    docs = [{"image": picture, "answer": "", "questions": ["what is in the picture?", "what shape is it?", "and where?"]},
            {"image": picture, "answer": "", "questions": ["what colour is the triangle?", "is it large?"]}]
    (tmp_path / "rounds.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    (tmp_path / "task").mkdir()
    (tmp_path / "task/several_rounds.yaml").write_text(ROUNDS_TASK)
    (tmp_path / "task/utils.py").write_text(ROUNDS)
    harness = subprocess.run(
        [sys.executable, "-m", "lmms_eval", "--model", "videollama3_cpp", "--model_args", f"model={DEMO},threads=1",
         "--include_path", str(tmp_path / "task"), "--tasks", "several_rounds", "--log_samples", "--output_path",
         str(tmp_path / "results")], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert harness.returncode == 0, harness.stderr[-2000:]
    (results,) = (tmp_path / "results").rglob("*_results.json")
    assert json.loads(results.read_text())["results"]["several_rounds"]["rounds,none"] == 1.0
    (samples,) = (tmp_path / "results").rglob("*_samples_several_rounds.jsonl")
    said = {sample["doc_id"]: sample["resps"] for sample in map(json.loads, samples.read_text().splitlines())}
    with videollama3.LLM(DEMO, threads=1) as llm:
        for i, doc in enumerate(docs):
            answers = []
            for question in doc["questions"]:
                text = question + (" you said: " + answers[-1] if answers else "")
                content = [{"type": "image", "image": picture}, {"type": "text", "text": text}]
                answers.append(llm.chat([{"role": "user", "content": content}], max_new_tokens=24, do_sample=False).text)
            got = said[i]
            while len(got) == 1 and isinstance(got[0], list):
                got = got[0]
            assert got == answers


def test_a_wrong_argument_is_named(tmp_path, environment):
    code = ("from lmms_eval.models import get_model\n"
            "get_model('videollama3_cpp')(model='nowhere', thread=2)\n")
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "did you mean threads?" in done.stderr, done.stderr[-2000:]
