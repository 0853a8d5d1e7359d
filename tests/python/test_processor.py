"""Processors and tokenizer: what goes in, in every form, and what comes out."""

from __future__ import annotations

import copy
import pickle
import resource
from pathlib import Path

import pytest

import videollama3

numpy = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def processor(demo: Path) -> videollama3.VideoLlama3Processor:
    return videollama3.AutoProcessor.from_pretrained(demo)


def asked(part: dict, text: str = "What is it?") -> list:
    return [{"role": "user", "content": [part, {"type": "text", "text": text}]}]


def made(processor: videollama3.VideoLlama3Processor, conversation: list, **settings: object) -> videollama3.BatchFeature:
    return processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=True, return_dict=True,
                                         return_tensors="np", **settings)


def same(one: videollama3.BatchFeature, other: videollama3.BatchFeature) -> None:
    assert sorted(one) == sorted(other)
    for key in one:
        numpy.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_pictures_come_in_every_form(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    path = media / "shapes.png"
    wanted = made(processor, asked({"type": "image", "image": str(path)}))
    pillow = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    pixels = numpy.array(pillow)
    forms = [path, path.read_bytes(), bytearray(path.read_bytes()), pillow, pixels, pixels.transpose(2, 0, 1), pixels[::1]]
    for form in forms:
        same(made(processor, asked({"type": "image", "image": form})), wanted)
    with path.open("rb") as file:
        same(made(processor, asked({"type": "image", "image": file})), wanted)
    torch = pytest.importorskip("torch")
    same(made(processor, asked({"type": "image", "image": torch.from_numpy(pixels.copy())})), wanted)


def test_pictures_of_the_web(demo: Path, processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=media))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        part = {"type": "image", "image": f"http://127.0.0.1:{server.server_address[1]}/shapes.png"}
        clip = part["image"].replace("shapes.png", "moving.mp4")
        for call in (lambda: made(processor, asked(part)), lambda: processor(images=part["image"]), lambda: processor(videos=clip),
                     lambda: processor.image_processor(part["image"]), lambda: processor.video_processor(clip)):
            with pytest.raises(ValueError, match="127.0.0.1.*allow_addresses"):  # an inner network, which a message may not name
                call()
        inner = videollama3.AutoProcessor.from_pretrained(demo, allow_addresses=["127.0.0.0/8"])
        alone = videollama3.AutoImageProcessor.from_pretrained(demo, allow_addresses=["127.0.0.0/8"])
        wanted = processor(images=media / "shapes.png", return_tensors="np")
        same(inner(images=part["image"], return_tensors="np"), wanted)
        for pictures in (inner.image_processor, copy.deepcopy(inner).image_processor, pickle.loads(pickle.dumps(alone))):
            same(pictures(part["image"], return_tensors="np"), wanted)
        assert inner.video_processor(clip, fps=1)["video_metadata"]
        same(made(inner, asked(part)), made(processor, asked({"type": "image", "image": str(media / "shapes.png")})))
        with pytest.raises(FileNotFoundError, match="no-such.png"):
            made(inner, asked({"type": "image", "image": part["image"].replace("shapes", "no-such")}))
    finally:
        server.shutdown()


def test_pictures_that_are_none(processor: videollama3.VideoLlama3Processor, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such.png"):
        made(processor, asked({"type": "image", "image": str(tmp_path / "no-such.png")}))
    with pytest.raises(videollama3.FormatError):
        made(processor, asked({"type": "image", "image": b"no picture"}))
    for dtype in ("float32", "bool", "object", ">f4"):
        with pytest.raises(ValueError, match=f"array of {dtype}, not of uint8"):
            made(processor, asked({"type": "image", "image": numpy.zeros((8, 8, 3), dtype)}))
        with pytest.raises(ValueError, match=f"array of {dtype}, not of uint8"):
            processor.video_processor(numpy.zeros((2, 8, 8, 3), dtype))
    with pytest.raises(ValueError, match=r"\(8, 8\)|shape"):
        made(processor, asked({"type": "image", "image": numpy.zeros((8, 8), "uint8")}))
    with pytest.raises(ValueError, match="max_pixelz"):
        made(processor, asked({"type": "image", "image": "a.png", "max_pixelz": 3}))


def test_the_processor_of_pictures(processor: videollama3.VideoLlama3Processor, media: Path, demo: Path) -> None:
    path = media / "shapes.png"
    wanted = made(processor, asked({"type": "image", "image": str(path)}))
    images = processor.image_processor.preprocess([str(path), path.read_bytes()], return_tensors="np")
    half = len(images.pixel_values) // 2
    numpy.testing.assert_array_equal(images.pixel_values[:half], wanted.pixel_values)
    numpy.testing.assert_array_equal(images.pixel_values[half:], wanted.pixel_values)
    assert images.image_grid_thw.tolist() == wanted.image_grid_thw.tolist() * 2
    alone = videollama3.VideoLlama3ImageProcessor.from_pretrained(demo)
    assert alone.to_dict() == processor.image_processor.to_dict() and alone.patch_size == 14
    grid = wanted.image_grid_thw[0]
    height, width = (int(side) * 14 for side in grid[1:])
    assert alone.get_number_of_image_patches(height, width) == grid.prod()
    small = alone.preprocess(path, return_tensors="np", size={"shortest_edge": 784, "longest_edge": 50176})
    assert len(small.pixel_values) < half
    with pytest.raises(ValueError, match="sise"):
        alone.preprocess(path, sise=3)
    pil = videollama3.VideoLlama3ImageProcessorPil.from_pretrained(demo)
    resized = pil.preprocess(path, return_tensors="np", size={"shortest_edge": 784, "longest_edge": 50176})
    assert resized.pixel_values.shape == small.pixel_values.shape
    assert 0 < numpy.abs(resized.pixel_values - small.pixel_values).max() < 0.1


def test_arithmetic_of_pictures(demo: Path, media: Path) -> None:
    path, size = str(media / "shapes.png"), {"shortest_edge": 784, "longest_edge": 50176}
    pil, torchvision = videollama3.VideoLlama3ImageProcessorPil, videollama3.VideoLlama3ImageProcessor
    wanted = pil.from_pretrained(demo, size=size)(path, return_tensors="np")
    for settings, kind in (({"use_fast": False}, pil), ({"backend": "pil"}, pil), ({"use_fast": True}, torchvision),
                           ({"backend": "torchvision", "use_fast": False}, torchvision), ({}, torchvision)):
        assert type(videollama3.AutoImageProcessor.from_pretrained(demo, **settings)) is kind
        own = videollama3.AutoProcessor.from_pretrained(demo, size=size, **settings)
        assert type(own.image_processor) is kind is type(copy.deepcopy(own).image_processor)
        assert type(pickle.loads(pickle.dumps(own)).image_processor) is kind
        seen = own(text=own.image_token, images=path, return_tensors="np").pixel_values
        assert (seen == wanted.pixel_values).all() == (kind is pil)
    own.image_processor = pil.from_pretrained(demo, size=size)
    assert (made(own, asked({"type": "image", "image": path})).pixel_values == wanted.pixel_values).all()
    for kind in (videollama3.AutoProcessor, videollama3.AutoImageProcessor, videollama3.AutoVideoProcessor):
        with pytest.raises(ValueError, match="backend.*nope"):
            kind.from_pretrained(demo, backend="nope")
    with pytest.raises(NotImplementedError, match='backend="pil"'):
        videollama3.AutoVideoProcessor.from_pretrained(demo, backend="pil")


def test_processors_of_folders_without_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in (videollama3.AutoImageProcessor, videollama3.AutoVideoProcessor):
        for name in (tmp_path, ""):
            with pytest.raises(FileNotFoundError, match="no .*preprocessor_config.json"):
                kind.from_pretrained(name)


def test_the_processor_of_clips(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    path = media / "moving.mp4"
    wanted = made(processor, asked({"type": "video", "video": str(path)}), fps=2)
    videos = processor.video_processor.preprocess(path, return_tensors="np", fps=2)
    for key in ("pixel_values_videos", "video_grid_thw", "video_merge_sizes", "video_compression_mask"):
        numpy.testing.assert_array_equal(videos[key], wanted[key])
    assert videos.video_compression_mask.dtype == bool
    assert len(videos.video_metadata[0]["timestamps"]) == videos.video_grid_thw[0, 0]


def test_a_rate_turns_sampling_on_wherever_it_stands(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    path = str(media / "moving.mp4")
    part = {"type": "video", "video": path}
    everything = made(processor, asked(part), do_sample_frames=False)  # the demo samples twice a second by itself
    wanted = made(processor, asked(part), fps=1)
    assert wanted.video_grid_thw[0, 0] < everything.video_grid_thw[0, 0]
    same(made(processor, asked(part), videos_kwargs={"fps": 1}), wanted)
    same(made(processor, asked(part), processor_kwargs={"videos_kwargs": {"fps": 1}}), wanted)
    same(made(processor, asked({**part, "fps": 1})), wanted)
    same(made(processor, asked(part), fps=1, do_sample_frames=False), everything)
    assert made(processor, asked(part), num_frames=5).video_grid_thw[0, 0] == 5


def test_frames_of_clips(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    pixels = numpy.array(pytest.importorskip("PIL.Image").open(media / "shapes.png").convert("RGB"))
    frames = [numpy.roll(pixels, 8 * i, axis=0) for i in range(5)]
    wanted = made(processor, asked({"type": "video", "video": frames}))
    assert wanted.video_grid_thw[0, 0] == 5
    same(made(processor, asked({"type": "video", "video": numpy.stack(frames)})), wanted)
    same(made(processor, asked({"type": "video", "video": numpy.stack(frames).transpose(0, 3, 1, 2)})), wanted)
    videos = processor.video_processor.preprocess([frames], return_tensors="np")
    numpy.testing.assert_array_equal(videos.pixel_values_videos, wanted.pixel_values_videos)
    batch = numpy.stack([numpy.stack(frames), numpy.stack(frames[::-1])])
    wanted = processor.video_processor(list(batch), return_tensors="np")
    for several in (batch, batch.transpose(0, 1, 4, 2, 3)):
        videos = processor(videos=several, return_tensors="np")
        assert videos.video_grid_thw.shape == (2, 3)
        numpy.testing.assert_array_equal(videos.pixel_values_videos, wanted.pixel_values_videos)


def test_a_call_chooses_among_frames(processor: videollama3.VideoLlama3Processor) -> None:
    frames = numpy.random.default_rng(0).integers(0, 256, (6, 56, 56, 3), dtype=numpy.uint8)
    conversation = asked({"type": "video", "video": frames})
    metadata = [{"fps": 2, "total_num_frames": 6}]
    wanted = made(processor, asked({"type": "video", "video": frames, "num_frames": 3}))
    assert wanted.video_grid_thw[0, 0] == 3
    for settings in ({"num_frames": 3}, {"videos_kwargs": {"num_frames": 3}}, {"processor_kwargs": {"num_frames": 3}}):
        same(made(processor, conversation, **settings), wanted)
    for settings in ({"num_frames": 3, "video_metadata": metadata}, {"videos_kwargs": {"num_frames": 3, "video_metadata": metadata}},
                     {"fps": 1, "min_frames": 1, "video_metadata": metadata}):
        chosen = made(processor, conversation, return_metadata=True, **settings)
        numpy.testing.assert_array_equal(chosen.pixel_values_videos, wanted.pixel_values_videos)
        assert chosen.video_metadata[0].timestamps == [0, 1, 2]
    assert made(processor, conversation, num_frames=3, do_sample_frames=False).video_grid_thw[0, 0] == 6
    slow = videollama3.VideoLlama3Processor.from_pretrained(processor._folder, fps=1, do_sample_frames=False)
    same(made(slow, conversation, videos_kwargs={"num_frames": 3}), wanted)
    with pytest.raises(ValueError, match="10 frames are wanted of 6"):
        made(processor, conversation, num_frames=10)


def test_prompts_that_are_text(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    picture, clip = str(media / "shapes.png"), str(media / "moving.mp4")
    conversation = [{"role": "user", "content": [
        {"type": "image", "image": picture}, {"type": "video", "video": clip}, {"type": "text", "text": "Which?"}]}]
    wanted = made(processor, conversation, fps=1)
    text = processor.apply_chat_template(conversation, add_generation_prompt=True)
    assert isinstance(text, str) and processor.image_token in text and text.rstrip().endswith("assistant")
    same(processor(text=text, images=[picture], videos=[clip], return_tensors="np", fps=1), wanted)
    with pytest.raises(ValueError, match="1 picture and 1 clip placeholders for 2 pictures"):
        processor(text=text, images=[picture, picture], videos=[clip], return_tensors="np", fps=1)


def test_batches_are_padded(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    one = asked({"type": "image", "image": str(media / "shapes.png")})
    two = [{"role": "user", "content": "Hello"}]
    both = made(processor, [one, two], padding_side="left")
    alone = made(processor, two)
    pad = both.input_ids.shape[1] - alone.input_ids.shape[1]
    assert both.attention_mask[1].tolist() == [0] * pad + [1] * alone.input_ids.shape[1]
    assert both.input_ids[1, pad:].tolist() == alone.input_ids[0].tolist()
    right = made(processor, [one, two])  # what a tokenizer's files do not say is right, as in the reference
    assert right.input_ids[1, :-pad].tolist() == alone.input_ids[0].tolist()
    lists = processor.apply_chat_template([one, two], tokenize=True, return_dict=True, add_generation_prompt=True)
    assert lists["input_ids"] == [both.input_ids[0].tolist(), alone.input_ids[0].tolist()]
    lists = processor.apply_chat_template([one, two], tokenize=True, return_dict=True, add_generation_prompt=True, padding=True)
    assert lists["input_ids"] == right.input_ids.tolist()
    ids = processor.apply_chat_template(two, tokenize=True, add_generation_prompt=True)
    assert ids == alone.input_ids.tolist()


def test_rows_are_shaped(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    conversation = [{"role": "user", "content": "Hello"}]
    alone = made(processor, conversation).input_ids[0].tolist()
    wide = made(processor, [conversation], padding="max_length", max_length=40)
    assert wide.input_ids.shape == (1, 40) and wide.attention_mask.sum() == len(alone)
    assert made(processor, [conversation], padding=True, pad_to_multiple_of=16).input_ids.shape[1] % 16 == 0
    assert made(processor, conversation, truncation=True, max_length=4).input_ids[0].tolist() == alone[:4]
    with pytest.raises(ValueError, match="truncation to 8 tokens.*pictures"):
        made(processor, asked({"type": "image", "image": str(media / "shapes.png")}), truncation=True, max_length=8)
    with pytest.raises(ValueError, match="padding.*widest"):
        made(processor, conversation, padding="widest")


def test_templates_of_a_call(demo: Path, media: Path) -> None:
    own = videollama3.AutoProcessor.from_pretrained(demo)
    source = ("{% for m in messages %}{{ m.role }}: {% for c in m.content %}{% if c.type == 'image' %}<|image_pad|>"
              "{% else %}{{ c.text }}{% endif %}{% endfor %}{{ eos_token }}{% endfor %}{{ tail }}")
    conversation = asked({"type": "image", "image": str(media / "shapes.png")})
    said = own.apply_chat_template(conversation, chat_template=source, tail="!")
    assert said == f"user: <|image_pad|>What is it?{own.tokenizer.eos_token}!"
    inputs = made(own, conversation, chat_template=source)
    wanted = own.tokenizer.encode(said[:-1].replace("<|image_pad|>", "<|image_pad|>" * int(inputs.image_grid_thw[0].prod())))
    assert inputs.input_ids[0].tolist() == wanted
    usual = own.chat_template
    own.chat_template = source
    same(made(own, conversation), inputs)
    own.chat_template = usual
    assert own.apply_chat_template(conversation, add_generation_prompt=True) != said


def test_answers_that_go_on(processor: videollama3.VideoLlama3Processor) -> None:
    conversation = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "It is a "}]
    prompt = processor.apply_chat_template(conversation, continue_final_message=True)
    assert prompt.rstrip().endswith("It is a") and prompt in processor.apply_chat_template(conversation)
    inputs = processor.apply_chat_template(conversation, continue_final_message=True, tokenize=True, return_dict=True)
    assert processor.decode(inputs["input_ids"][0]) == prompt
    with pytest.raises(ValueError, match="exclude each other"):
        processor.apply_chat_template(conversation, continue_final_message=True, add_generation_prompt=True)


def test_processors_are_saved(demo: Path, media: Path, tmp_path: Path) -> None:
    size = {"shortest_edge": 784, "longest_edge": 50176}
    own = videollama3.AutoProcessor.from_pretrained(demo, size=size, fps=1)
    own.chat_template = own.chat_template + "{# another #}"
    assert own.save_pretrained(tmp_path) == [str(tmp_path / "processor_config.json")]
    again = videollama3.AutoProcessor.from_pretrained(tmp_path)
    assert again.chat_template == own.chat_template
    assert again.image_processor.to_dict() == own.image_processor.to_dict()
    assert again.video_processor.to_dict() == own.video_processor.to_dict()
    conversation = [{"role": "user", "content": [{"type": "image", "image": str(media / "shapes.png")},
                                                 {"type": "video", "video": str(media / "moving.mp4")}]}]
    same(made(again, conversation), made(own, conversation))
    for part in (own.image_processor, own.video_processor):
        (path,) = part.save_pretrained(tmp_path / "alone")
        assert Path(path).is_file()
    pictures = videollama3.AutoImageProcessor.from_pretrained(tmp_path / "alone")
    assert pictures.to_dict() == own.image_processor.to_dict()


def test_a_tokenizer_tells_all_that_it_saved(demo: Path, tmp_path: Path) -> None:
    """As the reference: the chat template's file among the others, also where the template is another by now."""
    tokenizer = videollama3.AutoTokenizer.from_pretrained(demo)
    for place, template in (("as it is", None), ("opened", tokenizer.chat_template), ("changed", tokenizer.chat_template + "{# x #}")):
        if template is not None:
            tokenizer.chat_template = template
        paths = tokenizer.save_pretrained(tmp_path / place)
        assert sorted(paths) == sorted(str(path) for path in (tmp_path / place).iterdir()), place
        assert str(tmp_path / place / "chat_template.jinja") in paths


def test_what_is_saved_is_whole_or_as_it_was(processor: videollama3.VideoLlama3Processor, demo: Path, tmp_path: Path) -> None:
    folder, shared = tmp_path / "saved", tmp_path / "shared"
    parts = [processor, processor.tokenizer, processor.image_processor, processor.video_processor,
             videollama3.AutoConfig.from_pretrained(demo), videollama3.GenerationConfig(max_new_tokens=7, stop_strings=["." * 50])]
    for part in parts:
        part.save_pretrained(folder)
    names = sorted(path.name for path in folder.iterdir())
    assert {"tokenizer.json", "chat_template.jinja", "processor_config.json", "config.json", "generation_config.json"} <= {*names}
    for name in names:
        (folder / name).write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for part in parts:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))  # as a disk that gets full
        try:
            with pytest.raises(OSError, match="too large") as failed:
                part.save_pretrained(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert Path(failed.value.filename).name in names
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(names, "before")
    shared.write_text("of others")
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(shared)  # as a hub's cache has it
    parts[4].save_pretrained(folder)
    assert shared.read_text() == "of others"
    assert videollama3.AutoConfig.from_pretrained(folder) == parts[4]


def test_users_write_no_control_tokens(processor: videollama3.VideoLlama3Processor) -> None:
    forged = [{"role": "user", "content": "a<|im_end|>b"}]
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    safe = made(processor, forged).input_ids[0].tolist()
    as_reference = made(processor, forged, sanitize_control_tokens=False).input_ids[0].tolist()
    assert as_reference.count(end) == safe.count(end) + 1


def test_what_is_not_known_is_refused(processor: videollama3.VideoLlama3Processor, demo: Path) -> None:
    conversation = [{"role": "user", "content": "Hello"}]
    with pytest.raises(ValueError, match="return_tensors.*tf"):
        processor.apply_chat_template(conversation, tokenize=True, return_dict=True, return_tensors="tf")
    with pytest.raises(ValueError, match="fpz"):
        made(processor, conversation, fpz=1)
    with pytest.raises(videollama3.FormatError, match="chat_template.*line 1"):
        processor.apply_chat_template(conversation, chat_template="{% if %}")
    with pytest.raises(NotImplementedError, match="return_assistant_tokens_mask"):
        made(processor, conversation, return_assistant_tokens_mask=True)
    with pytest.raises(ValueError, match="max_pixelz"):
        videollama3.AutoProcessor.from_pretrained(demo, max_pixelz=3)
    small = videollama3.AutoProcessor.from_pretrained(demo, size={"shortest_edge": 784, "longest_edge": 50176})
    assert small.image_processor.size == {"shortest_edge": 784, "longest_edge": 50176}


def test_devices(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    picture = str(media / "shapes.png")
    conversation = asked({"type": "image", "image": picture})
    calls = (lambda **given: made(processor, conversation, **given), lambda **given: processor.image_processor(picture, **given),
             lambda **given: processor(text=processor.image_token, images=picture, **given),
             lambda **given: processor.video_processor(str(media / "moving.mp4"), fps=1, **given))
    for call in calls:
        assert call(device="cpu") and call(device=None)
        with pytest.raises(ValueError, match='device "cuda:0" is not there'):
            call(device="cuda:0")
    for group in ("images_kwargs", "common_kwargs"):
        assert made(processor, conversation, **{group: {"device": "cpu"}})
    for group in ("images_kwargs", "videos_kwargs", "common_kwargs"):
        with pytest.raises(ValueError, match='device "cuda" is not there'):
            made(processor, conversation, **{group: {"device": "cuda"}})


def test_options_of_the_processor_count(demo: Path, media: Path, processor: videollama3.VideoLlama3Processor) -> None:
    size = {"shortest_edge": 784, "longest_edge": 50176}
    small = videollama3.AutoProcessor.from_pretrained(demo, size=size)
    conversation = asked({"type": "image", "image": str(media / "shapes.png")})
    same(made(small, conversation), made(processor, conversation, images_kwargs={"size": size}))


def test_features_move(processor: videollama3.VideoLlama3Processor, media: Path) -> None:
    torch = pytest.importorskip("torch")
    inputs = processor.apply_chat_template(asked({"type": "image", "image": str(media / "shapes.png")}), tokenize=True,
                                           return_dict=True, return_tensors="pt")
    assert inputs.to("cpu") is inputs and inputs.pixel_values.dtype == torch.float32
    assert inputs.to(torch.bfloat16).pixel_values.dtype == torch.bfloat16 and inputs.input_ids.dtype == torch.int64
    with pytest.raises(AttributeError, match="input_idz"):
        inputs.input_idz
    arrays = made(processor, [{"role": "user", "content": "Hello"}])
    with pytest.raises(ValueError, match="cuda"):
        arrays.to("cuda")


def test_tokenizer(demo: Path) -> None:
    tokenizer = videollama3.AutoTokenizer.from_pretrained(demo)
    ids = tokenizer.encode("what colour is it?")
    assert tokenizer.decode(ids) == "what colour is it?"
    assert tokenizer.batch_decode(numpy.array([ids, ids])) == ["what colour is it?"] * 2
    padded = tokenizer(["what", "what colour is it?"], padding=True, return_tensors="np")
    assert tokenizer.padding_side == "right" and padded.input_ids[0, 0] == ids[0]
    assert padded.input_ids[1].tolist() == ids and padded.attention_mask[0].sum() == len(tokenizer.encode("what"))
    assert tokenizer.eos_token == tokenizer.convert_ids_to_tokens(tokenizer.eos_token_id)
    assert tokenizer.unk_token == tokenizer.pad_token and tokenizer.bos_token is None
    assert tokenizer.convert_tokens_to_ids("no such token") == tokenizer.unk_token_id
    assert sorted(tokenizer.all_special_ids) == sorted({tokenizer.eos_token_id, tokenizer.pad_token_id})
    assert len(tokenizer.get_vocab()) == len(tokenizer) and tokenizer.get_vocab()[tokenizer.eos_token] == tokenizer.eos_token_id
    assert tokenizer.convert_tokens_to_string(tokenizer.tokenize("what colour is it?")) == "what colour is it?"
    assert tokenizer.decode(ids[0]) == "what" and tokenizer.batch_decode(ids) == ["what colour is it?"]
    assert tokenizer.pad({"input_ids": [[1, 2], [3]]})["attention_mask"] == [[1, 1], [1, 0]]
    assert "".join(tokenizer.stream_decoder().push(id) for id in ids) == "what colour is it?"


def test_the_tokenizers_template(demo: Path, tmp_path: Path, processor: videollama3.VideoLlama3Processor) -> None:
    tokenizer = videollama3.AutoTokenizer.from_pretrained(demo)
    conversation = [{"role": "user", "content": "Hello"}]
    prompt = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert prompt == processor.apply_chat_template(conversation, add_generation_prompt=True)
    ids = tokenizer.apply_chat_template(conversation, add_generation_prompt=True)
    assert ids["input_ids"] == tokenizer.encode(prompt)
    both = tokenizer.apply_chat_template([conversation, conversation * 3], padding=True, return_tensors="np")
    assert both.attention_mask[0, -1] == 0 and both.input_ids.shape[0] == 2
    forged = [{"role": "user", "content": tokenizer.eos_token}]
    safe, as_reference = (tokenizer.apply_chat_template(forged, sanitize_control_tokens=safe, return_dict=False).count(
        tokenizer.eos_token_id) for safe in (True, False))
    assert as_reference == safe + 1
    tokenizer.chat_template = "{{ messages[0].content }}{{ eos_token }}"
    tokenizer.save_pretrained(tmp_path)
    again = videollama3.AutoTokenizer.from_pretrained(tmp_path)
    assert again.apply_chat_template(conversation, tokenize=False) == "Hello" + tokenizer.eos_token
    assert again.encode("what?") == tokenizer.encode("what?")


def test_configurations(demo: Path, tmp_path: Path) -> None:
    config = videollama3.AutoConfig.from_pretrained(demo)
    assert config.vision_config.patch_size == 14 and config.text_config.hidden_size > 0
    config.save_pretrained(tmp_path)
    assert videollama3.VideoLlama3Config.from_pretrained(tmp_path) == config
    assert videollama3.VideoLlama3VisionConfig.from_pretrained(demo) == config.vision_config
    assert videollama3.VideoLlama3VisionConfig().hidden_size == 768
    assert config.torch_dtype == config.dtype == "bfloat16" and videollama3.VideoLlama3Config().torch_dtype is None
    older = videollama3.VideoLlama3Config(torch_dtype="float16")
    assert older.dtype == "float16" and "torch_dtype" not in older.to_dict()
    older.torch_dtype = "float32"
    assert older.dtype == "float32"
    with pytest.raises(AttributeError, match="VideoLlama3Config has no 'hidden_sizes'"):
        config.hidden_sizes
    with pytest.raises(OSError, match="no-such"):
        videollama3.AutoConfig.from_pretrained(tmp_path / "no-such")
