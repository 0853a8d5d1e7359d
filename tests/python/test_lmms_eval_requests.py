"""What lmms-eval asks, as LLM is asked."""

import pytest

from videollama3.lmms_eval_requests import message_of, settings_of


def test_greedy_unless_a_task_draws():
    assert settings_of(None, 128) == ({"do_sample": False, "max_new_tokens": 128}, [])
    assert settings_of({"temperature": 0, "top_p": 0.9, "do_sample": True}, 128)[0] == {
        "do_sample": False, "max_new_tokens": 128}
    assert settings_of({"temperature": 0.5, "top_p": 0.9}, 128)[0] == {
        "do_sample": True, "max_new_tokens": 128, "temperature": 0.5, "top_p": 0.9}
    assert settings_of({"temperature": 0.5, "top_k": 3, "do_sample": False}, 128)[0] == {
        "do_sample": False, "max_new_tokens": 128}
    assert settings_of({"do_sample": True, "seed": 3}, 128)[0] == {"do_sample": True, "max_new_tokens": 128, "seed": 3}


def test_ends_and_lengths():
    settings, unheeded = settings_of({"until": ["\n\n", ""], "max_new_tokens": 16, "repetition_penalty": 1.2}, 128)
    assert settings == {"do_sample": False, "max_new_tokens": 16, "stop": ["\n\n"], "repetition_penalty": 1.2}
    assert settings_of({"until": "Q:", "max_gen_toks": 9}, 128)[0] == {
        "do_sample": False, "max_new_tokens": 9, "stop": ["Q:"]}
    assert "stop" not in settings_of({"until": []}, 128)[0]
    assert unheeded == []


def test_what_is_not_heeded_is_named():
    assert settings_of({"length_penalty": 2, "image_aspect_ratio": "pad", "num_beams": 1, "top_a": None}, 1)[1] == [
        "length_penalty"]
    with pytest.raises(ValueError, match='"num_beams" is 4'):
        settings_of({"num_beams": 4}, 128)


def test_messages():
    clips, pictures = {"fps": 1, "max_frames": 180}, {"max_pixels": 1000}
    picture, frames = object(), [object()]
    said = {"role": "user", "content": [
        {"type": "image", "url": picture}, {"type": "video", "url": "a.mp4", "start_time": 2.0, "end_time": None},
        {"type": "video", "url": {"type": "video", "path": "b.mp4", "video_start": 1.5, "video_end": 4.0}},
        {"type": "video", "url": frames}, {"type": "text", "text": "What?"}]}
    assert message_of(said, clips, pictures) == {"role": "user", "content": [
        {"type": "image", "image": picture, "max_pixels": 1000},
        {"type": "video", "video": "a.mp4", "fps": 1, "max_frames": 180, "start_time": 2.0},
        {"type": "video", "video": "b.mp4", "fps": 1, "max_frames": 180, "start_time": 1.5, "end_time": 4.0},
        {"type": "video", "video": frames, "max_frames": 180},  # their rate is not ours to say
        {"type": "text", "text": "What?"}]}
    assert message_of({"role": "system", "content": "Be brief."}, clips, pictures) == {
        "role": "system", "content": "Be brief."}
    with pytest.raises(NotImplementedError, match='"audio"'):
        message_of({"role": "user", "content": [{"type": "audio", "url": "a.wav"}]}, clips, pictures)
