"""Clips with questions to pick an answer of: the readers of the original evaluation's folders.

Prompts are those of the original evaluation of VideoLLaMA3 (evaluation/benchmarks of its repository), to the
letter: they are a part of a score.
"""

from __future__ import annotations

import os
from typing import Any, Iterator, Optional, Union

from .clips import duration_s, sampled_times
from .records import Record, csv_rows, json_lines, json_list, json_object, read_json, split_rows
from .rows import File, LeftOut, Row, Source, bracketed, letter_of
from .subtitles import interleaved, read_longvideobench, read_srt, seen_with

_BEST_OPTION = "Answer with the option's letter from the given choices directly and only give the best option."
Rows = Iterator[Union[Row, LeftOut]]


def _options_prompt(question: str, options: list[str]) -> str:
    return f"Question: {question}\nOptions:\n{bracketed(options)}{_BEST_OPTION}"


def _picked(record: Record, field: str, options: list[str]) -> str:
    """The letter of the option that is the answer's text: of several, the last, as the original takes it."""
    answer = record.text(field)
    if answer not in options:
        record.fail(field, f"one of its {len(options)} candidates")
    return letter_of(max(i for i, option in enumerate(options) if option == answer))


# --- MVBench, MLVU

# Task, file, folder of clips, "video" or "frames" (a folder of pictures a clip), whether start and end count.
_MVBENCH = (
    ("Action Sequence", "action_sequence", "star/Charades_v1_480", "video", True),
    ("Action Prediction", "action_prediction", "star/Charades_v1_480", "video", True),
    ("Action Antonym", "action_antonym", "ssv2_video", "video", False),
    ("Fine-grained Action", "fine_grained_action", "Moments_in_Time_Raw/videos", "video", False),
    ("Unexpected Action", "unexpected_action", "FunQA_test/test", "video", False),
    ("Object Existence", "object_existence", "clevrer/video_validation", "video", False),
    ("Object Interaction", "object_interaction", "star/Charades_v1_480", "video", True),
    ("Object Shuffle", "object_shuffle", "perception/videos", "video", False),
    ("Moving Direction", "moving_direction", "clevrer/video_validation", "video", False),
    ("Action Localization", "action_localization", "sta/sta_video", "video", True),
    ("Scene Transition", "scene_transition", "scene_qa/video", "video", False),
    ("Action Count", "action_count", "perception/videos", "video", False),
    ("Moving Count", "moving_count", "clevrer/video_validation", "video", False),
    ("Moving Attribute", "moving_attribute", "clevrer/video_validation", "video", False),
    ("State Change", "state_change", "perception/videos", "video", False),
    ("Fine-grained Pose", "fine_grained_pose", "nturgbd", "video", False),
    ("Character Order", "character_order", "perception/videos", "video", False),
    ("Egocentric Navigation", "egocentric_navigation", "vlnqa", "video", False),
    ("Episodic Reasoning", "episodic_reasoning", "tvqa/frames_fps3_hq", "frames", True),
    ("Counterfactual Inference", "counterfactual_inference", "clevrer/video_validation", "video", False),
)

_MLVU = (
    ("Topic Reasoning", "7_topic_reasoning"),
    ("Anomaly Recognition", "6_anomaly_reco"),
    ("Needle QA", "2_needle"),
    ("Ego Reasoning", "3_ego"),
    ("Plot QA", "1_plotQA"),
    ("Action Count", "4_count"),
    ("Action Order", "5_order"),
)


def _part(record: Record) -> dict[str, float]:
    """start_time and end_time as the original makes them of start and end: in order, and never the same."""
    if record.data.get("start") is None and record.data.get("end") is None:
        return {}
    start, end = (max(record.number(name), 0.0) for name in ("start", "end"))
    if start > end:
        start, end = end, start
    return {"start_time": start, "end_time": end if end > start else start + 1}


def _candidates(record: Record, task: str, key: str, video: File) -> dict[str, Any]:
    options = record.texts("candidates", 2)
    return {
        "id": f"{key}/{record.row}",
        "task": task,
        "video": video,
        "question": _options_prompt(record.text("question"), options),
        "answer": _picked(record, "answer", options),
        "score": "first_letter",
        "options": options,
    }


def mvbench(source: Source) -> Rows:
    for task, file, folder, kind, has_part in _MVBENCH:
        for record in json_list(source.root, f"json/{file}.json"):
            video = source.file(record, "video", f"video/{folder}", record.text("video"))
            fields = _candidates(record, task, file, video)
            if has_part:
                fields.update(_part(record))
            if kind == "frames":
                fields["pictures_rate"] = 3  # as its folder is called
            yield Row(record.origin, "mvbench", fields)


def mlvu(source: Source) -> Rows:
    """Split dev, the original's. Split test: asked in the same way; the server has the answers."""
    if source.split == "test":
        yield from _mlvu_test(source)
        return
    for task, name in _MLVU:
        for record in json_list(source.root, f"json/{name}.json"):
            video = source.file(record, "video", f"video/{name}", record.text("video"))
            yield Row(record.origin, "mlvu", _candidates(record, task, name, video))


def _mlvu_test(source: Source) -> Rows:
    for record in json_list(source.root, "test_multi_choice_tasks.json"):
        options = record.texts("candidates", 2)
        yield Row(record.origin, "mlvu", {
            "id": record.name("question_id"),
            "task": record.text("question_type"),
            "video": source.file(record, "video", "MLVU_Test/video", record.text("video")),
            "question": _options_prompt(record.text("question"), options),
            "options": options,
            "question_type": record.text("question_type"),
            "score": "not_scored",
        })


# --- VideoMME

_VIDEOMME_HEAD = (
    "Select the best answer to the following multiple-choice question based on the video. "
    "Respond with only the letter (A, B, C, or D) of the correct option.\n"
)


def videomme(source: Source) -> Rows:
    """Every question twice: without subtitles, and with those of the frames that are looked at."""
    columns = ("videoID", "question_id", "task_type", "question", "options", "answer")
    said: dict[str, str] = {}
    folder = File("subtitles/", os.path.isdir(source.whole("subtitles")))
    for _, record in split_rows(source.root, "", "test", columns):
        options = record.texts("options", 2)
        prompt = _VIDEOMME_HEAD + record.text("question") + "\n" + "".join(o + "\n" for o in options)
        prompt += f"{_BEST_OPTION} The best answer is:"
        stem = record.name("videoID")
        video = source.clip(record, "videoID", "videos", stem)
        fields: dict[str, Any] = {
            "id": record.name("question_id"),
            "task": record.text("task_type"),
            "video": video,
            "question": prompt,
            "answer": record.letter("answer", "ABCD"),
            "score": "first_letter",
            "options": [o[3:] if o[1:3] == ". " else o for o in options],
        }
        yield Row(record.origin, "videomme", fields)
        if stem not in said:
            subtitles = source.path(record, "videoID", "subtitles", stem + ".srt")
            said[stem] = _said(source, video, subtitles)
        head = f"This video's subtitles are listed below:\n{said[stem]}\n"
        looked = {"fps": source.fps, "max_frames": source.max_frames}  # or they would be other frames' subtitles
        yield Row(record.origin, "videomme_subtitles", {**fields, **looked, "question": head + prompt}, folder)


def _said(source: Source, video: File, subtitles: str) -> str:
    if not video.there:
        return ""
    if not os.path.isfile(source.whole(subtitles)):
        source.note("clips without subtitles")
        return ""
    times = sampled_times(duration_s(source.whole(video), video.path), source.fps, source.max_frames)
    return "\n".join(seen_with(read_srt(source.root, subtitles), times))


# --- LongVideoBench

def longvideobench(source: Source) -> Rows:
    for record in json_list(source.root, "lvb_val.json"):
        options = record.texts("candidates", 2)
        lines = ["Question: " + record.text("question")]
        lines += [f"{letter_of(i)}. {option}" for i, option in enumerate(options)]
        lines += ["Answer with the option's letter from the given choices directly."]
        video = source.file(record, "video_path", "videos", record.text("video_path"))
        subtitles = source.path(record, "subtitle_path", "subtitles", record.text("subtitle_path"))
        yield Row(record.origin, "longvideobench", {
            "id": record.name("id") if "id" in record.data else str(record.row),
            "task": record.text("question_category"),
            "content": _frames_and_words(source, record, video, subtitles) + [
                {"type": "text", "text": "\n".join(lines).strip()}],
            "answer": letter_of(record.integer("correct_choice", 0, len(options) - 1)),
            "score": "first_letter",
            "options": options,
        })


def _frames_and_words(source: Source, record: Record, video: File, subtitles: str) -> list[dict[str, Any]]:
    """Parts of the clip, and between them what is said there."""
    if not video.there:
        return [{"type": "video", "video": video}]
    offset_s, length_s = record.number("starting_timestamp_for_subtitles"), record.number("duration")
    seconds = duration_s(source.whole(video), video.path)
    times = sampled_times(seconds, source.fps, source.max_frames)
    step_s = seconds / len(times)
    parts: list[dict[str, Any]] = []
    for part in interleaved(read_longvideobench(source.root, subtitles, length_s, offset_s), times):
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
            continue
        # As many frames as lie between the two times: those that the whole clip would be looked at in.
        parts.append({
            "type": "video",
            "video": video,
            "start_time": round(times[part[0]], 6),
            "end_time": round(times[part[-1]] + step_s, 6),
            "num_frames": len(part),
        })
    return parts


# --- PerceptionTest, EgoSchema, LVBench, NExT-QA, TempCompass

def perception_test(source: Source) -> Rows:
    """Split test: the server has the answers. Split valid: they are in the file."""
    for _, record in json_object(source.root, f"mc_question_{source.split}.json"):
        video_id = record.child("metadata").name("video_id")
        video = source.clip(record, "metadata.video_id", "videos", video_id)
        for question in record.children("mc_question"):
            options = question.texts("options", 3)
            if len(options) != 3:
                question.fail("options", "a list of 3 texts")
            number = question.integer("id", 0, 1 << 31)
            fields: dict[str, Any] = {
                "id": f"{video_id}_{number}",
                "video": video,
                "question": _options_prompt(question.text("question"), options),
                "options": options,
                "video_id": video_id,
                "question_id": number,
            }
            yield Row(question.origin, "perception_test", {**fields, **_valid_answer(source, question)})


def _valid_answer(source: Source, question: Record) -> dict[str, Any]:
    if source.split == "test":
        return {"score": "not_scored"}
    return {"answer": letter_of(question.integer("answer_id", 0, 2)), "score": "first_letter"}


def egoschema(source: Source) -> Rows:
    """Split test: all, for the server. Split subset: the 500 whose answers are published."""
    answers: Optional[Record] = None
    if source.split == "subset":
        answers = Record(_dictionary(source, "subset_answers.json"), "subset_answers.json", 1)
    for record in json_list(source.root, "questions.json"):
        name = record.text("q_uid")
        options = [record.text(f"option {i}") for i in range(5)]
        prompt = ("Select the best answer to the following multiple-choice question based on the video.\n"
                  f"{record.text('question')}\nOptions:\n{bracketed(options)}{_BEST_OPTION} The best answer is: ")
        fields: dict[str, Any] = {
            "id": name,
            "video": source.clip(record, "q_uid", "good_clips_git", name),
            "question": prompt,
            "options": options,
        }
        if answers is None:
            fields["score"] = "not_scored"
        elif name not in answers.data:
            yield LeftOut("its answer is not published")
            continue
        else:
            fields["answer"] = letter_of(answers.integer(name, 0, 4))
            fields["score"] = "first_letter"
        yield Row(record.origin, "egoschema", fields)


def _dictionary(source: Source, file: str) -> dict[str, Any]:
    value = read_json(source.root, file)
    record = Record({file: value}, file, 1)
    return record.child(file).data


def lvbench(source: Source) -> Rows:
    for record in json_lines(source.root, "video_info.meta.jsonl"):
        video = source.clip(record, "key", "video", record.name("key"))
        for question in record.children("qa"):
            kinds = question.data.get("question_type")
            yield Row(question.origin, "lvbench", {
                "id": question.name("uid"),
                "task": kinds if isinstance(kinds, str) else " + ".join(question.texts("question_type")),
                "video": video,
                "question": question.text("question")
                + "\nAnswer with the option's letter from the given choices directly.",
                "answer": question.letter("answer", "ABCD"),
                "score": "word_letter",
                "options": 4,
            })


_NEXTQA_TYPES = {"DC": "Descriptive", "DL": "Descriptive", "DO": "Descriptive", "CH": "Causal", "CW": "Causal",
                 "TC": "Temporal", "TP": "Temporal", "TN": "Temporal"}


def nextqa(source: Source) -> Rows:
    places = Record(_dictionary(source, "map_vid_vidorID.json"), "map_vid_vidorID.json", 1)
    for record in csv_rows(source.root, "test.csv"):
        name = record.name("video")
        if name not in places.data:
            record.fail("video", "a clip that map_vid_vidorID.json has")
        cells = [record.text(f"a{i}", empty=True) for i in range(5)]
        right = record.integer("answer", 0, 4)
        if not cells[right].strip():
            record.fail(f"a{right}", "a text: it is the answer")
        options = [cell for cell in cells if cell.strip()]
        kind = record.text("type")
        if kind not in _NEXTQA_TYPES:
            record.fail("type", "one of " + ", ".join(_NEXTQA_TYPES))
        yield Row(record.origin, "nextqa", {
            "id": f"{name}_{record.row}",
            "task": _NEXTQA_TYPES[kind],
            "video": source.file(places, name, "NExTVideo", places.text(name) + ".mp4"),
            "question": _options_prompt(record.text("question"), options),
            "answer": letter_of(sum(bool(cell.strip()) for cell in cells[:right])),
            "score": "first_letter",
            "options": options,
        })


# The folder of a form of question, what follows the question, and up to what the answer is compared.
_TEMPCOMPASS = (
    ("yes_no", "Please answer with 'yes' or 'no' directly.", None),
    ("captioning", "Please answer with the caption directly.", None),
    ("caption_matching", "Please directly give the best option:", ":"),
    ("multi-choice", "Please answer with the option's letter from the given choices directly and only give the "
     "best option.", "."),
)


def tempcompass(source: Source) -> Rows:
    """Four forms of question. Whether a caption is right, the original asks another model: not scored."""
    for form, instruction, until in _TEMPCOMPASS:
        for index, record in split_rows(source.root, form, "test", ("video_id", "dim", "question", "answer")):
            question, answer = record.text("question"), record.text("answer")
            if form == "captioning":
                question = question.replace("Generated Caption:", "").strip()
            yield Row(record.origin, "tempcompass", {
                "id": f"{form}/{index}",
                "task": f"{form} {record.text('dim')}",
                "video": source.file(record, "video_id", "videos", record.name("video_id") + ".mp4"),
                "question": f"Question: {question}\n{instruction}",
                "answer": answer if until is None else answer.split(until)[0].strip(),
                "score": "not_scored" if form == "captioning" else "begins",
            })
