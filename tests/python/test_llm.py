"""LLM: answers of every kind, alone and in batches, their settings and their errors."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import videollama3
from conftest import PROJECT
from videollama3 import LLM, SamplingParams

QUESTION = "What is in the picture?"


@pytest.fixture(scope="module")
def llm(demo: Path) -> Iterator[LLM]:
    with LLM(demo, threads=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def endless(tiny: Path) -> Iterator[LLM]:
    """A model whose answers go on for as long as they may."""
    with LLM(tiny, threads=1) as opened:
        yield opened


def picture(media: Path, text: str = QUESTION) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"type": "image", "image": str(media / "shapes.png")}, {"type": "text", "text": text}]}]


def clip(media: Path, **options: object) -> list[dict[str, object]]:
    shown = {"type": "video", "video": media / "moving.mp4", **options}
    return [{"role": "user", "content": [shown, {"type": "text", "text": "What moves?"}]}]


def test_an_answer_and_what_is_told_of_it(llm: LLM, media: Path) -> None:
    result = llm.chat(picture(media))
    assert result.text and str(result) == result.text
    assert result.finish_reason == "stop"
    assert result.text == llm.tokenizer.decode(result.token_ids, True).strip()
    assert result.usage.prompt_tokens == len(result.prompt_token_ids)
    assert 0 < result.usage.image_tokens < result.usage.prompt_tokens
    assert result.usage.video_tokens == 0 and result.clips == []
    assert result.usage.completion_tokens == len(result.token_ids)
    assert result.usage.total_tokens == result.usage.prompt_tokens + len(result.token_ids)
    assert 0 < result.timings.first_token_s <= result.timings.total_s


def test_a_clip_is_reported(llm: LLM, media: Path) -> None:
    result = llm.chat(clip(media, fps=2))
    (seen,) = result.clips
    assert len(seen.frames) == len(seen.timestamps) == len(seen.kept) > 1
    assert sum(seen.kept) == result.usage.video_tokens > 0
    fewer = llm.chat(clip(media), num_frames=2).clips[0]
    assert len(fewer.frames) == 2


def test_an_answer_goes_on_where_it_was(llm: LLM, media: Path) -> None:
    whole = llm.chat(picture(media))
    said = whole.text[:5]
    going_on = [*picture(media), {"role": "assistant", "content": said}]
    result = llm.chat(going_on, continue_final_message=True)
    assert llm.tokenizer.decode(result.prompt_token_ids).endswith(said.rstrip())
    assert llm.tokenizer.decode(llm.chat(going_on).prompt_token_ids) != llm.tokenizer.decode(result.prompt_token_ids)
    with pytest.raises(ValueError, match="exclude each other"):
        llm.chat(going_on, continue_final_message=True, add_generation_prompt=True)


def test_a_batch_gives_what_each_gives_alone(llm: LLM, media: Path) -> None:
    rows = [picture(media), clip(media), "What colour is it?", picture(media, "How many shapes are there?")]
    alone = [llm.chat(row).text for row in rows]
    assert [result.text for result in llm.chat(rows)] == alone
    assert len(set(alone)) > 1
    assert llm.chat([]) == []


def test_forms_of_messages_mean_the_same(llm: LLM, media: Path) -> None:
    path = str(media / "shapes.png")
    text = {"type": "text", "text": QUESTION}
    expected = llm.chat(picture(media)).text
    for part in (
        {"type": "image_url", "image_url": {"url": path}},
        {"type": "image", "image": {"image_path": path}},
        {"type": "image", "image": Path(path)},
        {"type": "input_image", "image_url": "file://" + path},
    ):
        assert llm.chat([{"role": "user", "content": [part, text]}]).text == expected, part


def test_settings_of_other_programs(endless: LLM) -> None:
    result = endless.chat("Tell me.", max_tokens=5, ignore_eos=True)
    assert len(result.token_ids) == 5 and result.finish_reason == "length"
    assert endless.chat("Tell me.", {"max_new_tokens": 5, "ignore_eos": True}).token_ids == result.token_ids
    assert endless.chat("Tell me.", SamplingParams(max_tokens=9, ignore_eos=True), max_tokens=5).token_ids == result.token_ids
    two = endless.chat(["Tell me.", "Tell me."], [{"max_tokens": 2}, {"max_tokens": 3}], ignore_eos=True)
    assert [len(row.token_ids) for row in two] == [2, 3]
    with pytest.raises(ValueError, match="2 requests and 1 samplings"):
        endless.chat(["a", "b"], [{"max_tokens": 2}])


def test_arguments_of_vllm(endless: LLM) -> None:
    params = videollama3.SamplingParams(max_tokens=3, ignore_eos=True, temperature=0)
    wanted = endless.chat("hello", params)
    for further in ({}, {"use_tqdm": False}, {"use_tqdm": True, "lora_request": None, "mm_processor_kwargs": None}):
        assert endless.chat("hello", sampling_params=params, **further).token_ids == wanted.token_ids
        assert endless.generate(wanted.prompt_token_ids, sampling_params=params, **further).token_ids == wanted.token_ids
    assert endless.plan("hello", sampling_params=params).new_tokens == 3
    with endless.stream("hello", sampling_params=params) as stream:
        assert [event.token_id for event in stream] == wanted.token_ids
    with pytest.raises(ValueError, match="twice: as sampling and as sampling_params"):
        endless.chat("hello", params, sampling_params=params)
    with pytest.raises(NotImplementedError, match="lora_request.*adapter"):
        endless.chat("hello", lora_request=object())
    with pytest.raises(ValueError, match='mm_processor_kwargs of a call has "fpz"'):
        endless.chat("hello", mm_processor_kwargs={"fpz": 1})
    assert endless.get_tokenizer()("hello")["input_ids"] == endless.tokenizer.encode("hello")
    asked = endless.generate(["a red", {"prompt": "a ring"}, wanted.prompt_token_ids], params)
    assert [row.prompt for row in asked] == ["a red", "a ring", None] and all(row.finished for row in asked)
    assert len({row.request_id for row in [wanted, *asked]}) == 4 and isinstance(wanted.request_id, str)


def test_draws_are_repeatable(endless: LLM) -> None:
    def draw(**settings: object) -> list[int]:
        return endless.chat("Tell me.", max_tokens=12, ignore_eos=True, **settings).token_ids

    hot = draw(temperature=1.5, seed=7)
    assert draw(temperature=1.5, seed=7) == hot
    assert draw(temperature=1.5, seed=8) != hot
    assert draw(temperature=0) == draw(do_sample=False)


def test_several_answers(endless: LLM) -> None:
    drawn = endless.chat("Tell me.", n=3, temperature=1.5, seed=1, max_tokens=6, ignore_eos=True)
    assert len(drawn.outputs) == 3 and [output.index for output in drawn.outputs] == [0, 1, 2]
    assert len({tuple(output.token_ids) for output in drawn.outputs}) == 3
    assert drawn.usage.completion_tokens == 18
    same = endless.chat("Tell me.", n=2, temperature=0, max_tokens=4, ignore_eos=True)
    assert [output.token_ids for output in same.outputs] == [same.token_ids] * 2


def test_logprobs(endless: LLM) -> None:
    result = endless.chat("Tell me.", max_tokens=4, ignore_eos=True, temperature=0, logprobs=True, top_logprobs=3)
    assert result.logprobs is not None
    assert [entry.token_id for entry in result.logprobs] == result.token_ids
    for entry in result.logprobs:
        assert len(entry.top) == 3 and entry.top[0].token_id == entry.token_id and entry.logprob < 0
    assert endless.chat("Tell me.", max_tokens=2, logprobs=False).logprobs is None


def test_stop_strings(llm: LLM, media: Path) -> None:
    whole = llm.chat(picture(media)).text
    word = whole.split()[1]
    cut = llm.chat(picture(media), stop=word)
    assert cut.text == whole[: whole.index(word)] and cut.outputs[0].stop_reason == word


def test_stop_strings_count_behind_min_tokens(endless: LLM) -> None:
    whole = endless.chat("Tell me.", max_tokens=12, ignore_eos=True)
    stop = whole.text[:2]
    assert endless.chat("Tell me.", max_tokens=12, ignore_eos=True, stop=stop).text == ""
    late = endless.chat("Tell me.", max_tokens=12, ignore_eos=True, stop=stop, min_tokens=12)
    assert late.token_ids == whole.token_ids and late.text.startswith(stop)
    early = endless.chat("Tell me.", max_tokens=12, ignore_eos=True, stop=stop, min_new_tokens=12)
    assert early.text == "", "under the reference's name only end tokens wait"


def test_text_that_is_none_is_named(llm: LLM) -> None:
    for call in (lambda: llm.chat("\ud800"), lambda: llm.chat("x", stop=["\udc00"]), lambda: llm.generate("\ud800"),
                 lambda: llm.chat([{"role": "user\ud800", "content": "x"}]), lambda: llm.chat("x", cache_salt="\ud800")):
        with pytest.raises(ValueError, match="ud800|udc00"):
            call()
    with pytest.raises(ValueError, match=r"\[request.generate.stop_strings\[0\]\] is no text"):
        llm.chat("x", stop=["\udc00"])
    with pytest.raises(ValueError, match=r"\[text\] is no text"):
        llm.generate("a\ud800")


def test_what_is_said_of_a_turn_is_checked(llm: LLM) -> None:
    for name, value in (("priority", "x"), ("priority", 1.5), ("deadline", "soon"), ("client", 5), ("cache_salt", b"a"), ("cut_to_context", 1)):
        with pytest.raises(TypeError, match=rf"\[llm\] {name} is .*; it should be"):
            llm.chat("x", **{name: value})
    with pytest.raises(ValueError, match="priority is 2147483648"):
        llm.chat("x", priority=2**31)


def test_forms_of_answers(llm: LLM, media: Path) -> None:
    schema = {"type": "object", "properties": {"shape": {"enum": ["ring", "cross"]}}, "required": ["shape"], "additionalProperties": False}
    for form in ({"json_schema": schema}, {"json_schema": json.dumps(schema)}, {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}):
        assert json.loads(llm.chat(picture(media), **form).text)["shape"] in ("ring", "cross")
    assert llm.chat(picture(media), choice=["yes", "no"]).text in ("yes", "no")
    assert llm.chat(picture(media), regex="[0-9]{3}").text.isdigit()
    with pytest.raises(ValueError, match="one form: regex and choice"):
        llm.chat(picture(media), regex="a", choice=["a"])
    with pytest.raises(ValueError, match="regular expression"):
        llm.chat(picture(media), regex="(")


def test_names_that_are_none(llm: LLM) -> None:
    with pytest.raises(ValueError, match='"temprature".*"temperature"'):
        llm.chat("a", temprature=1)
    with pytest.raises(ValueError, match='"prioriy".*"priority"'):
        llm.chat("a", prioriy=1)
    with pytest.raises(ValueError, match="max_new_tokens.*given as well"):
        llm.chat("a", max_tokens=1, max_new_tokens=2)
    with pytest.raises(ValueError, match="top_p"):
        llm.chat("a", top_p=7)
    with pytest.raises(ValueError, match="on_error"):
        llm.chat("a", on_error="ignore")
    with pytest.raises(ValueError, match="there is no setting"):
        SamplingParams(zzz=1)
    for far in ("output_kind", "guided_choice", "stop_reason"):
        with pytest.raises(ValueError, match=f'"{far}"; docs'):
            SamplingParams(**{far: 1})


def test_settings_are_attributes(endless: LLM) -> None:
    settings = SamplingParams(temperature=0, ignore_eos=True)
    settings.max_tokens = 2
    assert settings == {"temperature": 0, "ignore_eos": True, "max_tokens": 2}
    assert (settings.max_tokens, settings.temperature, settings.top_p) == (2, 0, None)
    assert len(endless.chat("Tell me.", settings).token_ids) == 2
    settings["max_tokens"] = 3
    assert settings.max_tokens == 3
    for made in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert type(made) is SamplingParams and made == settings
    with pytest.raises(ValueError, match='"max_token".*"max_tokens"'):
        settings.max_token = 4
    with pytest.raises(AttributeError, match="max_token"):
        settings.max_token


def test_settings_that_say_what_is_done_anyway(endless: LLM) -> None:
    fixed = {"detokenize": True, "skip_special_tokens": True, "spaces_between_special_tokens": True, "include_stop_str_in_output": False,
             "bad_words": [], "prompt_logprobs": None}
    assert len(endless.chat("Tell me.", SamplingParams(**fixed, max_tokens=2, ignore_eos=True)).token_ids) == 2
    for name, value in (("detokenize", False), ("skip_special_tokens", False), ("bad_words", ["a"]), ("prompt_logprobs", 1)):
        with pytest.raises(NotImplementedError, match=f"{name}="):
            endless.chat("Tell me.", **{name: value})


def test_what_is_none_of_the_forms_is_named(endless: LLM) -> None:
    with pytest.raises(ValueError, match="there are no messages"):
        endless.chat([[]])
    with pytest.raises(TypeError, match="a bytes"):
        endless.chat(b"hi")
    for wrong in (b"ab", None, 3):
        with pytest.raises(TypeError, match="no prompt"):
            endless.generate(wrong)
    for settings, told in (({"choice": "ab"}, "list of texts"), ({"json_schema": "{"}, "json_schema.*no JSON"),
                           ({"response_format": {"type": "json_schema"}}, 'should have "json_schema"')):
        with pytest.raises(ValueError, match=told):
            endless.chat("hello", **settings)
    with pytest.raises(ValueError, match="max_memory.*1.5"):
        LLM(endless.model, max_memory=1.5)
    free = endless.generate([5, 6, 7], max_tokens=1).token_ids[0]
    assert endless.generate([5, 6, 7], max_tokens=1, logit_bias={free: -100}).token_ids[0] != free


def test_the_first_error_ends_a_batch(endless: LLM, media: Path) -> None:
    absent = [{"role": "user", "content": [{"type": "image", "image": str(media / "absent.png")}]}]
    before = endless.stats()["finished"]
    with pytest.raises(FileNotFoundError, match="absent.png"):
        endless.chat(["Tell me.", absent, "Tell me."], max_tokens=20000, ignore_eos=True, cut_to_context=True)
    while any((stats := endless.stats())[name] for name in ("queued", "processing", "encoding", "prefilling", "decoding")):
        time.sleep(0.01)
    assert stats["finished"] == before and stats["new_tokens"] < 2 * 20000  # the others were ended


def test_errors_stand_in_their_rows(llm: LLM, media: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    broken = [{"role": "user", "content": [{"type": "image", "image": str(tmp_path / "broken.png")}]}]
    rows = llm.chat([picture(media), broken, [{"role": "user", "content": [{"type": "imge"}]}], "x"], on_error="return")
    assert rows[0].text == llm.chat(picture(media)).text
    assert isinstance(rows[1], videollama3.FormatError) and "broken.png" in str(rows[1])
    assert isinstance(rows[2], ValueError) and "imge" in str(rows[2])
    assert rows[3].text


def test_a_deadline_cuts_an_answer_off(endless: LLM) -> None:
    def cut_after(deadline: float) -> videollama3.Result | TimeoutError:
        (row,) = endless.chat(["Tell me."], max_tokens=20000, ignore_eos=True, cut_to_context=True, deadline=deadline, on_error="return")
        return row

    # On a busy machine the first token comes late: 0.5 s are enough for it most of the time, one of these for sure.
    tried = [cut_after(0.5)]
    while isinstance(tried[-1], TimeoutError) and len(tried) < 8:
        tried.append(cut_after(0.5 * 2 ** len(tried)))
    result = tried[-1]
    assert not isinstance(result, TimeoutError), tried
    assert result.finish_reason == "deadline" and len(result.token_ids) > 0
    with pytest.raises(TimeoutError):
        endless.chat("Tell me.", deadline=1e-9)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="deadline is .*above 0"):
            endless.chat("Tell me.", deadline=wrong)


def test_prompts_as_they_stand(endless: LLM) -> None:
    ids = endless.tokenizer.encode("a red ring", True)
    result = endless.generate("a red ring", max_tokens=3, ignore_eos=True)
    assert result.prompt_token_ids == ids
    by_ids, in_dict = endless.generate([ids, {"prompt": "a red ring"}], max_tokens=3, ignore_eos=True)
    assert by_ids.token_ids == in_dict.token_ids == result.token_ids
    assert by_ids.usage.image_tokens == 0
    with pytest.raises(ValueError, match="no tokens"):
        endless.generate("")
    with pytest.raises(ValueError, match='"videos" is of pictures and clips'):
        endless.generate("a", fps=1)
    with pytest.raises(ValueError, match='"tools" is of chats'):
        endless.generate("a", tools=[])
    with pytest.raises(NotImplementedError, match='cannot have "prompt_embeds"'):
        endless.generate({"prompt_embeds": [1]})
    with pytest.raises(ValueError, match='neither "prompt" nor "prompt_token_ids"'):
        endless.generate({"multi_modal_data": None})


def test_plans_come_from_headers(llm: LLM, media: Path) -> None:
    plan = llm.plan(clip(media, fps=1), max_tokens=7)
    assert plan.fits and plan.rejection_reason == ""
    assert plan.new_tokens == 7
    assert plan.media[0].kind == "video" and plan.media[0].frames > 1
    assert plan.min_prompt_tokens <= plan.prompt_tokens
    answered = llm.chat(clip(media, fps=1), max_tokens=1)
    assert answered.usage.prompt_tokens <= plan.prompt_tokens
    assert plan.estimated_s == 0 < llm.plan(picture(media), estimate=True).estimated_s
    assert len(llm.plan([picture(media), "text"])) == 2


def test_what_cannot_fit_is_refused_with_numbers(tiny: Path, media: Path) -> None:
    with LLM(tiny, threads=1, max_memory="100 kB") as small, pytest.raises(videollama3.LimitError, match="are needed"):
        small.chat(picture(media))


def test_vectors(llm: LLM, media: Path) -> None:
    one, other = llm.embed(["a red ring", "a red ring"])
    assert one.vector == other.vector and len(one.vector) == llm.config["text_config"]["hidden_size"]
    assert abs(sum(x * x for x in one.vector) - 1) < 1e-3
    assert llm.embed(llm.tokenizer.encode("a red ring", True)).vector == one.vector
    asked = llm.embed(picture(media))
    assert [entry.kind for entry in asked.embeddings] == ["prompt"]
    alone = llm.embed([{"role": "user", "content": [{"type": "image", "image": str(media / "shapes.png")}]}])
    assert [entry.kind for entry in alone.embeddings] == ["image"] and alone.vector != asked.vector
    frames = llm.embed([{"role": "user", "content": [{"type": "video", "video": str(media / "moving.mp4"), "fps": 2}]}], per_frame=True)
    assert len(frames.embeddings) > 1 and all(entry.timestamp is not None for entry in frames.embeddings)
    with pytest.raises(ValueError, match="per_frame"):
        llm.embed("text", per_frame=True)
    with pytest.raises(ValueError, match="temperature"):
        llm.embed("text", temperature=1)


def test_adapters_are_named(llm: LLM) -> None:
    with pytest.raises(ValueError, match="adapter is 'mine'.*there are none"):
        llm.chat("a", adapter="mine")


def test_options_are_checked(demo: Path) -> None:
    with pytest.raises(ValueError, match='"compute" is "f64"'):
        LLM(demo, compute="f64")
    with pytest.raises(ValueError, match="dtype is 'int3'"):
        LLM(demo, dtype="int3")
    with pytest.raises(ValueError, match='"max_memory" is .much'):
        LLM(demo, max_memory="much")
    with pytest.raises(ValueError, match='no limit "max_size"'):
        LLM(demo, limits={"max_size": 1})
    with pytest.raises(ValueError, match='"max_running" is 0'):
        LLM(demo, max_running=0)
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        LLM(demo.parent / "no-such-model")


def test_caches_are_counted_and_salted(demo: Path, media: Path) -> None:
    with LLM(demo, threads=2, feature_cache="64 MiB", prefix_cache="64 MiB") as cached:
        first = cached.chat(picture(media))
        again = cached.chat(picture(media))
        assert again.text == first.text and again.usage.cached_tokens > 0
        assert cached.stats()["cache_pictures"] == 1 and cached.stats()["cache_asked_pictures"] == 2
        assert cached.chat(picture(media), cache_salt="other").usage.cached_tokens == 0


def test_limits_of_media(demo: Path, media: Path) -> None:
    with LLM(demo, limits={"max_pixels": 100}) as small, pytest.raises(videollama3.LimitError, match="max_pixels"):
        small.chat(picture(media))


def test_a_closed_model_says_so(tiny: Path) -> None:
    opened = LLM(tiny, threads=1)
    opened.close()
    opened.close()
    assert opened.closed
    for ask in (opened.chat, opened.generate, opened.stream, opened.plan, opened.embed):
        with pytest.raises(RuntimeError, match="closed"):
            ask("a")


def test_nothing_is_printed(demo: Path, media: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("videollama3").setLevel(logging.DEBUG)
    with LLM(demo, threads=2) as quiet:
        quiet.chat(picture(media))
    assert capfd.readouterr() == ("", "")


def test_the_documents_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(PROJECT)
    text = (PROJECT / "docs/python_llm.md").read_text(encoding="utf-8")
    example = text.split("```python\n", 1)[1].split("```", 1)[0]
    exec(compile(example, "docs/python_llm.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(("size", "kind", "words"), [
    ("1e300GiB", ValueError, "more than 1 PiB"), ("1e400", ValueError, "more than 1 PiB"), (10**400, ValueError, "more than 1 PiB"),
    (float("inf"), ValueError, "more than 1 PiB"), (float("nan"), ValueError, "number of bytes"), ("nan", ValueError, "number of bytes"),
    ("inf", ValueError, "number of bytes"), ("-1 GiB", ValueError, "number of bytes"), (-1, ValueError, "number of bytes"),
    ("0x10", ValueError, "number of bytes"), ("4 XiB", ValueError, "number of bytes"), (True, TypeError, "number of bytes")])
def test_sizes_that_are_none_are_named(demo: Path, size: Any, kind: type[Exception], words: str) -> None:
    for name in ("max_memory", "kv_cache", "feature_cache", "prefix_cache", "disk_cache_size"):
        with pytest.raises(kind, match=f'"{name}" is .*{words}'):
            LLM(demo, **{name: size})
    with pytest.raises(kind, match=f'"cache_size" is .*{words}'):
        LLM(demo, fetch={"cache_size": size})
