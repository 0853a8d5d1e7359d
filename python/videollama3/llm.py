"""LLM: one model that a batch, threads and tasks of asyncio ask at once. docs/python_llm.md describes it."""

from __future__ import annotations

import asyncio
import atexit
import errno
import numbers
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union, overload

from . import _core
from ._hub import folder_of
from ._llm_calls import AsyncDriver, Call, SyncDriver, Work
from ._llm_streams import AsyncStream, Stream
from .media import Lender, has_media, has_text
from .results import EmbeddingResult, Plan, Result, embedding_of, plan_of, result_of
from .sampling import read_settings

Messages = Union[str, Sequence[Mapping[str, Any]]]
Prompt = Union[str, Sequence[int], Mapping[str, Any]]
Input = Union[Messages, Sequence[int]]
Folder = Union[str, "os.PathLike[str]"]
Size = Union[int, str]

# What a request says beside its settings of generation.
_MEDIA_NAMES = ("images", "videos", "fps", "num_frames", "min_frames", "max_frames", "min_pixels", "max_pixels")
_TEMPLATE_NAMES = ("tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "special_tokens_in_messages")
_TURN_NAMES = ("priority", "deadline", "client", "cache_salt", "adapter", "cut_to_context")
_REQUEST_NAMES = (*_MEDIA_NAMES, *_TEMPLATE_NAMES, *_TURN_NAMES, "on_error")

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


# What is said of a request's turn, in words and types; an adapter is a name or a number.
_TURN_TYPES: dict[str, tuple[str, Any]] = {
    "priority": ("an integer of 32 bits", numbers.Integral),
    "deadline": ("a number of seconds", numbers.Real),
    "client": ("a text", str),
    "cache_salt": ("a text", str),
    "cut_to_context": ("True or False", bool),
}


def _check_turn(name: str, value: Any) -> None:
    if name not in _TURN_TYPES:
        return
    wanted, kind = _TURN_TYPES[name]
    words = f"[llm] {name} is {value!a}; it should be {wanted}"
    if not isinstance(value, kind):
        raise TypeError(words)
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(words)
    if name == "priority" and not -(2**31) <= value < 2**31:
        raise ValueError(words)


def _bytes_of(name: str, size: Optional[Size]) -> Optional[int]:
    """A number of bytes, or "4 GiB"."""
    if size is None or isinstance(size, int):
        return size
    try:
        text = size.strip().lower().removesuffix("b")
        digits = text.rstrip("kmgti").strip()
        return int(float(digits) * _UNITS[text[len(text.rstrip("kmgti")):]])
    except (ValueError, KeyError, AttributeError):
        raise ValueError(f'[llm] "{name}" is {size!r}; it should be a number of bytes, or a text like "4 GiB"') from None


def _folder_of(model: Folder, **where: Any) -> str:
    """The folder of a checkpoint; a name is looked up in the hub's cache and downloaded where it is not there."""
    text = os.fspath(model)
    path = Path(text).expanduser()
    is_path = path.is_absolute() or text.startswith(".") or text.count("/") > 1
    if is_path and not path.exists():
        raise FileNotFoundError(errno.ENOENT, "[llm] there is no such folder", text)
    return str(folder_of(text, **where))


def _is_one(messages: Any) -> bool:
    """Whether this is one conversation, and not a list of them."""
    if isinstance(messages, str):
        return True
    if isinstance(messages, (bytes, bytearray)) or not isinstance(messages, Sequence):
        raise TypeError(f"[messages] is a {type(messages).__name__}; it should be a list of messages, or a list of such lists")
    return len(messages) > 0 and isinstance(messages[0], Mapping)


class LLM:
    """A checkpoint, opened once. Every method may be called from any thread, and its async form from any loop."""

    def __init__(
        self,
        model: Folder,
        *,
        revision: Optional[str] = None,
        token: Optional[str] = None,
        cache_dir: Optional[Folder] = None,
        local_files_only: bool = False,
        adapter: Optional[Folder] = None,
        adapters: Union[Mapping[str, Folder], Sequence[Folder], None] = None,
        dtype: Any = "auto",
        compute: str = "auto",
        cache_dtype: str = "auto",
        cpu: str = "",
        device: str = "",
        threads: int = 0,
        max_memory: Optional[Size] = None,
        kv_cache: Optional[Size] = None,
        feature_cache: Size = 0,
        prefix_cache: Size = 0,
        disk_cache: Optional[Folder] = None,
        disk_cache_size: Optional[Size] = None,
        max_running: Optional[int] = None,
        max_queued: Optional[int] = None,
        step_tokens: Optional[int] = None,
        chunk_tokens: Optional[int] = None,
        media_threads: Optional[int] = None,
        reuse_static_frames: bool = False,
        limits: Optional[Mapping[str, float]] = None,
        fetch: Union[bool, Mapping[str, Any]] = True,
    ) -> None:
        """Opens a checkpoint's folder, or one by its name in the hub.

        threads 0: as many as the process may use. Sizes are bytes, or texts like "4 GiB". Caches of 0 keep nothing.
        """
        where = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        self.model = _folder_of(model, **where)
        self._adapters = _adapters_of(adapters)
        sizes = {"max_memory": max_memory, "kv_cache": kv_cache, "feature_cache": feature_cache, "prefix_cache": prefix_cache,
                 "disk_cache_size": disk_cache_size}
        options: dict[str, Any] = {
            **{name: _bytes_of(name, size) for name, size in sizes.items()},
            "adapter": None if adapter is None else _folder_of(adapter, **where),
            "adapters": [_folder_of(folder, **where) for folder in self._adapters.values()] or None,
            "compute": _compute_of(compute, dtype),
            "cache_dtype": cache_dtype,
            "cpu": cpu,
            "device": device,
            "threads": threads,
            "disk_cache": None if disk_cache is None else os.fspath(disk_cache),
            "max_running": max_running,
            "max_queued": max_queued,
            "step_tokens": step_tokens,
            "chunk_tokens": chunk_tokens,
            "media_threads": media_threads,
            "reuse_static_frames": reuse_static_frames,
            "limits": None if limits is None else dict(limits),
            "fetch": fetch if isinstance(fetch, bool) else _fetch_of(fetch),
        }
        self._core = _core.Llm(self.model, {name: value for name, value in options.items() if value is not None})
        self._drivers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncDriver] = weakref.WeakKeyDictionary()
        _opened.add(self)

    # Asking, and waiting for the answer.

    @overload
    def chat(self, messages: Messages, sampling: Any = None, **settings: Any) -> Result: ...

    @overload
    def chat(self, messages: Sequence[Messages], sampling: Any = None, **settings: Any) -> list[Result]: ...

    def chat(self, messages: Any, sampling: Any = None, **settings: Any) -> Any:
        """Answers a conversation with a Result, or a list of them with a list.

        messages: [{"role", "content"}…] in OpenAI's or the reference's form, or a text, which is what a user says.
        sampling: settings, one for all or one per conversation; settings go before it. Raises the first error after the
        others were cancelled; with on_error="return" errors stand in their rows.
        """
        return self._run(self._chats(messages, sampling, settings), _is_one(messages))

    @overload
    def generate(self, prompts: Prompt, sampling: Any = None, **settings: Any) -> Result: ...

    @overload
    def generate(self, prompts: Sequence[Prompt], sampling: Any = None, **settings: Any) -> list[Result]: ...

    def generate(self, prompts: Any, sampling: Any = None, **settings: Any) -> Any:
        """Goes on with a prompt as it stands, no chat template: text (special tokens are recognised) or token ids; of a
        list of these a list of results.
        """
        return self._run(self._prompts(prompts, sampling, settings), _is_one_prompt(prompts))

    def stream(self, messages: Messages, sampling: Any = None, **settings: Any) -> Stream:
        """The answer to one conversation, token by token. Closing it, or leaving its "with", cancels the request."""
        return Stream(self._core, self._one_stream(messages, sampling, settings))

    @overload
    def plan(self, messages: Messages, sampling: Any = None, *, estimate: bool = False, **settings: Any) -> Plan: ...

    @overload
    def plan(self, messages: Sequence[Messages], sampling: Any = None, *, estimate: bool = False, **settings: Any) -> list[Plan]: ...

    def plan(self, messages: Any, sampling: Any = None, *, estimate: bool = False, **settings: Any) -> Any:
        """What a conversation would take, from headers alone. estimate: also the time, by a measured speed."""
        return self._run(self._plans(messages, sampling, estimate, settings), _is_one(messages))

    @overload
    def embed(self, inputs: Input, *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> EmbeddingResult: ...

    @overload
    def embed(self, inputs: Sequence[Input], *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> list[EmbeddingResult]: ...

    def embed(self, inputs: Any, *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> Any:
        """Vectors: of a text, of token ids, or of a conversation the last hidden state of its last token; of pictures and
        clips without a word beside them the mean of each one's visual tokens, or of each frame's.
        """
        return self._run(self._embeddings(inputs, normalize, per_frame, settings), _is_one_input(inputs))

    # The same for asyncio: cancelling the task cancels the request.

    @overload
    async def achat(self, messages: Messages, sampling: Any = None, **settings: Any) -> Result: ...

    @overload
    async def achat(self, messages: Sequence[Messages], sampling: Any = None, **settings: Any) -> list[Result]: ...

    async def achat(self, messages: Any, sampling: Any = None, **settings: Any) -> Any:
        return await self._run_async(self._chats(messages, sampling, settings), _is_one(messages))

    @overload
    async def agenerate(self, prompts: Prompt, sampling: Any = None, **settings: Any) -> Result: ...

    @overload
    async def agenerate(self, prompts: Sequence[Prompt], sampling: Any = None, **settings: Any) -> list[Result]: ...

    async def agenerate(self, prompts: Any, sampling: Any = None, **settings: Any) -> Any:
        return await self._run_async(self._prompts(prompts, sampling, settings), _is_one_prompt(prompts))

    def astream(self, messages: Messages, sampling: Any = None, **settings: Any) -> AsyncStream:
        return AsyncStream(self._core, self._driver(), self._one_stream(messages, sampling, settings))

    @overload
    async def aplan(self, messages: Messages, sampling: Any = None, *, estimate: bool = False, **settings: Any) -> Plan: ...

    @overload
    async def aplan(self, messages: Sequence[Messages], sampling: Any = None, *, estimate: bool = False, **settings: Any) -> list[Plan]: ...

    async def aplan(self, messages: Any, sampling: Any = None, *, estimate: bool = False, **settings: Any) -> Any:
        return await self._run_async(self._plans(messages, sampling, estimate, settings), _is_one(messages))

    @overload
    async def aembed(self, inputs: Input, *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> EmbeddingResult: ...

    @overload
    async def aembed(self, inputs: Sequence[Input], *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> list[EmbeddingResult]: ...

    async def aembed(self, inputs: Any, *, normalize: bool = True, per_frame: bool = False, **settings: Any) -> Any:
        return await self._run_async(self._embeddings(inputs, normalize, per_frame, settings), _is_one_input(inputs))

    # The model.

    @property
    def tokenizer(self) -> _core.Tokenizer:
        return self._core.tokenizer

    @property
    def config(self) -> dict[str, Any]:
        """config.json as it was read."""
        return self._core.config

    @property
    def default_settings(self) -> dict[str, Any]:
        """The checkpoint's own settings of generation."""
        return self._core.default_settings

    def stats(self) -> dict[str, int]:
        """Counters since the model was opened, and what its caches have saved."""
        return {**self._core.stats(), **{f"cache_{name}": value for name, value in self._core.cache_stats().items()}}

    @property
    def closed(self) -> bool:
        return self._core.closed

    def close(self) -> None:
        """Cancels what is under way and ends the model's threads. Asking anything then is a RuntimeError."""
        self._core.close()

    def __enter__(self) -> LLM:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LLM({self.model!r})"

    # How requests are put together.

    def _run(self, call: Call, is_one: bool) -> Any:
        self._core.check_open()
        made = SyncDriver(self._core).run(call)
        return made[0] if is_one else made

    async def _run_async(self, call: Call, is_one: bool) -> Any:
        self._core.check_open()
        made = await self._driver().run(call)
        return made[0] if is_one else made

    def _driver(self) -> AsyncDriver:
        loop = asyncio.get_running_loop()
        driver = self._drivers.get(loop)
        if driver is None:
            driver = self._drivers[loop] = AsyncDriver(self._core, loop)
        return driver

    def _chats(self, messages: Any, sampling: Any, settings: dict[str, Any]) -> Call:
        rows = [messages] if _is_one(messages) else list(messages)
        request, turn, on_error = self._take_request(settings)
        samplings = _one_per_row(sampling, len(rows))
        asked = [self._chat_work(row, read_settings(own, settings, _REQUEST_NAMES), request, turn) for row, own in zip(rows, samplings)]
        return Call(asked, on_error)

    def _chat_work(self, messages: Any, read: tuple[dict[str, Any], Any], request: dict[str, Any], turn: dict[str, Any]) -> Work:
        generate, form = read

        def start(box: _core.Mailbox, events: bool) -> _core.Job:
            lender = Lender(self._core, self._core.max_frames)
            whole = {**request, "conversations": [lender.messages(messages)], "generate": generate}
            return self._core.answer(whole, form, lender.media, None, box, events=events, **turn)

        return Work(start, result_of)

    def _prompts(self, prompts: Any, sampling: Any, settings: dict[str, Any]) -> Call:
        rows = [prompts] if _is_one_prompt(prompts) else list(prompts)
        request, turn, on_error = self._take_request(settings)
        if request:
            raise ValueError(f'[llm] "{next(iter(request))}" is of chats: prompts have neither a template nor media')
        samplings = _one_per_row(sampling, len(rows))
        asked = [self._prompt_work(self._ids_of(row), read_settings(own, settings, _REQUEST_NAMES), turn) for row, own in zip(rows, samplings)]
        return Call(asked, on_error)

    def _prompt_work(self, ids: list[int], read: tuple[dict[str, Any], Any], turn: dict[str, Any]) -> Work:
        generate, form = read

        def start(box: _core.Mailbox, events: bool) -> _core.Job:
            return self._core.answer({"generate": generate}, form, {}, ids, box, events=events, **turn)

        return Work(start, result_of)

    def _one_stream(self, messages: Any, sampling: Any, settings: dict[str, Any]) -> Work:
        if not _is_one(messages):
            raise TypeError("[messages] holds several conversations: a stream answers one")
        self._core.check_open()
        return self._chats(messages, sampling, settings).works[0]

    def _plans(self, messages: Any, sampling: Any, estimate: bool, settings: dict[str, Any]) -> Call:
        rows = [messages] if _is_one(messages) else list(messages)
        request, _, on_error = self._take_request(settings)
        generate, _ = read_settings(sampling, settings, _REQUEST_NAMES)

        def work(row: Any) -> Work:
            def start(box: _core.Mailbox, events: bool) -> _core.Job:
                lender = Lender(self._core, self._core.max_frames)
                whole = {**request, "conversations": [lender.messages(row)], "generate": generate}
                return self._core.plan(whole, lender.media, estimate, box)

            return Work(start, plan_of)

        return Call([work(row) for row in rows], on_error)

    def _embeddings(self, inputs: Any, normalize: bool, per_frame: bool, settings: dict[str, Any]) -> Call:
        rows = [inputs] if _is_one_input(inputs) else list(inputs)
        request, _, on_error = self._take_request(settings)
        read_settings(None, settings, _REQUEST_NAMES)
        if settings:
            raise ValueError(f'[llm] "{next(iter(settings))}" is a setting of answers: vectors have none')

        def finish(made: dict[str, Any]) -> EmbeddingResult:
            return embedding_of(made, normalize)

        def work(row: Any) -> Work:
            if _is_one_prompt(row):
                ids = self._ids_of(row)
                if per_frame:
                    raise ValueError("[llm] per_frame is for pictures and clips without text beside them")
                return Work(lambda box, events: self._core.embed({}, {}, ids, False, False, box), finish)
            media_alone = has_media(row) and not has_text(row)
            if per_frame and not media_alone:
                raise ValueError("[llm] per_frame is for pictures and clips without text beside them")

            def start(box: _core.Mailbox, events: bool) -> _core.Job:
                lender = Lender(self._core, self._core.max_frames)
                whole = {**request, "conversations": [lender.messages(row)]}
                return self._core.embed(whole, lender.media, None, media_alone, per_frame, box)

            return Work(start, finish)

        return Call([work(row) for row in rows], on_error)

    def _ids_of(self, prompt: Any) -> list[int]:
        if isinstance(prompt, Mapping):
            unknown = set(prompt) - {"prompt", "prompt_token_ids"}
            if unknown:
                raise NotImplementedError(f'[llm] a prompt cannot have "{sorted(unknown)[0]}": show media with chat')
            prompt = prompt.get("prompt_token_ids", prompt.get("prompt"))
        if isinstance(prompt, str):
            ids = self._core.tokenizer.encode(prompt, True)
        else:
            ids = [int(token) for token in prompt]
        if not ids:
            raise ValueError("[llm] a prompt has no tokens")
        return ids

    def _take_request(self, settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
        """Takes what is no setting of generation: of the request, of its turn, and what errors do."""
        on_error = settings.pop("on_error", "raise")
        if on_error not in ("raise", "return"):
            raise ValueError(f'[llm] on_error is {on_error!r}; it should be "raise" or "return"')
        request: dict[str, Any] = {}
        for name in ("images", "videos", *_TEMPLATE_NAMES):
            value = settings.pop(name, None)
            if value is not None:
                request[name] = dict(value) if isinstance(value, Mapping) else value
        for name in _MEDIA_NAMES[2:]:
            value = settings.pop(name, None)
            if value is None:
                continue
            request.setdefault("videos", {})[name] = value
            if name.endswith("pixels"):
                request.setdefault("images", {})[name] = value
        turn = {name: settings.pop(name) for name in _TURN_NAMES if name in settings}
        turn = {name: value for name, value in turn.items() if value is not None}
        for name, value in turn.items():
            _check_turn(name, value)
        if "deadline" in turn:
            turn["deadline_s"] = float(turn.pop("deadline"))
        if "adapter" in turn:
            turn["adapter"] = self._adapter_number(turn["adapter"])
        return request, turn, on_error

    def _adapter_number(self, adapter: Union[str, int]) -> int:
        names = list(self._adapters)
        if isinstance(adapter, int) and -1 <= adapter < len(names):
            return adapter
        if adapter in names:
            return names.index(str(adapter))
        known = ", ".join(names) or "there are none: LLM(…, adapters=…) opens them"
        raise ValueError(f"[llm] adapter is {adapter!r}; known are: {known}")


def _adapters_of(adapters: Union[Mapping[str, Folder], Sequence[Folder], None]) -> dict[str, Folder]:
    if adapters is None:
        return {}
    if isinstance(adapters, Mapping):
        return dict(adapters)
    if isinstance(adapters, (str, os.PathLike)):
        raise TypeError("[llm] adapters is one folder; it should be a list of folders, or a dict of names and folders")
    return {Path(os.fspath(folder)).name: folder for folder in adapters}


def _fetch_of(fetch: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(fetch)
    if "cache_size" in made:
        made["cache_size"] = _bytes_of("cache_size", made["cache_size"])
    return made


def _compute_of(compute: str, dtype: Any) -> str:
    """Weights stay as the checkpoint stores them; float32 asks for products in it."""
    name = str(dtype).rsplit(".", maxsplit=1)[-1]
    if dtype is None or name == "auto":
        return compute
    if name in ("float32", "f32"):
        return "f32"
    raise ValueError(f'[llm] dtype is {dtype!r}; it should be "auto", the dtype of the checkpoint, or "float32"')


def _is_one_prompt(prompts: Any) -> bool:
    if isinstance(prompts, (str, Mapping)):
        return True
    if isinstance(prompts, (bytes, bytearray)) or not hasattr(prompts, "__len__"):
        raise TypeError(f"[llm] a {type(prompts).__name__} is no prompt: give a text, token ids, or a list of these")
    return len(prompts) > 0 and all(hasattr(token, "__index__") for token in prompts)


def _is_one_input(inputs: Any) -> bool:
    """A text, token ids, or a conversation."""
    return _is_one_prompt(inputs) or (len(inputs) > 0 and isinstance(inputs[0], Mapping))


def _one_per_row(sampling: Any, rows: int) -> list[Any]:
    if not isinstance(sampling, (list, tuple)):
        return [sampling] * rows
    if len(sampling) != rows:
        raise ValueError(f"[llm] there are {rows} requests and {len(sampling)} samplings")
    return list(sampling)


# What is open when Python ends is closed while there still is a Python to come back to.
_opened: weakref.WeakSet[LLM] = weakref.WeakSet()


def _close_all() -> None:
    for llm in list(_opened):
        llm.close()


atexit.register(_close_all)
