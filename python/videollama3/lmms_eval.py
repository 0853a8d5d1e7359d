"""The entry point that lmms-eval finds: its model `videollama3_cpp` is this engine.

    lmms-eval --model videollama3_cpp --model_args model=models/demo --tasks mme

The harness is no dependency: only it loads this module, and the model's own module is loaded when it is asked for.
"""

from __future__ import annotations

from typing import Any

MODEL_ID = "videollama3_cpp"


def manifest() -> Any:
    """The harness's ModelManifest: which class answers under the name."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id=MODEL_ID, chat_class_path="videollama3.lmms_eval_model.VideoLlama3Cpp")
