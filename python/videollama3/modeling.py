"""The models, under the reference's names."""

from __future__ import annotations

import copy
import operator
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core, _hub, _kinds, generation
from ._llm_options import bytes_of
from ._model_parts import Embedding, ShownAnswer
from .config import VideoLlama3Config, VideoLlama3VisionConfig
from .errors import LimitError
from .feature import _Device
from .generation import GenerationConfig
from .outputs import BaseOutput, CausalLMOutput, GenerateOutput, ModelOutput, VisionOutput

if TYPE_CHECKING:
    from typing_extensions import Self

_INPUTS = frozenset({
    "input_ids", "inputs_embeds", "attention_mask", "position_ids", "pixel_values", "image_grid_thw", "image_merge_sizes",
    "pixel_values_videos", "video_grid_thw", "video_merge_sizes", "video_compression_mask", "image_features",
    "video_features", "labels",
})
_ATTENTIONS = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_DTYPES = {"float32": "f32", "bfloat16": "auto", "float16": "auto", "auto": "auto"}


# What programs ask models of torch for.
_WEIGHTS = frozenset({"parameters", "named_parameters", "state_dict", "load_state_dict", "buffers", "modules", "named_modules",
                      "children", "lm_head", "language_model", "resize_token_embeddings", "register_forward_hook", "apply"})


class PreTrainedModel:
    """An opened checkpoint. Weights stay in their file's mapping, in their stored type; nothing of it changes.

    Calls of several threads take turns. While one computes, the interpreter's lock is free, and Ctrl-C ends it within a
    second."""

    config: Any
    main_input_name = "input_ids"
    base_model_prefix = "model"
    _adapter: Any = None

    def __init__(self, core: Any, *opened: Any) -> None:
        if not isinstance(core, _core.Model):
            raise TypeError(f"{type(self).__name__} is no model of a {type(core).__name__}: {type(self).__name__}.from_pretrained "
                            "opens a checkpoint, and weights are not made here")
        self._core = core
        self._runtime, self._folder, self._dtype, self._settings = opened  # settings of the runtime
        self.name_or_path = str(self._folder)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *,
        dtype: Any = None,
        torch_dtype: Any = None,
        device_map: Any = None,
        attn_implementation: str | None = None,
        revision: str | None = None,
        token: Any = None,
        cache_dir: Any = None,
        local_files_only: bool = False,
        max_memory: Any = None,
        adapter: Any = None,
        threads: int = 0,
        cpu: str = "",
        compute: str | None = None,
        cache: str = "auto",
        **others: Any,
    ) -> Self:
        """Of a folder, or of a model's name on the hub.

        dtype (torch_dtype): "auto", a name or a torch.dtype. Weights stay as they are stored; "float32" computes with
        them in float32 throughout, 16-bit types as the machine does it best, within the bounds of docs/numerics.md.
        device_map: "auto", "cpu". max_memory: {"cpu": "8GiB"}, what the weights may take of that; other devices are not used.
        attn_implementation: any of the reference's; there is one, which is exact.
        adapter: a LoRA's folder. threads: 0 takes all that the process may use. cpu: instruction set to use.
        compute: "auto" or "f32" whatever dtype says. cache: how keys and values are kept, "auto", "f32", "f16", "int8".
        Throws OSError naming path and name, FormatError, ValueError for an unknown dtype, device or attention."""
        _refuse_others(others)
        if not isinstance(threads, int) or threads < 0:
            raise ValueError(f"[from_pretrained] threads is {threads!r}; it should be an integer from 0 on")
        for name, value in (("compute", compute or "auto"), ("cache", cache), ("cpu", cpu)):
            if not isinstance(value, str):
                raise ValueError(f"[from_pretrained] {name} is {value!r}; it should be a text")
        wanted = _dtype_of(torch_dtype if dtype is None else dtype)
        _check_attention(attn_implementation)
        _check_device_map(device_map)
        folder = _hub.folder_of(pretrained_model_name_or_path, revision=revision, token=token, cache_dir=cache_dir,
                                local_files_only=local_files_only)
        core = _core.Model.open(folder, adapter)
        _check_memory(int(core.weight_bytes), max_memory)
        settings: dict[str, Any] = {"threads": threads, "compute": compute or _DTYPES[wanted], "cache": cache, "cpu": cpu}
        made = cls(core, _core.Runtime(**settings), folder, wanted, settings)
        made._adapter = adapter
        return made

    @property
    def device(self) -> Any:
        """Where it computes: torch's where the program has torch, else a text."""
        torch = _kinds.imported("torch")
        return torch.device("cpu") if torch is not None else _Device()

    @property
    def dtype(self) -> Any:
        """Of the weights as they are stored, float32 where that was asked for: torch's where the program has torch, else
        its name."""
        stored = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
        name = "float32" if self._dtype == "float32" else stored.get(self._core.weights_dtype, self._core.weights_dtype)
        torch = _kinds.imported("torch")
        return getattr(torch, name, name) if torch is not None else name

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same model: "cpu" is where it is; torch.float32 computes in float32 from now on."""
        for argument in [*args, *kwargs.values()]:
            name = _kinds.dtype_name(argument)
            if name in _DTYPES:
                self._dtype = name
                self._settings = {**self._settings, "compute": _DTYPES[name]}
                self._runtime = _core.Runtime(**self._settings)
            elif argument is not None and not isinstance(argument, bool):
                _check_device_map(str(argument))
        return self

    def float(self) -> Any:
        return self.to("float32")

    def bfloat16(self) -> Any:
        return self.to("bfloat16")

    def half(self) -> Any:
        return self.to("float16")

    def cpu(self) -> Any:
        return self

    def cuda(self, *args: Any) -> Any:
        return self.to("cuda")

    def set_attn_implementation(self, attn_implementation: Any) -> None:
        """Nothing changes: there is one, which is exact. ValueError for a name that the reference has not."""
        _check_attention(attn_implementation)

    def tie_weights(self, *args: Any, **kwargs: Any) -> None:
        """Nothing changes: weights are tied as the checkpoint says."""

    def eval(self) -> Self:
        return self

    def train(self, mode: bool = True) -> Any:
        if mode:
            raise NotImplementedError("this model answers; `videollama3 train` trains")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        return self.train(requires_grad)

    @property
    def training(self) -> bool:
        return False

    def get_memory_footprint(self) -> int:
        """Bytes of its weights, which are mapped."""
        return int(self._core.weight_bytes)

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Numbers in its weights; tied ones count once. None is trainable here."""
        if only_trainable:
            return 0
        table = self.get_input_embeddings()
        return int(self._core.num_parameters) - (table.num_embeddings * table.embedding_dim if exclude_embeddings else 0)

    def save_pretrained(self, save_directory: Any, **others: Any) -> None:
        """The checkpoint's files in another folder, as they are: configuration, weights in safetensors, tokenizer, templates.
        Throws FileExistsError where the folder has a checkpoint already."""
        if not others.pop("safe_serialization", True):
            raise NotImplementedError("[save_pretrained] safe_serialization=False is not done: weights are written as safetensors")
        if any(others.values()):
            raise NotImplementedError(f"[save_pretrained] {sorted(others)} are not done: files are copied as they are")
        target = Path(save_directory)
        if (target / "config.json").exists():
            raise FileExistsError(f"[{target}] has a checkpoint already")
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".new-") as new:
            names = [path.name for path in self._folder.iterdir() if path.is_file() and _of_checkpoint(path.name)]
            for name in names:
                shutil.copyfile(self._folder / name, Path(new) / name)
            for name in sorted(names, key=lambda name: name == "config.json"):  # it comes last: then all is there
                (Path(new) / name).replace(target / name)

    def get_input_embeddings(self) -> Embedding:
        return Embedding(self._core, self._runtime)

    def __deepcopy__(self, memo: Any) -> Any:
        """Another one over the same weights, which never change, with settings of its own."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        for name in ("config", "generation_config"):
            if name in made.__dict__:
                setattr(made, name, copy.deepcopy(getattr(self, name), memo))
        return made

    def __copy__(self) -> Any:
        return self.__deepcopy__({})

    def __reduce__(self) -> Any:
        """Another process opens the folder again, with the same adapter and settings."""
        own = {name: self.__dict__[name] for name in ("generation_config",) if name in self.__dict__}
        return _reopened, (type(self), str(self._folder), self._adapter, self._dtype, self._settings, own)

    def _taken(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: _kinds.take(value, name) for name, value in inputs.items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name_or_path!r}, dtype={self.dtype})"

    def __getattr__(self, name: str) -> Any:
        if name in _WEIGHTS:
            raise AttributeError(f"{type(self).__name__} has no {name!r}: weights stay in the file's mapping, and are not given out as "
                                 "modules or parameters; device, dtype, num_parameters() and get_memory_footprint() tell of them")
        raise AttributeError(f"{type(self).__name__} has no {name!r}")


def _reopened(kind: Any, folder: str, adapter: Any, dtype: str, settings: dict[str, Any], own: dict[str, Any]) -> Any:
    made = kind(_core.Model.open(folder, adapter), _core.Runtime(**settings), Path(folder), dtype, settings)
    made.__dict__.update(own, _adapter=adapter)
    return made


class Caches:
    """Keys and values of a batch between two calls of the model that made them."""

    def __init__(self, core: Any, model: Any) -> None:
        self._core = core
        self._model = model

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return int(self._core.get_seq_length())

    def fork(self) -> Caches:
        return Caches(self._core.fork(), self._model)

    def crop(self, max_length: int) -> None:
        self._core.crop(max_length)


class _Callable(PreTrainedModel):
    """Models that are called with ids: with a head, or without."""

    _head = True

    def __call__(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None,
                 past_key_values: Any = None, inputs_embeds: Any = None, labels: Any = None, use_cache: bool | None = None,
                 output_hidden_states: bool | None = None, output_attentions: bool | None = None,
                 logits_to_keep: Any = 0, return_dict: bool | None = None, **inputs: Any) -> Any:
        """One pass. Ids [B, T], mask [B, T], visual tensors as the processor makes them; logits_to_keep: of so many last
        columns alone, or of those of an array of indices; labels [B, T], -100 where none counts, make `loss`. Throws
        ValueError with names and shapes."""
        self._check_inputs(inputs)
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids,
                 "inputs_embeds": inputs_embeds, "labels": labels, **inputs}
        kind = _kinds.kind_among(given.values())
        taken = self._taken(given)
        past = None
        if past_key_values is not None:
            past = self._past_of(past_key_values)
            taken = self._behind(taken)
        wants_cache = past_key_values is not None or (use_cache if use_cache is not None else labels is None)
        last, columns = _columns_of(logits_to_keep)
        made, caches = self._core.forward(
            self._runtime, taken, self._head, bool(output_hidden_states), bool(output_attentions), last, past, bool(wants_cache))
        if caches is not None:
            caches = Caches(caches, self._core) if past_key_values is None else past_key_values
        made = {name: _with_kind(value, kind) for name, value in made.items()}
        if columns is not None and self._head:
            made["logits"] = made["logits"][:, columns]
        output = self._output(made, caches)
        return output.to_tuple() if return_dict is False else output

    forward = __call__

    def _past_of(self, caches: Any) -> Any:
        if not isinstance(caches, Caches):
            raise ValueError(f"past_key_values should be what a call of this model returned, not {type(caches)}")
        if caches._model is not self._core:
            raise ValueError("past_key_values are of another model: its keys and values mean nothing to this one")
        return caches._core

    def _behind(self, taken: dict[str, Any]) -> dict[str, Any]:
        """A mask of the reference's kind counts the columns that are in the cache; the engine's the new ones."""
        mask, ids = taken.get("attention_mask"), taken.get("input_ids", taken.get("inputs_embeds"))
        if mask is None or ids is None or mask.shape[1] <= ids.shape[1]:
            return taken
        if isinstance(mask, memoryview):  # which is not cut along two axes
            rows: Any = mask.tolist()
            taken["attention_mask"] = _kinds.integers([row[-ids.shape[1]:] for row in rows], "attention_mask")
        else:
            taken["attention_mask"] = mask[:, -ids.shape[1]:]
        return taken

    def _check_inputs(self, inputs: dict[str, Any]) -> None:
        for name in ("mm_encoder_outputs", "cache_position", "return_legacy_cache", "num_items_in_batch"):
            if inputs.pop(name, None) is not None:
                raise NotImplementedError(f"[model] {name} is not taken here")

    def _output(self, made: dict[str, Any], caches: Any) -> ModelOutput:
        raise NotImplementedError

    def get_image_features(self, pixel_values: Any, image_grid_thw: Any, image_merge_sizes: Any, **wishes: Any) -> Any:
        """Of pictures: pooler_output, projected rows [V, H] of each."""
        return self._features(pixel_values, image_grid_thw, image_merge_sizes, wishes)

    def get_video_features(self, pixel_values_videos: Any, video_grid_thw: Any, video_merge_sizes: Any,
                           video_compression_mask: Any = None, **wishes: Any) -> Any:
        """Of clips, likewise: of every token, also of those that the mask leaves out."""
        return self._features(pixel_values_videos, video_grid_thw, video_merge_sizes, wishes)

    def _features(self, pixels: Any, grid: Any, merge: Any, wishes: dict[str, Any]) -> Any:
        _check_wishes(wishes)
        kind = _kinds.kind_among((pixels, grid))
        taken = [_kinds.take(value, name) for value, name in
                 ((pixels, "pixel_values"), (grid, "grid_thw"), (merge, "merge_sizes"))]
        rows = _kinds.give(self._core.vision(self._runtime, *taken), kind)
        projected = _kinds.give(self._core.image_features(self._runtime, *taken), kind)
        pieces, at = [], 0
        for (t, h, w), size in zip(_numbers(grid), _numbers(merge)):
            count = t * h * w // size**2
            pieces.append(projected[at:at + count])
            at += count
        output = VisionOutput(last_hidden_state=rows, pooler_output=tuple(pieces))
        return output.to_tuple() if wishes.get("return_dict") is False else output


def _check_wishes(wishes: dict[str, Any]) -> None:
    """What a call of the vision encoder is asked for besides: return_dict alone."""
    for name, value in wishes.items():
        if name not in ("return_dict", "output_hidden_states", "output_attentions"):
            raise ValueError(f"[vision_model] {name!r} is no argument of this call")
        if value and name != "return_dict":
            raise NotImplementedError(f"[vision_model] {name} is not done here")


def _columns_of(logits_to_keep: Any) -> tuple[int, Any]:
    """How many last columns, 0 for all of them, and which of these."""
    if len(getattr(logits_to_keep, "shape", ())) == 1:
        return 0, logits_to_keep
    try:
        last = operator.index(logits_to_keep)
    except TypeError:
        raise TypeError(f"logits_to_keep should be a number of columns or an array [n] of them, not {logits_to_keep!r}") from None
    if last < 0:
        raise ValueError(f"logits_to_keep is {last}; it should be from 0 on, which keeps all")
    return last, None


def _numbers(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _with_kind(value: Any, kind: str | None) -> Any:
    if isinstance(value, list):
        return tuple(_with_kind(each, kind) for each in value)
    return _kinds.give(value, kind)


class VideoLlama3Model(_Callable):
    """Vision encoder, projector and language model, without the head."""

    _head = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.config = VideoLlama3Config(**{**self._core.config, "dtype": self.dtype})

    @property
    def vision_model(self) -> VideoLlama3VisionModel:
        return VideoLlama3VisionModel(self._core, self._runtime, self._folder, self._dtype, self._settings)

    def _output(self, made: dict[str, Any], caches: Any) -> ModelOutput:
        made.pop("loss")
        made.pop("logits")
        return BaseOutput(past_key_values=caches, **{
            name: made[name] for name in
            ("last_hidden_state", "hidden_states", "attentions", "image_hidden_states", "video_hidden_states")})


class VideoLlama3VisionModel(PreTrainedModel):
    """The any-resolution vision encoder alone."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.config = VideoLlama3VisionConfig(**self._core.config["vision_config"])

    def __call__(self, pixel_values: Any, grid_thw: Any, merge_sizes: Any, **wishes: Any) -> Any:
        """last_hidden_state: rows [V, D] f32. Throws ValueError where patches and grids disagree."""
        _check_wishes(wishes)
        taken = [_kinds.take(value, name) for value, name in
                 ((pixel_values, "pixel_values"), (grid_thw, "grid_thw"), (merge_sizes, "merge_sizes"))]
        rows = self._core.vision(self._runtime, *taken)
        output = VisionOutput(last_hidden_state=_kinds.give(rows, _kinds.kind_among((pixel_values, grid_thw))))
        return output.to_tuple() if wishes.get("return_dict") is False else output

    forward = __call__


class VideoLlama3ForConditionalGeneration(_Callable):
    """The whole model with its head."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.config = VideoLlama3Config(**{**self._core.config, "dtype": self.dtype})
        self.generation_config = GenerationConfig(**generation.of_folder(self._folder))
        self._tokenizer: Any = None

    @property
    def base_model(self) -> VideoLlama3Model:
        return self.model

    @property
    def model(self) -> VideoLlama3Model:
        return VideoLlama3Model(self._core, self._runtime, self._folder, self._dtype, self._settings)

    def get_output_embeddings(self) -> Any:
        raise NotImplementedError("the head's weights are not given out; logits are those of a call")

    def _output(self, made: dict[str, Any], caches: Any) -> ModelOutput:
        loss = made["loss"]
        return CausalLMOutput(
            loss=loss.reshape(()) if hasattr(loss, "reshape") else loss, past_key_values=caches,
            **{name: made[name] for name in
               ("logits", "hidden_states", "attentions", "image_hidden_states", "video_hidden_states")})

    def _text_of(self, settings: Any) -> Any:
        """The checkpoint's tokenizer where there are stop strings; opened when the first call needs it."""
        if not settings.stop_strings:
            return None
        if self._tokenizer is None:
            self._tokenizer = _core.Tokenizer.open(self._folder)
        return self._tokenizer

    def generate(
        self,
        inputs: Any = None,
        generation_config: Any = None,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        prefix_allowed_tokens_fn: Any = None,
        streamer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Answers to a batch of prompts: ids [B · num_return_sequences, T + new] i64, prompts as given and answers padded on
        the right, in the kind of the inputs. Where inputs_embeds are given, the model reads them, and ids stand before the answers
        alone; without ids the answers are all there is.

        kwargs: the model's inputs, and settings of generation (docs/generation.md) over those of generation_config (ours
        or Transformers') over self.generation_config. seed: of sampling; the same gives the same answers.
        logits_processor: callables (input_ids [1, T], scores [1, vocabulary]) → scores, behind penalties and bans and
        before temperature, a call for each row. stopping_criteria: callables (input_ids [1, T], None) → bool, after each
        token, of beams for each candidate. prefix_allowed_tokens_fn: (row, input_ids [T]) → ids. streamer: put and end, of one
        answer. What they raise comes out unchanged. return_dict_in_generate: a GenerateOutput, with output_scores and
        output_logits of what each token was chosen from. Throws ValueError for an unknown setting, with the nearest name, and
        NotImplementedError for one that cannot be honoured."""
        tensors = {name: kwargs.pop(name) for name in list(kwargs) if name in _INPUTS}
        if inputs is not None:
            if tensors.get("input_ids") is not None:
                raise ValueError("[generate] ids are given twice: as inputs and as input_ids")
            tensors["input_ids"] = inputs
        if tensors.pop("labels", None) is not None:
            raise ValueError("[generate] labels have no meaning here")
        wishes = generation.take_wishes(self.generation_config, generation_config, kwargs)
        kind = _kinds.kind_among(tensors.values())
        if seed is not None:
            kwargs["seed"] = seed
        settings = generation.settings_of(self.generation_config, generation_config, kwargs)
        criteria = generation.listed(stopping_criteria)
        prompts = _rows_of(tensors.get("input_ids"))
        if prompts and tensors.get("inputs_embeds") is not None:
            del tensors["input_ids"]  # they stand before the answers alone
            if len(prompts) != len(tensors["inputs_embeds"]):
                raise ValueError(f"[generate] input_ids are of {len(prompts)} prompts, inputs_embeds of {len(tensors['inputs_embeds'])}")
        if prompts and tensors.get("attention_mask") is None:
            tensors["attention_mask"] = generation.mask_of(prompts, settings)
        stream = ShownAnswer(streamer, prompts, settings, kind)
        if wishes.logits and settings.num_beams > 1:
            raise NotImplementedError("[generate] output_logits is not done of beams")
        results, logits, scores = self._core.generate(
            self._runtime, self._taken(tensors), settings, self._text_of(settings), stream.hook(),
            generation.bending(generation.listed(logits_processor), kind),
            generation.allowing(prefix_allowed_tokens_fn, kind), generation.ending(criteria, prompts, kind),
            wishes.logits, wishes.scores and settings.num_beams == 1)
        stream.end()
        answers = _core.padded_answers(results, settings)
        rows = [[*(prompts[result.prompt] if prompts else []), *answer] for result, answer in zip(results, answers)]
        sequences = generation.tensor_of(rows, kind)
        if not wishes.as_dict:
            return sequences
        of_beams = [result.sequence_score for result in results] if settings.num_beams > 1 else None
        if of_beams is not None and kind is not None:
            made = _kinds.library(kind)
            of_beams = made.asarray(of_beams, dtype=made.float32)
        steps = {name: tuple(_kinds.give(step, kind) for step in made) or None
                 for name, made in (("logits", logits), ("scores", scores))}
        return GenerateOutput(sequences=sequences, sequences_scores=of_beams, **steps)

    def compute_transition_scores(self, sequences: Any, scores: Any, beam_indices: Any = None,
                                  normalize_logits: bool = False) -> Any:
        """What each new token of generate's sequences had for a score, [B · n, new]; normalize_logits: as the logarithm of its
        probability."""
        if beam_indices is not None:
            raise NotImplementedError("[compute_transition_scores] beam_indices are not given out here: sequences_scores are beams' own")
        return generation.transitions(sequences, scores, normalize_logits)

    def can_generate(self) -> bool:
        return True


def _rows_of(ids: Any) -> list[list[int]]:
    if ids is None:
        return []
    rows = _numbers(ids)
    if not isinstance(rows, list) or (rows and not isinstance(rows[0], list)):
        raise ValueError("[input_ids] should be [B, T]: one list of ids a prompt")
    return rows


def _dtype_of(dtype: Any) -> str:
    name = "auto" if dtype is None else _kinds.dtype_name(dtype)
    if name not in _DTYPES:
        raise ValueError(f"dtype should be one of {', '.join(sorted(_DTYPES))}, not {dtype!r}")
    return name


def _check_attention(name: Any) -> None:
    if name not in _ATTENTIONS:
        known = ", ".join(str(known) for known in _ATTENTIONS[1:])
        raise ValueError(f"attn_implementation should be one of {known}, not {name!r}")


def _check_device_map(device_map: Any) -> None:
    places = set(map(str, device_map.values())) if isinstance(device_map, dict) else {str(device_map)}
    for place in places - {"None", "auto", "balanced", "sequential"}:
        _kinds.check_device(place)


def _check_memory(weights: int, given: Any) -> None:
    if given is not None and not isinstance(given, dict):
        raise TypeError(f"[from_pretrained] max_memory is {given!r}; it should be a dict of devices and sizes")
    most = bytes_of("max_memory", (given or {}).get("cpu"), "from_pretrained")
    if most is not None and weights > most:
        raise LimitError(f"[from_pretrained] the weights have {weights} bytes, more than max_memory gives the cpu: {most}")


def _refuse_others(others: dict[str, Any]) -> None:
    passed_over = {"trust_remote_code", "low_cpu_mem_usage", "use_safetensors", "force_download", "weights_only"}
    for name, value in others.items():
        if name in passed_over or value is None:
            continue
        if name in ("quantization_config", "load_in_8bit", "load_in_4bit", "gguf_file", "config", "state_dict", "proxies", "mirror",
                    "key_mapping", "offload_folder", "subfolder", "variant", "tp_plan"):
            if value:
                raise NotImplementedError(f"[from_pretrained] {name} is not done here")
            continue
        raise ValueError(f"[from_pretrained] {name!r} is not known")


def _of_checkpoint(name: str) -> bool:
    return name.endswith((".json", ".safetensors", ".jinja", ".txt", ".model")) and not name.startswith(".")


AutoModelForImageTextToText = VideoLlama3ForConditionalGeneration
AutoModelForMultimodalLM = VideoLlama3ForConditionalGeneration
AutoModelForCausalLM = VideoLlama3ForConditionalGeneration
AutoModel = VideoLlama3Model
