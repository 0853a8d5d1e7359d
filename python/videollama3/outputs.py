"""What a model returns: its tensors by attribute, by key and by place, as in the reference."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """Named values in the order of FIELDS; those that are None are no items and read as None."""

    FIELDS: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:
        super().__init__((name, values[name]) for name in type(self).FIELDS if values.get(name) is not None)

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return super().__getitem__(name)
        if name in type(self).FIELDS:
            return None
        raise AttributeError(f"{type(self).__name__} has {', '.join(type(self).FIELDS)}, not {name!r}")

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(super(ModelOutput, self).__getitem__(name) for name in self)


class CausalLMOutput(ModelOutput):
    """Of VideoLlama3ForConditionalGeneration: logits [B, T, vocabulary] f32; loss where labels were given; hidden states
    [B, T, H], one more than layers, where asked for; past_key_values (None with use_cache=False); visual rows [V, H]."""

    FIELDS = ("loss", "logits", "past_key_values", "hidden_states", "attentions", "image_hidden_states",
              "video_hidden_states")


class BaseOutput(ModelOutput):
    """Of VideoLlama3Model."""

    FIELDS = ("last_hidden_state", "past_key_values", "hidden_states", "attentions", "image_hidden_states",
              "video_hidden_states")


class VisionOutput(ModelOutput):
    """Of VideoLlama3VisionModel and get_image_features: rows [V, D], and projected rows [V, H] of each picture."""

    FIELDS = ("last_hidden_state", "pooler_output")


class GenerateOutput(ModelOutput):
    """Of generate(return_dict_in_generate=True): sequences [B · n, T + new]; of beams sequences_scores [B · n]; where they were
    asked for (output_logits, output_scores, but of beams) logits and scores, one [B · n, vocabulary] for each step: the model's,
    and those that the token was chosen from. Rows of answers that had ended are zeros."""

    FIELDS = ("sequences", "sequences_scores", "scores", "logits")
