"""The reference's classes: what goes in and out, and what is refused."""

from __future__ import annotations

import copy
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import videollama3
from videollama3 import VideoLlama3ForConditionalGeneration as Model

numpy = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def model(demo: Path) -> Model:
    return Model.from_pretrained(demo)


@pytest.fixture(scope="module")
def processor(demo: Path) -> videollama3.VideoLlama3Processor:
    return videollama3.AutoProcessor.from_pretrained(demo)


@pytest.fixture(scope="module")
def inputs(processor: videollama3.VideoLlama3Processor, media: Path) -> videollama3.BatchFeature:
    return processor.apply_chat_template(question(str(media / "shapes.png")), add_generation_prompt=True, tokenize=True,
                                         return_dict=True, return_tensors="np")


def question(image: object, text: str = "What is in the picture?") -> list:
    return [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]


def address(array: object) -> int:
    return array.__array_interface__["data"][0]


# --- Tensors.


def test_no_copies_of_pixels(model: Model, inputs: videollama3.BatchFeature) -> None:
    """The engine's memory is the array's, and an array's memory is the engine's."""
    from videollama3 import _core

    pixels = inputs.pixel_values
    assert pixels.flags.c_contiguous and pixels.base is not None and not pixels.flags.owndata
    assert _core.address_of(pixels) == address(pixels)
    torch = pytest.importorskip("torch")
    tensor = torch.from_dlpack(pixels)
    assert _core.address_of(tensor) == tensor.data_ptr() == address(pixels)
    logits = model(input_ids=inputs.input_ids[:, -3:]).logits
    assert _core.address_of(logits) == address(logits)


def test_arrays_outlive_what_made_them(demo: Path, inputs: videollama3.BatchFeature) -> None:
    model = Model.from_pretrained(demo)
    logits = model(**inputs).logits
    kept = logits.copy()
    del model
    gc.collect()
    assert (logits == kept).all()


def test_torch_in_is_torch_out(model: Model, inputs: videollama3.BatchFeature) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value.copy()) for name, value in inputs.items()}
    output = model(**tensors)
    assert isinstance(output.logits, torch.Tensor) and output.logits.dtype == torch.float32
    numpy.testing.assert_array_equal(output.logits.numpy(), model(**inputs).logits)
    made = model.generate(**tensors, max_new_tokens=3, do_sample=False)
    assert isinstance(made, torch.Tensor) and made.dtype == torch.int64
    assert made.tolist() == model.generate(**inputs, max_new_tokens=3, do_sample=False).tolist()


def test_strided_arrays_and_lists_are_taken(model: Model, inputs: videollama3.BatchFeature) -> None:
    wanted = model(**inputs).logits
    wide = numpy.zeros((inputs.pixel_values.shape[0], 2 * inputs.pixel_values.shape[1]), "float32")
    wide[:, ::2] = inputs.pixel_values
    given = {**inputs, "pixel_values": wide[:, ::2], "input_ids": inputs.input_ids.tolist(),
             "image_grid_thw": inputs.image_grid_thw.astype("int32")}
    numpy.testing.assert_array_equal(model(**given).logits, wanted)


def test_integers_of_every_width(model: Model) -> None:
    ids, mask = numpy.array([[0, 5, 6, 7]]), numpy.array([[0, 1, 1, 1]])
    wanted = model(input_ids=ids, attention_mask=mask).logits
    widths = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i2", ">i8"]
    for dtype in widths:
        numpy.testing.assert_array_equal(model(input_ids=ids.astype(dtype), attention_mask=mask).logits, wanted, err_msg=dtype)
    for dtype in [*widths, "bool", "float32", "float64", "float16"]:
        numpy.testing.assert_array_equal(model(input_ids=ids, attention_mask=mask.astype(dtype)).logits, wanted, err_msg=dtype)
    numpy.testing.assert_array_equal(model(input_ids=[list(ids[0])], attention_mask=[list(mask[0].astype("uint8"))]).logits, wanted)
    with pytest.raises(TypeError, match="input_ids.*'5'"):
        model(input_ids=[["5"]])
    with pytest.raises(ValueError, match="input_ids.*beyond 64 bits"):
        model(input_ids=[[10**20]])
    with pytest.raises(TypeError, match="input_ids.*objects"):
        model(input_ids=ids.astype(object))


def test_what_is_put_together_wrongly(model: Model, demo: Path) -> None:
    for call in (lambda: model(input_ids=numpy.array(5)), lambda: model.generate(numpy.int64(5)), lambda: model.generate(5)):
        with pytest.raises(ValueError, match="input_ids"):
            call()
    for kind in (Model, videollama3.VideoLlama3Model, videollama3.VideoLlama3VisionModel):
        with pytest.raises(TypeError, match=f"{kind.__name__}.from_pretrained"):
            kind(model.config)
    with pytest.raises(TypeError, match="from_pretrained"):
        videollama3.VideoLlama3Processor(object(), object(), object())
    for name, value in (("threads", "2"), ("threads", -1), ("compute", 5), ("cache", 5), ("cpu", 5)):
        with pytest.raises(ValueError, match=f"{name} is {value!r}"):
            Model.from_pretrained(demo, **{name: value})


def test_wrong_inputs_are_named(model: Model, inputs: videollama3.BatchFeature) -> None:
    with pytest.raises(ValueError, match="input_idz.*input_ids"):
        model(input_idz=inputs.input_ids)
    with pytest.raises(ValueError, match="different lengths"):
        model(input_ids=[[1, 2], [3]])
    with pytest.raises(ValueError, match="pixel_values"):
        model(**{**inputs, "pixel_values": inputs.pixel_values.astype("int64")})
    with pytest.raises(TypeError, match="pixel_values.*str"):
        model(**{**inputs, "pixel_values": "shapes.png"})
    with pytest.raises(ValueError, match="patches"):
        model(**{**inputs, "pixel_values": inputs.pixel_values[:-4]})


# --- The network.


def test_a_cache_goes_on_where_it_was(model: Model, inputs: videollama3.BatchFeature) -> None:
    exact = Model.from_pretrained(model.name_or_path, dtype="float32")
    whole = exact(**inputs, use_cache=False)
    assert whole.past_key_values is None
    cut = inputs.input_ids.shape[1] - 3
    first = exact(**{**inputs, "input_ids": inputs.input_ids[:, :cut], "attention_mask": inputs.attention_mask[:, :cut]})
    assert first.past_key_values.get_seq_length() == cut
    then = exact(input_ids=inputs.input_ids[:, cut:], attention_mask=inputs.attention_mask,
                 past_key_values=first.past_key_values)
    numpy.testing.assert_allclose(then.logits, whole.logits[:, cut:], atol=2e-4)
    with pytest.raises(ValueError, match="1 sequences.*2"):
        exact(input_ids=[[1], [2]], past_key_values=then.past_key_values)
    assert then.past_key_values is first.past_key_values
    kept = then.past_key_values.fork()
    kept.crop(cut)
    again = exact.model(input_ids=inputs.input_ids[:, cut:], past_key_values=kept)  # the same network without its head
    assert again.past_key_values.get_seq_length() == first.past_key_values.get_seq_length()
    with pytest.raises(ValueError, match="past_key_values are of another model"):
        model(input_ids=[[1]], past_key_values=kept)
    with pytest.raises(ValueError, match="past_key_values should be.*str"):
        model(input_ids=[[1]], past_key_values="kept")


def test_padding_counts_in_the_columns_of_later_calls(model: Model) -> None:
    exact = Model.from_pretrained(model.name_or_path, dtype="float32")
    ids, mask = numpy.array([[0, 0, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6]]), numpy.array([[0, 0, 1, 1, 1, 1], [1] * 6])
    padded = exact(input_ids=ids, attention_mask=mask)
    first = exact(input_ids=ids[:, :4], attention_mask=mask[:, :4])
    assert first.past_key_values.get_seq_length() == 4
    then = exact(input_ids=ids[:, 4:], attention_mask=mask, past_key_values=first.past_key_values)
    numpy.testing.assert_allclose(then.logits, padded.logits[:, 4:], atol=1e-5)


def test_columns_that_are_kept(model: Model) -> None:
    ids = numpy.array([[5, 6, 7, 8]])
    whole = model(ids).logits
    numpy.testing.assert_array_equal(model(ids, logits_to_keep=numpy.int64(2)).logits, whole[:, 2:])
    numpy.testing.assert_array_equal(model(ids, logits_to_keep=numpy.array([0, 2])).logits, whole[:, [0, 2]])
    assert model.model(ids, logits_to_keep=numpy.array([0, 2])).last_hidden_state.shape[1] == 4
    with pytest.raises(ValueError, match="logits_to_keep is -1"):
        model(ids, logits_to_keep=-1)
    with pytest.raises(TypeError, match=r"logits_to_keep should be.*\[0, 2\]"):
        model(ids, logits_to_keep=[0, 2])


def test_embeddings_in_place_of_ids(model: Model) -> None:
    ids = numpy.array([[5, 6, 7, 8]])
    embeds = model.get_input_embeddings()(ids)
    assert embeds.shape == (1, 4, model.config.text_config.hidden_size)
    numpy.testing.assert_array_equal(model(inputs_embeds=embeds).logits, model(input_ids=ids).logits)
    new = model.generate(inputs_embeds=embeds, max_new_tokens=4, do_sample=False)
    wanted = model.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    assert new.tolist() == wanted[:, 4:].tolist()
    other = numpy.array([[9, 9]])  # what the model reads are the embeddings
    for given, before in ((ids, ids), (other, other), (other.tolist(), other)):
        made = model.generate(input_ids=given, inputs_embeds=embeds, max_new_tokens=4, do_sample=False)
        assert made.tolist() == numpy.concatenate([before, new], axis=1).tolist()
    with pytest.raises(ValueError, match="input_ids are of 2 prompts, inputs_embeds of 1"):
        model.generate(input_ids=[[1], [2]], inputs_embeds=embeds)


def test_parts_of_the_model(model: Model, inputs: videollama3.BatchFeature) -> None:
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    body = model.model(**inputs)
    numpy.testing.assert_array_equal(body.last_hidden_state, output.hidden_states[-1])
    features = model.get_image_features(inputs.pixel_values, inputs.image_grid_thw, inputs.image_merge_sizes)
    numpy.testing.assert_array_equal(features.pooler_output[0], output.image_hidden_states)
    vision = videollama3.VideoLlama3VisionModel.from_pretrained(model.name_or_path)
    rows = vision(inputs.pixel_values, inputs.image_grid_thw, inputs.image_merge_sizes).last_hidden_state
    numpy.testing.assert_array_equal(rows, features.last_hidden_state)
    pixels = (inputs.pixel_values, inputs.image_grid_thw, inputs.image_merge_sizes)
    assert vision(*pixels, return_dict=True, output_attentions=False).last_hidden_state.shape == rows.shape
    for call in (vision, model.get_image_features, model.get_video_features):
        numpy.testing.assert_array_equal(call(*pixels, return_dict=False)[0], rows)
        with pytest.raises(NotImplementedError, match="output_hidden_states"):
            call(*pixels, output_hidden_states=True)
        with pytest.raises(ValueError, match="'no_such'"):
            call(*pixels, no_such=1)
    layers, columns = model.config.text_config.num_hidden_layers, inputs.input_ids.shape[1]
    assert len(output.attentions) == layers
    assert output.attentions[0][0].shape == (model.config.text_config.num_attention_heads, columns, columns)
    numpy.testing.assert_allclose(output.attentions[0][0].sum(axis=-1), 1, atol=1e-4)


def test_about_the_model(model: Model, tmp_path: Path) -> None:
    assert model.eval() is model and model.to("cpu") is model and model.to(model.device) is model
    assert model.config.model_type == "video_llama_3" and model.config.vision_config.patch_size == 14
    model.set_attn_implementation("sdpa")
    model.tie_weights()
    with pytest.raises(ValueError, match="attn_implementation.*fast"):
        model.set_attn_implementation("fast")
    assert model.get_memory_footprint() > 0 and not model.training and model.can_generate()
    assert model.num_parameters() == 4428736 and type(model.base_model) is videollama3.VideoLlama3Model
    with pytest.raises(AttributeError, match="'parameters'.*num_parameters"):
        model.parameters()
    with pytest.raises(AttributeError, match="no 'no_such'"):
        model.no_such
    model.save_pretrained(tmp_path / "copy", safe_serialization=True, push_to_hub=False)
    again = Model.from_pretrained(tmp_path / "copy")
    numpy.testing.assert_array_equal(again(input_ids=[[1, 2, 3]]).logits, model(input_ids=[[1, 2, 3]]).logits)
    with pytest.raises(FileExistsError):
        model.save_pretrained(tmp_path / "copy")
    with pytest.raises(NotImplementedError, match="safe_serialization=False"):
        model.save_pretrained(tmp_path / "other", safe_serialization=False)
    with pytest.raises(NotImplementedError, match="trains"):
        model.train()


def test_what_cannot_be_opened(tmp_path: Path, demo: Path) -> None:
    with pytest.raises(OSError, match="no-such"):
        Model.from_pretrained(str(tmp_path / "no-such/model/folder"))
    with pytest.raises(ValueError, match="int8"):
        Model.from_pretrained(demo, dtype="int8")
    with pytest.raises(ValueError, match="cuda"):
        Model.from_pretrained(demo, device_map="cuda:0")
    with pytest.raises(ValueError, match="fast_attention"):
        Model.from_pretrained(demo, attn_implementation="fast_attention")
    with pytest.raises(ValueError, match="'thread'"):
        Model.from_pretrained(demo, thread=3)
    with pytest.raises(NotImplementedError, match="load_in_8bit"):
        Model.from_pretrained(demo, load_in_8bit=True)
    with pytest.raises(NotImplementedError, match="proxies"):
        Model.from_pretrained(demo, proxies={"https": "a"})
    assert Model.from_pretrained(demo, proxies=None, mirror=None, key_mapping=None, subfolder="", quantization_config=None)
    assert Model.from_pretrained(demo, device_map="auto", max_memory={0: "10GiB", "cpu": "4GiB"}) and Model.from_pretrained(demo, max_memory=None)
    with pytest.raises(videollama3.LimitError, match="weights have.*max_memory.*1000000$"):
        Model.from_pretrained(demo, max_memory={"cpu": "1MB"})
    with pytest.raises(ValueError, match="from_pretrained.*max_memory.*'much'"):
        Model.from_pretrained(demo, max_memory={"cpu": "much"})
    with pytest.raises(TypeError, match="max_memory is '4GiB'"):
        Model.from_pretrained(demo, max_memory="4GiB")


# --- Generation.


def test_settings_are_checked(model: Model) -> None:
    with pytest.raises(ValueError, match="max_new_token.*max_new_tokens"):
        model.generate(input_ids=[[1, 2]], max_new_token=3)
    with pytest.raises(ValueError, match="top_p"):
        model.generate(input_ids=[[1, 2]], top_p=1.5)
    with pytest.raises(NotImplementedError, match="assistant_model"):
        model.generate(input_ids=[[1, 2]], assistant_model=model)
    with pytest.raises(ValueError, match="temprature.*temperature"):
        videollama3.GenerationConfig(temprature=0.5)


def test_configurations_go_over_the_models(model: Model) -> None:
    ids = numpy.array([[5, 6, 7]])
    config = videollama3.GenerationConfig(max_new_tokens=4, do_sample=False, eos_token_id=[])
    made = model.generate(ids, generation_config=config)
    assert made.shape == (1, 7)
    assert model.generate(ids, generation_config=config, max_new_tokens=2).tolist() == made[:, :5].tolist()
    seeded = [model.generate(ids, generation_config=config, do_sample=True, temperature=5.0, top_k=0,
                             seed=seed).tolist() for seed in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2]


def test_answers_are_padded(model: Model) -> None:
    ids = numpy.array([[0, 5, 6], [7, 8, 9]])
    mask = numpy.array([[0, 1, 1], [1, 1, 1]])
    made = model.generate(ids, attention_mask=mask, max_new_tokens=5, do_sample=False, num_beams=3, num_return_sequences=2,
                          return_dict_in_generate=True)
    assert made.sequences.shape[0] == 4 and (made.sequences[:2, :3] == ids[0]).all()
    assert made.sequences_scores.shape == (4,)


class Ban(videollama3.LogitsProcessor):
    def __init__(self, id: int) -> None:
        self.id, self.lengths = id, []

    def __call__(self, input_ids: object, scores: object) -> object:
        self.lengths.append(input_ids.shape)
        scores[:, self.id] = -numpy.inf
        return scores


def test_logits_processors(model: Model) -> None:
    ids = numpy.array([[5, 6, 7]])
    free = model.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=[])
    ban = Ban(int(free[0, 3]))
    bent = model.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=[],
                          logits_processor=videollama3.LogitsProcessorList([ban]))
    assert ban.lengths == [(1, 3), (1, 4), (1, 5), (1, 6)]
    assert ban.id not in bent[0, 3:].tolist()
    banned = model.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=[], suppress_tokens=[ban.id])
    assert bent.tolist() == banned.tolist()
    with pytest.raises(ValueError, match="shape"):
        model.generate(ids, max_new_tokens=2, logits_processor=[lambda ids, scores: scores[:, :-1]])
    with pytest.raises(ValueError, match="logits_processor.*NaN"):
        model.generate(ids, max_new_tokens=2, logits_processor=[lambda ids, scores: scores * numpy.nan])


def test_transformers_own_processors(model: Model) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    ids = torch.tensor([[5, 6, 7]])
    processor = transformers.SuppressTokensLogitsProcessor([3, 4], device="cpu")
    criterion = transformers.MaxLengthCriteria(max_length=5)
    config = transformers.GenerationConfig(max_new_tokens=9, do_sample=False, eos_token_id=None)
    made = model.generate(ids, generation_config=config, logits_processor=transformers.LogitsProcessorList([processor]),
                          stopping_criteria=transformers.StoppingCriteriaList([criterion]))
    assert made.shape == (1, 5)
    wanted = model.generate(ids, max_new_tokens=2, do_sample=False, suppress_tokens=[3, 4])
    assert made.tolist() == wanted.tolist()


def test_stopping_criteria(model: Model) -> None:
    seen = []

    class Third(videollama3.StoppingCriteria):
        def __call__(self, input_ids: object, scores: object, **kwargs: object) -> bool:
            seen.append(input_ids.tolist())
            return input_ids.shape[1] == 6

    made = model.generate(numpy.array([[5, 6, 7]]), max_new_tokens=9, do_sample=False, eos_token_id=[],
                          stopping_criteria=videollama3.StoppingCriteriaList([Third()]))
    assert made.shape == (1, 6) and seen[-1] == made.tolist()


def test_stopping_criteria_of_beams(model: Model) -> None:
    """A criterion that looks for a token ends candidates as an end token of that id does."""
    ids = numpy.array([[5, 6, 7]])
    settings = {"max_new_tokens": 9, "do_sample": False, "num_beams": 3, "num_return_sequences": 3,
                "return_dict_in_generate": True, "suppress_tokens": [1]}
    last = int(model.generate(ids, **{**settings, "eos_token_id": []}).sequences[0, 5])
    wanted = model.generate(ids, **settings, eos_token_id=[2, last], pad_token_id=3)
    made = model.generate(ids, **settings, eos_token_id=[2, 1], pad_token_id=3,
                          stopping_criteria=[lambda seen, scores: (seen[:, 3:] == last).any()])
    assert made.sequences.tolist() == wanted.sequences.tolist() and last in made.sequences[0]
    numpy.testing.assert_array_equal(made.sequences_scores, wanted.sequences_scores)


def test_scores_and_logits(model: Model) -> None:
    ids, mask = numpy.array([[0, 5, 6], [7, 8, 9]]), numpy.array([[0, 1, 1], [1, 1, 1]])
    exact = Model.from_pretrained(model.name_or_path, dtype="float32")
    settings = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": [], "suppress_tokens": [11],
                "return_dict_in_generate": True}
    made = exact.generate(ids, attention_mask=mask, **settings, output_scores=True, output_logits=True)
    assert list(made) == ["sequences", "scores", "logits"] and len(made.scores) == len(made.logits) == 4
    whole = exact(made.sequences[:, :-1], attention_mask=numpy.concatenate([mask, numpy.ones((2, 3), "int64")], axis=1)).logits
    for step, (scores, logits) in enumerate(zip(made.scores, made.logits)):
        assert scores.shape == logits.shape == (2, exact.config.text_config.vocab_size)
        numpy.testing.assert_allclose(logits, whole[:, 2 + step], atol=2e-4 * numpy.abs(whole).max())
        assert (scores.argmax(axis=1) == made.sequences[:, 3 + step]).all()
        assert numpy.isinf(scores[:, 11]).all()
        numpy.testing.assert_array_equal(numpy.delete(scores, 11, 1), numpy.delete(logits, 11, 1))
    likelihoods = exact.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)
    assert likelihoods.shape == (2, 4) and (likelihoods < 0).all()
    row = made.scores[1][0].astype("float64")
    assert abs(likelihoods[0, 1] - (row.max() - numpy.log(numpy.exp(row).sum()))) < 1e-5
    ended = exact.generate(ids, attention_mask=mask, **{**settings, "eos_token_id": 5, "pad_token_id": 0}, output_scores=True,
                           prefix_allowed_tokens_fn=lambda row, ids: [5 + row])
    assert ended.sequences[:, 3:].tolist() == [[5, 0, 0, 0], [6, 6, 6, 6]]
    for step, scores in enumerate(ended.scores):  # rows of an answer that has ended are zeros
        assert numpy.isfinite(scores[1]).sum() == 1 and scores[0].any() == (step == 0)


def test_outputs_are_asked_for_as_in_the_reference(model: Model) -> None:
    ids = numpy.array([[5, 6, 7]])
    config = videollama3.GenerationConfig(max_new_tokens=2, return_dict_in_generate=True, output_scores=True)
    assert list(model.generate(ids, generation_config=config, do_sample=False)) == ["sequences", "scores"]
    assert model.generate(ids, max_new_tokens=2, output_scores=True, do_sample=False).shape == (1, 5)  # without a dict for them
    beams = model.generate(ids, max_new_tokens=2, num_beams=2, return_dict_in_generate=True, output_scores=True)
    assert beams.sequences_scores.shape == (1,) and beams.sequences_scores.dtype == numpy.float32 and beams.scores is None
    with pytest.raises(NotImplementedError, match="output_logits.*beams"):
        model.generate(ids, max_new_tokens=2, num_beams=2, return_dict_in_generate=True, output_logits=True)
    for name in ("output_attentions", "output_hidden_states", "past_key_values", "guidance_scale", "forced_eos_token_id"):
        with pytest.raises(NotImplementedError, match=name):
            model.generate(ids, max_new_tokens=2, **{name: 3})


def test_configurations_are_saved(model: Model, tmp_path: Path) -> None:
    made = videollama3.GenerationConfig(max_new_tokens=7, do_sample=True, top_k=3)
    made.save_pretrained(tmp_path)
    assert videollama3.GenerationConfig.from_pretrained(tmp_path) == made
    assert videollama3.GenerationConfig.from_pretrained(model.name_or_path).eos_token_id == model.generation_config.eos_token_id
    assert videollama3.GenerationConfig.from_dict({"top_k": 4}).top_k == 4
    assert made.update(top_k=5, output_scores=True, no_setting=1) == {"no_setting": 1}
    assert (made.top_k, made.output_scores, made.return_dict_in_generate) == (5, True, None)


def test_what_a_file_says_counts_also_where_it_is_the_default(model: Model, tmp_path: Path) -> None:
    said = {"do_sample": False, "temperature": 1.0, "repetition_penalty": 1.0, "top_k": 50, "output_scores": False, "bos_token_id": 1}
    (tmp_path / "generation_config.json").write_text(json.dumps({**said, "pad_token_id": -1}))
    made = videollama3.GenerationConfig.from_pretrained(tmp_path)
    assert made.to_dict() == {name: value for name, value in said.items() if name != "bos_token_id"}
    assert made.do_sample is False and model.generation_config.do_sample is False
    hot, ids = copy.copy(model), numpy.array([[5, 6, 7]])
    hot.generation_config = videollama3.GenerationConfig(do_sample=True, temperature=5.0, top_k=0, repetition_penalty=3.0, eos_token_id=[])
    wanted = model.generate(ids, max_new_tokens=8, do_sample=False, eos_token_id=[]).tolist()
    assert hot.generate(ids, max_new_tokens=8, generation_config=made).tolist() == wanted


def test_configurations_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path, str(tmp_path), ""):
        with pytest.raises(FileNotFoundError, match="generation_config.json"):
            videollama3.GenerationConfig.from_pretrained(name)


def test_caches_of_the_reference(model: Model) -> None:
    ids = numpy.array([[5, 6, 7]])
    for name in (None, "dynamic", "static", "hybrid"):
        assert model.generate(ids, max_new_tokens=2, cache_implementation=name).shape == (1, 5)
    for wrong, kind in (("nope", ValueError), ("quantized", NotImplementedError), ("paged", NotImplementedError)):
        for call in (lambda: videollama3.GenerationConfig(cache_implementation=wrong),
                     lambda: model.generate(ids, max_new_tokens=2, cache_implementation=wrong)):
            with pytest.raises(kind, match=f"cache_implementation.*{wrong}"):
                call()


def test_an_assistant_is_none(model: Model) -> None:
    assert videollama3.GenerationConfig(is_assistant=False).is_assistant is False
    for call in (lambda: videollama3.GenerationConfig(is_assistant=True), lambda: model.generate([[5]], is_assistant=True)):
        with pytest.raises(NotImplementedError, match="is_assistant"):
            call()


def test_prefix_allowed_tokens(model: Model) -> None:
    made = model.generate(numpy.array([[5, 6, 7]]), max_new_tokens=6, do_sample=False, eos_token_id=[],
                          prefix_allowed_tokens_fn=lambda row, ids: [10, 11] if len(ids) % 2 else [12])
    assert all(id in ((10, 11) if place % 2 else (12,)) for place, id in enumerate(made[0].tolist()) if place >= 3)
    with pytest.raises(ValueError, match="vocabulary"):
        model.generate(numpy.array([[5]]), prefix_allowed_tokens_fn=lambda row, ids: [10**9])


def test_streamers(model: Model, processor: videollama3.VideoLlama3Processor, inputs: videollama3.BatchFeature,
                   capsys: pytest.CaptureFixture) -> None:
    made = model.generate(**inputs, max_new_tokens=8, do_sample=False,
                          streamer=videollama3.TextStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True))
    new = made[0, inputs.input_ids.shape[1]:]
    assert capsys.readouterr().out == processor.decode(new, skip_special_tokens=True) + "\n"
    streamer = videollama3.TextIteratorStreamer(processor, skip_prompt=True, timeout=600, skip_special_tokens=True)
    thread = threading.Thread(target=model.generate, kwargs={**inputs, "max_new_tokens": 8, "do_sample": False,
                                                             "streamer": streamer})
    thread.start()
    assert "".join(streamer) == processor.decode(new, skip_special_tokens=True)
    thread.join()
    with pytest.raises(ValueError, match="several"):
        model.generate([[1], [2]], streamer=streamer)


def test_what_a_callable_raises_comes_out(model: Model) -> None:
    class Mine(Exception):
        pass

    def broken(*args: object) -> None:
        raise Mine("as it is")

    ids = numpy.array([[5, 6, 7]])
    for callables in ({"logits_processor": [broken]}, {"stopping_criteria": [broken]}, {"prefix_allowed_tokens_fn": broken}):
        with pytest.raises(Mine, match="^as it is$"):
            model.generate(ids, max_new_tokens=3, **callables)
    assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[0] == 1  # and the model goes on


# --- Threads, signals, forks.


def interrupted(call: object) -> None:
    """Ctrl-C, 0.3 s after the call began, is a KeyboardInterrupt. The call would take hours, so that it is under way."""

    def interrupt() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where whoever started this ignores it
    try:
        with pytest.raises(KeyboardInterrupt):  # also what comes before the call has begun
            thread.start()
            call()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_decoding(model: Model) -> None:
    interrupted(lambda: model.generate([[5, 6, 7]] * 64, max_new_tokens=8000, do_sample=False, eos_token_id=[]))
    assert model.generate([[5, 6, 7]], max_new_tokens=2, do_sample=False).shape[0] == 1


def test_ctrl_c_in_prefill(model: Model) -> None:
    interrupted(lambda: [model(input_ids=numpy.full((8, 4000), 7), logits_to_keep=1) for _ in range(10000)])


def test_ctrl_c_in_media(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    clip = {"type": "video", "video": str(media / "moving.mp4")}
    interrupted(lambda: [processor.apply_chat_template([{"role": "user", "content": [{**clip, "fps": 25}] * 4}],
                                                       tokenize=True, return_dict=True) for _ in range(100000)])


def test_the_lock_is_free(model: Model) -> None:
    """Another thread runs while a call does: where the lock is held, at most at its begin and its end."""

    def ticks_during(rows: int) -> int:
        ticks, done = [], threading.Event()

        def tick() -> None:
            while not done.wait(0.002):
                ticks.append(time.monotonic())

        thread = threading.Thread(target=tick)
        thread.start()
        model(input_ids=numpy.full((rows, 2000), 7), logits_to_keep=1)
        done.set()
        thread.join()
        return len(ticks)

    # A busy machine gives the thread few turns: in one call of these there are enough.
    assert any(ticks_during(rows) > 5 for rows in (4, 8, 16, 32, 64))


def test_threads_take_turns(model: Model) -> None:
    wanted = [model.generate([[i, 6, 7]], max_new_tokens=3, do_sample=False).tolist() for i in range(20)]
    made: dict[int, list] = {}

    def ask(i: int) -> None:
        made[i] = model.generate([[i % 20, 6, 7]], max_new_tokens=3, do_sample=False).tolist()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(made[i] == wanted[i % 20] for i in range(100))


def test_a_fork_answers(model: Model) -> None:
    wanted = model.generate([[5, 6, 7]], max_new_tokens=3, do_sample=False).tolist()
    child = os.fork()
    if child == 0:
        same = model.generate([[5, 6, 7]], max_new_tokens=3, do_sample=False).tolist() == wanted
        os._exit(0 if same else 1)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the fork did not answer")
    assert os.waitstatus_to_exitcode(status) == 0


def test_callables_may_call_the_model(model: Model) -> None:
    def answer(ids: list[int], processor: Any) -> Any:
        return model.generate(numpy.array([ids]), max_new_tokens=3, do_sample=False, logits_processor=[processor]).tolist()

    alone = model(input_ids=[[1, 2, 3]]).logits.tolist()
    inner, expected = answer([4, 5], lambda ids, scores: scores), answer([1, 2, 3], lambda ids, scores: scores)
    seen = []

    def within(ids: Any, scores: Any) -> Any:
        seen.append(model(input_ids=[[1, 2, 3]]).logits.tolist())
        return scores

    def around(ids: Any, scores: Any) -> Any:
        assert answer([4, 5], within) == inner
        return scores

    assert answer([1, 2, 3], around) == expected
    assert seen and all(logits == alone for logits in seen)


def test_neither_numpy_nor_torch_is_needed(demo: Path, media: Path) -> None:
    code = f"""
import sys
sys.modules["numpy"] = sys.modules["torch"] = None
from videollama3 import AutoProcessor, VideoLlama3ForConditionalGeneration
model = VideoLlama3ForConditionalGeneration.from_pretrained({str(demo)!r})
processor = AutoProcessor.from_pretrained({str(demo)!r})
content = [{{"type": "image", "image": {str(media / "shapes.png")!r}}}, {{"type": "text", "text": "What is in the picture?"}}]
inputs = processor.apply_chat_template([{{"role": "user", "content": content}}], add_generation_prompt=True, tokenize=True,
                                       return_dict=True)
ids = model.generate(**inputs, max_new_tokens=6, do_sample=False)
print(ids[0][len(inputs["input_ids"][0]):])
try:
    processor.apply_chat_template([{{"role": "user", "content": "Hello"}}], tokenize=True, return_dict=True, return_tensors="pt")
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    ids, refusal = run.stdout.splitlines()
    assert "needs torch" in refusal
    model, processor = Model.from_pretrained(demo), videollama3.AutoProcessor.from_pretrained(demo)
    conversation = [{"role": "user", "content": [{"type": "image", "image": str(media / "shapes.png")},
                                                 {"type": "text", "text": "What is in the picture?"}]}]
    inputs = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=True, return_dict=True,
                                           return_tensors="np")
    made = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert ids == str(made[0, inputs.input_ids.shape[1]:].tolist())
