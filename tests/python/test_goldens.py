"""What the reference answered, through Python: ../shared/goldens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import shared, whole_folder

import videollama3

numpy = pytest.importorskip("numpy")
safetensors = pytest.importorskip("safetensors.numpy")

MODELS = ("tied", "untied_gqa", "real_heads")
CASES = ("text", "image", "two_images", "video", "mixed_batch")
BOUND = 2e-4  # of the largest magnitude of a tensor, as docs/numerics.md has it


def close(ours: object, golden: object, rows: object) -> None:
    assert ours.shape == golden.shape
    assert numpy.abs(ours - golden)[rows].max() <= BOUND * numpy.abs(golden[rows]).max()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", (*MODELS, "original_layout"))
def test_forward(name: str, case: str) -> None:
    golden_name = "tied" if name == "original_layout" else name
    tensors = safetensors.load_file(shared(f"goldens/forward/{golden_name}.{case}.safetensors"))
    inputs = {key[3:]: value for key, value in tensors.items() if key.startswith("in.")}
    model = videollama3.VideoLlama3ForConditionalGeneration.from_pretrained(shared(f"goldens/models/{name}"))
    if name == "original_layout":  # one token stands for both kinds there
        inputs["input_ids"][inputs["input_ids"] == 601] = model.config.image_token_id
        if case == "mixed_batch" or case == "video":
            pytest.skip("ids of clips are other ones in the original layout")
    output = model(**inputs, output_hidden_states=True)
    rows = inputs["attention_mask"] == 1
    close(output.logits, tensors["out.logits"], rows)
    assert abs(float(output.loss) - float(tensors["out.loss"][0])) <= BOUND * abs(float(tensors["out.loss"][0]))
    layers = model.config.text_config.num_hidden_layers
    assert len(output.hidden_states) == layers + 1
    for i in range(layers - 1):
        close(output.hidden_states[i + 1], tensors[f"out.text.layer{i}.0"], rows)
    close(output.hidden_states[layers], tensors["out.text.norm.0"], rows)
    plain = model(**{key: value for key, value in inputs.items() if key != "labels"}, logits_to_keep=2)
    assert plain.loss is None and plain.hidden_states is None
    numpy.testing.assert_allclose(plain.logits, output.logits[:, -2:], atol=1e-5)


@pytest.mark.parametrize("suffix", ("bf16", "f16"))
@pytest.mark.parametrize("case", CASES)
def test_narrow_weights_are_nearer_than_the_references(suffix: str, case: str) -> None:
    exact = safetensors.load_file(shared(f"goldens/forward/real_heads.{case}.safetensors"))
    narrow = safetensors.load_file(shared(f"goldens/forward/real_heads_{suffix}.{case}.safetensors"))
    inputs = {key[3:]: value for key, value in exact.items() if key.startswith("in.") and key != "in.labels"}
    if narrow["in.input_ids"].shape != exact["in.input_ids"].shape:
        pytest.skip("the two goldens are of different inputs")
    folder = shared(f"goldens/models/real_heads_{suffix}")
    model = videollama3.VideoLlama3ForConditionalGeneration.from_pretrained(folder)
    assert str(model.dtype).removeprefix("torch.") == {"bf16": "bfloat16", "f16": "float16"}[suffix]
    model.to("float32")
    rows = inputs["attention_mask"] == 1
    ours = numpy.abs(model(**inputs, use_cache=False).logits - exact["out.logits"])[rows]
    theirs = numpy.abs(narrow["out.logits"].astype("float32") - exact["out.logits"])[rows]
    assert ours.max() <= theirs.max()


def generate_rows() -> list[dict]:
    path = Path(__file__).resolve().parents[3] / "shared/goldens/generate.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("name", MODELS)
def test_generate(name: str) -> None:
    rows = [row for row in generate_rows() if row["model"] == name and "new_ids" in row]
    if not rows:
        pytest.skip("../shared/goldens/generate.jsonl is not there")
    everything = safetensors.load_file(shared("goldens/generate_inputs.safetensors"))
    model = videollama3.VideoLlama3ForConditionalGeneration.from_pretrained(shared(f"goldens/models/{name}"))
    for row in rows:
        prefix = f"{name}.{row['case']}."
        inputs = {key[len(prefix):]: value for key, value in everything.items() if key.startswith(prefix)}
        made = model.generate(**inputs, do_sample=False, **row["settings"])
        ids = inputs["input_ids"]
        repeated = numpy.repeat(ids, len(made) // len(ids), axis=0)
        assert (made[:, : ids.shape[1]] == repeated).all()
        assert made[:, ids.shape[1]:].tolist() == row["new_ids"], row


def e2e_rows() -> list[dict]:
    path = Path(__file__).resolve().parents[3] / "shared/goldens/e2e.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def with_media(value: object) -> object:
    if isinstance(value, list):
        return [with_media(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: str(shared(f"media/{inner}")) if key in ("image", "video") and isinstance(inner, str) else with_media(inner)
        for key, inner in value.items()
    }


def test_conversations(tmp_path: Path) -> None:
    rows = e2e_rows()
    if not rows:
        pytest.skip("../shared/goldens/e2e.jsonl is not there")
    folder = whole_folder("real_vocab", tmp_path / "model")
    model = videollama3.VideoLlama3ForConditionalGeneration.from_pretrained(folder, dtype="float32")
    processor = videollama3.AutoProcessor.from_pretrained(folder)
    for row in rows:
        inputs = processor.apply_chat_template(
            with_media(row["messages"]), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="np",
            processor_kwargs=row["settings"])
        assert inputs.input_ids.tolist() == row["ids"]
        assert inputs.attention_mask.tolist() == row["attention_mask"]
        made = model.generate(**inputs, max_new_tokens=len(row["new_ids"][0]), do_sample=False)
        new = made[:, inputs.input_ids.shape[1]:]
        assert new.tolist() == row["new_ids"]
        assert processor.batch_decode(new, skip_special_tokens=True) == row["text"]
