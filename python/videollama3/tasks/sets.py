"""The sets that can be converted: names, what their folders hold, and who reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Union

from . import choice_sets, easy_vqa, open_sets, picture_sets
from .rows import LeftOut, Row, Source


@dataclass(frozen=True)
class TaskSet:
    """`holds`: what the folder has, in words. `splits`: the first is what is meant where none is named."""

    name: str
    title: str
    holds: str
    scores: str
    splits: tuple[str, ...]
    read: Callable[[Source], Iterator[Union[Row, LeftOut]]]


_ALL = (
    TaskSet("videomme", "Video-MME", "test-*.parquet, videos/, subtitles/*.srt", "first_letter", ("test",),
            choice_sets.videomme),
    TaskSet("mvbench", "MVBench", "json/*.json, video/", "first_letter", ("test",), choice_sets.mvbench),
    TaskSet("mlvu", "MLVU", "json/*.json, video/; test: test_multi_choice_tasks.json, MLVU_Test/video/",
            "first_letter; test: not_scored", ("dev", "test"), choice_sets.mlvu),
    TaskSet("longvideobench", "LongVideoBench", "lvb_val.json, videos/, subtitles/*.json", "first_letter", ("val",),
            choice_sets.longvideobench),
    TaskSet("lvbench", "LVBench", "video_info.meta.jsonl, video/", "word_letter", ("test",), choice_sets.lvbench),
    TaskSet("perception_test", "PerceptionTest", "mc_question_test.json, videos/", "not_scored; valid: first_letter",
            ("test", "valid"), choice_sets.perception_test),
    TaskSet("egoschema", "EgoSchema", "questions.json, good_clips_git/; subset: subset_answers.json",
            "not_scored; subset: first_letter", ("test", "subset"), choice_sets.egoschema),
    TaskSet("nextqa", "NExT-QA", "test.csv, map_vid_vidorID.json, NExTVideo/", "first_letter", ("test",),
            choice_sets.nextqa),
    TaskSet("tempcompass", "TempCompass", "yes_no/, captioning/, caption_matching/, multi-choice/ (test-*.parquet), "
            "videos/", "begins; captioning: not_scored", ("test",), choice_sets.tempcompass),
    TaskSet("charades_sta", "Charades-STA", "charades_annotations_test-random_prompt.json, Charades_v1/",
            "temporal_iou", ("test",), open_sets.charades_sta),
    TaskSet("activitynet_qa", "ActivityNet-QA", "test_q.json, test_a.json, all_test/", "not_scored", ("test",),
            open_sets.activitynet_qa),
    TaskSet("mmvu", "MMVU", "validation.json, videos/", "not_scored", ("validation",), open_sets.mmvu),
    TaskSet("docvqa", "DocVQA", "val.jsonl or test.jsonl, the pictures that they name", "anls; test: not_scored",
            ("val", "test"), picture_sets.docvqa),
    TaskSet("infovqa", "InfographicVQA", "infographicsVQA_val_v1.0_withQT.json or infographicsVQA_test_v1.0.json, "
            "images/", "anls; test: not_scored", ("val", "test"), picture_sets.infovqa),
    TaskSet("chartqa", "ChartQA", "test_augmented_renamed.jsonl, test_human_renamed.jsonl, the pictures that they "
            "name", "relaxed", ("test",), picture_sets.chartqa),
    TaskSet("ai2d", "AI2D", "ai2d_test_vlmevalkit.jsonl, the pictures that it names", "first_letter", ("test",),
            picture_sets.ai2d),
    TaskSet("gqa", "GQA", "llava_gqa_testdev_balanced.jsonl, data/testdev_balanced_questions.json, data/images/",
            "exact", ("testdev",), picture_sets.gqa),
    TaskSet("ocrbench", "OCRBench", "OCRBench.json, OCRBench_Images/", "contains, contains_symbols", ("test",),
            picture_sets.ocrbench),
    TaskSet("realworldqa", "RealWorldQA", "test-*.parquet, itself or in data/", "exact", ("test",),
            picture_sets.realworldqa),
    TaskSet("mme", "MME", "MME_Benchmark_release_version/", "yes_no, pairs", ("test",), picture_sets.mme),
    TaskSet("mathvista", "MathVista", "testmini.json, query.json, images/", "last_letter, number, exact",
            ("testmini",), picture_sets.mathvista),
    TaskSet("mmmu", "MMMU", "a folder a subject (validation-*.parquet)", "last_letter, exact; test: not_scored",
            ("validation", "test"), picture_sets.mmmu),
    TaskSet("blink", "BLINK", "a folder a task (test-*.parquet, val-*.parquet)", "not_scored; val: last_letter",
            ("test", "val"), picture_sets.blink),
    TaskSet("easy_vqa", "easy-vqa", "the package's folder, or its data/; without a folder, the installed package",
            "exact", ("test", "train"), easy_vqa.easy_vqa),
)

SETS = {task_set.name: task_set for task_set in _ALL}
