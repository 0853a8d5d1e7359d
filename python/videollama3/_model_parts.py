"""What models have beside themselves: their table of tokens, and a streamer of an answer."""

from __future__ import annotations

from typing import Any

from . import _kinds, generation


class Embedding:
    """The table of tokens, and ids through it."""

    def __init__(self, core: Any, runtime: Any) -> None:
        self._core = core
        self._runtime = runtime

    @property
    def weight(self) -> Any:
        """[vocabulary, H] in the stored type, in the file's mapping: nothing may write to it."""
        return _kinds.give(self._core.embedding_table, _kinds.kind_among(()))

    @property
    def num_embeddings(self) -> int:
        return int(self._core.config["text_config"]["vocab_size"])

    @property
    def embedding_dim(self) -> int:
        return int(self._core.config["text_config"]["hidden_size"])

    def __call__(self, input_ids: Any) -> Any:
        """[..., H] f32."""
        return _kinds.give(self._core.embed(self._runtime, _kinds.take(input_ids, "input_ids")),
                           _kinds.kind_among((input_ids,)))


class ShownAnswer:
    """A streamer, and whether this call is one that it can show."""

    def __init__(self, streamer: Any, prompts: list[list[int]], settings: Any, kind: str | None) -> None:
        self._streamer, self._kind = streamer, kind
        if streamer is None:
            return
        if settings.num_beams > 1:
            raise ValueError("[generate] a streamer shows one answer as it grows; beams have several")
        if len(prompts) > 1 or settings.num_return_sequences > 1:
            raise ValueError("[generate] a streamer shows one answer, and this call has several")
        streamer.put(generation.tensor_of(prompts, kind))

    def hook(self) -> Any:
        return None if self._streamer is None else self._seen

    def _seen(self, prompt: int, sequence: int, token: int) -> bool:
        self._streamer.put(generation.tensor_of([token], self._kind))
        return True

    def end(self) -> None:
        if self._streamer is not None:
            self._streamer.end()
