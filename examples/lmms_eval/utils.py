"""Rows with a picture and one answer, as lmms-eval asks and scores them."""

from PIL import Image


def doc_to_visual(doc):
    """The picture beside the rows, in whose folder the harness runs."""
    with Image.open(doc["image"]) as picture:
        return [picture.convert("RGB")]


def words(text):
    """What `videollama3 eval` compares for `exact`: without case, white space and final punctuation."""
    return " ".join(text.casefold().split()).rstrip(" .,;:!?") or " ".join(text.casefold().split())


def process_results(doc, results):
    return {"exact_match": float(words(results[0]) == words(doc["answer"]))}
