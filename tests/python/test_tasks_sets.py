"""Every set's rows against what its protocol asks: the prompt to the letter, the answer, the score."""

import json

import pytest
import task_folders

from videollama3.tasks import SETS, convert

BEST = "Answer with the option's letter from the given choices directly and only give the best option."
GIVEN = "Answer with the option's letter from the given choices directly."


@pytest.fixture
def rows_of(tmp_path):
    """Rows of a set, by its name: those of all its files, and what was reported."""
    def rows(name, file=None, **options):
        if name in task_folders.NEEDS_PARQUET:
            pytest.importorskip("pyarrow")
        task_folders.MAKERS[name](tmp_path / "data")
        report = convert(name, str(tmp_path / "data"), out=str(tmp_path / "out"), **options)
        text = (tmp_path / "out" / f"{file or name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()], report

    return rows


def test_every_set_has_a_test_folder():
    assert set(SETS) == set(task_folders.MAKERS)


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_set_is_counted_and_its_media_are_there(name, rows_of, tmp_path):
    rows_of(name)
    report = json.loads((tmp_path / "out/convert.json").read_text())
    assert report["set"] == name and report["left_out"] == {}
    asked = 2 if name in ("videomme", "mmvu") else 1  # how often each question is
    assert report["rows"] == asked * report["questions"] > 0
    written = 0
    for file, count in report["files"].items():
        rows = [json.loads(line) for line in (tmp_path / "out" / file).read_text().splitlines()]
        assert len(rows) == count == len({str(row["id"]) for row in rows})
        written += count
        for row in rows:
            assert ("question" in row) != ("content" in row)
            media = [row.get("image"), row.get("video")]
            media += [part.get("image") or part.get("video") for part in row.get("content", [])]
            for paths in media:
                for path in [paths] if isinstance(paths, str) else paths or []:
                    assert (tmp_path / "out" / path).exists(), path
            assert ("answer" in row) or row["score"] == "not_scored"
    assert written == report["rows"]
    unscored = sum(row["score"] == "not_scored" for file in report["files"]
                   for row in map(json.loads, (tmp_path / "out" / file).read_text().splitlines()))
    assert unscored == report["not_scored"]


def test_mvbench(rows_of):
    rows, _ = rows_of("mvbench")
    first, second, third = rows
    assert first == {
        "id": "action_sequence/1", "task": "Action Sequence",
        "video": "../data/video/star/Charades_v1_480/a.mp4",
        "question": f"Question: What happened first?\nOptions:\n(A) It fell.\n(B) It rose.\n{BEST}",
        "answer": "B", "score": "first_letter", "options": ["It fell.", "It rose."],
        "start_time": 0.25, "end_time": 1.0}  # told the wrong way round, as some are
    assert (second["task"], second["answer"], "start_time" in second) == ("Moving Count", "C", False)
    assert third["video"].endswith("frames_fps3_hq/house") and third["pictures_rate"] == 3
    assert (third["start_time"], third["end_time"], third["answer"]) == (0, 2, "A")


def test_mlvu(rows_of):
    rows, _ = rows_of("mlvu")
    assert [row["task"] for row in rows] == ["Topic Reasoning", "Anomaly Recognition", "Needle QA", "Ego Reasoning",
                                             "Plot QA", "Action Count", "Action Order"]
    assert rows[2]["question"] == f"Question: About 2_needle?\nOptions:\n(A) a\n(B) b\n(C) c\n(D) d\n{BEST}"
    assert rows[2]["video"] == "../data/video/2_needle/v.mp4" and rows[2]["answer"] == "C"


def test_mlvu_test_is_for_the_server(rows_of):
    (row,), _ = rows_of("mlvu", split="test")
    assert row == {"id": "SQA_0", "task": "sportsQA", "video": "../data/MLVU_Test/video/test_sports_1.mp4",
                   "question": f"Question: Who won?\nOptions:\n(A) the red\n(B) the blue\n(C) none\n{BEST}",
                   "options": ["the red", "the blue", "none"], "question_type": "sportsQA", "score": "not_scored"}


VIDEOMME = ("Select the best answer to the following multiple-choice question based on the video. Respond with only "
            "the letter (A, B, C, or D) of the correct option.\nHow many?\nA. One.\nB. Two.\nC. Three.\nD. Four.\n"
            f"{BEST} The best answer is:")


def test_videomme(rows_of, tmp_path):
    rows, report = rows_of("videomme")
    assert report["files"] == {"videomme.jsonl": 2, "videomme_subtitles.jsonl": 2}
    assert rows[0]["question"] == VIDEOMME and rows[0]["answer"] == "B" and rows[0]["id"] == "001-0"
    assert rows[0]["options"] == ["One.", "Two.", "Three.", "Four."] and rows[0]["task"] == "Counting Problem"
    said = [json.loads(line) for line in (tmp_path / "out/videomme_subtitles.jsonl").read_text().splitlines()]
    # The clip of 4 s is looked at after 0, 1, 2 and 3 s: nothing is said at 0 (a subtitle begins there) and at 1
    # (one ends there).
    assert said[0]["question"] == ("This video's subtitles are listed below:\nwhat follows\nwhat follows\n"
                                   + VIDEOMME)
    assert said[1]["question"] == "This video's subtitles are listed below:\n\n" + VIDEOMME
    assert (said[0]["fps"], said[0]["max_frames"]) == (1, 180)


def test_videomme_subtitles_follow_the_frames(rows_of):
    rows, _ = rows_of("videomme", "videomme_subtitles", fps=2, max_frames=180)
    # After 0, 0.5, 1, 1.5, … s.
    assert rows[0]["question"].startswith("This video's subtitles are listed below:\nfirst line and second\n"
                                          "what follows\nwhat follows\nwhat follows\nwhat follows\nwhat follows\nSel")
    assert rows[0]["fps"] == 2


def test_longvideobench(rows_of):
    (row,), _ = rows_of("longvideobench")
    clip = {"type": "video", "video": "../data/videos/x.mp4"}
    assert row["content"] == [
        {**clip, "start_time": 0, "end_time": 2, "num_frames": 2},
        {"type": "text", "text": "said early"},
        {**clip, "start_time": 2, "end_time": 4, "num_frames": 2},
        {"type": "text", "text": f"Question: Which one?\nA. this\nB. that\nC. none\n{GIVEN}"}]
    assert (row["answer"], row["task"], row["id"]) == ("B", "S2E", "x_0")


def test_lvbench(rows_of):
    (row,), _ = rows_of("lvbench")
    assert row["question"] == f"When?\n(A) now\n(B) then\n(C) later\n(D) never\n{GIVEN}"
    assert (row["answer"], row["score"], row["options"], row["id"]) == ("D", "word_letter", 4, "7")
    assert row["task"] == "reasoning + event understanding"


@pytest.mark.parametrize("split", ["test", "valid"])
def test_perception_test(rows_of, split):
    (row,), _ = rows_of("perception_test", split=split)
    assert row["question"] == f"Question: Where?\nOptions:\n(A) left\n(B) right\n(C) up\n{BEST}"
    assert (row["id"], row["video_id"], row["question_id"]) == ("video_1_3", "video_1", 3)
    assert row["options"] == ["left", "right", "up"]
    assert (row["score"], row.get("answer")) == (("not_scored", None) if split == "test" else ("first_letter", "C"))


def test_egoschema(rows_of):
    rows, _ = rows_of("egoschema")
    assert rows[0]["question"] == (
        "Select the best answer to the following multiple-choice question based on the video.\nWhat was done?\n"
        "Options:\n(A) thing 0\n(B) thing 1\n(C) thing 2\n(D) thing 3\n(E) thing 4\n"
        f"{BEST} The best answer is: ")
    assert [(row["id"], row["score"], "answer" in row) for row in rows] == [
        ("u-1", "not_scored", False), ("u-2", "not_scored", False)]


def test_egoschema_subset(rows_of):
    rows, report = rows_of("egoschema", split="subset")
    assert [(row["id"], row["answer"], row["score"]) for row in rows] == [("u-2", "E", "first_letter")]
    assert report["left_out"] == {"its answer is not published": 1} and report["questions"] == 2


def test_nextqa_leaves_empty_options_out(rows_of):
    (row,), _ = rows_of("nextqa")
    assert row["question"] == ("Question: why did it, then, stop\nOptions:\n(A) tired\n(B) none\n(C) fell\n(D) won\n"
                               + BEST)
    assert (row["answer"], row["task"]) == ("C", "Causal")
    assert row["video"] == "../data/NExTVideo/1000/123.mp4"


def test_nextqa_keeps_rows_whole(rows_of, tmp_path):
    rows_of("nextqa")
    path = tmp_path / "data/test.csv"
    text = path.read_text(encoding="utf-8").replace("tired", "so\u2028ti\u0085r\fed").replace("fell", '"fell\nover"')
    path.write_text(text, encoding="utf-8", newline="\r\n")
    report = convert("nextqa", str(tmp_path / "data"), out=str(tmp_path / "again"))
    (row,) = [json.loads(line) for line in (tmp_path / "again/nextqa.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert row["options"] == ["so\u2028ti\u0085r\fed", "none", "fell\r\nover", "won"] and report["rows"] == 1


def test_tempcompass(rows_of):
    rows, report = rows_of("tempcompass")
    assert [(row["task"], row["score"], row["answer"]) for row in rows] == [
        ("yes_no direction", "begins", "yes"), ("captioning direction", "not_scored", "A. up"),
        ("caption_matching direction", "begins", "Caption B"), ("multi-choice direction", "begins", "A")]
    assert [row["question"] for row in rows] == [
        "Question: Is it rising?\nPlease answer with 'yes' or 'no' directly.",
        "Question: Choose one:\nInformation A: up\nInformation B: down\nPlease answer with the caption directly.",
        "Question: Which fits?\nCaption A: It rises.\nCaption B: It falls.\nPlease directly give the best option:",
        "Question: What does it do?\nA. rise\nB. fall\nPlease answer with the option's letter from the given "
        "choices directly and only give the best option."]
    assert report["not_scored"] == 1


def test_charades_sta(rows_of):
    (row,), _ = rows_of("charades_sta")
    assert row["question"] == "When is it? Please output the start and end timestamps in seconds."
    assert (row["answer"], row["score"]) == ([0.5, 2.25], "temporal_iou")


def test_activitynet_qa(rows_of):
    (row,), _ = rows_of("activitynet_qa")
    assert row["question"] == ("Question: is it outdoors\n"
                               "Please watch the video and answer the question clearly and concisely.\n")
    assert (row["answer"], row["score"], row["task"]) == ("yes", "not_scored", "Yes/No")


def test_mmvu(rows_of, tmp_path):
    (chosen, told), _ = rows_of("mmvu")
    assert chosen["question"] == ("\nQuestion: Which?\nA: one\nB: two\n\nDo not generate any intermediate reasoning "
                                  "process. Answer directly with the option letter from the given choices.\n")
    assert told["question"] == ("\nQuestion: What is it?\n\nDo not generate any intermediate reasoning process. "
                                "Directly output the final short answer.\n")
    assert (chosen["score"], chosen["answer"], chosen["task"]) == ("not_scored", "B", "Art")
    steps = [json.loads(line) for line in (tmp_path / "out/mmvu_steps.jsonl").read_text().splitlines()]
    assert steps[0]["question"].endswith("'Therefore, the final answer is: $LETTER' (without quotes), where $LETTER "
                                         "is one of the options. Think step by\nstep before answering.")
    assert steps[1]["question"].endswith("where $ANSWER is the final answer of the question. Think step by step\n"
                                         "before answering.")


def test_docvqa(rows_of):
    (row,), _ = rows_of("docvqa")
    assert row == {"id": 49153, "image": "../data/documents/a.png", "score": "anls",
                   "question": "What date?\nAnswer the question with a single word or phrase.",
                   "answer": ["1/8/93", "1/8/1993"]}


def test_docvqa_test_is_for_the_server(rows_of):
    (row,), report = rows_of("docvqa", split="test")
    assert row["score"] == "not_scored" and "answer" not in row and row["id"] == 5 and report["not_scored"] == 1


def test_empty_answers_are_left_out(rows_of, monkeypatch):
    changed = task_folders.lines
    monkeypatch.setattr(task_folders, "lines", lambda rows: changed(
        [{**row, "answer": ["", "1/8/93", " "]} for row in rows]))
    (row,), _ = rows_of("docvqa")
    assert row["answer"] == ["1/8/93"]


def test_infovqa(rows_of):
    (row,), _ = rows_of("infovqa")
    assert row["question"] == "How many?\nAnswer the question with a single word or phrase."
    assert (row["id"], row["answer"], row["image"]) == (98313, ["87%"], "../data/images/30.png")


def test_chartqa(rows_of):
    rows, _ = rows_of("chartqa")
    assert [(row["id"], row["task"], row["answer"], row["score"]) for row in rows] == [
        ("augmented/0", "augmented", "14", "relaxed"), ("human/0", "human", "15", "relaxed")]
    assert rows[0]["question"] == "How much?\nAnswer the question using a single word or phrase."


def test_ai2d(rows_of):
    (row,), _ = rows_of("ai2d")
    assert row["question"] == "Which?\nA. x\nB. y\nAnswer with the letter."
    assert (row["answer"], row["score"], row["options"]) == ("B", "first_letter", 4)


def test_gqa(rows_of):
    (row,), _ = rows_of("gqa")
    assert row["question"] == "Is it day?\nAnswer the question using a single word or phrase."
    assert (row["answer"], row["score"], row["task"]) == ("Yes", "exact", "default")


def test_ocrbench(rows_of):
    rows, _ = rows_of("ocrbench")
    assert [row["score"] for row in rows] == ["contains", "contains_symbols"]
    assert [row["answer"] for row in rows] == [["CENTRE"], "\\frac 1 2"]
    assert rows[0]["question"] == "what is written?\nAnswer the question with a single word or phrase."


def test_mme(rows_of):
    rows, _ = rows_of("mme")
    assert len(rows) == 2 * len(task_folders.MME_TASKS)
    assert rows[0]["question"] == ("Is it red?\nAnswer the question using a single word or phrase.\n"
                                   "Please answer yes or no.")
    assert [rows[0][key] for key in ("id", "pair", "group", "answer", "score")] == [
        "existence/1.png/1", "existence/1.png", "Perception", "Yes", "yes_no"]
    assert rows[1]["answer"] == "No" and rows[1]["pair"] == rows[0]["pair"]
    assert rows[-1]["group"] == "Cognition" and rows[-1]["task"] == "code_reasoning"
    assert any(row["image"].endswith("posters/images/1.png") for row in rows)


def test_mathvista(rows_of):
    rows, _ = rows_of("mathvista")
    assert rows[0]["question"] == "Hint: do it.\nQuestion: number 1?"
    assert [(row["answer"], row["score"]) for row in rows] == [
        ("B", "last_letter"), ("14", "number"), ("0.25", "number"), ("[1, 2]", "exact")]
    assert rows[0]["options"] == ["a", "b"]
    assert rows[1]["tolerance"] == 0 and rows[2]["tolerance"] == pytest.approx(0.005)


def test_realworldqa_writes_its_pictures_once(rows_of, tmp_path):
    rows, report = rows_of("realworldqa")
    assert [(row["id"], row["answer"], row["score"]) for row in rows] == [("0", "A", "exact"), ("1", "Two", "exact")]
    assert rows[0]["question"] == "Which way?\nA. left\nB. right\nPlease answer directly."
    assert report["pictures_written"] == 1 and rows[0]["image"] == rows[1]["image"]
    assert (tmp_path / "out" / rows[0]["image"]).read_bytes() == task_folders.png(10)


@pytest.mark.parametrize("split", ["test", "val"])
def test_blink(rows_of, split):
    rows, _ = rows_of("blink", split=split)
    assert len(rows) == len(task_folders.BLINK_TASKS)
    assert rows[0]["question"] == f"Which?\n(A) one\n(B) two\n{GIVEN}" and len(rows[0]["image"]) == 2
    assert rows[0]["id"] == f"{split}_Art_Style_1" and rows[0]["task"] == "Art_Style"
    assert (rows[0]["score"], rows[0].get("answer")) == (
        ("not_scored", None) if split == "test" else ("last_letter", "B"))


def test_mmmu_puts_pictures_where_they_are_named(rows_of, tmp_path):
    rows, _ = rows_of("mmmu")
    chosen, told = rows[:2]
    parts = chosen["content"]
    assert [part["type"] for part in parts] == ["text", "image", "text", "image", "text"]
    assert "".join(part.get("text", "@") for part in parts) == (
        f"See <image 1>:@ and tell.\n\n(A):$1\n(B):<image 2>:@\n\n{GIVEN}")
    assert (tmp_path / "out" / parts[1]["image"]).read_bytes() == task_folders.png(1)
    assert (tmp_path / "out" / parts[3]["image"]).read_bytes() == task_folders.png(2)
    assert (chosen["answer"], chosen["score"], chosen["options"]) == ("B", "last_letter", ["$1", "<image 2>"])
    assert "".join(part.get("text", "@") for part in told["content"]) == (
        "How much is <image 1>:@?\n\nAnswer the question using a single word or phrase.")
    assert (told["answer"], told["score"], told["task"]) == (["4", "four"], "exact", "Accounting")


def test_mmmu_keeps_pictures_that_nothing_names(rows_of, tmp_path, monkeypatch):
    changed = task_folders.parquet
    monkeypatch.setattr(task_folders, "parquet", lambda path, rows: changed(
        path, [{**row, "question": "Tell."} for row in rows]))
    rows, _ = rows_of("mmmu")
    parts = rows[0]["content"]
    assert [part["type"] for part in parts] == ["image", "text", "image", "text"]
    assert (tmp_path / "out" / parts[0]["image"]).read_bytes() == task_folders.png(1)
    assert parts[1]["text"] == "Tell.\n\n(A):$1\n(B):<image 2>:"


def test_mmmu_test_is_for_the_server(rows_of):
    rows, report = rows_of("mmmu", split="test")
    assert report["not_scored"] == len(rows) == 2 * len(task_folders.MMMU_SUBJECTS)
    assert not any("answer" in row for row in rows)
    assert rows[0]["options"] == ["$1", "<image 2>"] and "options" not in rows[1]


def test_easy_vqa(rows_of):
    rows, _ = rows_of("easy_vqa")
    assert [(row["id"], row["task"], row["answer"], row["score"]) for row in rows] == [
        ("0", "color", "red", "exact"), ("1", "presence", "no", "exact"), ("2", "shape", "triangle", "exact"),
        ("3", "color", "teal", "exact")]
    assert rows[0]["question"] == "what color is the shape?"
    assert rows[0]["image"] == "../data/data/test/images/0.png"
