"""Pictures with questions: the readers of the original evaluation's folders.

Prompts are those of the original evaluation of VideoLLaMA3, to the letter: they are a part of a score.
"""

from __future__ import annotations

import ast
import math
import os
import re
from typing import Any, Iterator, Optional, Union

from .errors import TaskError
from .records import Record, json_lines, json_list, json_object, read_json, split_rows
from .rows import Picture, Row, Source, letter_of

_WITH_A_WORD = "\nAnswer the question with a single word or phrase."
_USING_A_WORD = "\nAnswer the question using a single word or phrase."


# --- DocVQA, InfoVQA, ChartQA, AI2D, GQA

def docvqa(source: Source) -> Iterator[Row]:
    for record in json_lines(source.root, f"{source.split}.jsonl"):
        yield _document(source, record, "docvqa", "question_id", "image", "", "answer")


def infovqa(source: Source) -> Iterator[Row]:
    file = {"val": "infographicsVQA_val_v1.0_withQT.json", "test": "infographicsVQA_test_v1.0.json"}[source.split]
    for record in json_list(source.root, file, "data"):
        yield _document(source, record, "infovqa", "questionId", "image_local_name", "images", "answers")


def _document(source: Source, record: Record, name: str, key: str, image: str, folder: str, answer: str) -> Row:
    """Split test: the server has the answers."""
    number = record.data.get(key)
    fields: dict[str, Any] = {
        "id": number if isinstance(number, int) and not isinstance(number, bool) else record.name(key),
        "image": source.file(record, image, folder, record.text(image)),
        "question": record.text("question") + _WITH_A_WORD,
        "score": "not_scored" if source.split == "test" else "anls",
    }
    if source.split != "test":
        fields["answer"] = record.answers(answer)
    return Row(record.origin, name, fields)


def chartqa(source: Source) -> Iterator[Row]:
    for task in ("augmented", "human"):
        for record in json_lines(source.root, f"test_{task}_renamed.jsonl"):
            yield Row(record.origin, "chartqa", {
                "id": f"{task}/{record.name('question_id')}",
                "task": task,
                "image": source.file(record, "image", "", record.text("image")),
                "question": record.text("question") + _USING_A_WORD,
                "answer": record.answers("answer"),
                "score": "relaxed",
            })


def ai2d(source: Source) -> Iterator[Row]:
    for record in json_lines(source.root, "ai2d_test_vlmevalkit.jsonl"):
        yield Row(record.origin, "ai2d", {
            "id": record.name("question_id"),
            "image": source.file(record, "image", "", record.text("image")),
            "question": record.text("question"),
            "answer": record.letter("answer", "ABCD"),
            "score": "first_letter",
            "options": 4,
        })


def gqa(source: Source) -> Iterator[Row]:
    answers = dict(json_object(source.root, "data/testdev_balanced_questions.json"))
    for record in json_lines(source.root, "llava_gqa_testdev_balanced.jsonl"):
        name = record.name("question_id")
        if name not in answers:
            record.fail("question_id", "one that data/testdev_balanced_questions.json has")
        yield Row(record.origin, "gqa", {
            "id": name,
            "task": record.name("category"),
            "image": source.file(record, "image", "data/images", record.text("image")),
            "question": record.text("text"),
            "answer": answers[name].text("answer"),
            "score": "exact",
        })


# --- OCRBench, MME, MathVista

def ocrbench(source: Source) -> Iterator[Row]:
    for record in json_list(source.root, "OCRBench.json"):
        symbols = record.text("dataset_name") == "HME100k"  # formulas: blanks do not count, case does
        yield Row(record.origin, "ocrbench", {
            "id": str(record.row),
            "task": record.text("type"),
            "image": source.file(record, "image_path", "OCRBench_Images", record.text("image_path")),
            "question": record.text("question") + _WITH_A_WORD,
            "answer": record.answers("answers"),
            "score": "contains_symbols" if symbols else "contains",
        })


_MME = {
    "Perception": ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark",
                   "artwork", "OCR"),
    "Cognition": ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
}


def mme(source: Source) -> Iterator[Row]:
    """Two questions a picture, which count once more together."""
    for group, tasks in _MME.items():
        for task in tasks:
            place = f"MME_Benchmark_release_version/{task}"
            parted = os.path.isdir(source.whole(f"{place}/images"))
            pictures = f"{place}/images" if parted else place
            texts = f"{place}/questions_answers_YN" if parted else place
            for name in _mme_pictures(source, pictures, texts):
                yield from _mme_pair(source, group, task, f"{pictures}/{name}", f"{texts}/{name[:-4]}.txt")


def _mme_pictures(source: Source, pictures: str, texts: str) -> list[str]:
    """The names of a task's pictures, also of those that are missing: only their texts are there."""
    for folder in (pictures, texts):
        if not os.path.isdir(source.whole(folder)):
            raise TaskError(f"[{source.whole(folder)}] is not there: the set's folder should hold it")
    names = [name for name in os.listdir(source.whole(pictures)) if name.endswith((".jpg", ".png"))]
    ending = names[0][-4:] if names else ".jpg"
    stems = {name[:-4] for name in names}
    asked = (name[:-4] for name in os.listdir(source.whole(texts)) if name.endswith(".txt"))
    return sorted(names + [stem + ending for stem in asked if stem not in stems])


def _mme_pair(source: Source, group: str, task: str, picture: str, text: str) -> Iterator[Row]:
    try:
        with open(source.whole(text), encoding="utf-8-sig") as stream:
            lines = [line.strip() for line in stream if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"[{text}] cannot be read: {error}") from None
    if len(lines) != 2:
        raise TaskError(f"[{text}] should have two lines, each a question, a tab and Yes or No, not {len(lines)}")
    name = picture.rsplit("/", 1)[1]
    for number, line in enumerate(lines, 1):
        cells = dict(zip(("question", "answer"), line.split("\t")))
        record = Record(cells, text, number)
        if cells.get("answer") not in ("Yes", "No"):
            record.fail("answer", '"Yes" or "No" behind a tab')
        question = record.text("question").replace(" Please answer yes or no.", _USING_A_WORD)
        yield Row(record.origin, "mme", {
            "id": f"{task}/{name}/{number}",
            "task": task,
            "image": source.file(record, "image", "", picture),
            "question": question + "\nPlease answer yes or no.",
            "answer": cells["answer"],
            "score": "yes_no",
            "pair": f"{task}/{name}",
            "group": group,
        })


def mathvista(source: Source) -> Iterator[Row]:
    """The original has another model find the answer in a reply; here the score of its kind of answer does."""
    queries = Record({"query.json": read_json(source.root, "query.json")}, "query.json", 1).child("query.json")
    for name, record in json_object(source.root, "testmini.json"):
        if name not in queries.data:
            raise TaskError(f"[{record.origin}] has no query in query.json")
        yield Row(record.origin, "mathvista", {
            "id": name,
            "task": record.text("question_type"),
            "image": source.file(record, "image", "", record.text("image")),
            "question": queries.text(name),
            **_mathvista_answer(record),
        })


def _mathvista_answer(record: Record) -> dict[str, Any]:
    answer, kind = record.text("answer"), record.text("answer_type")
    if record.data["question_type"] == "multi_choice":
        options = record.texts("choices", 2)
        if answer not in options:
            record.fail("answer", f"one of its {len(options)} choices")
        return {"answer": letter_of(options.index(answer)), "score": "last_letter", "options": options}
    if kind in ("integer", "float"):
        if not _is_finite(answer):
            record.fail("answer", "a number")
        # Replies are rounded to `precision` digits before they are compared.
        digits = 0 if kind == "integer" else int(record.number("precision"))
        if not 0 <= digits <= 18:
            record.fail("precision", "a number from 0 to 18")
        return {"answer": answer, "score": "number", "tolerance": 0 if kind == "integer" else 0.5 * 10.0 ** -digits}
    return {"answer": answer, "score": "exact"}


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# --- RealWorldQA, BLINK, MMMU: pictures stand in the rows

def realworldqa(source: Source) -> Iterator[Row]:
    folder = "data" if os.path.isdir(source.whole("data")) else ""
    for index, record in split_rows(source.root, folder, "test", ("image", "question", "answer")):
        yield Row(record.origin, "realworldqa", {
            "id": str(index),
            "image": _needed(record, "image"),
            "question": record.text("question"),
            "answer": record.text("answer").strip(),
            "score": "exact",
        })


def _needed(record: Record, field: str) -> Picture:
    data = record.picture(field)
    if data is None:
        record.fail(field, "a picture")
    return Picture(data, f"{record.origin} {field}")


_BLINK = ("Art_Style", "Functional_Correspondence", "Multi-view_Reasoning", "Relative_Reflectance",
          "Visual_Correspondence", "Counting", "IQ_Test", "Object_Localization", "Semantic_Correspondence",
          "Visual_Similarity", "Forensic_Detection", "Jigsaw", "Relative_Depth", "Spatial_Relation")


def blink(source: Source) -> Iterator[Row]:
    """Split test, the original's: the server has the answers. Split val: they are in the rows."""
    images = tuple(f"image_{i}" for i in range(1, 5))
    for task in _BLINK:
        for _, record in split_rows(source.root, task, source.split, ("idx", "answer", "prompt", "choices", *images)):
            pictures = [Picture(data, f"{record.origin} {field}") for field in images
                        for data in [record.picture(field)] if data is not None]
            if not pictures:
                record.fail("image_1", "a picture")
            options = record.texts("choices", 2)
            fields: dict[str, Any] = {
                "id": record.text("idx"),
                "task": task,
                "image": pictures,
                "question": record.text("prompt")
                + "\nAnswer with the option's letter from the given choices directly.",
                "options": options,
                "score": "not_scored" if source.split == "test" else "last_letter",
            }
            if source.split != "test":
                fields["answer"] = record.letter("answer", "ABCDE"[:len(options)])
            yield Row(record.origin, "blink", fields)


_MMMU = ("Accounting", "Agriculture", "Architecture_and_Engineering", "Art", "Art_Theory", "Basic_Medical_Science",
         "Biology", "Chemistry", "Clinical_Medicine", "Computer_Science", "Design",
         "Diagnostics_and_Laboratory_Medicine", "Economics", "Electronics", "Energy_and_Power", "Finance",
         "Geography", "History", "Literature", "Manage", "Marketing", "Materials", "Math",
         "Mechanical_Engineering", "Music", "Pharmacy", "Physics", "Psychology", "Public_Health", "Sociology")
_MMMU_IMAGE = re.compile(r"<image ([1-7])>")


def mmmu(source: Source) -> Iterator[Row]:
    """Pictures stand where the question, or an option, has them. Split test: the server has the answers."""
    columns = ("id", "question", "options", "answer", "question_type", *(f"image_{i}" for i in range(1, 8)))
    for subject in _MMMU:
        for _, record in split_rows(source.root, subject, source.split, columns):
            options = _list_of_texts(record, "options") or []
            question = record.text("question")
            fields: dict[str, Any] = {"id": record.text("id"), "task": subject}
            if record.text("question_type") == "multiple-choice":
                if len(options) < 2:
                    record.fail("options", "a list of at least 2 texts")
                lines = "\n".join(f"({letter_of(i)}):{option}" for i, option in enumerate(options))
                prompt = f"{question}\n\n{lines}\n\nAnswer with the option's letter from the given choices directly."
            else:
                prompt = f"{question}\n{_USING_A_WORD}"
            if source.split == "test":
                scored = {"score": "not_scored", **({"options": options} if options else {})}
            else:
                scored = _mmmu_answer(record, options)
            yield Row(record.origin, "mmmu", {**fields, **_placed(record, prompt), **scored})


def _mmmu_answer(record: Record, options: list[str]) -> dict[str, Any]:
    if record.data["question_type"] == "multiple-choice":
        letters = "".join(letter_of(i) for i in range(len(options)))
        return {"answer": record.letter("answer", letters), "score": "last_letter", "options": options}
    return {"answer": _list_of_texts(record, "answer") or record.text("answer"), "score": "exact"}


def _placed(record: Record, prompt: str) -> dict[str, Any]:
    """The prompt with every picture behind its mark, "<image 1>:"; those without one stand in front."""
    marked = set(_MMMU_IMAGE.findall(prompt))
    unmarked = [f"image_{i}" for i in range(1, 8) if str(i) not in marked]
    parts: list[dict[str, Any]] = [
        {"type": "image", "image": Picture(data, f"{record.origin} {field}")} for field in unmarked
        for data in [record.picture(field)] if data is not None]
    begin = 0
    for match in _MMMU_IMAGE.finditer(prompt):
        parts.append({"type": "text", "text": prompt[begin:match.end()] + ":"})
        parts.append({"type": "image", "image": _needed(record, f"image_{match[1]}")})
        begin = match.end()
    if prompt[begin:]:
        parts.append({"type": "text", "text": prompt[begin:]})
    return {"content": parts}


def _list_of_texts(record: Record, field: str) -> Optional[list[str]]:
    """A list written as a text, in Python's way; None where the text is no list."""
    value: Union[str, Any] = record.text(field, empty=True)
    if not value.startswith("["):
        return None
    try:
        items = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        record.fail(field, "a list of texts")
    if not isinstance(items, list) or not all(isinstance(item, (str, int, float)) for item in items):
        record.fail(field, "a list of texts")
    return [str(item) for item in items]
