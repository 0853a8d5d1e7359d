"""A checkpoint's tokenizer, under the reference's names."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _core, _hub, _kinds
from ._files import write_whole
from .feature import BatchFeature
from .generation import tensor_of

# What a folder has of a tokenizer and of a processor's chat template.
_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json",
          "special_tokens_map.json", "chat_template.jinja", "chat_template.json")
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_UNKNOWN = "<|endoftext|>"  # of Qwen2's tokenizers where their files name none
_NO_LIMIT = int(1e30)  # what the reference says where a checkpoint says nothing
_HUB = ("revision", "token", "cache_dir", "local_files_only")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")  # of added tokens
_PASSED_OVER = ("use_fast", "trust_remote_code", "legacy", "force_download", "tokenizer_type")


@dataclass(frozen=True)
class AddedToken:
    """A token that is recognised as a whole; str() is its text."""

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = False

    def __str__(self) -> str:
        return self.content


class BatchEncoding(BatchFeature):
    """What a tokenizer gives of texts: ids and what belongs to them, and their tokens."""

    def __init__(self, data: Any = None, tokenizer: Tokenizer | None = None) -> None:
        super().__init__(data)
        self._tokenizer = tokenizer

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Of a row, as the vocabulary spells them."""
        if self._tokenizer is None:
            raise ValueError("[tokenizer] what was pickled knows no tokens: convert_ids_to_tokens tells them")
        ids = self["input_ids"]
        rows = ids.tolist() if hasattr(ids, "tolist") else ids
        made: list[str] = self._tokenizer.convert_ids_to_tokens(rows[batch_index] if rows and isinstance(rows[0], list) else rows)
        return made

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        raise NotImplementedError("[tokenizer] word_ids are not given out here")

    def __getstate__(self) -> dict[str, Any]:
        """Without the tokenizer, which whoever gets it would have to open."""
        return {**self.__dict__, "_tokenizer": None}


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
        self.truncation_side: str = self._said.get("truncation_side") or "right"
        self.model_max_length = int(self._said.get("model_max_length") or _NO_LIMIT)

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> Tokenizer:
        """Of a folder or a model's name. padding_side, truncation_side, model_max_length and tokens with a role (pad_token, …) go
        before what its files say. Throws OSError (FileNotFoundError with the file), FormatError, ValueError for an unknown option."""
        folder = _hub.folder_of(name, **{key: settings.pop(key) for key in _HUB if key in settings})
        made = cls(_core.Tokenizer.open(folder), folder, settings.pop("padding_side", None))
        for key, value in settings.items():
            if key in ("truncation_side", "model_max_length") or key.removesuffix("_token") in _ROLES:
                setattr(made, key, value)
            elif key not in _PASSED_OVER:
                raise ValueError(f"[tokenizer] {key!r} is no option of from_pretrained")
        return made

    def __deepcopy__(self, memo: Any) -> Tokenizer:
        """Another one over the same vocabulary, which never changes."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, _said=copy.deepcopy(self._said, memo))
        return made

    def __copy__(self) -> Tokenizer:
        return self.__deepcopy__({})

    def __reduce__(self) -> Any:
        """Another process opens the folder again."""
        sides = {name: getattr(self, name) for name in ("padding_side", "truncation_side", "model_max_length")}
        return _reopened, (str(self._folder), sides, self._said, None if self._template is None else self._template.source)

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

    def __call__(self, text: Any = None, text_pair: Any = None, text_target: Any = None, text_pair_target: Any = None,
                 add_special_tokens: bool = True, padding: Any = False, truncation: Any = None, max_length: int | None = None,
                 stride: int = 0, is_split_into_words: bool = False, pad_to_multiple_of: int | None = None,
                 padding_side: str | None = None, return_tensors: Any = None, sanitize_control_tokens: bool = False,
                 **others: Any) -> BatchEncoding:
        """{"input_ids", "attention_mask"} of a text, a list of texts or a list of pairs; text_pair is what follows each text.

        return_attention_mask=False leaves the mask out; return_token_type_ids (of single texts, zeros), return_special_tokens_mask
        (1 where padding is: nothing is added around a text) and return_length add theirs."""
        if text is None:
            text, text_pair = text_target, text_pair_target
        single = isinstance(text, str)
        texts = _texts_of(text, text_pair, is_split_into_words)
        rows = [[id for each in pair for id in self._core.encode(each, not sanitize_control_tokens)] for pair in texts]
        wanted = take_further(others)
        _refuse(others, "the tokenizer")
        shape = Shape(self, padding, truncation, max_length, pad_to_multiple_of, padding_side)
        paired = max(map(len, texts), default=1) > 1
        if paired and (wanted.get("return_token_type_ids") or shape.shortens(rows)):
            raise NotImplementedError("[tokenizer] pairs are neither cut nor given token_type_ids here")
        kind = _kinds.check_kind(return_tensors)
        made = further(shape.features(rows, kind), wanted, kind)
        return self._encoding(made, single and kind is None)

    def _encoding(self, made: BatchFeature, alone: bool) -> BatchEncoding:
        """What a call gives; alone: of one text, without the list around its row."""
        return BatchEncoding({name: value[0] if alone and name != "length" else value for name, value in made.items()}, self)

    def pad(self, encoded_inputs: Any, padding: Any = True, max_length: int | None = None,
            pad_to_multiple_of: int | None = None, padding_side: str | None = None, return_attention_mask: bool | None = None,
            return_tensors: Any = None, verbose: bool = True) -> BatchFeature:
        """Rows of ids, {"input_ids": [[…], […]]} or a list of such dicts, in a rectangle; a row alone stays one. Masks that are
        there are padded with them; what else is there (labels) is given back as it is."""
        rows = encoded_inputs
        if isinstance(rows, (list, tuple)):
            rows = {name: [row[name] for row in rows] for name in rows[0]} if rows else {"input_ids": []}
        given = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in rows.items()}
        ids = given.pop("input_ids")
        single = len(ids) > 0 and _is_number(ids[0])
        kind = _kinds.check_kind(return_tensors)
        shape = Shape(self, padding, False, max_length, pad_to_multiple_of, padding_side)
        listed = {name: [_kinds.ids_of(row) for row in ([value] if single else value)] for name, value in given.items()}
        made = shape.features([_kinds.ids_of(row) for row in ([ids] if single else ids)], kind, listed)
        if return_attention_mask is False:
            made.pop("attention_mask")
        return BatchFeature({name: value[0] for name, value in made.items()}) if single and kind is None else made

    def encode(self, text: Any, text_pair: Any = None, add_special_tokens: bool = True, padding: Any = False, truncation: Any = None,
               max_length: int | None = None, stride: int = 0, padding_side: str | None = None, return_tensors: Any = None,
               **others: Any) -> Any:
        """The ids of a call."""
        return self(text, text_pair, padding=padding, truncation=truncation, max_length=max_length, padding_side=padding_side,
                    return_tensors=return_tensors, **others)["input_ids"]

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None,
               **others: Any) -> Any:
        """The text of one sequence of ids; of several, a list of texts. Spaces are never cleaned up: this model's
        tokenizer keeps them all."""
        others.pop("spaces_between_special_tokens", None)  # of tokenizers that are not byte-level
        _refuse(others, "decode")
        ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
        if not _is_number(ids):
            if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
                raise TypeError(f"[tokenizer] decode takes ids, or lists of them, not {ids!r}")
            ids = list(ids)
            if ids and not _is_number(ids[0]):
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

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """As the vocabulary spells them; None for an id that no token has."""
        if isinstance(ids, int):
            return self._token_of(ids)
        left_out = self.all_special_ids if skip_special_tokens else ()
        return [self._token_of(id) for id in _kinds.ids_of(ids) if id not in left_out]

    def _token_of(self, id: int) -> str | None:
        try:
            return str(self._core.id_to_token(id))
        except ValueError:  # a gap, or beyond the last
            return None

    def convert_tokens_to_string(self, tokens: Any) -> str:
        ids = self.convert_tokens_to_ids(tokens)
        if None in ids:
            raise ValueError(f"[tokenizer] {tokens[ids.index(None)]!r} is no token of the vocabulary")
        return str(self._core.decode(ids, False))

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False, **others: Any) -> list[str]:
        _refuse(others, "tokenize")
        return [self._core.id_to_token(id) for each in (text, pair or "") for id in self._core.encode(each, True)]

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

    def get_chat_template(self, chat_template: str | None = None, tools: Any = None) -> str:
        return self.chat_template if chat_template is None else chat_template

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
        tokenizer_kwargs: dict[str, Any] | None = None,
        return_assistant_tokens_mask: bool = False,
        sanitize_control_tokens: bool | None = None,
        **variables: Any,
    ) -> Any:
        """A conversation of texts, or a list of them: ids and mask, without return_dict the ids, without tokenize the prompt.
        Pictures and clips are the processor's. Of ids, what users wrote is text unless sanitize_control_tokens=False is said."""
        check_ending(add_generation_prompt, continue_final_message, return_assistant_tokens_mask)
        sanitized = sanitizes(sanitize_control_tokens, tokenize)
        single = not (conversation and isinstance(conversation[0], (list, tuple)))
        template = self._chat_template(chat_template)
        given = {**variables, **({"tools": tools} if tools else {}), **({"documents": documents} if documents else {})}
        how = (add_generation_prompt, continue_final_message, given or None)
        conversations = [list(each) for each in ([conversation] if single else conversation)]
        if not tokenize:
            prompts = [template.render(each, *how) for each in conversations]
            return prompts[0] if single else prompts
        rows = [template.encode(self._core, each, *how, not sanitized) for each in conversations]
        kind = _kinds.check_kind(return_tensors)
        others = dict(tokenizer_kwargs or {})
        wanted = take_further(others)
        _refuse(others, "apply_chat_template")
        made = further(Shape(self, padding, truncation, max_length).features(rows, kind), wanted, kind)
        made = self._encoding(made, single and kind is None)
        return made if return_dict else made["input_ids"]

    # Its tokens.

    model_input_names = ("input_ids", "attention_mask")
    is_fast = True
    clean_up_tokenization_spaces = False

    @property
    def name_or_path(self) -> str:
        return str(self._folder)

    @property
    def vocab(self) -> dict[str, int]:
        return self.get_vocab()

    @property
    def vocab_size(self) -> int:
        """Without the added tokens, where they stand behind the others; len() counts them."""
        size = len(self)
        while size > 0 and (self._token_of(size - 1) is None or self._core.is_added(size - 1)):
            size -= 1
        return size

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
    def added_tokens_encoder(self) -> dict[str, int]:
        return self.get_added_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Those tokens by their ids, with what tokenizer_config.json says of them."""
        said = self._said.get("added_tokens_decoder") or {}
        made = {}
        for token, id in self.get_added_vocab().items():
            flags = said.get(str(id)) or {"special": self._core.is_special(id)}
            made[id] = AddedToken(token, **{name: bool(flags[name]) for name in _FLAGS if name in flags})
        return made

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens that have a role: "eos_token" and the like."""
        said = {f"{role}_token": getattr(self, f"{role}_token") for role in _ROLES}
        return {name: token for name, token in said.items() if token is not None}

    @property
    def extra_special_tokens(self) -> list[str]:
        """Those that tokenizer_config.json lists without a role."""
        made = []
        for key in ("additional_special_tokens", "extra_special_tokens"):
            listed = self._said.get(key) or []
            made += [_content(token) for token in (listed.values() if isinstance(listed, dict) else listed)]
        return made

    @property
    def all_special_tokens(self) -> list[str]:
        """Those with a role, then those without."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        return [self._core.token_to_id(token) for token in self.all_special_tokens]

    def __getattr__(self, name: str) -> Any:
        """bos_token, eos_token, unk_token, pad_token, … and their ids; None where there is none."""
        role = name.removesuffix("_id")
        if not _is_role(role):
            raise AttributeError(f"the tokenizer has no {name!r}")
        token = None
        if role in self._said:  # null: there is none
            token = _content(self._said[role])
        elif role in ("eos_token", "pad_token", "bos_token"):
            id = getattr(self._core, role.replace("_token", "_id"))
            token = None if id is None else self._core.id_to_token(id)
        elif role == "unk_token" and self._core.token_to_id(_UNKNOWN) is not None:
            token = _UNKNOWN
        if not name.endswith("_id"):
            return token
        return None if token is None else self._core.token_to_id(token)

    def __setattr__(self, name: str, value: Any) -> None:
        """A token of a role, or its id, may be another one of the vocabulary; None: there is none."""
        role = name.removesuffix("_id")
        if not _is_role(role):
            object.__setattr__(self, name, value)
            return
        token = getattr(value, "content", value)  # of a token of the reference or of added_tokens_decoder
        if name.endswith("_id") and value is not None:
            token = self._token_of(int(value))
        if value is not None and (not isinstance(token, str) or self._core.token_to_id(token) is None):
            raise ValueError(f"[tokenizer] {name} = {value!r} is no token of the vocabulary, which is not added to here")
        self._said[role] = token

    def __repr__(self) -> str:
        shown = ("name_or_path", "vocab_size", "model_max_length", "padding_side", "truncation_side")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)}, special_tokens={self.special_tokens_map})"


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


def sanitizes(sanitize_control_tokens: bool | None, tokenize: bool) -> bool:
    """Whether what users wrote becomes ids as text, which it does unless it is to be otherwise; a prompt cannot say so."""
    if sanitize_control_tokens and not tokenize:
        raise ValueError("[apply_chat_template] sanitize_control_tokens=True needs tokenize=True: in a prompt special tokens of users "
                         "look like those of the template")
    return sanitize_control_tokens is not False


def _content(token: Any) -> Any:
    """A token of tokenizer_config.json, which is a text or a dict with one."""
    return token.get("content") if isinstance(token, dict) else token


def _is_role(name: str) -> bool:
    return name.endswith("_token") and name.removesuffix("_token") in _ROLES


def _is_number(value: Any) -> bool:
    """An integer of Python, numpy or torch, not an array of one."""
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def _reopened(folder: str, sides: dict[str, Any], said: dict[str, Any], template: str | None) -> Tokenizer:
    made = Tokenizer.from_pretrained(folder)
    made.__dict__.update(sides, _said=said)
    if template is not None:
        made.chat_template = template
    return made


def _texts_of(text: Any, pair: Any, split: bool) -> list[tuple[str, ...]]:
    """What a call is of: for each row the texts that follow one another in it."""
    if split:
        raise NotImplementedError("[tokenizer] is_split_into_words is not done here: join the words as they were written")
    texts = [text] if isinstance(text, str) else text
    pairs = [pair] if isinstance(pair, str) else pair
    wrong = "[tokenizer] takes a text, a list of texts, or a list of pairs of texts"
    if not isinstance(texts, (list, tuple)) or not (pairs is None or isinstance(pairs, (list, tuple))):
        raise ValueError(f"{wrong}, not {text if pairs is None else pair!r}")
    if pairs is not None and len(pairs) != len(texts):
        raise ValueError(f"[tokenizer] there are {len(texts)} texts and {len(pairs)} of text_pair")
    rows = [(each, pairs[i]) if pairs is not None else tuple(each) if isinstance(each, (list, tuple)) and len(each) == 2 else (each,)
            for i, each in enumerate(texts)]
    for row in rows:
        for each in row:
            if not isinstance(each, str):
                raise ValueError(f"{wrong}, not {each!r} in a list")
    return rows


# What a call gives beside ids and mask; of the mask, whether it is not to be there.
FURTHER = ("return_attention_mask", "return_token_type_ids", "return_special_tokens_mask", "return_length")


def take_further(settings: dict[str, Any]) -> dict[str, Any]:
    """Takes these settings out of a call's."""
    settings.pop("verbose", None)
    return {name: settings.pop(name) for name in FURTHER if name in settings}


def further(made: BatchFeature, wanted: dict[str, Any], kind: str | None) -> BatchFeature:
    """What take_further() took, done."""
    mask = made["attention_mask"]
    rows = mask if kind is None else mask.tolist()
    extra: dict[str, Any] = {}
    if wanted.get("return_token_type_ids"):
        extra["token_type_ids"] = [[0] * len(row) for row in rows]
    if wanted.get("return_special_tokens_mask"):
        extra["special_tokens_mask"] = [[1 - one for one in row] for row in rows]
    if wanted.get("return_length"):
        extra["length"] = [len(row) for row in rows]
    for name, value in extra.items():
        made[name] = value if kind is None else tensor_of(value, kind)
    if wanted.get("return_attention_mask") is False:
        made.pop("attention_mask")
    return made


def _refuse(others: dict[str, Any], what: str) -> None:
    for name, value in others.items():
        if value:
            raise NotImplementedError(f"[tokenizer] {name}={value!r} is not done by {what} here")


class Shape:
    """How rows of ids become what a call returns: cut, and padded to a rectangle."""

    def __init__(self, tokenizer: Tokenizer, padding: Any = False, truncation: Any = None, max_length: int | None = None,
                 multiple: int | None = None, padding_side: str | None = None) -> None:
        """max_length without a word on padding and truncation cuts, as in the reference; without it the tokenizer's
        model_max_length counts, where its files say one."""
        padding, truncation = getattr(padding, "value", padding), getattr(truncation, "value", truncation)
        if padding not in (True, False, None, "longest", "max_length", "do_not_pad"):
            raise ValueError(f'padding should be True, False, "longest", "max_length" or "do_not_pad", not {padding!r}')
        if truncation not in (True, False, None, "longest_first", "do_not_truncate"):
            raise ValueError(f'truncation should be True, False, "longest_first" or "do_not_truncate", not {truncation!r}')
        self._side, self._cut_side = padding_side or tokenizer.padding_side, tokenizer.truncation_side
        for name, side in (("padding_side", self._side), ("truncation_side", self._cut_side)):
            if side not in ("left", "right"):
                raise ValueError(f'{name} should be "left" or "right", not {side!r}')
        if max_length is not None and max_length < 0:
            raise ValueError(f"[tokenizer] max_length is {max_length}; it should be 0 or more")
        cuts = truncation not in (None, False, "do_not_truncate") or (truncation is None and not padding and max_length is not None)
        if max_length is None and tokenizer.model_max_length < _NO_LIMIT:
            max_length = tokenizer.model_max_length
        self._pads = bool(padding) and padding != "do_not_pad" and (padding != "max_length" or max_length is not None)
        self._most = max_length if cuts else None
        self.cuts = self._most is not None  # whether features() may leave out ids
        self._least = max_length if padding == "max_length" else None
        self._pad_id, self._multiple = tokenizer.pad_token_id, multiple or 1

    def shortens(self, rows: list[list[int]]) -> bool:
        """Whether any of these is cut."""
        return self._most is not None and any(len(row) > self._most for row in rows)

    def _cut(self, row: list[int]) -> list[int]:
        if self._most is None or len(row) <= self._most:
            return row
        return row[:self._most] if self._cut_side == "right" else row[len(row) - self._most:]

    def features(self, rows: list[list[int]], kind: str | None, given: dict[str, Any] | None = None) -> BatchFeature:
        """input_ids and attention_mask: lists, or tensors [B, T]. given: what else there is of these rows, which is padded with
        them where it is a mask."""
        rows = [self._cut(row) for row in rows]
        columns = 0
        if self._pads:
            columns = max(map(len, rows), default=0) if self._least is None else self._least
            columns += -columns % self._multiple
            if self._pad_id is None and any(len(row) < columns for row in rows):
                raise ValueError("[tokenizer] has no pad_token to pad with: choose one, tokenizer.pad_token = tokenizer.eos_token")
        if kind is not None and len({max(len(row), columns) for row in rows}) > 1:
            raise ValueError("rows of different lengths make no tensor: pass padding=True")
        made = {"input_ids": self._rectangle(rows, columns, 0 if self._pad_id is None else self._pad_id)}
        made["attention_mask"] = self._rectangle([[1] * len(row) for row in rows], columns, 0)
        for name, value in (given or {}).items():
            filler = {"attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1}.get(name)
            made[name] = value if filler is None else self._rectangle(value, columns, filler)
        return BatchFeature({name: value if kind is None else _tensor(value, kind) for name, value in made.items()})

    def _rectangle(self, rows: list[list[int]], columns: int, filler: int) -> list[list[int]]:
        """Rows that are longer stay as they are."""
        if self._side == "left":
            return [[filler] * (columns - len(row)) + row for row in rows]
        return [row + [filler] * (columns - len(row)) for row in rows]


def _tensor(rows: list[list[int]], kind: str) -> Any:
    """Rows of one length as a tensor; of no rows, one without elements."""
    return _kinds.give(_core.padded(rows, 0, True)[0], kind)
