"""Processors: conversations, pictures and clips in, ids and patches out, under the reference's names."""

from __future__ import annotations

import copy
import errno
import json
import os
from pathlib import Path
from typing import Any

from . import _core, _hub, _kinds
from ._files import write_whole
from ._prompts import places_of
from ._sources import VideoMetadata, clip_sources, flat, is_clip, naming_allow_addresses, source, timed, timed_messages
from .feature import BatchFeature
from .generation import tensor_of
from .media import Lender
from .tokenizer import FURTHER, Shape, Tokenizer, check_ending, further, sanitizes, take_further

_HUB = ("revision", "token", "cache_dir", "local_files_only")
# What a call returns besides where it is asked for.
_FURTHER = ("return_mm_token_type_ids", "return_metadata")


def _hub_settings(settings: dict[str, Any]) -> dict[str, Any]:
    for name in ("trust_remote_code", "force_download"):
        settings.pop(name, None)
    return {name: settings.pop(name) for name in _HUB if name in settings}


def _folder_with(names: tuple[str, ...], name: Any, settings: dict[str, Any]) -> Path:
    """A model's folder that has one of these files."""
    folder = _hub.folder_of(name, **_hub_settings(settings))
    if not any((folder / file).is_file() for file in names):
        raise FileNotFoundError(errno.ENOENT, f"there is no {' and no '.join(names)}", str(folder))
    return folder


def _take_pil(settings: dict[str, Any]) -> bool | None:
    """Whether Pillow's arithmetic is asked for, by either of the reference's names, or torchvision's; None: neither."""
    backend, fast = settings.pop("backend", None), settings.pop("use_fast", None)
    if backend not in (None, "pil", "torchvision"):
        raise ValueError(f'backend should be "pil" or "torchvision", not {backend!r}')
    if backend is not None:
        return bool(backend == "pil")
    return None if fast is None else not fast


class _MediaProcessor:
    """What processors of pictures and clips have in common: options by name as attributes."""

    _options_of: Any  # (settings) -> all options, checked
    _file: str  # that holds them
    _type_key: str  # under which the reference's files name the class

    def __init__(self, **settings: Any) -> None:
        self._runtime = settings.pop("_runtime", None) or _core.Runtime()
        self._allow_addresses = list(settings.pop("allow_addresses", None) or ())
        self._settings: dict[str, Any] = type(self)._options_of(_said(settings))

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("_settings", {})
        if name not in settings:
            raise AttributeError(f"{type(self).__name__} has no option {name!r}")
        return settings[name]

    def __setattr__(self, name: str, value: Any) -> None:
        """An option that is set counts from then on, for the processor that it is part of as well; ValueError for one that there is
        not, or a value out of its range."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._settings.update(type(self)._options_of(self._with({name: value})))

    def __deepcopy__(self, memo: Any) -> Any:
        return type(self)(_runtime=self._runtime, allow_addresses=self._allow_addresses, **self._settings)

    def __copy__(self) -> Any:
        return self.__deepcopy__({})

    def __reduce__(self) -> Any:
        return _of_options, (type(self), {**self._settings, "allow_addresses": self._allow_addresses})

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"

    @classmethod
    def from_dict(cls, options: dict[str, Any], **settings: Any) -> Any:
        """Of what to_dict gives, with these options over it."""
        described = {cls._type_key, "processor_class"}
        return cls(**{**{name: value for name, value in options.items() if name not in described}, **settings})

    def to_dict(self) -> dict[str, Any]:
        return dict(self._settings)

    def to_json_string(self) -> str:
        return json.dumps(self._as_file(), indent=2, sort_keys=True) + "\n"

    def save_pretrained(self, save_directory: Any) -> list[str]:
        """Writes its options into the folder; the path."""
        path = Path(save_directory)
        path.mkdir(parents=True, exist_ok=True)
        _write_json(path / self._file, self._as_file())
        return [str(path / self._file)]

    def _as_file(self) -> dict[str, Any]:
        return {**self._settings, self._type_key: type(self).__name__}

    def _with(self, settings: dict[str, Any]) -> dict[str, Any]:
        return _said({**self._settings, **settings})


def _of_options(kind: Any, options: dict[str, Any]) -> Any:
    return kind(**options)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_whole(path, json.dumps(values, indent=2) + "\n")


def _said(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


class VideoLlama3ImageProcessor(_MediaProcessor):
    """Pictures to patches with torchvision's arithmetic, the reference's default."""

    _options_of = staticmethod(_core.image_options)
    _file, _type_key = "preprocessor_config.json", "image_processor_type"
    _pil = False
    model_input_names = ("pixel_values", "image_grid_thw", "image_merge_sizes")

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> Any:
        """Of a folder or a model's name, with these options over its own. use_fast=False or backend="pil": with Pillow's
        arithmetic."""
        folder = _folder_with(("preprocessor_config.json", "processor_config.json"), name, settings)
        return _picture_class(_take_pil(settings), cls)(**{**_core.read_image_options(folder), **settings})

    def preprocess(self, images: Any, return_tensors: Any = None, **settings: Any) -> BatchFeature:
        """{"pixel_values" [P, 588] f32, "image_grid_thw" [n, 3], "image_merge_sizes" [n]}: patches of a picture or a
        list of them (paths, bytes, Pillow's, arrays [H, W, 3] or [3, H, W] uint8), in merge-block order."""
        _kinds.check_device(settings.pop("device", None))
        pictures = images if isinstance(images, (list, tuple)) else [images]
        sources = [source(self._runtime, picture, f"picture {i + 1}", self._allow_addresses)
                   for i, picture in enumerate(flat(pictures))]
        if not sources:
            raise ValueError("[image_processor] there are no pictures")
        tensors = _core.preprocess_images(self._runtime, self._with(settings), sources, self._pil)
        return _given(tensors, return_tensors)

    __call__ = preprocess

    def get_number_of_image_patches(self, height: int, width: int, images_kwargs: Any = None) -> int:
        return int(_core.number_of_image_patches(self._with(images_kwargs or {}), height, width))


class VideoLlama3ImageProcessorPil(VideoLlama3ImageProcessor):
    """The same with Pillow's arithmetic."""

    _pil = True


VideoLlama3ImageProcessorFast = VideoLlama3ImageProcessor


def _picture_class(pil: bool | None, usual: Any = VideoLlama3ImageProcessor) -> Any:
    if pil is None:
        return usual
    return VideoLlama3ImageProcessorPil if pil else VideoLlama3ImageProcessor


class VideoLlama3VideoProcessor(_MediaProcessor):
    """Clips to patches, and which of their tokens to keep."""

    _options_of = staticmethod(_core.video_options)
    _file, _type_key = "video_preprocessor_config.json", "video_processor_type"
    model_input_names = ("pixel_values_videos", "video_grid_thw", "video_merge_sizes", "video_compression_mask")

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> Any:
        """Of a folder or a model's name, with these options over its own."""
        if settings.get("backend") == "pil":
            raise NotImplementedError('[video_processor] backend="pil" is of pictures: clips have torchvision\'s arithmetic')
        _take_pil(settings)
        folder = _folder_with(("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json"), name, settings)
        return cls(**{**_core.read_video_options(folder), **settings})

    def preprocess(self, videos: Any, return_tensors: Any = None, **settings: Any) -> BatchFeature:
        """{"pixel_values_videos" [P, 588] f32, "video_grid_thw" [n, 3], "video_merge_sizes" [n],
        "video_compression_mask" [V] bool, "video_metadata"} of a clip or a list of them: paths, bytes, arrays
        [T, H, W, 3] or [T, 3, H, W] uint8, lists of pictures; or an array of several. video_metadata: of clips in memory,
        for each {"fps"} and "frames_indices" of its frames, all where there are none: when they are shown. `fps` or
        `num_frames` of this call turn sampling on."""
        _kinds.check_device(settings.pop("device", None))
        several = (isinstance(videos, (list, tuple)) and not is_clip(videos)) or getattr(videos, "ndim", 0) == 5
        clips = list(videos) if several else [videos]
        settings.pop("return_metadata", None)  # it is always there
        clips = timed(clips, settings.pop("video_metadata", None))
        sources = [clip_sources(self._runtime, clip, f"clip {i + 1}", self._allow_addresses) for i, clip in enumerate(clips)]
        if not sources:
            raise ValueError("[video_processor] there are no clips")
        given = {**_left_by(self._settings, settings), **_said(settings)}
        tensors, reports = _core.preprocess_videos(self._runtime, given, sources)
        made = _given(tensors, return_tensors)
        made["video_metadata"] = [VideoMetadata(report) for report in reports]
        return made

    __call__ = preprocess

    def get_num_of_video_patches(self, num_frames: int, height: int, width: int, videos_kwargs: Any = None) -> int:
        return int(_core.number_of_video_patches(self._with(videos_kwargs or {}), num_frames, height, width))


def _left_by(own: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """Options of clips that count behind those of a call, whose rate takes the place of another and turns sampling on."""
    if call.get("fps") is None and call.get("num_frames") is None:
        return _said(own)
    return {name: value for name, value in _said(own).items() if name not in ("fps", "num_frames", "do_sample_frames")}


def _given(tensors: dict[str, Any], return_tensors: Any) -> BatchFeature:
    """Tensors of the kind that is asked for, else of what the program has."""
    kind = _kinds.check_kind(return_tensors) or _kinds.kind_among(())
    return BatchFeature({name: _kinds.give(value, kind) for name, value in tensors.items()})


class VideoLlama3Processor:
    """Conversations with pictures and clips to what the model takes."""

    def __init__(self, folder: Any, padding_side: str | None = None, allow_addresses: Any = ()) -> None:
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f"VideoLlama3Processor is not put together of a {type(folder).__name__} and other parts: open a folder "
                            "with from_pretrained, and set image_processor, video_processor or tokenizer")
        self._core = _core.Processor.open(folder)
        self._runtime = _core.Runtime()
        self._folder = folder
        self._allow_addresses = list(allow_addresses or ())
        self.tokenizer = Tokenizer(self._core.tokenizer, folder, padding_side)
        self.image_processor = VideoLlama3ImageProcessor(**self._media_settings(self._core.image_options))
        self.video_processor = VideoLlama3VideoProcessor(**self._media_settings(self._core.video_options))
        self.image_token, self.video_token = _core.media_tokens(folder, self._core.tokenizer)
        self.image_token_id: int = self._core.image_token_id
        self.video_token_id: int = self._core.video_token_id

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> VideoLlama3Processor:
        """Of a folder, or of a model's name.

        revision, token, cache_dir, local_files_only: of the hub. padding_side: "left" or "right". use_fast=False or
        backend="pil": pictures with Pillow's arithmetic. allow_addresses: blocks ("10.1.0.0/16") of an inner network that
        messages may name, beside the public web. Options of pictures and clips
        (size, min_pixels, fps, …) become this processor's own. Throws FileNotFoundError with the file that
        is missing, FormatError, ValueError for an unknown option."""
        folder = _hub.folder_of(name, **_hub_settings(settings))
        pil = _take_pil(settings)
        made = cls(folder, settings.pop("padding_side", None), settings.pop("allow_addresses", ()))
        made.image_processor = _picture_class(pil)(**made._media_settings(made._core.image_options))
        made._take_options(settings)
        return made

    def _media_settings(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"_runtime": self._runtime, "allow_addresses": self._allow_addresses, **_said(options)}

    def __deepcopy__(self, memo: Any) -> VideoLlama3Processor:
        """Another one with options of its own, over the same files."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        for name in ("tokenizer", "image_processor", "video_processor"):
            setattr(made, name, copy.deepcopy(getattr(self, name), memo))
        return made

    def __copy__(self) -> VideoLlama3Processor:
        return self.__deepcopy__({})

    def __reduce__(self) -> Any:
        """Another process opens the folder again."""
        parts = (self.tokenizer, self.image_processor, self.video_processor)
        return _reopened, (str(self._folder), self._allow_addresses, self.chat_template, parts)

    def _take_options(self, settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            known = False
            for processor in (self.image_processor, self.video_processor):
                try:
                    processor._settings = type(processor)._options_of(processor._with({name: value}))
                    known = True
                except ValueError as error:
                    if "is not an option" not in str(error):
                        raise
            if not known:
                raise ValueError(f"[processor] {name!r} is no option of pictures or clips")

    def save_pretrained(self, save_directory: Any) -> list[str]:
        """The tokenizer's files, the chat template and the options in use, in a folder that from_pretrained and the reference
        read; the path of the options' file alone, as there."""
        self.tokenizer.chat_template = self.chat_template
        self.tokenizer.save_pretrained(save_directory)
        path = Path(save_directory) / "processor_config.json"
        _write_json(path, {
            "processor_class": "VideoLlama3Processor", "image_processor": self.image_processor._as_file(),
            "video_processor": self.video_processor._as_file()})
        return [str(path)]

    @property
    def chat_template(self) -> str:
        """The template's text. Another one may be set."""
        return str(self._core.chat_template.source)

    @chat_template.setter
    def chat_template(self, source: str) -> None:
        self._core = self._core.with_chat_template(source)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", *self.image_processor.model_input_names,
                *self.video_processor.model_input_names]

    def apply_chat_template(
        self,
        conversation: Any,
        chat_template: str | None = None,
        tools: Any = None,
        documents: Any = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        return_assistant_tokens_mask: bool = False,
        tokenize: bool = False,
        return_tensors: Any = "auto",
        return_dict: bool = False,
        load_audio_from_video: bool = False,
        processor_kwargs: dict[str, Any] | None = None,
        sanitize_control_tokens: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """A conversation, or a list of them, as a prompt; with tokenize=True as ids, with return_dict=True with the
        pictures' and clips' tensors as well (a BatchFeature).

        Messages are {"role", "content"}, content a text or parts {"type": "text", "text"}, {"type": "image", "image"},
        {"type": "video", "video"} with options of this picture or clip beside it (fps, num_frames, max_frames,
        start_time, …). Pictures are paths, addresses (http, https), data: URLs, bytes, Pillow's, arrays uint8; clips also lists of pictures.
        Further arguments are options of pictures and clips (fps, num_frames, size, …: of this call; `fps` and
        `num_frames` turn sampling on), of padding (padding, padding_side) and variables of the template.
        sanitize_control_tokens=False recognises special tokens in what users wrote, as the reference does by default.
        Throws FileNotFoundError for files, FormatError for broken ones, ValueError for unknown options."""
        check_ending(add_generation_prompt, continue_final_message, return_assistant_tokens_mask)
        sanitized = sanitizes(sanitize_control_tokens, tokenize)
        if load_audio_from_video:
            raise NotImplementedError("[apply_chat_template] load_audio_from_video is not done here")
        if not conversation:
            raise ValueError("[apply_chat_template] the conversation has no messages")
        core = self._core if chat_template is None else self._core.with_chat_template(chat_template)
        batched = isinstance(conversation[0], (list, tuple))
        options, variables = self._split({**kwargs, **(processor_kwargs or {})})
        conversations = list(conversation) if batched else [conversation]
        videos = dict(options.pop("videos_kwargs", None) or {})
        metadata = videos.pop("video_metadata", options.pop("video_metadata", None))
        if metadata is not None:
            conversations = timed_messages(conversations, metadata)
        lender = Lender(self._runtime, self.video_processor.max_frames, {**options, **videos})
        options["videos_kwargs"] = videos
        messages = [lender.messages(each, f"conversation[{i}]" if batched else "messages") for i, each in enumerate(conversations)]
        variables.update({name: value for name, value in (("tools", tools), ("documents", documents)) if value})
        if not tokenize:
            prompts = [core.chat_template.render(each, add_generation_prompt, bool(continue_final_message), variables or None)
                       for each in messages]
            return prompts if batched else prompts[0]
        kind = _kinds.check_kind(return_tensors if "return_tensors" not in options else options.pop("return_tensors"))
        shape = self._shape(options, padding=batched and kind is not None)
        with_types, with_reports = (bool(options.pop(name, False)) for name in _FURTHER)
        wanted = take_further(options)
        request = {**self._request(messages, options), "add_generation_prompt": add_generation_prompt,
                   "continue_final_message": bool(continue_final_message),
                   "special_tokens_in_messages": not sanitized}
        if variables:
            request["chat_template_kwargs"] = variables
        with naming_allow_addresses():
            made = core.process(self._runtime, request, lender.media, self._allow_addresses, self.image_processor._pil)
        rows = further(self._rows(made.ids, shape, kind, with_types), wanted, kind)
        if not return_dict:
            return rows["input_ids"]
        rows.update(_given(made.tensors, kind))
        if with_reports and made.clips:
            rows["video_metadata"] = [VideoMetadata(clip) for clip in made.clips]
        return rows

    def _rows(self, ids: list[list[int]], shape: Shape, kind: str | None, with_types: bool) -> BatchFeature:
        """input_ids, attention_mask and, where they are asked for, mm_token_type_ids: 1 where a token stands for a picture, 2
        for a clip, else 0. Raises ValueError where truncation has cut into pictures or clips."""
        rows = shape.features(ids, kind)
        if not with_types and not shape.cuts:
            return rows
        types = {self.image_token_id: 1, self.video_token_id: 2}
        after = [[types.get(id, 0) for id in row] for row in _listed(rows["input_ids"])]
        for before, left in zip(ids, after):
            count = sum(id in types for id in before)
            if sum(map(bool, left)) < count:
                raise ValueError(f"[processor] truncation to {len(left)} tokens leaves {sum(map(bool, left))} of {count} tokens of "
                                 "pictures and clips: raise max_length, or give them less room (max_pixels, fps)")
        if with_types:
            rows["mm_token_type_ids"] = after if kind is None else tensor_of(after, kind)
        return rows

    def _shape(self, options: dict[str, Any], padding: bool) -> Shape:
        """What options of a call say of its rows of ids, which are taken from them."""
        said, most, truncation = options.pop("padding", None), options.pop("max_length", None), options.pop("truncation", None)
        if not said and most is not None and truncation is None:
            truncation = True  # as in the reference
        return Shape(self.tokenizer, padding if said is None else said, truncation, most, options.pop("pad_to_multiple_of", None),
                     options.pop("padding_side", None))

    def _split(self, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Options of processing, and what is left for the template."""
        known = {"padding", "padding_side", "return_tensors", "images_kwargs", "videos_kwargs", "text_kwargs", "common_kwargs",
                 "min_pixels", "max_pixels", "shortest_edge", "longest_edge", "start_time", "end_time", "rotate",
                 "pictures_rate", "times", "skip_broken_frames", "truncation", "max_length", "pad_to_multiple_of",
                 "video_metadata", "verbose", *FURTHER, *_FURTHER,
                 *self.image_processor.to_dict(), *self.video_processor.to_dict()}
        if given.get("return_offsets_mapping"):
            raise NotImplementedError("[processor] return_offsets_mapping is not done here")
        for group in (given, *(given.get(name) or {} for name in ("images_kwargs", "videos_kwargs", "common_kwargs"))):
            _kinds.check_device(group.get("device"))
        passed_over = {"add_special_tokens", "device", "return_offsets_mapping"}
        options = {name: value for name, value in given.items() if name in known}
        options.update(options.pop("common_kwargs", None) or {})
        options.update(options.pop("text_kwargs", None) or {})
        options.pop("device", None)
        return options, {n: v for n, v in given.items() if n not in known and n not in passed_over and v is not None}

    def _request(self, messages: Any, options: dict[str, Any]) -> dict[str, Any]:
        """A request with this processor's own options under those of the call."""
        images = dict(options.pop("images_kwargs", None) or {})
        videos = dict(options.pop("videos_kwargs", None) or {})
        for group in (images, videos):
            group.pop("return_metadata", None)
            group.pop("device", None)
        own_images = _changed(self.image_processor._settings, self._core.image_options)
        own_videos = _changed(self.video_processor._settings, self._core.video_options)
        beside = _said(options)
        own_videos = _left_by(own_videos, {**beside, **videos})
        request: dict[str, Any] = {"conversations": messages, **beside}
        request["images"] = {**{k: v for k, v in own_images.items() if k not in beside}, **images}
        request["videos"] = {**{k: v for k, v in own_videos.items() if k not in beside}, **videos}
        return request

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any) -> BatchFeature:
        """Prompts that are text already (of apply_chat_template(tokenize=False)) with their pictures and clips, in the
        order of the placeholders."""
        options, unknown = self._split(kwargs)
        if unknown:
            raise ValueError(f"[processor] {sorted(unknown)[0]!r} is no option of a call")
        if text is None and images is None and videos is None:
            raise ValueError("[processor] needs text, images or videos")
        kind = _kinds.check_kind(options.pop("return_tensors", None))
        shape = self._shape(options, padding=False)
        with_types, with_reports = (bool(options.pop(name, False)) for name in _FURTHER)
        wanted = take_further(options)
        made = BatchFeature()
        reports: list[Any] = []
        image_options, video_options = self._groups(options)
        if images is not None:
            made.update(self.image_processor.preprocess(images, kind, **image_options))
        if videos is not None:
            made.update(self.video_processor.preprocess(videos, kind, **video_options))
            reports = made["video_metadata"] if with_reports else made.pop("video_metadata")
        if text is None:
            return made
        texts = [text] if isinstance(text, str) else list(text)
        merge = image_options.get("merge_size") or self.image_processor.merge_size
        rows = self._expand(texts, made, reports, int(merge))
        features = further(self._rows(rows, shape, kind, with_types), wanted, kind)
        features.update(made)
        return features

    def _groups(self, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        images, videos = dict(options.pop("images_kwargs", None) or {}), dict(options.pop("videos_kwargs", None) or {})
        for name, value in _said(options).items():
            if name in self.image_processor.to_dict() or name in ("min_pixels", "max_pixels"):
                images.setdefault(name, value)
            videos.setdefault(name, value)
        videos.pop("return_metadata", None)
        return images, videos

    def _expand(self, texts: list[str], made: BatchFeature, reports: list[Any], merge: int) -> list[list[int]]:
        grids = [] if "image_grid_thw" not in made else _listed(made["image_grid_thw"])
        pictures = [t * h * w // merge**2 for t, h, w in grids]
        clips = list(reports)
        rows = []
        for i, text in enumerate(texts):
            places = places_of(text, self.image_token, self.video_token)
            last = i + 1 == len(texts)  # it gets all that is left, so that too many are told
            n_pictures = len(pictures) if last else places.count(False)
            n_clips = len(clips) if last else places.count(True)
            ids = self._core.expand(text, (self.image_token, self.video_token), pictures[:n_pictures], clips[:n_clips], places)
            del pictures[:n_pictures], clips[:n_clips]
            rows.append(ids)
        return rows

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        return self.tokenizer.decode(*args, **kwargs)

    def post_process_image_text_to_text(self, generated_outputs: Any, skip_special_tokens: bool = True,
                                        **kwargs: Any) -> list[str]:
        return self.tokenizer.batch_decode(generated_outputs, skip_special_tokens, **kwargs)


def _reopened(folder: str, allow_addresses: list[str], template: str, parts: tuple[Any, ...]) -> VideoLlama3Processor:
    made = VideoLlama3Processor(folder, None, allow_addresses)
    made.tokenizer, made.image_processor, made.video_processor = parts
    if template != made.chat_template:
        made.chat_template = template
    return made


AutoProcessor = VideoLlama3Processor
AutoImageProcessor = VideoLlama3ImageProcessor
AutoVideoProcessor = VideoLlama3VideoProcessor


def _changed(own: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Options that were given to from_pretrained, or set later: those of the files count already."""
    return {name: value for name, value in own.items() if value is not None and value != files.get(name)}


def _listed(tensor: Any) -> list[Any]:
    if isinstance(tensor, list):
        return tensor
    return tensor.tolist() if hasattr(tensor, "tolist") else memoryview(tensor).tolist()
