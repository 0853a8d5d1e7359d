"""The model class of lmms-eval over `videollama3.LLM`. Imported by the harness alone."""

from __future__ import annotations

import difflib
import inspect
import logging
from typing import Any, Iterable, Optional, Sequence

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from tqdm import tqdm

from .llm import LLM
from .lmms_eval_requests import message_of, settings_of

_LOG = logging.getLogger("videollama3")


class VideoLlama3Cpp(lmms):  # type: ignore[misc]  # the harness has no types
    """`--model videollama3_cpp`.

    model, pretrained  folder or name of the checkpoint: one of the two
    batch_size      conversations answered at once; up to 16, the default, each is answered as alone, to the bit
    max_new_tokens  where a task does not say (128, as `videollama3 eval`)
    fps, num_frames, max_frames  how clips are looked at: once a second and at most 180 times, as the paper does
    min_pixels, max_pixels  area of pictures and of clips' frames
    feature_cache   encoded pictures and clips kept for their other questions

    Further arguments are LLM's.
    """

    is_simple = False

    def __init__(self, model: Optional[str] = None, pretrained: Optional[str] = None, batch_size: Any = 16,
                 max_new_tokens: int = 128, fps: Optional[float] = None, num_frames: Optional[int] = None,
                 max_frames: int = 180, min_pixels: Optional[int] = None, max_pixels: Optional[int] = None,
                 feature_cache: Any = "256 MiB", device: Optional[str] = None, max_batch_size: Any = None,
                 **options: Any) -> None:
        super().__init__()
        if (model is None) == (pretrained is None):
            raise ValueError("[videollama3_cpp] model: the folder or name of the checkpoint, "
                             "as --model_args model=FOLDER")
        if fps is not None and num_frames is not None:
            raise ValueError(f"[videollama3_cpp] fps ({fps}) and num_frames ({num_frames}) exclude each other")
        _check_names(options)
        if device is not None and not str(device).startswith("cuda"):  # the harness names one for other models
            options.setdefault("device", device)
        asked = 16 if batch_size in (None, "", "auto") else int(batch_size)
        self._batch = 16 if asked <= 1 else asked  # 1 is the harness's default, for those who cannot do more
        self._max_new_tokens = int(max_new_tokens)
        self._clips = _given(num_frames=num_frames, min_pixels=min_pixels, max_pixels=max_pixels)
        if num_frames is None:
            self._clips.update(fps=1 if fps is None else fps, max_frames=max_frames)
        self._pictures = _given(min_pixels=min_pixels, max_pixels=max_pixels)
        self._told: set[str] = set()
        self._llm = LLM(str(model if model is not None else pretrained), feature_cache=feature_cache,
                        max_running=self._batch, **options)

    @property
    def device(self) -> torch.device:
        """Where the harness keeps what it gathers from several processes."""
        return torch.device("cpu")

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        results = []
        with tqdm(total=len(requests), disable=self.rank != 0, desc="Model Responding") as progress:
            for begin in range(0, len(requests), 4 * self._batch):  # the next ones' pictures are decoded meanwhile
                part = requests[begin:begin + 4 * self._batch]
                results.extend(self._answers(part))
                progress.update(len(part))
        return results

    def _answers(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        conversations, settings = [], []
        for request in requests:
            _, doc_to_messages, said, doc_id, task, split = request.args
            conversations.append(self._conversation(doc_to_messages(self.task_dict[task][split][doc_id])))
            settings.append(self._settings(said))
        results = []
        for request, answer in zip(requests, self._llm.chat(conversations, settings)):
            self.cache_hook.add_partial("generate_until", (request.args[0], request.args[2]), answer.text)
            usage = answer.usage
            counts = TokenCounts(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
            results.append(GenerationResult(text=answer.text, token_counts=counts))
        return results

    def _conversation(self, messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [message_of(message, self._clips, self._pictures) for message in messages]

    def _settings(self, said: Optional[dict[str, Any]]) -> dict[str, Any]:
        settings, unheeded = settings_of(said, self._max_new_tokens)
        for name in unheeded:
            if name not in self._told:
                self._told.add(name)
                _LOG.warning("[videollama3_cpp] a task's generation_kwargs have %r, which is not heeded", name)
        return settings

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[list[str]]:
        """Rounds of a task's own making: it is asked for the next messages with the answers so far."""
        results = []
        for request in requests:
            _, doc_to_messages, said, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            settings = self._settings(said)
            answers: list[str] = []
            messages, info = doc_to_messages(doc), None
            while True:
                answers.append(self._llm.chat(self._conversation(messages), settings).text)
                following = doc_to_messages(doc, round_idx=len(answers), previous_output=list(answers),
                                            previous_round_info=info)
                if not isinstance(following, tuple) or len(following) != 4 or following[1]:
                    break
                messages, info = following[0], following[3]
            results.append(answers)
        return results

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError("[videollama3_cpp] loglikelihood: tasks that compare likelihoods are not answered; "
                                  "choose their form that generates")

    def clean(self) -> None:
        self._llm.close()


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check_names(options: dict[str, Any]) -> None:
    """Refuses model arguments that neither this class nor LLM knows, with the nearest name."""
    known = [name for of in (LLM.__init__, VideoLlama3Cpp.__init__)
             for name, parameter in inspect.signature(of).parameters.items()
             if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            raise ValueError(f'[videollama3_cpp] no model argument is called "{name}"{hint}')
