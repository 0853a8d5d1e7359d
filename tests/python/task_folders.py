"""Small folders in the format of every set, for the tests of videollama3.tasks."""

import csv
import json
import pathlib
import shutil
import struct
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIP = ROOT / "examples" / "media" / "moving.mp4"


def png(red=200, side=32):
    """A picture of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes((red, 30, 60)) * side for _ in range(side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(path, content):
    """Bytes, a text, or a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def clip(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CLIP, path)


def parquet(path, rows):
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def easy_vqa(folder):
    write(folder / "data/test/questions.json",
          [["what color is the shape?", "red", 0], ["is there a circle in the image?", "no", 0],
           ["what shape is in the image?", "triangle", 1], ["what is the color of the shape?", "teal", 1]])
    for i in range(2):
        write(folder / f"data/test/images/{i}.png", png(200 - 90 * i))


MVBENCH_FILES = (
    "action_sequence action_prediction action_antonym fine_grained_action unexpected_action object_existence "
    "object_interaction object_shuffle moving_direction action_localization scene_transition action_count "
    "moving_count moving_attribute state_change fine_grained_pose character_order egocentric_navigation "
    "episodic_reasoning counterfactual_inference").split()


def mvbench(folder):
    for name in MVBENCH_FILES:
        write(folder / f"json/{name}.json", [])
    write(folder / "json/action_sequence.json", [
        {"video": "a.mp4", "question": "What happened first?", "candidates": ["It fell.", "It rose."],
         "answer": "It rose.", "start": 1.0, "end": 0.25}])
    write(folder / "json/moving_count.json", [
        {"video": "b.mp4", "question": "How many move?", "candidates": ["1", "2", "3"], "answer": "3"}])
    write(folder / "json/episodic_reasoning.json", [
        {"video": "house", "question": "Why?", "candidates": ["So.", "Not so."], "answer": "So.", "start": 0,
         "end": 2, "fps": 3}])
    clip(folder / "video/star/Charades_v1_480/a.mp4")
    clip(folder / "video/clevrer/video_validation/b.mp4")
    for i in range(6):
        write(folder / f"video/tvqa/frames_fps3_hq/house/{i:05}.png", png(40 * i))


def mlvu(folder):
    names = "7_topic_reasoning 6_anomaly_reco 2_needle 3_ego 1_plotQA 4_count 5_order".split()
    for name in names:
        write(folder / f"json/{name}.json", [
            {"video": "v.mp4", "duration": 3, "question": f"About {name}?", "candidates": ["a", "b", "c", "d"],
             "answer": "c"}])
        clip(folder / f"video/{name}/v.mp4")
    write(folder / "test_multi_choice_tasks.json", [
        {"video": "test_sports_1.mp4", "duration": 4.0, "question": "Who won?", "question_id": "SQA_0",
         "candidates": ["the red", "the blue", "none"], "question_type": "sportsQA"}])
    clip(folder / "MLVU_Test/video/test_sports_1.mp4")


SRT = """1
00:00:00,000 --> 00:00:01,000
first <i>line</i>
and second

2
00:00:01,100 --> 00:00:09,000
what follows
"""


def videomme(folder):
    parquet(folder / "test-00000-of-00001.parquet", [
        {"video_id": "001", "videoID": name, "question_id": f"001-{i}", "task_type": "Counting Problem",
         "question": "How many?", "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."], "answer": "B"}
        for i, name in enumerate(["spoken", "silent"])])
    clip(folder / "videos/spoken.mp4")
    clip(folder / "videos/silent.mp4")
    write(folder / "subtitles/spoken.srt", SRT)


def longvideobench(folder):
    write(folder / "lvb_val.json", [
        {"id": "x_0", "video_path": "x.mp4", "subtitle_path": "x_en.json", "question": "Which one?",
         "candidates": ["this", "that", "none"], "correct_choice": 1, "question_category": "S2E",
         "level": "L1-Perception", "topic_category": "T", "duration_group": 15, "duration": 6.0,
         "starting_timestamp_for_subtitles": 10.0}])
    write(folder / "subtitles/x_en.json", [
        {"start": "00:00:10.200", "end": "00:00:12.800", "line": "said early"},
        {"start": "00:00:40.000", "end": "00:00:41.000", "line": "said after the end"}])
    clip(folder / "videos/x.mp4")


def lvbench(folder):
    write(folder / "video_info.meta.jsonl", lines([
        {"key": "k1", "qa": [{"uid": "7", "question": "When?\n(A) now\n(B) then\n(C) later\n(D) never",
                              "answer": "D", "question_type": ["reasoning", "event understanding"]}]}]))
    clip(folder / "video/k1.mp4")


def perception_test(folder):
    for split, answer in (("test", {}), ("valid", {"answer_id": 2})):
        write(folder / f"mc_question_{split}.json", {
            "video_1": {"metadata": {"video_id": "video_1"},
                        "mc_question": [{"id": 3, "question": "Where?", "options": ["left", "right", "up"],
                                         **answer}]}})
    clip(folder / "videos/video_1.mp4")


def egoschema(folder):
    rows = [{"q_uid": name, "question": "What was done?", **{f"option {i}": f"thing {i}" for i in range(5)}}
            for name in ("u-1", "u-2")]
    write(folder / "questions.json", rows)
    write(folder / "subset_answers.json", {"u-2": 4})
    for name in ("u-1", "u-2"):
        clip(folder / f"good_clips_git/{name}.mp4")


def nextqa(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "test.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow("video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4".split(","))
        writer.writerow(["123", 10, 4, 4, "why did it, then, stop", 3, 0, "CW", "tired", "", "none", "fell", "won"])
    write(folder / "map_vid_vidorID.json", {"123": "1000/123"})
    clip(folder / "NExTVideo/1000/123.mp4")


def tempcompass(folder):
    asked = {"yes_no": ("Is it rising?", "yes"),
             "captioning": ("Choose one:\nInformation A: up\nInformation B: down\nGenerated Caption:", "A. up"),
             "caption_matching": ("Which fits?\nCaption A: It rises.\nCaption B: It falls.", "Caption B: It falls."),
             "multi-choice": ("What does it do?\nA. rise\nB. fall", "A. rise")}
    for form, (question, answer) in asked.items():
        parquet(folder / form / "test-00000-of-00001.parquet",
                [{"video_id": "77", "question": question, "answer": answer, "dim": "direction"}])
    clip(folder / "videos/77.mp4")


def charades_sta(folder):
    write(folder / "charades_annotations_test-random_prompt.json", [
        {"question_id": "q1", "video": "c.mp4", "conversation": [{"role": "user", "content": "When is it? "}],
         "timestamps": [[0.5, 2.25]]}])
    clip(folder / "Charades_v1/c.mp4")


def activitynet_qa(folder):
    write(folder / "test_q.json", [{"video_name": "abc", "question": "is it outdoors", "question_id": "v_abc_1"}])
    write(folder / "test_a.json", [{"answer": "yes", "type": 3, "question_id": "v_abc_1"}])
    clip(folder / "all_test/v_abc.mp4")


def mmvu(folder):
    write(folder / "validation.json", [
        {"id": "validation_0", "video": "https://example.org/videos/Art/0.mp4", "metadata": {"subject": "Art"},
         "question": "Which?", "question_type": "multiple-choice", "choices": {"A": "one", "B": "two"},
         "answer": "B"},
        {"id": "validation_1", "video": "https://example.org/videos/Art/0.mp4", "metadata": {"subject": "Art"},
         "question": "What is it?", "question_type": "open-ended", "choices": {}, "answer": "a vase"}])
    clip(folder / "videos/Art/0.mp4")


def docvqa(folder):
    write(folder / "val.jsonl", lines([{"question_id": 49153, "image": "documents/a.png", "question": "What date?",
                                        "answer": ["1/8/93", "1/8/1993"]}]))
    write(folder / "test.jsonl", lines([{"question_id": 5, "image": "documents/a.png", "question": "Who?"}]))
    write(folder / "documents/a.png", png())


def infovqa(folder):
    write(folder / "infographicsVQA_val_v1.0_withQT.json", {"dataset_name": "x", "data": [
        {"questionId": 98313, "image_local_name": "30.png", "question": "How many?", "answers": ["87%"]}]})
    write(folder / "images/30.png", png())


def chartqa(folder):
    for i, task in enumerate(("augmented", "human")):
        write(folder / f"test_{task}_renamed.jsonl", lines([
            {"question_id": 0, "image": f"test/png/{task}.png", "question": "How much?", "answer": str(14 + i)}]))
        write(folder / f"test/png/{task}.png", png(60 * i))


def ai2d(folder):
    write(folder / "ai2d_test_vlmevalkit.jsonl", lines([
        {"question_id": 3, "image": "images/3.png", "question": "Which?\nA. x\nB. y\nAnswer with the letter.",
         "answer": "B"}]))
    write(folder / "images/3.png", png())


def gqa(folder):
    write(folder / "llava_gqa_testdev_balanced.jsonl", lines([
        {"question_id": "2019", "image": "n1.png", "category": "default",
         "text": "Is it day?\nAnswer the question using a single word or phrase."}]))
    write(folder / "data/testdev_balanced_questions.json", {"2019": {"answer": "Yes", "question": "Is it day?"}})
    write(folder / "data/images/n1.png", png())


def ocrbench(folder):
    write(folder / "OCRBench.json", [
        {"dataset_name": "IIIT5K", "image_path": "a/1.png", "question": "what is written?", "answers": ["CENTRE"],
         "type": "Regular Text Recognition"},
        {"dataset_name": "HME100k", "image_path": "a/2.png", "question": "Write the formula.",
         "answers": "\\frac 1 2", "type": "Handwritten Mathematical Expression Recognition"}])
    for i in (1, 2):
        write(folder / f"OCRBench_Images/a/{i}.png", png(70 * i))


MME_TASKS = ("existence count position color posters celebrity scene landmark artwork OCR commonsense_reasoning "
             "numerical_calculation text_translation code_reasoning").split()


def mme(folder):
    for task in MME_TASKS:
        place = folder / "MME_Benchmark_release_version" / task
        parted = task in ("posters", "scene")
        write(place / ("images/1.png" if parted else "1.png"), png())
        write(place / ("questions_answers_YN/1.txt" if parted else "1.txt"),
              "Is it red? Please answer yes or no.\tYes\nIs it blue? Please answer yes or no.\tNo\n")


def mathvista(folder):
    kinds = {"1": ("multi_choice", "text", "b", ["a", "b"], None), "2": ("free_form", "integer", "14", None, None),
             "3": ("free_form", "float", "0.25", None, 2.0), "4": ("free_form", "list", "[1, 2]", None, None)}
    write(folder / "testmini.json", {
        name: {"image": "images/1.png", "question_type": kind, "answer_type": of, "answer": answer,
               "choices": choices, "precision": precision}
        for name, (kind, of, answer, choices, precision) in kinds.items()})
    write(folder / "query.json", {name: f"Hint: do it.\nQuestion: number {name}?" for name in kinds})
    write(folder / "images/1.png", png())


def picture(data=None):
    return {"bytes": data if data is not None else png(), "path": "x.png"}


def realworldqa(folder):
    parquet(folder / "data/test-00000-of-00002.parquet",
            [{"image": picture(png(10)), "question": "Which way?\nA. left\nB. right\nPlease answer directly.",
              "answer": "A"}])
    parquet(folder / "data/test-00001-of-00002.parquet",
            [{"image": picture(png(10)), "question": "How many?", "answer": "Two "}])


BLINK_TASKS = ("Art_Style Functional_Correspondence Multi-view_Reasoning Relative_Reflectance Visual_Correspondence "
               "Counting IQ_Test Object_Localization Semantic_Correspondence Visual_Similarity Forensic_Detection "
               "Jigsaw Relative_Depth Spatial_Relation").split()


def blink(folder):
    for i, task in enumerate(BLINK_TASKS):
        for split, answer in (("val", "(B)"), ("test", "hidden")):
            parquet(folder / task / f"{split}-00000-of-00001.parquet", [
                {"idx": f"{split}_{task}_1", "question": "q", "prompt": "Which?\n(A) one\n(B) two",
                 "choices": ["one", "two"], "answer": answer, "image_1": picture(), "image_2": picture(png(i)),
                 "image_3": None, "image_4": None}])


MMMU_SUBJECTS = (
    "Accounting Agriculture Architecture_and_Engineering Art Art_Theory Basic_Medical_Science Biology Chemistry "
    "Clinical_Medicine Computer_Science Design Diagnostics_and_Laboratory_Medicine Economics Electronics "
    "Energy_and_Power Finance Geography History Literature Manage Marketing Materials Math Mechanical_Engineering "
    "Music Pharmacy Physics Psychology Public_Health Sociology").split()


def mmmu(folder):
    for subject in MMMU_SUBJECTS:
        empty = {f"image_{i}": None for i in range(3, 8)}
        for split, answers in (("validation", ("B", "['4', 'four']")), ("test", ("?", "?"))):
            parquet(folder / subject / f"{split}-00000-of-00001.parquet", [
                {"id": f"{split}_{subject}_1", "question": "See <image 1> and tell.", "answer": answers[0],
                 "options": "['$1', '<image 2>']", "question_type": "multiple-choice", "image_1": picture(png(1)),
                 "image_2": picture(png(2)), **empty},
                {"id": f"{split}_{subject}_2", "question": "How much is <image 1>?", "answer": answers[1],
                 "options": "[]", "question_type": "open", "image_1": picture(png(3)), "image_2": None, **empty}])


MAKERS = {maker.__name__: maker for maker in (
    videomme, mvbench, mlvu, longvideobench, lvbench, perception_test, egoschema, nextqa, tempcompass, charades_sta,
    activitynet_qa, mmvu, docvqa, infovqa, chartqa, ai2d, gqa, ocrbench, realworldqa, mme, mathvista, mmmu, blink,
    easy_vqa)}
NEEDS_PARQUET = {"videomme", "tempcompass", "realworldqa", "mmmu", "blink"}
