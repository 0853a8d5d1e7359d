"""What programs do to the reference's objects: options set, copies, other processes; and forms of its arguments."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

import videollama3
from videollama3 import VideoLlama3ForConditionalGeneration as Model

numpy = pytest.importorskip("numpy")
IDS = {"tokenize": True, "return_dict": True, "return_tensors": "np", "add_generation_prompt": True}


@pytest.fixture()
def processor(demo: Path) -> videollama3.VideoLlama3Processor:
    return videollama3.AutoProcessor.from_pretrained(demo)


@pytest.fixture(scope="module")
def model(demo: Path) -> Model:
    return Model.from_pretrained(demo, dtype="float32")


def shown(*parts: dict) -> list:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "what?"}]}]


def test_options_that_are_set_count(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    picture = str(media / "shapes.png")
    wanted = processor.image_processor(picture, return_tensors="np", do_normalize=False).pixel_values
    processor.image_processor.do_normalize = False
    numpy.testing.assert_array_equal(processor.image_processor(picture, return_tensors="np").pixel_values, wanted)
    made = processor.apply_chat_template(shown({"type": "image", "image": picture}), **IDS)
    numpy.testing.assert_array_equal(made.pixel_values, wanted)
    processor.video_processor.max_frames = 4
    clip = processor.apply_chat_template(shown({"type": "video", "video": str(media / "scenes/events.mp4")}), fps=8, **IDS)
    assert clip.video_grid_thw[0, 0] == 4
    with pytest.raises(ValueError, match='"do_normalise" is not an option'):
        processor.image_processor.do_normalise = True


def test_copies_of_processors(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    processor.image_processor.size = {"shortest_edge": 784, "longest_edge": 20000}
    processor.tokenizer.padding_side = "left"
    conversation = shown({"type": "image", "image": str(media / "shapes.png")})
    wanted = processor.apply_chat_template([conversation, shown()], **IDS)
    for made in (copy.deepcopy(processor), copy.copy(processor), pickle.loads(pickle.dumps(processor))):
        again = made.apply_chat_template([conversation, shown()], **IDS)
        for name, value in wanted.items():
            numpy.testing.assert_array_equal(again[name], value)
        made.image_processor.do_normalize = False
    assert processor.image_processor.do_normalize is True
    kind = type(processor.image_processor)
    again = kind.from_dict(processor.image_processor.to_dict())
    assert again.size == processor.image_processor.size and '"longest_edge": 20000' in again.to_json_string()


def test_copies_of_models(model: Model) -> None:
    ids = numpy.array([[5, 6, 7]])
    for made in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        numpy.testing.assert_array_equal(made(ids).logits, model(ids).logits)
        assert made.dtype == model.dtype
        made.generation_config.max_new_tokens = 2
        assert made.generate(ids, do_sample=False, eos_token_id=[]).shape == (1, 5)
    assert model.generation_config.max_new_tokens is None
    table = model.get_input_embeddings()
    assert (table.num_embeddings, table.embedding_dim) == (512, 192)
    assert model.num_parameters(exclude_embeddings=True) == model.num_parameters() - 512 * 192


def test_clear_pictures_are_shown_on_white(processor: videollama3.VideoLlama3Processor) -> None:
    pillow = pytest.importorskip("PIL.Image")
    rng = numpy.random.default_rng(7)
    pixels = rng.integers(0, 256, (56, 84, 4), dtype=numpy.uint8)
    clear = pillow.frombytes("RGBA", (84, 56), pixels.tobytes())
    white = pillow.new("RGBA", clear.size, (255, 255, 255, 255))
    wanted = processor.image_processor(pillow.alpha_composite(white, clear).convert("RGB"), return_tensors="np").pixel_values
    numpy.testing.assert_array_equal(processor.image_processor(clear, return_tensors="np").pixel_values, wanted)
    dropped = processor.image_processor(pixels[..., :3].copy(), return_tensors="np").pixel_values
    assert (wanted != dropped).any()


def test_arrays_of_several_pictures(processor: videollama3.VideoLlama3Processor) -> None:
    pixels = numpy.random.default_rng(8).integers(0, 256, (2, 56, 84, 3), dtype=numpy.uint8)
    made, wanted = (processor.image_processor(given, return_tensors="np") for given in (pixels, list(pixels)))
    assert made.image_grid_thw.tolist() == [[1, 4, 6]] * 2
    numpy.testing.assert_array_equal(made.pixel_values, wanted.pixel_values)


def test_messages_without_content(processor: videollama3.VideoLlama3Processor) -> None:
    conversation = [{"role": "user", "content": None, "name": None}]
    assert processor.apply_chat_template(conversation) == "<|im_start|>user\n<|im_end|>\n"
    assert processor.decode(processor.apply_chat_template(conversation, tokenize=True)[0]) == "<|im_start|>user\n<|im_end|>\n"


def test_times_of_frames_in_messages(processor: videollama3.VideoLlama3Processor) -> None:
    frames = numpy.random.default_rng(9).integers(0, 256, (6, 56, 84, 3), dtype=numpy.uint8)
    about = [{"fps": 3.0, "total_num_frames": 6, "frames_indices": [0, 1, 2, 3, 4, 5]}]
    part = {"type": "video", "video": frames}
    made = processor.apply_chat_template(shown(part), video_metadata=about, do_sample_frames=False, **IDS)
    assert [f"Time {t:.1f}s" in processor.decode(made.input_ids[0]) for t in (0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3)] == [True] * 6
    prompt = processor.apply_chat_template(shown({"type": "video"}), add_generation_prompt=True)
    called = processor(text=prompt, videos=[frames], video_metadata=about, do_sample_frames=False, return_tensors="np")
    numpy.testing.assert_array_equal(made.input_ids, called.input_ids)
    with pytest.raises(ValueError, match="1 clips and video_metadata of 2"):
        processor.apply_chat_template(shown(part), video_metadata=about * 2, **IDS)


def test_padding_without_a_mask(model: Model) -> None:
    """The padding's id tells where a row begins, as in the reference."""
    ids, mask = numpy.array([[0, 0, 5, 6], [7, 8, 9, 10]]), numpy.array([[0, 0, 1, 1], [1, 1, 1, 1]])
    settings = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": [2]}
    settings.update(return_dict_in_generate=True, output_logits=True)
    wanted, made = model.generate(ids, attention_mask=mask, **settings), model.generate(ids, **settings)
    numpy.testing.assert_array_equal(made.logits[0], wanted.logits[0])
    for meant in ({"attention_mask": numpy.ones_like(mask)}, {"eos_token_id": [0]}):  # padding that ends an answer tells nothing
        other = model.generate(ids, **{**settings, **meant}).logits[0]
        assert (other[0] != wanted.logits[0][0]).any()
        numpy.testing.assert_array_equal(other[1], wanted.logits[0][1])


def test_forms_of_settings(model: Model, tmp_path: Path) -> None:
    ids = numpy.array([[5, 6, 7]])
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": []}
    first = int(model.generate(ids, **settings)[0, 3])
    biased = model.generate(ids, sequence_bias={(first,): -50.0}, **settings)
    assert biased.tolist() == model.generate(ids, sequence_bias=[[[first], -50.0]], **settings).tolist()
    assert biased[0, 3] != first
    assert biased.tolist() == model.generate(ids, logit_bias={first: -50.0}, **settings).tolist()
    assert model.generate(ids, guidance_scale=1.0, **settings)[0, 3] == first
    with pytest.raises(NotImplementedError, match="negative_prompt_ids"):
        model.generate(ids, negative_prompt_ids=ids, **settings)
    with pytest.raises(ValueError, match="given twice"):
        model.generate(ids, input_ids=ids, **settings)
    for said, read in (("7", 7), ("[7]", 7), ("[7, 8]", [7, 8])):
        (tmp_path / "generation_config.json").write_text(f'{{"eos_token_id": {said}}}', encoding="utf-8")
        assert videollama3.GenerationConfig.from_pretrained(tmp_path).eos_token_id == read
