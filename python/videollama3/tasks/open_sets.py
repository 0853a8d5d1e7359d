"""Clips with questions of an open answer: times, and replies that only a judge can tell.

Prompts are those of the original evaluation of VideoLLaMA3, to the letter: they are a part of a score.
"""

from __future__ import annotations

from typing import Any, Iterator

from .errors import TaskError, shown
from .records import Record, is_number, json_list
from .rows import CLIP_ENDINGS, Row, Source


def charades_sta(source: Source) -> Iterator[Row]:
    """When something happens: scored by the overlap of the times."""
    for record in json_list(source.root, "charades_annotations_test-random_prompt.json"):
        said = record.children("conversation")
        if not said:
            record.fail("conversation", "a list whose first message has the question")
        yield Row(record.origin, "charades_sta", {
            "id": record.name("question_id"),
            "video": source.file(record, "video", "Charades_v1", record.text("video")),
            # Without a blank, as the original has it.
            "question": said[0].text("content") + "Please output the start and end timestamps in seconds.",
            "answer": _span(record),
            "score": "temporal_iou",
        })


def _span(record: Record) -> list[float]:
    spans = record.data.get("timestamps")
    span = spans[0] if isinstance(spans, list) and spans else None
    if (not isinstance(span, list) or len(span) != 2
            or not all(is_number(t) for t in span)
            or not 0 <= span[0] < span[1]):
        record.fail("timestamps", "a list of spans, each a begin and a later end in seconds")
    return [float(span[0]), float(span[1])]


_ACTIVITYNET_TYPES = ("Motion", "Spatial Relation", "Temporal Relation", "Yes/No", "Color", "Object", "Location",
                      "Number", "Other")


def activitynet_qa(source: Source) -> Iterator[Row]:
    """The original asks another model whether a reply is right: not scored."""
    answers: dict[str, Record] = {}
    for record in json_list(source.root, "test_a.json"):
        answers[record.name("question_id")] = record
    for record in json_list(source.root, "test_q.json"):
        name = record.name("question_id")
        if name not in answers:
            record.fail("question_id", "one that test_a.json has an answer to")
        kind = answers[name].integer("type", 0, len(_ACTIVITYNET_TYPES) - 1)
        yield Row(record.origin, "activitynet_qa", {
            "id": name,
            "task": _ACTIVITYNET_TYPES[kind],
            "video": source.clip(record, "video_name", "all_test", "v_" + record.name("video_name"),
                                 (*CLIP_ENDINGS, "webm")),
            "question": f"Question: {record.text('question')}\n"
                        "Please watch the video and answer the question clearly and concisely.\n",
            "answer": answers[name].answers("answer"),
            "score": "not_scored",
        })


_MMVU_CHOICE = """
Question: {question}
{options}

Do not generate any intermediate reasoning process. Answer directly with the option letter from the given choices.
"""
_MMVU_CHOICE_STEPS = """
Question: {question}
{options}

Answer the given multiple-choice question step by step. Begin by explaining your reasoning process clearly. \
Conclude by stating the final answer using the following format: 'Therefore, the final answer is: $LETTER' \
(without quotes), where $LETTER is one of the options. Think step by
step before answering."""
_MMVU_OPEN = """
Question: {question}

Do not generate any intermediate reasoning process. Directly output the final short answer.
"""
_MMVU_OPEN_STEPS = """
Question: {question}

Answer the given question step by step. Begin by explaining your reasoning process clearly. Conclude by stating \
the final answer using the following format: 'Therefore, the final answer is: 'Answer: $ANSWER' (without quotes), \
where $ANSWER is the final answer of the question. Think step by step
before answering."""


def mmvu(source: Source) -> Iterator[Row]:
    """Every question twice, directly and step by step; another model judges the replies: not scored."""
    for record in json_list(source.root, "validation.json"):
        kind = record.text("question_type")
        values: dict[str, str] = {"question": record.text("question")}
        if kind == "multiple-choice":
            options = record.child("choices")
            values["options"] = "\n".join(f"{letter}: {options.text(letter)}" for letter in options.data)
            prompts = (_MMVU_CHOICE, _MMVU_CHOICE_STEPS)
        elif kind == "open-ended":
            prompts = (_MMVU_OPEN, _MMVU_OPEN_STEPS)
        else:
            record.fail("question_type", '"multiple-choice" or "open-ended"')
        fields: dict[str, Any] = {
            "id": record.name("id"),
            "task": record.child("metadata").text("subject"),
            "video": source.file(record, "video", "videos", _folder_and_name(record)),
            "answer": record.answers("answer"),
            "score": "not_scored",
        }
        for name, prompt in zip(("mmvu", "mmvu_steps"), prompts):
            yield Row(record.origin, name, {**fields, "question": prompt.format(**values)})


def _folder_and_name(record: Record) -> str:
    """The last two names of the address under "video"."""
    parts = record.text("video").split("/")
    if len(parts) < 2 or not all(parts[-2:]):
        raise TaskError(f'[{record.origin}] "video" should end with a folder and a name, not '
                        f"{shown(record.data['video'])}")
    return "/".join(parts[-2:])
