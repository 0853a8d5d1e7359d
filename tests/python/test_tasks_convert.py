"""What is refused, and that nothing stays behind; counts; the commands."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import task_folders

import videollama3
from videollama3.tasks import TaskError, convert
from videollama3.tasks.__main__ import main
from videollama3.tasks.output import Output


def made(tmp_path, name):
    task_folders.MAKERS[name](tmp_path / "data")
    return str(tmp_path / "data")


def refused(tmp_path, name, *words, **options):
    """convert refuses the folder with these words, and leaves nothing."""
    with pytest.raises(TaskError) as error:
        convert(name, str(tmp_path / "data"), out=str(tmp_path / "out"), **options)
    for word in words:
        assert word in str(error.value), str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["data"]


def edited(path, change):
    """A file of JSON, changed."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


# (set, file, change of its value, what the message has: file and row, field, value)
BROKEN = {
    "no question": ("mlvu", "json/4_count.json", lambda v: v[0].pop("question"),
                    ("[json/4_count.json:1]", 'no "question"', "a text")),
    "question is a number": ("mlvu", "json/4_count.json", lambda v: v[0].update(question=7),
                             ("[json/4_count.json:1]", '"question"', "not 7")),
    "answer is no candidate": ("mvbench", "json/moving_count.json", lambda v: v[0].update(answer="4"),
                               ("[json/moving_count.json:1]", '"answer"', "one of its 3 candidates", '"4"')),
    "candidates are a text": ("mvbench", "json/moving_count.json", lambda v: v[0].update(candidates="1"),
                              ("[json/moving_count.json:1]", '"candidates"', "a list", '"1"')),
    "start is a text": ("mvbench", "json/action_sequence.json", lambda v: v[0].update(start="soon"),
                        ("[json/action_sequence.json:1]", '"start"', "a number", '"soon"')),
    "not an object": ("mvbench", "json/moving_count.json", lambda v: v.append(3),
                      ("[json/moving_count.json:2]", "an object", "not 3")),
    "climbs out": ("mvbench", "json/moving_count.json", lambda v: v[0].update(video="../../../etc/x.mp4"),
                   ("[json/moving_count.json:1]", '"video"', "within the folder", "../../../etc/x.mp4")),
    "absolute path": ("infovqa", "infographicsVQA_val_v1.0_withQT.json",
                      lambda v: v["data"][0].update(image_local_name="/etc/passwd"),
                      ("[infographicsVQA_val_v1.0_withQT.json:1]", '"image_local_name"', '"/etc/passwd"')),
    "no list": ("infovqa", "infographicsVQA_val_v1.0_withQT.json", lambda v: v.update(data=5),
                ("[infographicsVQA_val_v1.0_withQT.json]", 'a list of objects under "data"', "5")),
    "choice beyond": ("longvideobench", "lvb_val.json", lambda v: v[0].update(correct_choice=3),
                      ("[lvb_val.json:1]", '"correct_choice"', "from 0 to 2", "not 3")),
    "time of a subtitle": ("longvideobench", "subtitles/x_en.json", lambda v: v[1].update(start="soon"),
                           ("[subtitles/x_en.json:2]", '"start"', '"soon"')),
    "span backwards": ("charades_sta", "charades_annotations_test-random_prompt.json",
                       lambda v: v[0].update(timestamps=[[3, 1]]),
                       ("[charades_annotations_test-random_prompt.json:1]", '"timestamps"', "[[3, 1]]")),
    "no answer": ("activitynet_qa", "test_a.json", lambda v: v[0].update(question_id="other"),
                  ("[test_q.json:1]", '"question_id"', "v_abc_1")),
    "no metadata": ("mmvu", "validation.json", lambda v: v[1].pop("metadata"),
                    ("[validation.json:2]", 'no "metadata"', "an object")),
    "kind of question": ("mmvu", "validation.json", lambda v: v[1].update(question_type="essay"),
                         ("[validation.json:2]", '"question_type"', '"essay"')),
    "option of two": ("perception_test", "mc_question_test.json",
                      lambda v: v["video_1"]["mc_question"][0].update(options=["a", "b"]),
                      ("[mc_question_test.json:video_1]", '"mc_question[0].options"', "3")),
    "an id again": ("egoschema", "questions.json", lambda v: v.append(v[0]),
                    ("[questions.json:3]", '"u-1"', "questions.json:1")),
    "float without precision": ("mathvista", "testmini.json", lambda v: v["3"].update(precision=None),
                                ("[testmini.json:3]", '"precision"', "a number", "null")),
    "precision beyond floats": ("mathvista", "testmini.json", lambda v: v["3"].update(precision=10 ** 400),
                                ("[testmini.json:3]", '"precision"', "a number", "1000")),
    "precision of a thousand digits": ("mathvista", "testmini.json", lambda v: v["3"].update(precision=-1000),
                                       ("[testmini.json:3]", '"precision"', "from 0 to 18", "-1000")),
    "span beyond floats": ("charades_sta", "charades_annotations_test-random_prompt.json",
                           lambda v: v[0].update(timestamps=[[3, 10 ** 400]]),
                           ("[charades_annotations_test-random_prompt.json:1]", '"timestamps"', "[[3, 1000")),
    "time beyond floats": ("longvideobench", "subtitles/x_en.json",
                           lambda v: v[0].update(timestamp=[10 ** 400, 1], text="said"),
                           ("[subtitles/x_en.json:1]", '"timestamp"', "two times", "[1000")),
    "hours of 5000 digits": ("longvideobench", "subtitles/x_en.json",
                             lambda v: v[0].update(start="9" * 5000 + ":00:00"),
                             ("[subtitles/x_en.json:1]", '"start"', "a time", '"999')),
    "half a character": ("mlvu", "json/4_count.json", lambda v: v[0].update(question="What is \ud800?"),
                         ("[json/4_count.json:1]", '"question"', "the lone surrogate U+D800", r"What is \ud800?")),
    "half a character in a name": ("mlvu", "json/4_count.json", lambda v: v[0].update(video="a\udfff.mp4"),
                                   ("[json/4_count.json:1]", '"video"', "U+DFFF", r"a\udfff.mp4")),
    "answer that is no number": ("mathvista", "testmini.json", lambda v: v["3"].update(answer="nan"),
                                 ("[testmini.json:3]", '"answer"', "a number", '"nan"')),
    "empty answers": ("infovqa", "infographicsVQA_val_v1.0_withQT.json",
                      lambda v: v["data"][0].update(answers=["", " "]),
                      ("[infographicsVQA_val_v1.0_withQT.json:1]", '"answers"', "not empty", '["", " "]')),
    "no such letter": ("lvbench", "video_info.meta.jsonl", lambda v: v["qa"][0].update(answer="E"),
                       ("[video_info.meta.jsonl:1]", '"qa[0].answer"', "from A to D", '"E"')),
    "question of easy-vqa": ("easy_vqa", "data/test/questions.json", lambda v: v.append(["a", "b"]),
                             ("[data/test/questions.json:5]", "number of its picture")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rows_are_refused_with_their_place(case, tmp_path):
    name, file, change, words = BROKEN[case]
    made(tmp_path, name)
    edited(tmp_path / "data" / file, change)
    refused(tmp_path, name, *words)


def test_text_that_is_no_json(tmp_path):
    made(tmp_path, "lvbench")
    path = tmp_path / "data/video_info.meta.jsonl"
    path.write_text(path.read_text() + "\n{oh\n")
    refused(tmp_path, "lvbench", "[video_info.meta.jsonl:3] is not JSON")
    path.write_bytes(b'{"key": "\xff"}\n')
    refused(tmp_path, "lvbench", "is not UTF-8", "byte 9", "0xff")
    path.write_text('{"key": NaN}\n')
    refused(tmp_path, "lvbench", "NaN is not JSON")
    path.write_text("[" * 100000)
    refused(tmp_path, "lvbench", "[video_info.meta.jsonl:1] is not JSON")
    path.write_text("\n")
    refused(tmp_path, "lvbench", "has no question to ask")
    path.unlink()
    refused(tmp_path, "lvbench", "video_info.meta.jsonl] is not there")


def test_cells_of_csv(tmp_path):
    made(tmp_path, "nextqa")
    path = tmp_path / "data/test.csv"
    head, row = path.read_text().splitlines()
    path.write_text(f"{head}\n{row},more\n")
    refused(tmp_path, "nextqa", "[test.csv:2] should have 13 cells")
    path.write_text(f"{head}\n{row.replace(',fell,', ',,')}\n")
    refused(tmp_path, "nextqa", "[test.csv:2]", '"a3"', "it is the answer")
    for answer in ("--2", "9" * 5000):
        path.write_text(f"{head}\n{row.replace(',3,0,', f',{answer},0,')}\n")
        refused(tmp_path, "nextqa", "[test.csv:2]", '"answer"', "an integer from 0 to 4", f'"{answer[:70]}')
    path.write_text(f"{head}\n{row.replace('123,', '124,')}\n")
    refused(tmp_path, "nextqa", "[test.csv:2]", '"video"', "map_vid_vidorID.json", '"124"')


def test_lines_of_mme(tmp_path):
    made(tmp_path, "mme")
    path = tmp_path / "data/MME_Benchmark_release_version/count/1.txt"
    path.write_text("Is it? Please answer yes or no.\tYes\n")
    refused(tmp_path, "mme", "count/1.txt", "two lines", "not 1")
    path.write_text("Is it?\tYes\nIs it not?\tMaybe\n")
    refused(tmp_path, "mme", "count/1.txt:2]", '"answer"', '"Maybe"')
    path.unlink()
    refused(tmp_path, "mme", "count/1.txt] cannot be read")


def test_pictures_of_mme_that_only_texts_name(tmp_path):
    folder = made(tmp_path, "mme")
    place = tmp_path / "data/MME_Benchmark_release_version"
    (place / "count/1.png").unlink()
    (place / "scene/images/1.png").unlink()
    refused(tmp_path, "mme", "lacks 2", "/count/1.jpg", "/scene/images/1.jpg")
    report = convert("mme", folder, out=str(tmp_path / "out"), skip_missing=True)
    assert report["rows"] == 24 and report["left_out"] == {"its picture or clip is missing": 4}
    shutil.rmtree(place / "scene/questions_answers_YN")
    with pytest.raises(TaskError, match="scene/questions_answers_YN] is not there"):
        convert("mme", folder, out=str(tmp_path / "other"))


def test_parquet_files(tmp_path):
    pytest.importorskip("pyarrow")
    made(tmp_path, "realworldqa")
    first = tmp_path / "data/data/test-00000-of-00002.parquet"
    good = first.read_bytes()
    first.write_bytes(b"PAR1 and no more")
    refused(tmp_path, "realworldqa", "[data/test-00000-of-00002.parquet] cannot be read as parquet")
    task_folders.parquet(first, [{"question": "q", "answer": "a"}])
    refused(tmp_path, "realworldqa", "[data/test-00000-of-00002.parquet] has no column \"image\"", "question, answer")
    row = {"image": task_folders.picture(b"no picture"), "question": "q", "answer": "a"}
    task_folders.parquet(first, [row])
    refused(tmp_path, "realworldqa", "[data/test-00000-of-00002.parquet:1 image]", "no PNG", "6e 6f")
    task_folders.parquet(first, [{**row, "image": {"bytes": b"", "path": "a.png"}}])
    refused(tmp_path, "realworldqa", "[data/test-00000-of-00002.parquet:1]", '"image"', "the bytes of a picture")
    first.write_bytes(good)
    second = tmp_path / "data/data/test-00001-of-00002.parquet"
    hidden = second.rename(tmp_path / "data/data/hidden")
    refused(tmp_path, "realworldqa", "[" + str(tmp_path / "data/data"), "no test-00001-of-00002.parquet", "2 parts")
    hidden.rename(second)
    first.rename(tmp_path / "data/data/train-00000-of-00002.parquet")
    refused(tmp_path, "realworldqa", "no test-00000-of-00002.parquet")
    second.unlink()
    refused(tmp_path, "realworldqa", "has no test-….parquet")


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "data/data").mkdir(parents=True)
    (tmp_path / "data/data/test-00000-of-00001.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused(tmp_path, "realworldqa", "pyarrow", "pip install 'videollama3[tasks]'")


def test_missing_clips_are_named(tmp_path):
    made(tmp_path, "mlvu")
    for name in os.listdir(tmp_path / "data/video"):
        (tmp_path / "data/video" / name / "v.mp4").unlink()
    refused(tmp_path, "mlvu", "lacks 7", "7 questions", "video/1_plotQA/v.mp4", "and 2 more", "--skip-missing")
    refused(tmp_path, "mlvu", "has no question to ask: 7 its picture or clip is missing", skip_missing=True)
    task_folders.clip(tmp_path / "data/video/4_count/v.mp4")
    report = convert("mlvu", str(tmp_path / "data"), out=str(tmp_path / "out"), skip_missing=True)
    assert report["rows"] == 1 and report["questions"] == 7
    assert report["left_out"] == {"its picture or clip is missing": 6}
    assert report["missing"]["count"] == 6 and report["missing"]["first"][0] == "video/1_plotQA/v.mp4"


def test_videomme_without_its_subtitles(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    folder = made(tmp_path, "videomme")
    out = str(tmp_path / "out")
    assert main(["convert", "videomme", folder, "--out", out]) == 0
    assert "\n  clips without subtitles: 1\n" in capsys.readouterr().out
    shutil.rmtree(out)
    shutil.rmtree(tmp_path / "data/subtitles")
    refused(tmp_path, "videomme", "lacks 1", "for 2 questions: subtitles/", "--skip-missing")
    report = convert("videomme", folder, out=out, skip_missing=True)
    assert report["files"] == {"videomme.jsonl": 2}
    assert report["left_out"] == {"its subtitles are missing": 2} and report["missing"]["first"] == ["subtitles/"]


def test_limit_counts_tasks_and_keeps_pairs(tmp_path):
    folder = made(tmp_path, "easy_vqa")
    report = convert("easy-vqa", folder, out=str(tmp_path / "out"), limit=1)
    assert report["rows"] == 3 and report["left_out"] == {"beyond --limit": 1}
    mme = tmp_path / "mme"
    task_folders.mme(mme)
    task_folders.write(mme / "MME_Benchmark_release_version/count/2.png", task_folders.png())
    task_folders.write(mme / "MME_Benchmark_release_version/count/2.txt", "Is it?\tYes\nIs it not?\tNo\n")
    report = convert("mme", str(mme), out=str(tmp_path / "pairs"), limit=1)
    assert report["rows"] == 28 and report["left_out"] == {"beyond --limit": 2}


def test_a_folder_that_is_there(tmp_path):
    folder = made(tmp_path, "easy_vqa")
    out = tmp_path / "out"
    out.mkdir()
    convert("easy_vqa", folder, out=str(out))  # empty: taken
    with pytest.raises(TaskError, match="--overwrite"):
        convert("easy_vqa", folder, out=str(out))
    (out / "old").write_text("")
    convert("easy_vqa", folder, out=str(out), overwrite=True, limit=1)
    assert sorted(os.listdir(out)) == ["convert.json", "easy_vqa.jsonl"]
    (out / "convert.json").unlink()
    with pytest.raises(TaskError, match="not made by convert"):
        convert("easy_vqa", folder, out=str(out), overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["data", "out"]


def test_an_old_folder_stays_when_the_new_one_fails(tmp_path):
    folder = made(tmp_path, "easy_vqa")
    convert("easy_vqa", folder, out=str(tmp_path / "out"))
    before = (tmp_path / "out/easy_vqa.jsonl").read_bytes()
    edited(tmp_path / "data/data/test/questions.json", lambda v: v.append(3))
    with pytest.raises(TaskError):
        convert("easy_vqa", folder, out=str(tmp_path / "out"), overwrite=True)
    assert (tmp_path / "out/easy_vqa.jsonl").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["data", "out"]


def test_paths_hold_where_the_output_lies_in_a_linked_folder(tmp_path):
    folder = made(tmp_path, "easy_vqa")
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far/away")
    convert("easy_vqa", folder, out=str(tmp_path / "near/out"))
    row = json.loads((tmp_path / "near/out/easy_vqa.jsonl").read_text().splitlines()[0])
    assert (tmp_path / "near/out" / row["image"]).is_file()


@pytest.mark.parametrize("name, options, words", [
    ("mvbanch", {}, "did you mean mvbench?"), ("qqqq", {}, "there are videomme"),
    ("mvbench", {"split": "train"}, 'no split "train"; it has test'), ("mvbench", {"limit": -1}, "limit is -1"),
    ("mvbench", {"fps": 0}, "fps is 0"), ("mvbench", {"fps": float("nan")}, "fps is nan"),
    ("mvbench", {"max_frames": 0}, "max_frames is 0")])
def test_what_is_asked_for(name, options, words, tmp_path):
    (tmp_path / "data").mkdir()
    refused(tmp_path, name, words, **options)


def test_folders(tmp_path):
    with pytest.raises(TaskError, match="mvbench needs the folder that holds json/"):
        convert("mvbench")
    with pytest.raises(TaskError, match="is no folder"):
        convert("mvbench", str(tmp_path / "none"), out=str(tmp_path / "out"))
    assert os.listdir(tmp_path) == []


def test_commands(tmp_path, capsys):
    folder = made(tmp_path, "easy_vqa")
    assert main(["list", "Easy-VQA", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["splits"] == ["test", "train"]
    out = str(tmp_path / "out")
    assert main(["convert", "easy-vqa", folder, "--out", out, "--limit", "1"]) == 0
    told = capsys.readouterr().out
    assert told == f"{out}: 3 rows of 4 questions\n  easy_vqa.jsonl: 3\n  left out: 1, beyond --limit\n"
    assert main(["convert", "easy-vqa", folder, "--out", out]) == 1
    assert capsys.readouterr().err.startswith("error: [")
    assert main(["words", str(task_folders.ROOT / "models/demo"), out + "/easy_vqa.jsonl"]) == 0
    assert capsys.readouterr().out.startswith("3 of 3 questions (100.00 %) have an answer")
    with pytest.raises(SystemExit) as usage:
        main(["convert"])
    assert usage.value.code == 2


def test_a_full_disk(tmp_path, capsys, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    folder = made(tmp_path, "easy_vqa")
    monkeypatch.setattr(Output, "_file", lambda self, name: self._files.setdefault(name, open("/dev/full", "w")))
    out = str(tmp_path / "out")
    assert main(["convert", "easy_vqa", folder, "--out", out]) == 1
    assert capsys.readouterr().err == f"error: [{out}] No space left on device\n"
    assert os.listdir(tmp_path) == ["data"]


def test_words_of_a_small_vocabulary(tmp_path, capsys):
    folder = made(tmp_path, "easy_vqa")
    convert("easy_vqa", folder, out=str(tmp_path / "out"))
    assert main(["words", str(task_folders.ROOT / "models/demo"), str(tmp_path / "out/easy_vqa.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"questions": 4, "with_words": 3, "share": 0.75,
                                                   "others": {"teal": 1}}
    assert main(["words", str(tmp_path), str(tmp_path / "out/easy_vqa.jsonl")]) == 1
    assert "tokenizer.json] is not there: the model's folder should hold" in capsys.readouterr().err


def test_words_of_rows_that_cannot_be_read(tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    assert main(["words", str(task_folders.ROOT / "models/demo"), str(rows)]) == 1
    assert "rows.jsonl] is not there: the rows' folder should hold" in capsys.readouterr().err
    rows.write_text('{"answer": "\\ud800"}\n')
    assert main(["words", str(task_folders.ROOT / "models/demo"), str(rows)]) == 1
    assert '[rows.jsonl:1] "answer" should be Unicode' in capsys.readouterr().err


def test_words_of_a_model_by_its_name(tmp_path, capsys, monkeypatch):
    folder = made(tmp_path, "easy_vqa")
    convert("easy_vqa", folder, out=str(tmp_path / "out"))
    rows = str(tmp_path / "out/easy_vqa.jsonl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["words", "org/demo", rows]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: [org/demo] no such folder here, and as the name of a model") and "not in" in told
    kept = tmp_path / "hub/models--org--demo"
    task_folders.write(kept / "refs/main", "0" * 40)
    shutil.copytree(task_folders.ROOT / "models/demo", kept / "snapshots" / ("0" * 40))
    assert main(["words", "org/demo", rows]) == 0
    assert capsys.readouterr().out.startswith("3 of 4 questions")


def test_python_minus_m(tmp_path):
    package = os.path.dirname(os.path.abspath(videollama3.__file__))
    done = subprocess.run([sys.executable, "-m", "videollama3.tasks", "convert", "easy-vqa", str(tmp_path / "no")],
                          capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": os.path.dirname(package)})
    assert (done.returncode, done.stdout) == (1, "") and "is no folder" in done.stderr
