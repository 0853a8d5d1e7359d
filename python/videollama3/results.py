"""What an LLM answers with."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass(frozen=True)
class TopLogprob:
    """A token that could have come, with the logarithm of its probability (in nats)."""

    token_id: int
    token: str
    logprob: float


@dataclass(frozen=True)
class TokenLogprob:
    """The token that came, and the most likely ones in its place."""

    token_id: int
    token: str
    logprob: float
    top: tuple[TopLogprob, ...] = ()


@dataclass(frozen=True)
class Completion:
    """One answer: of n, the one of this index."""

    index: int
    text: str  # without what ended it
    token_ids: list[int]  # with the token that ended it
    finish_reason: str  # "stop", "length", "cancelled" or "deadline"
    stop_reason: Optional[str] = None  # the stop string that ended it
    stop_token: Optional[int] = None  # the token that ended it
    logprobs: Optional[list[TokenLogprob]] = None  # one per token, when asked for
    score: Optional[float] = None  # of beams


@dataclass(frozen=True)
class Usage:
    """Tokens of a request."""

    prompt_tokens: int
    image_tokens: int  # of prompt_tokens
    video_tokens: int  # of prompt_tokens, those that were kept
    cached_tokens: int  # of prompt_tokens, taken from the prefix cache
    completion_tokens: int  # of all answers

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Clip:
    """What was looked at of a clip."""

    name: str
    frames: list[int]  # indices
    timestamps: list[float]  # seconds, one per frame
    kept: list[int]  # visual tokens kept of each frame
    tokens_per_frame: int  # before compression
    total_frames: int
    fps: Optional[float]
    fps_assumed: bool  # the clip has no rate
    height: int
    width: int
    notes: list[str]  # what a person should know of it


@dataclass(frozen=True)
class Timings:
    """Seconds."""

    process_s: float  # waiting for pixels and for ids
    generate_s: float  # encoding, prefill and decoding
    first_token_s: float
    total_s: float  # from the asking to the end, waiting for others included


@dataclass(frozen=True)
class Result:
    """The answer to a request; of n answers, text and the like are those of the first one."""

    outputs: list[Completion]
    prompt_token_ids: list[int] = field(repr=False)
    usage: Usage
    clips: list[Clip]
    timings: Timings
    seed: int  # that tokens are drawn with, where any are
    request_id: str = ""  # of this LLM's
    prompt: Optional[str] = field(default=None, repr=False)  # of generate, where it was given as text

    @property
    def finished(self) -> bool:
        """A result is that of an answer that has ended."""
        return True

    @property
    def text(self) -> str:
        return self.outputs[0].text

    @property
    def token_ids(self) -> list[int]:
        return self.outputs[0].token_ids

    @property
    def finish_reason(self) -> str:
        return self.outputs[0].finish_reason

    @property
    def logprobs(self) -> Optional[list[TokenLogprob]]:
        return self.outputs[0].logprobs

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class StreamEvent:
    """A token as it came. text is what is certain by now: whole characters, and no beginning of a stop string."""

    text: str
    token_id: int
    index: int  # of the token in its answer
    sequence: int = 0  # which of n answers
    logprob: Optional[float] = None
    finish_reason: Optional[str] = None  # of an answer's last token


@dataclass(frozen=True)
class Embedding:
    """A vector for a prompt ("prompt"), or for a picture ("image"), a clip or one of its frames ("video")."""

    vector: "array[float]" = field(repr=False)  # f32; numpy.asarray(vector) copies nothing
    kind: str
    tokens: int  # of the prompt; visual ones that were averaged
    media: Optional[int] = None  # which of the pictures, or of the clips
    frame: Optional[int] = None
    timestamp: Optional[float] = None  # seconds


@dataclass(frozen=True)
class EmbeddingResult:
    """The vectors of one input."""

    embeddings: list[Embedding]

    @property
    def vector(self) -> "array[float]":
        return self.embeddings[0].vector


@dataclass(frozen=True)
class MediaPlan:
    """What a picture or clip comes to, from its header."""

    name: str
    kind: str  # "image" or "video"
    height: int
    width: int
    frames: int
    patches: int
    tokens: int  # before compression
    min_tokens: int  # the fewest that compression can leave
    notes: list[str]


@dataclass(frozen=True)
class Plan:
    """What a request will take; nothing was decoded."""

    media: list[MediaPlan]
    patches: int
    prompt_tokens: int  # before compression
    min_prompt_tokens: int
    new_tokens: int
    context_tokens: int  # what the model was made for
    weight_bytes: int  # mapped, not allocated
    pixel_bytes: int
    activation_bytes: int
    cache_bytes: int
    needed_bytes: int
    available_bytes: int
    encode_flops: float
    prefill_flops: float
    estimated_s: float  # until the first token; 0 where estimate=True was not asked for
    fits: bool
    rejection_reason: str  # empty where it fits


def _logprob(entry: tuple[int, str, float, list[tuple[int, str, float]]]) -> TokenLogprob:
    token_id, token, logprob, top = entry
    return TokenLogprob(token_id, token, logprob, tuple(TopLogprob(*other) for other in top))


def _completion(index: int, made: dict[str, Any]) -> Completion:
    logprobs = made["logprobs"]
    return Completion(
        index=index,
        text=made["text"],
        token_ids=made["token_ids"],
        finish_reason=made["finish_reason"],
        stop_reason=made["stop_reason"],
        stop_token=made["stop_token"],
        logprobs=None if logprobs is None else [_logprob(entry) for entry in logprobs],
        score=made["score"],
    )


def _clip(made: dict[str, Any]) -> Clip:
    return Clip(
        name=made["name"],
        frames=made["frames_indices"],
        timestamps=made["timestamps"],
        kept=made["kept"],
        tokens_per_frame=made["tokens_per_frame"],
        total_frames=made["total_num_frames"],
        fps=made["fps"],
        fps_assumed=made["fps_assumed"],
        height=made["height"],
        width=made["width"],
        notes=made["notes"],
    )


def result_of(made: dict[str, Any]) -> Result:
    return Result(
        outputs=[_completion(index, output) for index, output in enumerate(made["outputs"])],
        prompt_token_ids=made["prompt_token_ids"],
        usage=Usage(**made["usage"]),
        clips=[_clip(clip) for clip in made["clips"]],
        timings=Timings(total_s=made["seconds"], **made["timings"]),
        seed=made["seed"],
        request_id=made["request_id"],
        prompt=made.get("prompt"),
    )


def plan_of(made: dict[str, Any]) -> Plan:
    plan = dict(made["plan"])
    plan["media"] = [MediaPlan(**medium) for medium in plan["media"]]
    return Plan(**plan)


def _unit(vector: "array[float]") -> "array[float]":
    length = sum(x * x for x in vector) ** 0.5
    return array("f", [x / length for x in vector]) if length > 0 else vector


def embedding_of(made: dict[str, Any], normalize: bool) -> EmbeddingResult:
    embeddings = []
    for entry in made["vectors"]:
        vector = array("f")
        vector.frombytes(entry.pop("values"))
        embeddings.append(Embedding(vector=_unit(vector) if normalize else vector, **entry))
    return EmbeddingResult(embeddings)
