"""Configurations of models, under the reference's names."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from . import _hub, _kinds
from ._files import write_whole

if TYPE_CHECKING:
    from typing_extensions import Self


class PretrainedConfig:
    """Attributes by the names that config.json has; what a model does not say has the reference's default."""

    model_type: ClassVar[str] = ""
    _defaults: ClassVar[dict[str, Any]] = {}
    _sub_configs: ClassVar[dict[str, type[PretrainedConfig]]] = {}

    def __init__(self, **values: Any) -> None:
        values.pop("model_type", None)
        older_name = values.pop("torch_dtype", None)
        if older_name is not None:
            values.setdefault("dtype", older_name)
        for name, kind in self._sub_configs.items():
            given = values.pop(name, None)
            setattr(self, name, given if isinstance(given, PretrainedConfig) else kind(**(given or {})))
        for name, value in {**copy.deepcopy(self._defaults), **values}.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no {name!r}: neither is it said nor has it a default")

    @classmethod
    def from_pretrained(cls, name: Any, **settings: Any) -> Self:
        """config.json of a folder or of a model's name; of a sub-configuration its part."""
        hub = {key: settings.pop(key) for key in ("revision", "token", "cache_dir", "local_files_only") if key in settings}
        path = _hub.folder_of(name, **hub) / "config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OSError(f"[{path}] is not there: {str(name)!r} is no model's folder") from None
        for key, kind in VideoLlama3Config._sub_configs.items():
            if cls is kind:
                values = values[key]
        return cls(**{**values, **settings})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        values = {
            name: value.to_dict() if isinstance(value, PretrainedConfig) else copy.deepcopy(value)
            for name, value in self.__dict__.items()
        }
        if values.get("dtype") is not None:
            values["dtype"] = _kinds.dtype_name(values["dtype"])
        return {**values, "model_type": self.model_type}

    to_diff_dict = to_dict

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def save_pretrained(self, folder: Any) -> None:
        """Writes folder/config.json."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        write_whole(path / "config.json", self.to_json_string())

    @property
    def torch_dtype(self) -> Any:
        """dtype under its older name."""
        return getattr(self, "dtype", None)

    @torch_dtype.setter
    def torch_dtype(self, dtype: Any) -> None:
        self.dtype = dtype

    def get_text_config(self) -> Any:
        return getattr(self, "text_config", self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


class VideoLlama3TextConfig(PretrainedConfig):
    """The language model's part."""

    model_type = "qwen2"
    _defaults = {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu", "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "use_cache": True,
    }

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    hidden_act: str
    max_position_embeddings: int
    rms_norm_eps: float
    tie_word_embeddings: bool
    use_cache: bool


class VideoLlama3VisionConfig(PretrainedConfig):
    """The vision encoder's part."""

    model_type = "video_llama_3_vision"
    _defaults = {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
        "num_channels": 3, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
        "attention_dropout": 0.0, "initializer_range": 0.02,
    }

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_channels: int
    patch_size: int
    hidden_act: str
    layer_norm_eps: float
    attention_dropout: float
    initializer_range: float


class VideoLlama3Config(PretrainedConfig):
    """A whole model."""

    model_type = "video_llama_3"
    _defaults = {"image_token_id": 151655, "video_token_id": 151656, "tie_word_embeddings": False}
    _sub_configs = {"text_config": VideoLlama3TextConfig, "vision_config": VideoLlama3VisionConfig}

    image_token_id: int
    video_token_id: int
    tie_word_embeddings: bool
    text_config: VideoLlama3TextConfig
    vision_config: VideoLlama3VisionConfig


AutoConfig = VideoLlama3Config
