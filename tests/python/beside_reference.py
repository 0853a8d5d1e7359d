"""What programs ask of the reference's classes, in the many forms in which they ask it, of one library or the other.

    beside_reference.py LIBRARY MODEL MEDIA OUT.pickle

LIBRARY is videollama3 or transformers. Writes what came of every case by its name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from page_example import read_pictures_by_pillow

IDS = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
GREEDY = {"max_new_tokens": 8, "do_sample": False}
SMALL = {"shortest_edge": 784, "longest_edge": 50176}
TEMPLATE = ("{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}<|image_pad|>{% else %}"
            "{{ c.text }}{% endif %}{% endfor %}{{ eos_token }}{% endfor %}")


def asked(*parts: dict, text: str = "What is in the picture?") -> list:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


class Cases:
    """What the cases share: the library, a model and a processor of it, and media."""

    def __init__(self, library: object, folder: str, media: Path) -> None:
        import numpy
        import torch
        from PIL import Image

        self.library, self.folder, self.torch, self.numpy, self.pillow = library, folder, torch, numpy, Image
        self.model = library.VideoLlama3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = library.AutoProcessor.from_pretrained(folder)
        self.tokenizer = self.processor.tokenizer
        self.picture, self.other, self.clip = (str(media / name) for name in ("shapes.png", "scenes/chart.png", "moving.mp4"))
        self.pixels = numpy.array(Image.open(self.picture).convert("RGB"))
        self.frames = numpy.stack([numpy.roll(self.pixels, 8 * i, axis=0) for i in range(5)])
        self.image, self.video = {"type": "image", "image": self.picture}, {"type": "video", "video": self.clip}
        self.batch = [asked(self.image), asked(text="hello"), asked(self.video, text="what?")]
        self.said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"},
                     {"role": "assistant", "content": "hi there"}]
        self.inputs, self.words = self.ids(asked(self.image)), self.ids(asked())
        self.length = self.inputs["input_ids"].shape[1]
        self.last = int(self.generate()[0, self.length + 2])

    def ids(self, conversation: list, **settings: object) -> dict:
        return self.processor.apply_chat_template(conversation, **{**IDS, **settings})

    def prompt(self, conversation: list, **settings: object) -> str:
        return self.processor.apply_chat_template(conversation, add_generation_prompt=True, **settings)

    def generate(self, **settings: object) -> object:
        return self.model.generate(**{**self.inputs, **GREEDY, **settings})

    def parts(self, *names: str, **settings: object) -> list:
        made = self.generate(return_dict_in_generate=True, **settings)
        return [made[name] for name in names]

    def forward(self, **inputs: object) -> object:
        with self.torch.no_grad():
            return self.model(**inputs)


def prompts(c: Cases) -> dict[str, Callable]:
    process, chat = c.processor, c.processor.apply_chat_template
    pictures = {"url": {"type": "image", "url": c.picture}, "path": {"type": "image", "path": c.picture},
                "pillow": {"type": "image", "image": c.pillow.open(c.picture)},
                "grey": {"type": "image", "image": c.pillow.open(c.picture).convert("L")},
                "clear": {"type": "image", "image": c.pillow.open(c.picture).convert("RGBA")},
                "array": {"type": "image", "image": c.pixels}, "planes": {"type": "image", "image": c.pixels.transpose(2, 0, 1)},
                "tensor": {"type": "image", "image": c.torch.from_numpy(c.pixels.copy()).permute(2, 0, 1)}}
    cases = {f"picture {name}": lambda part=part: c.ids(asked(part)) for name, part in pictures.items()}
    whole = {"do_sample_frames": False}
    return {
        **cases,
        "text": lambda: [c.prompt(asked(c.image)), c.prompt(c.batch), chat(c.said), chat(c.said, continue_final_message=True)],
        "no source": lambda: [c.prompt(asked({"type": "image"})), c.prompt(asked({"type": "video"}))],
        "ids alone": lambda: [chat(asked(), tokenize=True), chat(asked(), tokenize=True, return_tensors="pt")],
        "lists": lambda: [chat(asked(c.image), tokenize=True, return_dict=True), chat(c.batch, tokenize=True, return_dict=True, fps=2)],
        "numpy": lambda: chat(asked(c.image), tokenize=True, return_dict=True, return_tensors="np"),
        "padding": lambda: [c.ids(c.batch, padding=padding, fps=2) for padding in (True, "longest")],
        "sides": lambda: [c.ids(c.batch, padding=True, padding_side=side, fps=2) for side in ("left", "right")],
        "of the processor": lambda: c.ids(c.batch, processor_kwargs={"padding": True, "fps": 2}),
        "width": lambda: [c.ids([asked(text="hello"), asked()], padding="max_length", max_length=64),
                          c.ids([asked(text="hello"), asked()], padding=True, pad_to_multiple_of=8)],
        "cut": lambda: c.ids(asked(), truncation=True, max_length=6),
        "clip": lambda: [c.ids(asked({"type": "video", key: c.clip}), fps=1) for key in ("video", "url", "path")],
        "clip whole": lambda: c.ids(asked(c.video), **whole),
        "frames": lambda: [c.ids(asked({"type": "video", "video": frames}), **whole) for frames in (
            c.frames, list(c.frames), [c.pillow.fromarray(frame) for frame in c.frames])],
        "size": lambda: [c.ids(asked(c.image), size=SMALL), c.ids(asked(c.image), images_kwargs={"size": SMALL})],
        "goes on": lambda: chat(c.said, continue_final_message=True, tokenize=True, return_dict=True, return_tensors="pt"),
        "template": lambda: [chat(asked(), chat_template=TEMPLATE), c.ids(asked(c.image), chat_template=TEMPLATE)],
        "templates": lambda: [process.chat_template, c.tokenizer.chat_template],
        "types": lambda: c.ids(asked(c.image), processor_kwargs={"return_mm_token_type_ids": True}),
        "names": lambda: [sorted(process.model_input_names), process.image_token, process.image_token_id, process.video_token_id],
        "keys": lambda: [list(c.inputs.keys()), list(c.ids(asked(c.video), fps=1).keys())],
    }


def calls(c: Cases) -> dict[str, Callable]:
    process, picture, other = c.processor, c.pillow.open(c.picture), c.pillow.open(c.other)
    shown, played, said = c.prompt(asked({"type": "image"})), c.prompt(asked({"type": "video"})), c.prompt(asked(text="hello"))
    several = {"text": [shown, said, shown], "return_tensors": "pt", "padding": True}
    whole = {"text": [played], "return_tensors": "pt", "do_sample_frames": False}

    def saved() -> object:
        with tempfile.TemporaryDirectory() as folder:
            process.save_pretrained(folder)
            return c.library.AutoProcessor.from_pretrained(folder).apply_chat_template(asked(c.image, c.video), **IDS)

    return {
        "call": lambda: [process(text=shown, images=picture, return_tensors="pt"), process(text=[shown], images=[[picture]]),
                         process([picture], [shown], return_tensors="np"), process(text=said), process(text=["hello"], return_tensors="pt"),
                         process(images=[c.picture], return_tensors="pt")],
        "call several": lambda: [process(images=[picture, other], **several), process(images=[[picture], [], [other]], **several)],
        "call clips": lambda: [process(videos=[c.clip], **{**whole, "do_sample_frames": True, "fps": 1}),
                               process(videos=[c.frames], **whole), process(videos=c.clip, **{**whole, "text": played})],
        "call metadata": lambda: process(videos=[c.frames], video_metadata=[
            {"fps": 2, "total_num_frames": 9, "frames_indices": [0, 2, 4, 6, 8]}], **whole),
        "pictures": lambda: [process.image_processor(images=[picture], return_tensors="pt"), process.image_processor(images=picture),
                             process.image_processor(images=c.pixels, do_rescale=False, return_tensors="pt")],
        "counts": lambda: process.image_processor.get_number_of_image_patches(333, 517),
        "options": lambda: [{name: getattr(part, name) for name in ("patch_size", "merge_size", "image_mean", "rescale_factor", "do_resize")}
                            for part in (process.image_processor, process.video_processor)],
        "saved": saved,
        "features": lambda: [str(c.ids(asked(c.image)).to("cpu", dtype=c.torch.bfloat16)[name].dtype) for name in ("pixel_values", "input_ids")],
        "new features": lambda: [c.library.BatchFeature({"a": [[1, 2]]}, tensor_type="pt").a,
                                 c.library.BatchFeature({"a": [[1, 2]]}).convert_to_tensors("np").a],
    }


def tokens(c: Cases) -> dict[str, Callable]:
    t, both = c.tokenizer, ["hello", "hello what"]
    said = [{"role": "user", "content": "hello"}]
    return {
        "tokens": lambda: [t("hello what"), t(both), t(both, padding=True, return_tensors="pt"), t("hello", return_tensors="pt"),
                           t(both, padding=True, padding_side="left", return_tensors="pt"), t("hello what is", truncation=True, max_length=2),
                           t(both, padding="max_length", max_length=9, return_tensors="np"), t(both, padding="max_length", max_length=2),
                           t(both).tokens(1), t.encode("hello", return_tensors="pt"),
                           t.pad({"input_ids": [[1, 2], [3]]}, return_tensors="pt")],
        "texts": lambda: [t.decode([1, 2, 3]), t.decode(5), t.decode(c.torch.tensor([1, 2])), t.decode([[1, 2], [3]]),
                          t.batch_decode([[1, 2], [3]]), t.batch_decode([1, 2]), t.convert_tokens_to_string(t.tokenize("hello what")),
                          c.processor.decode([1, 2]), c.processor.post_process_image_text_to_text(c.torch.tensor([[1, 9, 3]]))],
        "vocabulary": lambda: [t.vocab_size, len(t), t.get_vocab(), t.get_added_vocab(), t.special_tokens_map, sorted(t.all_special_ids),
                               t.convert_tokens_to_ids("<|im_end|>"), t.convert_tokens_to_ids("no such"), t.convert_ids_to_tokens([3, 4])],
        "its tokens": lambda: [t.eos_token, t.eos_token_id, t.pad_token, t.pad_token_id, t.bos_token, t.unk_token, t.padding_side,
                               t.model_max_length, t.all_special_tokens, list(t.added_tokens_decoder), list(map(str, t.added_tokens_decoder.values()))],
        "its template": lambda: [t.apply_chat_template(said, tokenize=False), t.apply_chat_template(said, add_generation_prompt=True),
                                 t.apply_chat_template([said, said * 2], padding=True, return_tensors="pt")],
    }


def network(c: Cases) -> dict[str, Callable]:
    ids, forward, model = c.words["input_ids"], c.forward, c.model

    def in_two() -> list:
        first = forward(input_ids=ids[:, :-2], use_cache=True).past_key_values
        return [first.get_seq_length(), forward(input_ids=ids[:, -2:], past_key_values=first).logits]

    return {
        "logits": lambda: [list(forward(**c.inputs).keys()), forward(**c.inputs)[0], len(forward(**c.inputs, return_dict=False))],
        "loss": lambda: forward(**c.inputs, labels=c.inputs["input_ids"])[0],
        "hidden states": lambda: list(forward(**c.inputs, output_hidden_states=True).hidden_states),
        "no cache": lambda: list(forward(**c.inputs, use_cache=False).keys()),
        "embeddings": lambda: forward(inputs_embeds=model.get_input_embeddings()(ids)).logits,
        "positions": lambda: forward(**c.words, position_ids=c.torch.arange(ids.shape[1])[None]).logits,
        "in two": in_two,
        "body": lambda: [list(model.model(**c.inputs).keys()), model.model(**c.inputs)[0]],
        "vision": lambda: [model.get_image_features(c.inputs["pixel_values"], c.inputs["image_grid_thw"],
                                                    image_merge_sizes=c.inputs["image_merge_sizes"]).pooler_output,
                           model.model.vision_model(c.inputs["pixel_values"], c.inputs["image_grid_thw"], c.inputs["image_merge_sizes"])[0]],
        "about": lambda: [str(model.device), str(model.dtype), model.num_parameters(), model.can_generate(), type(model.base_model).__name__,
                          tuple(model.get_input_embeddings().weight.shape), str(model.config.dtype)],
        "configuration": lambda: [getattr(model.config.text_config, name) for name in (
            "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_parameters", "eos_token_id", "tie_word_embeddings")],
        "json": lambda: [json.loads(model.config.to_json_string())["dtype"], model.config.to_diff_dict()["model_type"]],
        "classes": lambda: [type(getattr(c.library, name).from_pretrained(c.folder)).__name__ for name in (
            "AutoModel", "AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoProcessor", "AutoImageProcessor")],
    }


def answers(c: Cases) -> dict[str, Callable]:
    library, generate, parts = c.library, c.generate, c.parts
    left = {**c.ids(c.batch, padding=True, padding_side="left", fps=2), "eos_token_id": 511, "return_dict_in_generate": True}

    class Stop(library.StoppingCriteria):
        def __call__(self, input_ids: object, scores: object, **more: object) -> object:
            return (input_ids[:, c.length:] == c.last).any(dim=1)

    class Ban(library.LogitsProcessor):
        def __call__(self, input_ids: object, scores: object) -> object:
            scores = scores.clone()
            scores[:, c.last] = -float("inf")
            return scores

    stop, ban = library.StoppingCriteriaList([Stop()]), library.LogitsProcessorList([Ban()])

    def streamed() -> list:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            generate(streamer=library.TextStreamer(c.tokenizer, skip_prompt=True, skip_special_tokens=True))
            generate(streamer=library.TextStreamer(c.tokenizer))
        streamer = library.TextIteratorStreamer(c.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=600)
        thread = threading.Thread(target=lambda: generate(streamer=streamer))
        thread.start()
        pieces = "".join(streamer)
        thread.join()
        return [out.getvalue(), pieces]

    def likelihoods() -> object:
        made = generate(return_dict_in_generate=True, output_scores=True)
        return c.model.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)

    config = library.GenerationConfig(max_new_tokens=4, do_sample=False)
    return {
        "greedy": lambda: [generate(), c.model.generate(c.words["input_ids"], **GREEDY), generate(max_new_tokens=None, max_length=c.length + 3),
                           generate(min_new_tokens=8), generate(eos_token_id=3), generate(use_cache=False), generate(synced_gpus=False),
                           generate(cache_implementation="dynamic"), generate(assistant_model=None), generate(output_scores=True)],
        "bent": lambda: [generate(repetition_penalty=1.7), generate(no_repeat_ngram_size=2), generate(bad_words_ids=[[c.last]]),
                         generate(prefix_allowed_tokens_fn=lambda row, ids: [3, 4, 5]), generate(logits_processor=ban)],
        "drawn": lambda: generate(do_sample=True, top_k=1, temperature=0.7, top_p=0.9),
        "stops": lambda: [generate(stop_strings=["blue"], tokenizer=c.tokenizer), generate(stop_strings="blue", tokenizer=c.tokenizer),
                          generate(stopping_criteria=stop)],
        "beams": lambda: [generate(num_beams=3), generate(num_beams=3, num_return_sequences=2), generate(num_beams=3, logits_processor=ban),
                          generate(num_beams=3, length_penalty=0.3, early_stopping=True)],
        "beams that stop": lambda: [generate(num_beams=3, stopping_criteria=stop),
                                    generate(num_beams=3, num_return_sequences=3, stopping_criteria=stop, max_new_tokens=12)],
        "scores of beams": lambda: parts("sequences", "sequences_scores", num_beams=3, output_scores=True),
        "scores": lambda: parts("scores", "logits", output_scores=True, output_logits=True, repetition_penalty=1.5),
        "scores bent": lambda: parts("scores", output_scores=True, logits_processor=ban),
        "scores drawn": lambda: parts("scores", output_scores=True, do_sample=True, top_k=1, temperature=0.5),
        "scores of a batch": lambda: [list(c.model.generate(**left, **GREEDY, output_scores=True, output_logits=True)[name])
                                      for name in ("sequences", "scores", "logits")],
        "likelihoods": likelihoods,
        "configured": lambda: [c.model.generate(**c.inputs, generation_config=config),
                               c.model.generate(**c.inputs, generation_config=config, max_new_tokens=2)],
        "embedded": lambda: c.model.generate(inputs_embeds=c.model.get_input_embeddings()(c.words["input_ids"]), **GREEDY),
        "streamed": streamed,
    }


def plain(value: object) -> object:
    """Of tensors arrays, of what holds others lists and dicts, else text."""
    if type(value).__module__.startswith("torch") and hasattr(value, "numpy"):
        return value.detach().numpy()
    if hasattr(value, "items"):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value if value is None or hasattr(value, "dtype") or isinstance(value, (str, int, float, bool)) else repr(value)


def main() -> None:
    name, folder, media, out = sys.argv[1:5]
    library = importlib.import_module("hf" if name == "transformers" else name)
    if name == "transformers":
        library = library.transformers
        read_pictures_by_pillow()
    cases = Cases(library, folder, Path(media))
    made = {}
    for group in (prompts, calls, tokens, network, answers):
        made.update({name: plain(case()) for name, case in group(cases).items()})
    Path(out).write_bytes(pickle.dumps(made))


if __name__ == "__main__":
    main()
