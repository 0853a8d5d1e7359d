"""Settings of generation as programs write them, in the engine's names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from . import _core
from .generation import pairs_of

# Names of other programs for the engine's own.
_OTHER_NAMES = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "min_tokens": "min_new_tokens",
    "n": "num_return_sequences",
    "stop": "stop_strings",
}
# Names of an answer's form.
_FORMS = ("json_schema", "json_object", "regex", "choice", "response_format")
# Names that stand for several settings, or for one in another way.
_READ_HERE = ("top_logprobs", "ignore_eos")
# Settings of vLLM for which there is one value here, beside None: they may say what is done anyway.
_FIXED: dict[str, Any] = {
    "detokenize": True, "skip_special_tokens": True, "spaces_between_special_tokens": True, "include_stop_str_in_output": False,
    "bad_words": [], "allowed_token_ids": None, "logits_processors": None, "prompt_logprobs": None, "truncate_prompt_tokens": None,
}
_NEAR = 0.7  # of difflib, for a hint


class SamplingParams(dict[str, Any]):
    """Settings of generation under the engine's names, or those of vLLM and of OpenAI: SamplingParams(temperature=0.2,
    max_tokens=64, json_schema={…}). docs/generation.md lists the engine's. Each is an attribute as well: None where it is not
    said, and ValueError for one that there is not.
    """

    def __init__(self, **settings: Any) -> None:
        check_names(settings)
        super().__init__(settings)

    def __getattr__(self, name: str) -> Any:
        if name in self or name in known_names():
            return self.get(name)
        raise AttributeError(f"SamplingParams has no setting {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        check_names([name])
        self[name] = value


def known_names() -> set[str]:
    return {*_core.generation_settings(), *_OTHER_NAMES, *_FORMS, *_READ_HERE, *_FIXED}


def check_names(settings: Iterable[str], others: Iterable[str] = ()) -> None:
    """Raises ValueError naming what is no setting, with one that is where it is near."""
    known = known_names()
    for name in settings:
        if name in known:
            continue
        near = difflib.get_close_matches(name, sorted({*known, *others}), 1, _NEAR)
        hint = f': did you mean "{near[0]}"?' if near else "; docs/python_llm.md lists them"
        raise ValueError(f'[llm] there is no setting "{name}"{hint}')


def _mapping_of(sampling: Any) -> dict[str, Any]:
    """A mapping, or another program's object of settings (a GenerationConfig of the reference)."""
    if sampling is None:
        return {}
    if isinstance(sampling, Mapping):
        return dict(sampling)
    for method in ("to_diff_dict", "to_dict"):
        if hasattr(sampling, method):
            given = getattr(sampling, method)()
            known = known_names()
            # What the reference writes into its own objects beside the settings.
            return {name: value for name, value in given.items() if name in known and value is not None}
    raise TypeError(f"[llm] sampling is a {type(sampling).__name__}; it should be a dict, SamplingParams or a GenerationConfig")


def _schema(given: Any) -> Any:
    """A JSON schema: a dict, JSON text, or a class of pydantic's."""
    if isinstance(given, str):
        try:
            return json.loads(given)
        except ValueError as error:
            raise ValueError(f"[llm] json_schema is a text that is no JSON: {error}") from None
    if hasattr(given, "model_json_schema"):
        return given.model_json_schema()
    return given


def _response_format(given: Any) -> Optional[dict[str, Any]]:
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"json_object": True}
    if kind == "json_schema":
        if not isinstance(given.get("json_schema"), Mapping):
            raise ValueError(f'[llm] response_format is {given!r}; beside its "type" it should have "json_schema": {{"schema": …}}')
        return {"json": _schema(given["json_schema"].get("schema"))}
    raise ValueError(f'[llm] response_format is {given!r}; its "type" should be "text", "json_object" or "json_schema"')


def _take_form(given: dict[str, Any]) -> Optional[dict[str, Any]]:
    forms: list[dict[str, Any]] = []
    for name in _FORMS:
        value = given.pop(name, None)
        if value is None or value is False:
            continue
        if name == "response_format":
            form = _response_format(value)
            if form is not None:
                forms.append(form)
        elif name == "json_schema":
            forms.append({"json": _schema(value)})
        elif name == "choice":
            if isinstance(value, (str, bytes)):
                raise ValueError(f"[llm] choice is {value!r}; it should be a list of texts")
            forms.append({"choice": list(value)})
        else:
            forms.append({name: value})
    if len(forms) > 1:
        raise ValueError(f"[llm] an answer has one form: {' and '.join(next(iter(form)) for form in forms)} were given")
    return forms[0] if forms else None


def read_settings(sampling: Any, settings: Mapping[str, Any], others: Iterable[str] = ()) -> tuple[dict[str, Any], Any]:
    """The settings for the engine, and the form of answers or None. settings go before sampling.

    others: names that the caller takes itself, for what a mistyped one may have meant.
    """
    given = _mapping_of(sampling)
    given.update(settings)
    check_names(given, others)
    form = _take_form(given)
    made: dict[str, Any] = {}
    for name, value in given.items():
        own = _OTHER_NAMES.get(name, name)
        if name in _READ_HERE or value is None:
            continue
        if name in _FIXED:
            if value != _FIXED[name]:
                raise NotImplementedError(f"[llm] {name}={value!r} is not done here")
            continue
        if own in made:
            raise ValueError(f'[llm] "{name}" is "{own}", which is given as well')
        made[own] = pairs_of(own, value)
    if isinstance(made.get("stop_strings"), str):
        made["stop_strings"] = [made["stop_strings"]]
    if given.get("min_tokens") is not None:  # which stop strings heed as well, under this name
        made.setdefault("stop_strings_after", given["min_tokens"])
    _read_logprobs(given, made)
    if given.get("ignore_eos"):
        made["eos_token_id"] = []
    _read_draw(made)
    return made, form


def _read_logprobs(given: Mapping[str, Any], made: dict[str, Any]) -> None:
    logprobs, top = made.get("logprobs"), given.get("top_logprobs")
    if isinstance(logprobs, bool):
        del made["logprobs"]
        if logprobs:
            made["logprobs"] = top if top is not None else 0
    elif top is not None:
        made["logprobs"] = top


def _read_draw(made: dict[str, Any]) -> None:
    """A temperature, or what only a draw can heed, asks for one, unless do_sample says what is wanted."""
    if "do_sample" in made or made.get("num_beams", 1) != 1:
        return
    if "temperature" in made:
        made["do_sample"] = made["temperature"] != 0
        if not made["do_sample"]:
            del made["temperature"]
    elif made.get("top_p", 1) != 1 or made.get("top_k", 0) > 0 or made.get("min_p", 0) > 0:
        made["do_sample"] = True
