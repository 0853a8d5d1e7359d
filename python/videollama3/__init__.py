"""VideoLLaMA3: pictures, clips and text in, answers out.

Nothing is imported before it is used: neither numpy nor torch is needed, and each is used where a program has it.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from ._core import version as __version__
from .errors import Cancelled, FormatError, LimitError

if TYPE_CHECKING:
    from .config import AutoConfig, VideoLlama3Config, VideoLlama3TextConfig, VideoLlama3VisionConfig
    from .feature import BatchFeature
    from .generation import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
    from ._llm_streams import AsyncStream, Stream
    from .llm import LLM
    from .media import Frames
    from .modeling import (
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoModelForMultimodalLM,
        VideoLlama3ForConditionalGeneration,
        VideoLlama3Model,
        VideoLlama3VisionModel,
    )
    from .processing import (
        AutoImageProcessor,
        AutoProcessor,
        AutoVideoProcessor,
        VideoLlama3ImageProcessor,
        VideoLlama3ImageProcessorFast,
        VideoLlama3ImageProcessorPil,
        VideoLlama3Processor,
        VideoLlama3VideoProcessor,
    )
    from .results import Completion, EmbeddingResult, Plan, Result, StreamEvent
    from .sampling import SamplingParams
    from .streamers import TextIteratorStreamer, TextStreamer
    from .tokenizer import AutoTokenizer, Tokenizer

# Silent unless the program that uses the package asks for it.
logging.getLogger("videollama3").addHandler(logging.NullHandler())

# Which file of the package defines a name.
_HOMES: dict[str, str] = {
    **dict.fromkeys(("BatchFeature",), "feature"),
    **dict.fromkeys(("AutoConfig", "VideoLlama3Config", "VideoLlama3TextConfig", "VideoLlama3VisionConfig"), "config"),
    **dict.fromkeys(("AutoTokenizer", "Tokenizer"), "tokenizer"),
    **dict.fromkeys(
        ("AutoImageProcessor", "AutoProcessor", "AutoVideoProcessor", "VideoLlama3ImageProcessor",
         "VideoLlama3ImageProcessorFast", "VideoLlama3ImageProcessorPil", "VideoLlama3Processor",
         "VideoLlama3VideoProcessor"), "processing"),
    **dict.fromkeys(
        ("AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM",
         "VideoLlama3ForConditionalGeneration", "VideoLlama3Model", "VideoLlama3VisionModel"), "modeling"),
    **dict.fromkeys(("GenerationConfig", "LogitsProcessor", "LogitsProcessorList", "StoppingCriteria",
                     "StoppingCriteriaList"), "generation"),
    **dict.fromkeys(("TextIteratorStreamer", "TextStreamer"), "streamers"),
    "LLM": "llm",
    "Stream": "_llm_streams",
    "AsyncStream": "_llm_streams",
    "Frames": "media",
    "SamplingParams": "sampling",
    "Result": "results",
    "Completion": "results",
    "StreamEvent": "results",
    "EmbeddingResult": "results",
    "Plan": "results",
}

__all__ = [
    "AsyncStream", "AutoConfig", "AutoImageProcessor", "AutoModel", "AutoModelForCausalLM", "AutoModelForImageTextToText",
    "AutoModelForMultimodalLM", "AutoProcessor", "AutoTokenizer", "AutoVideoProcessor", "BatchFeature", "Cancelled", "Completion", "EmbeddingResult",
    "FormatError", "Frames", "GenerationConfig", "LLM", "LimitError", "LogitsProcessor", "LogitsProcessorList", "Plan",
    "Result", "SamplingParams", "StoppingCriteria", "StoppingCriteriaList", "Stream", "StreamEvent",
    "TextIteratorStreamer", "TextStreamer", "Tokenizer", "VideoLlama3Config", "VideoLlama3ForConditionalGeneration",
    "VideoLlama3ImageProcessor", "VideoLlama3ImageProcessorFast", "VideoLlama3ImageProcessorPil", "VideoLlama3Model",
    "VideoLlama3Processor", "VideoLlama3TextConfig", "VideoLlama3VideoProcessor", "VideoLlama3VisionConfig",
    "VideoLlama3VisionModel", "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
