#!/usr/bin/env python3
"""Writes tests/golden/prompts/*.json: hashes of the prompts, and of their ids, that the references send.

lm-eval builds its own prompts from local data; `mmlu_original` and `gsm8k_deepseek`, which lm-eval does not
have, are built here from their published formulas. Hashes only: no data set text is stored.

usage: prompt_goldens.py --data DIR [--tokenizer DIR] [--output DIR] [--only NAME ...] [--check]
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reference.lm_eval_local import load_tasks, load_tokenizer, local_data, tokenizing_model

DEFAULT_OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "prompts"
_MMLU_DOCUMENTS = (0, 1, 41)
_FIRST = tuple(range(17))


@dataclass
class Variant:
    """One golden file: a fathom task and the lm-eval task it equals (None: built here by formula)."""

    name: str
    lm_eval: str | None
    num_fewshot: int | None
    documents: tuple[int, ...]
    chat: str | None = None  # None, "multiturn" (few-shot as turns) or "one_turn"
    task: str | None = None  # fathom's task where it is not `name`
    all_ids: bool = False  # also a digest of the ids of every document


def variants() -> list[Variant]:
    gsm8k = (*_FIRST, 700, 1000, 1318)
    few = (0, 1, 2, 3, 1318)
    return [
        Variant("mmlu", "mmlu", 5, _MMLU_DOCUMENTS, all_ids=True),
        Variant("mmlu_zero_shot", "mmlu", 0, (7,), task="mmlu"),
        Variant("mmlu_cloze", "mmlu_continuation", 5, (0, 99)),
        Variant("mmlu_generative", "mmlu_generative", 5, (0,)),
        Variant("mmlu_original", None, 5, (0, 41)),
        Variant("gsm8k", "gsm8k", 5, gsm8k, all_ids=True),
        Variant("gsm8k_cot", "gsm8k_cot", 8, gsm8k, all_ids=True),
        Variant("gsm8k_deepseek", None, 8, gsm8k),
        Variant("humaneval", "humaneval", 0, (*_FIRST, 50, 100, 163), all_ids=True),
        Variant("mmlu_chat_multiturn", "mmlu", 5, (2,), "multiturn", "mmlu"),
        Variant("mmlu_chat_one_turn", "mmlu", 5, (2,), "one_turn", "mmlu"),
        Variant("gsm8k_chat_multiturn", "gsm8k", 5, few, "multiturn", "gsm8k"),
        Variant("gsm8k_chat_one_turn", "gsm8k", 5, few, "one_turn", "gsm8k"),
        Variant("humaneval_instruct", "humaneval_instruct", 0, (*_FIRST, 50, 100, 163)),
        Variant(
            "humaneval_instruct_chat",
            "humaneval_instruct",
            0,
            (*_FIRST, 50, 100, 163),
            "multiturn",
            "humaneval_instruct",
        ),
    ]


@dataclass
class Document:
    """One rendered document: what would be sent to the model."""

    task: str
    doc_id: int
    prompt: str
    continuations: list[str]
    stop: list[str] | None = None
    max_new_tokens: int | None = None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def join_ids(ids: list[int]) -> str:
    return ",".join(map(str, ids))


class Encoder:
    """Context and continuation ids as lm-eval encodes them, with and without BOS."""

    def __init__(self, tokenizer):
        self._models = {bos: tokenizing_model(tokenizer, bos) for bos in (False, True)}

    def context(self, document: Document, bos: bool) -> list[int]:
        if document.continuations:
            return self._models[bos]._encode_pair(document.prompt, document.continuations[0])[0]
        return self._models[bos].tok_encode(document.prompt)

    def continuations(self, document: Document) -> list[list[int]]:
        return [self._models[False]._encode_pair(document.prompt, c)[1] for c in document.continuations]


def lm_eval_documents(variant: Variant, tokenizer) -> Iterator[Document]:
    """Every document of the variant in order: lm-eval's exemplar draws depend on it."""
    for name, task in load_tasks([variant.lm_eval], variant.num_fewshot).items():
        template = None
        if variant.chat:

            def template(messages, add_generation_prompt=True):
                # as lm_eval.models.huggingface.HFLM.apply_chat_template
                return tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                )

        task.build_all_requests(
            apply_chat_template=bool(variant.chat),
            fewshot_as_multiturn=variant.chat == "multiturn",
            chat_template=template,
        )
        documents: dict[int, Document] = {}
        for instance in task.instances:
            doc_id = instance.metadata[1]
            document = documents.setdefault(doc_id, Document(name, doc_id, instance.args[0], []))
            if isinstance(instance.args[1], str):
                document.continuations.append(instance.args[1])
            else:
                document.stop = list(instance.args[1]["until"])
                document.max_new_tokens = instance.args[1].get("max_gen_toks", 256)
        yield from (documents[i] for i in sorted(documents))


def mmlu_original_documents(data: Path) -> Iterator[Document]:
    """The prompt of the MMLU authors' evaluate.py: two spaces before the subject, questions not stripped."""

    def rows(split: str, subject: str) -> list[list[str]]:
        with open(data / "mmlu" / split / f"{subject}_{split}.csv", newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    def question(row: list[str]) -> str:
        return (
            row[0]
            + "".join(f"\n{letter}. {text}" for letter, text in zip("ABCD", row[1:5], strict=True))
            + "\nAnswer:"
        )

    for path in sorted((data / "mmlu" / "test").glob("*_test.csv")):
        subject = path.name.removesuffix("_test.csv")
        words = "".join(" " + word for word in subject.split("_"))
        header = f"The following are multiple choice questions (with answers) about {words}.\n\n"
        header += "".join(f"{question(row)} {row[5]}\n\n" for row in rows("dev", subject)[:5])
        for doc_id, row in enumerate(rows("test", subject)):
            yield Document(
                f"mmlu_original_{subject}", doc_id, header + question(row), [f" {c}" for c in "ABCD"]
            )


def gsm8k_deepseek_documents(data: Path) -> Iterator[Document]:
    """The DeepSeek-V2 report's 8-shot prompt: its fixed prefix, then the question."""
    prefix = (data / "golden" / "gsm8k_ds2_8shot_prefix.txt").read_text()
    with open(data / "gsm8k" / "test.jsonl", encoding="utf-8") as file:
        for doc_id, line in enumerate(file):
            question = json.loads(line)["question"]
            yield Document(
                "gsm8k_deepseek", doc_id, f"{prefix}Q: {question}\nA: Let's think step by step.", []
            )


def render(variant: Variant, data: Path, tokenizer) -> dict:
    if variant.lm_eval is not None:
        documents = list(lm_eval_documents(variant, tokenizer))
    elif variant.name == "mmlu_original":
        documents = list(mmlu_original_documents(data))
    else:
        documents = list(gsm8k_deepseek_documents(data))
    encoder = Encoder(tokenizer)
    golden = {
        "task": variant.task or variant.name,
        "reference": f"lm-eval {variant.lm_eval}" if variant.lm_eval else "formula",
        "num_fewshot": variant.num_fewshot,
        "chat": variant.chat,
        "stop": documents[0].stop,
        "max_new_tokens": documents[0].max_new_tokens,
        "all": {"n": len(documents), "prompts": digest(sha256(d.prompt) for d in documents)},
        "documents": [describe(d, encoder) for d in documents if d.doc_id in variant.documents],
    }
    if variant.all_ids:
        golden["all"]["ids"] = digest(sha256(join_ids(encoder.context(d, False))) for d in documents)
    return golden


def digest(hashes: Iterable[str]) -> str:
    """SHA-256 of hashes in hexadecimal, a newline after each."""
    return sha256("".join(h + "\n" for h in hashes))


def describe(document: Document, encoder: Encoder) -> dict:
    ids = encoder.context(document, False)
    entry = {
        "task": document.task,
        "doc_id": document.doc_id,
        "prompt_sha256": sha256(document.prompt),
        "n_tokens": len(ids),
        "ids_sha256": sha256(join_ids(ids)),
        "ids_sha256_bos": sha256(join_ids(encoder.context(document, True))),
    }
    if document.continuations:
        entry["continuations_sha256"] = sha256("\0".join(document.continuations))
        entry["continuation_ids_sha256"] = sha256(";".join(map(join_ids, encoder.continuations(document))))
    return entry


def dump(golden: dict) -> str:
    head = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items() if k != "documents")
    rows = ",\n".join("    " + json.dumps(d) for d in golden["documents"])
    return f'{{\n{head},\n  "documents": [\n{rows}\n  ]\n}}\n'


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=root / ".." / "shared" / "data")
    parser.add_argument("--tokenizer", type=Path, help="default: DATA/tokenizer/deepseek-v2")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--only", nargs="*")
    parser.add_argument(
        "--check", action="store_true", help="compare with the files that are there; write nothing"
    )
    args = parser.parse_args()
    tokenizer = load_tokenizer(args.tokenizer or args.data / "tokenizer" / "deepseek-v2")
    stale = []
    with local_data(args.data):
        for variant in variants():
            if args.only and variant.name not in args.only:
                continue
            text = dump(render(variant, args.data, tokenizer))
            path = args.output / f"{variant.name}.json"
            if not args.check:
                path.write_text(text)
            elif not path.exists() or path.read_text() != text:
                stale.append(variant.name)
            print(f"{variant.name}: {json.loads(text)['all']['n']} documents", flush=True)
    if stale:
        raise SystemExit(f"stale goldens: {', '.join(stale)}")


if __name__ == "__main__":
    main()
