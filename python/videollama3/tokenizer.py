"""A checkpoint's tokenizer, under the reference's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import _core, _hub, _kinds
from ._files import write_whole
from .feature import BatchFeature

# What a folder has of a tokenizer and of a processor's chat template.
_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json",
          "special_tokens_map.json", "chat_template.jinja", "chat_template.json")
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_UNKNOWN = "<|endoftext|>"  # of Qwen2's tokenizers where their files name none
_NO_LIMIT = int(1e30)  # what the reference says where a checkpoint says nothing


class Tokenizer:
    """Text to ids and back.

    Special tokens are recognised wherever text has them, as in the reference: of what users write, use
    `sanitize_control_tokens=True`, which takes it as plain text."""

    def __init__(self, core: Any, folder: Any, padding_side: str | None = None) -> None:
        self._core = core
        self._folder = Path(folder)
        self._template: Any = None  # opened when it is asked for
        path = self._folder / "tokenizer_config.json"
        self._said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.padding_side: str = padding_side or self._said.get("padding_side") or "right"
        self.model_max_length = int(self._said.get("model_max_length") or _NO_LIMIT)

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> Tokenizer:
        """Of a folder or a model's name. Throws OSError (FileNotFoundError with the file), FormatError."""
        padding_side = settings.pop("padding_side", None)
        for passed_over in ("use_fast", "trust_remote_code"):
            settings.pop(passed_over, None)
        folder = _hub.folder_of(name, **settings)
        return cls(_core.Tokenizer.open(folder), folder, padding_side)

    def save_pretrained(self, save_directory: Any, **others: Any) -> tuple[str, ...]:
        """The tokenizer's files as they are, with the chat template in use; the paths."""
        _refuse(others, "save_pretrained")
        target = Path(save_directory)
        target.mkdir(parents=True, exist_ok=True)
        names = [name for name in _FILES if (self._folder / name).is_file()]
        written = []
        if self._template is not None:  # it may be another one by now
            names = [name for name in names if not name.startswith("chat_template")]
            write_whole(target / "chat_template.jinja", self._template.source)
            written.append("chat_template.jinja")
        for name in names:
            if (self._folder / name).resolve() != (target / name).resolve():
                write_whole(target / name, (self._folder / name).read_bytes())
        return tuple(str(target / name) for name in [*names, *written])

    def __call__(self, text: Any, padding: Any = False, truncation: Any = False, max_length: int | None = None,
                 padding_side: str | None = None, pad_to_multiple_of: int | None = None, return_tensors: Any = None,
                 add_special_tokens: bool = True, sanitize_control_tokens: bool = False, **others: Any) -> BatchFeature:
        """{"input_ids", "attention_mask"} of a text or a list of texts."""
        _refuse(others, "the tokenizer")
        single = isinstance(text, str)
        rows = [self.encode(each, sanitize_control_tokens=sanitize_control_tokens) for each in ([text] if single else text)]
        kind = _kinds.check_kind(return_tensors)
        shape = Shape(self.pad_token_id, padding_side or self.padding_side, padding, truncation, max_length,
                      pad_to_multiple_of)
        made = shape.features(rows, kind)
        return BatchFeature({name: value[0] for name, value in made.items()}) if single and kind is None else made

    def pad(self, encoded_inputs: Any, padding: Any = True, max_length: int | None = None,
            pad_to_multiple_of: int | None = None, padding_side: str | None = None, return_tensors: Any = None) -> BatchFeature:
        """Rows of ids, {"input_ids": [[…], […]]} or a list of such dicts, in a rectangle."""
        rows = [row["input_ids"] for row in encoded_inputs] if isinstance(encoded_inputs, (list, tuple)) \
            else encoded_inputs["input_ids"]
        shape = Shape(self.pad_token_id, padding_side or self.padding_side, padding, False, max_length, pad_to_multiple_of)
        return shape.features([_kinds.ids_of(row) for row in rows], _kinds.check_kind(return_tensors))

    def encode(self, text: str, add_special_tokens: bool = True, return_tensors: Any = None,
               sanitize_control_tokens: bool = False) -> Any:
        ids = self._core.encode(text, not sanitize_control_tokens)
        kind = _kinds.check_kind(return_tensors)
        return ids if kind is None else _kinds.give(_core.padded([ids], 0, True)[0], kind)

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None,
               **others: Any) -> Any:
        """The text of one sequence of ids; of several, a list of texts. Spaces are never cleaned up: this model's
        tokenizer keeps them all."""
        _refuse(others, "decode")
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        if isinstance(ids, (list, tuple)) and ids and not isinstance(ids[0], int):
            return [self._core.decode(_kinds.ids_of(row), skip_special_tokens) for row in ids]
        return self._core.decode(_kinds.ids_of(ids), skip_special_tokens)

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = False,
                     clean_up_tokenization_spaces: bool | None = None, **others: Any) -> list[str]:
        made = self.decode(sequences, skip_special_tokens, **others)
        return [made] if isinstance(made, str) else made

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Of a token that there is not: the unknown token's, None where there is none."""
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        id = self._core.token_to_id(tokens)
        return self.unk_token_id if id is None else id

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        return self._core.id_to_token(ids) if isinstance(ids, int) else [self._core.id_to_token(i) for i in _kinds.ids_of(ids)]

    def convert_tokens_to_string(self, tokens: Any) -> str:
        return str(self._core.decode(self.convert_tokens_to_ids(tokens), False))

    def tokenize(self, text: str) -> list[str]:
        return [self._core.id_to_token(id) for id in self._core.encode(text, True)]

    def stream_decoder(self, skip_special_tokens: bool = False) -> Any:
        """An object whose push(id) and finish() give text as it becomes certain."""
        return _core.StreamDecoder(self._core, skip_special_tokens)

    # The chat template.

    def _chat_template(self, source: Any = None) -> Any:
        if self._template is None:
            self._template = _core.ChatTemplate.open(self._folder)
        return self._template if source is None else self._template.with_source(source)

    @property
    def chat_template(self) -> str:
        return str(self._chat_template().source)

    @chat_template.setter
    def chat_template(self, source: str) -> None:
        self._template = self._chat_template(source)

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Any = None,
        documents: Any = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        padding: Any = False,
        truncation: Any = False,
        max_length: int | None = None,
        return_tensors: Any = None,
        return_dict: bool = True,
        return_assistant_tokens_mask: bool = False,
        sanitize_control_tokens: bool = True,
        **variables: Any,
    ) -> Any:
        """A conversation of texts, or a list of them: ids and mask, without return_dict the ids, without tokenize the prompt.
        Pictures and clips are the processor's."""
        check_ending(add_generation_prompt, continue_final_message, return_assistant_tokens_mask)
        single = not (conversation and isinstance(conversation[0], (list, tuple)))
        template = self._chat_template(chat_template)
        given = {**variables, **({"tools": tools} if tools else {}), **({"documents": documents} if documents else {})}
        how = (add_generation_prompt, continue_final_message, given or None)
        conversations = [list(each) for each in ([conversation] if single else conversation)]
        if not tokenize:
            prompts = [template.render(each, *how) for each in conversations]
            return prompts[0] if single else prompts
        rows = [template.encode(self._core, each, *how, not sanitize_control_tokens) for each in conversations]
        kind = _kinds.check_kind(return_tensors)
        made = Shape(self.pad_token_id, self.padding_side, padding, truncation, max_length).features(rows, kind)
        if single and kind is None:
            made = BatchFeature({name: value[0] for name, value in made.items()})
        return made if return_dict else made["input_ids"]

    # Its tokens.

    @property
    def vocab_size(self) -> int:
        return int(self._core.vocab_size)

    def __len__(self) -> int:
        return int(self._core.vocab_size)

    def get_vocab(self) -> dict[str, int]:
        """Tokens as the vocabulary spells them, and their ids."""
        made = {}
        for id in range(len(self)):
            try:
                made[str(self._core.id_to_token(id))] = id
            except ValueError:  # a gap
                continue
        return made

    def get_added_vocab(self) -> dict[str, int]:
        """Those that are recognised as a whole."""
        return {token: id for token, id in self.get_vocab().items() if self._core.is_added(id)}

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that have a role: "eos_token" and the like."""
        said = {f"{role}_token": getattr(self, f"{role}_token") for role in _ROLES}
        return {name: token for name, token in said.items() if token is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int]:
        return [self._core.token_to_id(token) for token in self.all_special_tokens]

    def __getattr__(self, name: str) -> Any:
        """bos_token, eos_token, unk_token, pad_token, … and their ids; None where there is none."""
        role = name.removesuffix("_id")
        if not role.endswith("_token") or role.removesuffix("_token") not in _ROLES:
            raise AttributeError(f"the tokenizer has no {name!r}")
        token = self._said.get(role)
        token = token.get("content") if isinstance(token, dict) else token
        if token is None and role in ("eos_token", "pad_token", "bos_token"):
            id = getattr(self._core, role.replace("_token", "_id"))
            token = None if id is None else self._core.id_to_token(id)
        if token is None and role == "unk_token" and self._core.token_to_id(_UNKNOWN) is not None:
            token = _UNKNOWN
        if not name.endswith("_id"):
            return token
        return None if token is None else self._core.token_to_id(token)


AutoTokenizer = Tokenizer


def check_ending(add_generation_prompt: bool, continue_final_message: Any, return_assistant_tokens_mask: bool) -> None:
    """What cannot be asked of a prompt's end, or is not done."""
    if add_generation_prompt and continue_final_message:
        raise ValueError("[apply_chat_template] continue_final_message and add_generation_prompt exclude each other: the prompt ends "
                         "within the last message, or behind it")
    if isinstance(continue_final_message, str) and continue_final_message != "content":
        raise NotImplementedError(f"[apply_chat_template] continue_final_message={continue_final_message!r}: of a message its "
                                  "content is gone on with")
    if return_assistant_tokens_mask:
        raise NotImplementedError("[apply_chat_template] return_assistant_tokens_mask is not done here")


def _refuse(others: dict[str, Any], what: str) -> None:
    for name, value in others.items():
        if value:
            raise NotImplementedError(f"[tokenizer] {name}={value!r} is not done by {what} here")


class Shape:
    """How rows of ids become what a call returns: cut, and padded to a rectangle."""

    def __init__(self, pad_id: int | None, side: str, padding: Any, truncation: Any = False, max_length: int | None = None,
                 multiple: int | None = None) -> None:
        if side not in ("left", "right"):
            raise ValueError(f'padding_side should be "left" or "right", not {side!r}')
        padding = getattr(padding, "value", padding)
        if padding not in (True, False, None, "longest", "max_length", "do_not_pad"):
            raise ValueError(f'padding should be True, False, "longest", "max_length" or "do_not_pad", not {padding!r}')
        truncation = getattr(truncation, "value", truncation)
        if truncation not in (True, False, None, "longest_first", "do_not_truncate"):
            raise ValueError(f'truncation should be True, False, "longest_first" or "do_not_truncate", not {truncation!r}')
        self._pads = bool(padding) and padding != "do_not_pad"
        self._most = max_length if truncation and truncation != "do_not_truncate" else None
        self.cuts = self._most is not None  # whether features() may leave out ids
        self._least = max_length if padding == "max_length" else None
        self._pad_id, self._side, self._multiple = 0 if pad_id is None else pad_id, side, multiple or 1

    def features(self, rows: list[list[int]], kind: str | None) -> BatchFeature:
        """input_ids and attention_mask: lists, or tensors [B, T]."""
        rows = [row[:self._most] for row in rows]
        if len({len(row) for row in rows}) > 1 and kind is not None and not self._pads:
            raise ValueError("rows of different lengths make no tensor: pass padding=True")
        if not self._pads and kind is None:
            return BatchFeature({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})
        columns = 0
        if self._pads:
            columns = max([self._least or 0, *map(len, rows)])
            columns += -columns % self._multiple
        ids, mask = _core.padded(rows, self._pad_id, self._side == "left", columns)
        if kind is None:
            return BatchFeature({"input_ids": memoryview(ids).tolist(), "attention_mask": memoryview(mask).tolist()})
        return BatchFeature({"input_ids": _kinds.give(ids, kind), "attention_mask": _kinds.give(mask, kind)})
