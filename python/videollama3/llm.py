"""LLM: one model that a batch, threads and tasks of asyncio ask at once. docs/python_llm.md describes it."""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union, overload

from . import _core
from ._llm_calls import AsyncDriver, Call, SyncDriver, Work
from ._llm_options import (
    MEDIA_NAMES,
    Folder,
    Size,
    adapters_of,
    bytes_of,
    check_turn,
    checkpoint_folder,
    compute_of,
    fetch_of,
    media_settings,
    one_per_row,
    take_other_names,
)
from ._llm_streams import AsyncStream, Stream
from ._prompts import ReadPrompt, is_one_prompt, is_prompt_dict, read_prompt
from .media import Lender, has_media, has_text
from .results import EmbeddingResult, Plan, Result, embedding_of, plan_of, result_of
from .sampling import read_settings
from .tokenizer import Tokenizer

Messages = Union[str, Sequence[Mapping[str, Any]]]
Prompt = Union[str, Sequence[int], Mapping[str, Any]]
Input = Union[Messages, Sequence[int]]

# What a request says beside its settings of generation.
_TEMPLATE_NAMES = ("tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "special_tokens_in_messages")
_TURN_NAMES = ("priority", "deadline", "client", "cache_salt", "adapter", "cut_to_context")
# Parts of a request that options of pictures and clips must not pass for.
_TAKEN_NAMES = (*_TEMPLATE_NAMES, "conversations", "conversation", "messages", "generate", "structured", "text", "text_kwargs", "padding",
                "padding_side")
_REQUEST_NAMES = (*MEDIA_NAMES, *_TEMPLATE_NAMES, *_TURN_NAMES, "on_error")


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
        self.model = checkpoint_folder(model, **where)
        self._adapters = adapters_of(adapters)
        sizes = {"max_memory": max_memory, "kv_cache": kv_cache, "feature_cache": feature_cache, "prefix_cache": prefix_cache,
                 "disk_cache_size": disk_cache_size}
        options: dict[str, Any] = {
            **{name: bytes_of(name, size) for name, size in sizes.items()},
            "adapter": None if adapter is None else checkpoint_folder(adapter, **where),
            "adapters": [checkpoint_folder(folder, **where) for folder in self._adapters.values()] or None,
            "compute": compute_of(compute, dtype),
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
            "fetch": fetch if isinstance(fetch, bool) else fetch_of(fetch),
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
        return self._run(self._prompts(prompts, sampling, settings), is_one_prompt(prompts))

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
        return await self._run_async(self._prompts(prompts, sampling, settings), is_one_prompt(prompts))

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

    def get_tokenizer(self) -> Tokenizer:
        """The same in the reference's shape."""
        return Tokenizer(self._core.tokenizer, self.model)

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
        self._core.check_open()
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
        sampling = take_other_names(sampling, settings)
        request, turn, on_error = self._take_request(settings)
        samplings = one_per_row(sampling, len(rows))
        asked = [self._chat_work(row, read_settings(own, settings, _REQUEST_NAMES), request, turn) for row, own in zip(rows, samplings)]
        return Call(asked, on_error)

    def _chat_work(self, messages: Any, read: tuple[dict[str, Any], Any], request: dict[str, Any], turn: dict[str, Any]) -> Work:
        generate, form = read

        def start(box: _core.Mailbox, events: bool) -> _core.Job:
            lender = self._lender(request)
            whole = {**request, "conversations": [lender.messages(messages)], "generate": generate}
            return self._core.answer(whole, form, lender.media, None, box, events=events, **turn)

        return Work(start, result_of)

    def _prompts(self, prompts: Any, sampling: Any, settings: dict[str, Any]) -> Call:
        rows = [prompts] if is_one_prompt(prompts) else list(prompts)
        sampling = take_other_names(sampling, settings)
        request, turn, on_error = self._take_request(settings)
        for name in _TEMPLATE_NAMES:
            if name in request:
                raise ValueError(f'[llm] "{name}" is of chats: a prompt is not written by a template')
        read = [read_prompt(self._core, row) for row in rows]
        if request and all(row.text is None for row in read):
            raise ValueError(f'[llm] "{next(iter(request))}" is of pictures and clips, and no prompt has multi_modal_data')
        samplings = one_per_row(sampling, len(rows))
        asked = [self._prompt_work(row, read_settings(own, settings, _REQUEST_NAMES), request, turn) for row, own in zip(read, samplings)]
        return Call(asked, on_error)

    def _prompt_work(self, prompt: ReadPrompt, read: tuple[dict[str, Any], Any], request: dict[str, Any], turn: dict[str, Any]) -> Work:
        generate, form = read
        if prompt.cache_salt is not None:
            turn = {**turn, "cache_salt": prompt.cache_salt}

        def start(box: _core.Mailbox, events: bool) -> _core.Job:
            if prompt.text is None:
                return self._core.answer({"generate": generate}, form, {}, prompt.ids, box, events=events, **turn)
            whole, media = self._shown_by(prompt, request)
            return self._core.answer({**whole, "generate": generate}, form, media, None, box, events=events, text=prompt.text, **turn)

        return Work(start, lambda made: result_of({**made, "prompt": prompt.said}))

    def _shown_by(self, prompt: ReadPrompt, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, _core.Media]]:
        """A request for what a prompt shows, and what of it lies in memory."""
        own, kept = dict(prompt.options), {name: dict(value) for name, value in request.items()}
        for name in ("images", "videos"):
            for key in (name, f"{name}_kwargs"):
                kept.setdefault(name, {}).update(own.pop(key, None) or {})
        for name, value in media_settings(own).items():
            kept[name].update(value)
        for name in own:
            if name in _TAKEN_NAMES:
                raise ValueError(f'[llm] mm_processor_kwargs has "{name}", which is no option of pictures and clips')
        lender = self._lender({**own, **kept})
        conversation = lender.messages([{"role": "user", "content": prompt.parts}], "multi_modal_data")
        return {**own, **kept, "conversations": [conversation]}, lender.media

    def _lender(self, request: Mapping[str, Any]) -> Lender:
        clips = request.get("videos")
        return Lender(self._core, self._core.max_frames, {**request, **(clips if isinstance(clips, Mapping) else {})})

    def _one_stream(self, messages: Any, sampling: Any, settings: dict[str, Any]) -> Work:
        if not _is_one(messages):
            raise TypeError("[messages] holds several conversations: a stream answers one")
        self._core.check_open()
        return self._chats(messages, sampling, settings).works[0]

    def _plans(self, messages: Any, sampling: Any, estimate: bool, settings: dict[str, Any]) -> Call:
        rows = [messages] if _is_one(messages) else list(messages)
        sampling = take_other_names(sampling, settings)
        request, _, on_error = self._take_request(settings)
        generate, _ = read_settings(sampling, settings, _REQUEST_NAMES)

        def work(row: Any) -> Work:
            def start(box: _core.Mailbox, events: bool) -> _core.Job:
                lender = self._lender(request)
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
            if is_one_prompt(row):
                if per_frame:
                    raise ValueError("[llm] per_frame is for pictures and clips without text beside them")
                prompt = read_prompt(self._core, row)
                return Work(lambda box, events: self._embed_prompt(prompt, request, box), finish)
            media_alone = has_media(row) and not has_text(row)
            if per_frame and not media_alone:
                raise ValueError("[llm] per_frame is for pictures and clips without text beside them")

            def start(box: _core.Mailbox, events: bool) -> _core.Job:
                lender = self._lender(request)
                whole = {**request, "conversations": [lender.messages(row)]}
                return self._core.embed(whole, lender.media, None, media_alone, per_frame, box)

            return Work(start, finish)

        return Call([work(row) for row in rows], on_error)

    def _embed_prompt(self, prompt: ReadPrompt, request: dict[str, Any], box: _core.Mailbox) -> _core.Job:
        if prompt.text is None:
            return self._core.embed({}, {}, prompt.ids, False, False, box)
        whole, media = self._shown_by(prompt, request)
        return self._core.embed(whole, media, None, False, False, box, text=prompt.text)

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
        for name, value in media_settings(settings).items():
            request.setdefault(name, {}).update(value)
        turn = {name: settings.pop(name) for name in _TURN_NAMES if name in settings}
        turn = {name: value for name, value in turn.items() if value is not None}
        for name, value in turn.items():
            check_turn(name, value)
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


def _is_one_input(inputs: Any) -> bool:
    """A text, token ids, or a conversation."""
    return is_one_prompt(inputs) or (len(inputs) > 0 and isinstance(inputs[0], Mapping) and not is_prompt_dict(inputs[0]))


# What is open when Python ends is closed while there still is a Python to come back to.
_opened: weakref.WeakSet[LLM] = weakref.WeakSet()


def _close_all() -> None:
    _core.end_calls()
    for llm in list(_opened):
        llm.close()


atexit.register(_close_all)
