"""Settings of generation, and callables that take part in it, under the reference's names."""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import _core, _hub, _kinds
from ._files import write_whole

_FILE = "generation_config.json"

# Objects of a call of generate that are no settings, and what is done about them.
_NOT_DONE = {
    "assistant_model", "assistant_tokenizer", "negative_prompt_ids", "negative_prompt_attention_mask", "custom_generate",
    "past_key_values", "output_attentions", "output_hidden_states", "synced_gpus",
    "guidance_scale", "watermarking_config", "target_tokenizer", "is_assistant",
}
# They have no meaning here, or are what is done anyway.
_PASSED_OVER = {"tokenizer", "use_model_defaults", "trust_remote_code", "disable_compile", "use_cache", "inputs",
                "transformers_version", "_from_model_config"}
# Caches of the reference in which all keys and values are kept: what comes out is what the one here gives.
_CACHES = ("dynamic", "offloaded", "static", "offloaded_static", "sliding_window", "hybrid", "hybrid_chunked",
           "offloaded_hybrid", "offloaded_hybrid_chunked")
# What else than the answers a call gives.
_WISHES = ("return_dict_in_generate", "output_scores", "output_logits")


class GenerationConfig:
    """Settings by name; one that is not set is None, and means the model's own, else the default of docs/generation.md.

    Unknown names, and values out of their range, are refused with a ValueError when the settings are used or made;
    what cannot be honoured with a NotImplementedError."""

    def __init__(self, **settings: Any) -> None:
        for name in ("transformers_version", "_from_model_config"):
            settings.pop(name, None)
        check(settings)
        self.__dict__.update(settings)

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> GenerationConfig:
        """generation_config.json of a folder or of a model's name, with the model's end tokens where there is a model. Throws
        FileNotFoundError where there is no such file."""
        hub = {key: settings.pop(key) for key in ("revision", "token", "cache_dir", "local_files_only") if key in settings}
        folder = _hub.folder_of(name, **hub)
        if not (folder / _FILE).is_file():
            raise FileNotFoundError(errno.ENOENT, f"{str(name)!r} has no such file", str(folder / _FILE))
        return cls(**{**of_folder(folder), **settings})

    @classmethod
    def from_dict(cls, values: dict[str, Any], **settings: Any) -> GenerationConfig:
        return cls(**{**values, **settings})

    def validate(self, **others: Any) -> None:
        """Raises as the class says."""
        check(self.to_dict())

    def to_json_string(self, **others: Any) -> str:
        return json.dumps({name: value for name, value in self.to_dict().items() if value is not None}, indent=2, sort_keys=True) + "\n"

    def save_pretrained(self, save_directory: Any) -> None:
        """Writes generation_config.json into the folder."""
        path = Path(save_directory)
        path.mkdir(parents=True, exist_ok=True)
        said = {name: value for name, value in self.to_dict().items() if value is not None}
        write_whole(path / _FILE, json.dumps(said, indent=2) + "\n")

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    to_diff_dict = to_dict

    def update(self, **settings: Any) -> dict[str, Any]:
        """Takes the settings among these, and returns the others."""
        known = {name: value for name, value in settings.items() if name in (*setting_names(), *_WISHES)}
        check(known)
        self.__dict__.update(known)
        return {name: value for name, value in settings.items() if name not in known}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in (*setting_names(), *_WISHES):
            raise AttributeError(f"GenerationConfig has no setting {name!r}")
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        return f"GenerationConfig({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


def of_folder(folder: Any) -> dict[str, Any]:
    """The settings of a checkpoint, also those that are as they would be without its file; an end token that is the only one is a
    number, as its file has it."""
    made: dict[str, Any] = _core.Settings.of_folder(folder).to_dict()
    in_file: dict[str, Any] = {}
    with suppress(FileNotFoundError, json.JSONDecodeError):  # the engine follows links that were written out as text
        in_file = json.loads((Path(folder) / _FILE).read_text(encoding="utf-8"))
    known = {*setting_names(), *_WISHES}
    for name, value in in_file.items():
        if name in known and value not in (None, -1):  # an id of -1 is none
            made.setdefault(name, value)
    ends = made.get("eos_token_id")
    if isinstance(ends, list) and len(ends) == 1:
        made["eos_token_id"] = ends[0]
    return made


def setting_names() -> frozenset[str]:
    """All that GenerationConfig may have."""
    return frozenset(_core.generation_settings())


def said(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that say something: in the reference None is as good as nothing."""
    passed_over = {*_PASSED_OVER, *_WISHES}
    return {name: pairs_of(name, value) for name, value in settings.items() if value is not None and name not in passed_over}


def check(settings: dict[str, Any]) -> None:
    """Raises as the class says."""
    refuse_what_is_not_done(settings)
    _core.Settings.of(said(settings), _core.Settings(), "GenerationConfig")


def refuse_what_is_not_done(settings: dict[str, Any]) -> None:
    for name in sorted(_NOT_DONE & settings.keys()):
        value = settings[name]
        if value is not None and value is not False and not (name == "guidance_scale" and value == 1):
            raise NotImplementedError(f"[generate] {name} is not done here")
    cache = settings.get("cache_implementation")
    if cache in ("quantized", "paged"):
        raise NotImplementedError(f"[generate] cache_implementation={cache!r} is not done here: a model's own option says how keys and "
                                  'values are kept, from_pretrained(…, cache="int8")')
    if cache is not None and cache not in _CACHES:
        raise ValueError(f"[generate] cache_implementation is {cache!r}; it should be one of {', '.join(_CACHES)}")


def settings_of(own: Any, config: Any, settings: dict[str, Any]) -> Any:
    """The model's own settings, under those of a configuration (ours or Transformers'), under those of the call."""
    refuse_what_is_not_done(settings)
    given: dict[str, Any] = {}
    if config is not None:
        given = _dict_of(config)
        refuse_what_is_not_done(given)
    merged = {**own.to_dict(), **said(given), **settings}
    for name in _NOT_DONE:
        merged.pop(name, None)
    if settings.get("max_new_tokens") is not None and "max_length" not in settings:
        merged.pop("max_length", None)
    return _core.Settings.of(said(merged), _core.Settings(), "generate")


def pairs_of(name: str, value: Any) -> Any:
    """Of a setting's value that is a dict of ids or of tuples of them (sequence_bias, logit_bias) the pairs that stand for it."""
    if name not in ("sequence_bias", "logit_bias") or not isinstance(value, dict) or any(isinstance(key, str) for key in value):
        return value
    return [[list(key) if isinstance(key, tuple) else int(key), number] for key, number in value.items()]


def mask_of(ids: Any, settings: Any) -> Any:
    """Where no mask was given: which of the ids are none of padding, where the padding's id is known and ends no answer; else None."""
    said = settings.to_dict()
    pad, ends = said.get("pad_token_id"), said.get("eos_token_id") or []
    rows = ids.tolist() if hasattr(ids, "tolist") else ids
    if pad is None or pad in (ends if isinstance(ends, list) else [ends]) or not any(pad in row for row in rows):
        return None
    return _kinds.integers([[int(id != pad) for id in row] for row in rows], "attention_mask")


def _dict_of(config: Any) -> dict[str, Any]:
    return dict(config.to_diff_dict() if hasattr(config, "to_diff_dict") else config.to_dict())


@dataclass(frozen=True)
class Wishes:
    """What a call of generate gives: a tensor alone or an output with its parts."""

    as_dict: bool
    scores: bool
    logits: bool


def take_wishes(own: Any, config: Any, settings: dict[str, Any]) -> Wishes:
    """Of the call's settings, which lose them, else of its configuration, else of the model's own. Without a dict to put them
    into, scores are not kept, as in the reference."""
    said = [settings, {} if config is None else _dict_of(config), own.to_dict()]
    as_dict, scores, logits = (next((bool(each[name]) for each in said if each.get(name) is not None), False) for name in _WISHES)
    for name in _WISHES:
        settings.pop(name, None)
    return Wishes(as_dict, as_dict and scores, as_dict and logits)


class StoppingCriteria:
    """Says after each token whether an answer ends: `(input_ids [1, T], scores) -> bool`. scores is None."""

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a StoppingCriteria is subclassed")


class StoppingCriteriaList(list):  # type: ignore[type-arg]
    """An answer ends when one of them says so."""

    def __call__(self, input_ids: Any, scores: Any = None, **kwargs: Any) -> bool:
        return any(ends(criterion(input_ids, scores, **kwargs)) for criterion in self)


class LogitsProcessor:
    """Changes the scores of the next token: `(input_ids [1, T], scores [1, vocabulary]) -> scores`."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        raise NotImplementedError("a LogitsProcessor is subclassed")


class LogitsProcessorList(list):  # type: ignore[type-arg]
    """One behind the other."""

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        for processor in self:
            scores = processor(input_ids, scores, **kwargs)
        return scores


def ends(answer: Any) -> bool:
    """Of a criterion: a bool, or a tensor of one."""
    return bool(answer.all()) if hasattr(answer, "all") else bool(answer)


def listed(given: Any) -> list[Any]:
    """Callables, given alone or as a list (of whatever class)."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def tensor_of(ids: list[Any], kind: str | None) -> Any:
    """Ids as a program's kind of tensor."""
    if kind is None:
        return ids
    made = _kinds.library(kind)
    return made.tensor(ids) if kind == "pt" else made.array(ids, dtype="int64")


def bending(processors: list[Any], kind: str | None) -> Callable[..., Any] | None:
    """Logits processors as the hook of the engine."""
    if not processors:
        return None

    def bend(prompt: int, ids: list[int], scores: Any) -> Any:
        input_ids, bent = tensor_of([ids], kind), _kinds.give(scores, kind)
        for processor in processors:
            bent = processor(input_ids, bent)
        if _kinds.kind_of(bent) is not None and (bent != bent).any():
            raise ValueError("[logits_processor] gave scores that are not numbers (NaN)")
        return _kinds.take(bent, "logits_processor")

    return bend


def ending(criteria: list[Any], prompts: list[list[int]], kind: str | None) -> Callable[..., bool] | None:
    """Stopping criteria as the hook of the engine."""
    if not criteria:
        return None

    def ended(prompt: int, new_ids: list[int]) -> bool:
        seen = tensor_of([[*(prompts[prompt] if prompts else []), *new_ids]], kind)
        return any([ends(criterion(seen, None)) for criterion in criteria])  # each is asked, as in the reference

    return ended


def transitions(sequences: Any, scores: Any, normalize: bool) -> Any:
    """The score of each of the last len(scores) tokens of sequences; normalize: behind a log-softmax."""
    import numpy

    ids = numpy.asarray(sequences)[:, -len(scores):]
    rows = numpy.stack([numpy.asarray(step) for step in scores], axis=1)  # [B · n, new, vocabulary]
    if normalize:
        largest = rows.max(axis=-1, keepdims=True)
        rows = rows - largest - numpy.log(numpy.exp(rows - largest).sum(axis=-1, keepdims=True))
    made = numpy.take_along_axis(rows, ids[..., None], axis=-1)[..., 0]
    return _kinds.library("pt").from_numpy(made) if _kinds.kind_of(sequences) == "pt" else made


def allowing(function: Any, kind: str | None) -> Callable[..., Any] | None:
    """prefix_allowed_tokens_fn(batch_id, input_ids) as the hook of the engine."""
    if function is None:
        return None

    def allowed(prompt: int, ids: list[int]) -> list[int]:
        return _kinds.ids_of(function(prompt, tensor_of(ids, kind)))

    return allowed
