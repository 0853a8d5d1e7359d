"""Answers while they grow. Streamers of Transformers do as well: what counts is `put` and `end`."""

from __future__ import annotations

import queue
from typing import Any


class TextStreamer:
    """Prints an answer as it comes, whole characters at a time.

    tokenizer: of a processor, or anything with `stream_decoder`; skip_prompt leaves the prompt out."""

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        self.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        self.skip_prompt = skip_prompt
        skip_special = decode_kwargs.pop("skip_special_tokens", False)
        decode_kwargs.pop("clean_up_tokenization_spaces", None)
        if decode_kwargs:
            raise ValueError(f"TextStreamer: unknown settings {sorted(decode_kwargs)}")
        self._decoder = self.tokenizer.stream_decoder(skip_special)
        self._prompt_next = True

    def put(self, value: Any) -> None:
        """Ids of one sequence: first the prompt, then one by one."""
        ids = value.tolist() if hasattr(value, "tolist") else list(value)
        if ids and isinstance(ids[0], list):
            if len(ids) > 1:
                raise ValueError("TextStreamer shows one answer; this batch has several")
            ids = ids[0]
        prompt, self._prompt_next = self._prompt_next, False
        if prompt and self.skip_prompt:
            return
        text = "".join(self._decoder.push(id) for id in ids)
        if text:
            self.on_finalized_text(text)

    def end(self) -> None:
        """What was held back, and the end."""
        self._prompt_next = True
        self.on_finalized_text(self._decoder.finish(), stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Where text goes; for subclasses."""
        print(text, flush=True, end="\n" if stream_end else "")


class TextIteratorStreamer(TextStreamer):
    """Gives an answer to whoever iterates, on another thread than the one that generates. timeout: seconds to wait for
    the next piece, after which queue.Empty is raised."""

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any):
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.timeout = timeout
        self.text_queue: queue.Queue[str | None] = queue.Queue()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.text_queue.put(text, timeout=self.timeout)
        if stream_end:
            self.text_queue.put(None, timeout=self.timeout)

    def __iter__(self) -> TextIteratorStreamer:
        return self

    def __next__(self) -> str:
        text = self.text_queue.get(timeout=self.timeout)
        if text is None:
            raise StopIteration
        return text
