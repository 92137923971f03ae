#!/usr/bin/env python3
"""Trains the byte-level BPE of models/nano on the training text, in the file format of DeepSeek-V2's.

usage: python -m tools.nano.make_tokenizer OUTPUT
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from . import documents
from .curriculum import WRITERS
from .encoder import BOS, EOS

VOCAB = 2048
_PATTERN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "tokenizer" / "tokenizer.json"
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ 'User: ' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}"
    "{{ 'Assistant: ' + message['content'] + eos_token }}{% elif message['role'] == 'system' %}"
    "{{ message['content'] + '\\n\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def texts(seed: int, rows: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(rows):
        for writer in WRITERS.values():
            yield writer(rng, 2000).text()
        yield documents.needle_row(rng, 3000).text()


def build(seed: int) -> dict:
    """tokenizer.json. Splits, post-processor and decoder are DeepSeek-V2's; only the vocabulary is new."""
    layout = json.loads(_PATTERN.read_text(encoding="utf-8"))
    layout["model"] = {"type": "BPE", "vocab": {}, "merges": []}
    layout["added_tokens"] = []
    splits = Tokenizer.from_str(json.dumps(layout)).pre_tokenizer
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = splits
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - 2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator(texts(seed, 1500), trainer)
    model = json.loads(trained.to_str())["model"]
    layout["model"] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": model["vocab"],
        "merges": [" ".join(merge) for merge in model["merges"]],
    }
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    count = len(model["vocab"])
    layout["added_tokens"] = [{"id": count + i, "content": t, **flags} for i, t in enumerate((BOS, EOS))]
    return layout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    layout = build(args.seed)
    (args.output / "tokenizer.json").write_text(
        json.dumps(layout, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "unk_token": None,
        "model_max_length": 16384,
        "tokenizer_class": "LlamaTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": _TEMPLATE,
    }
    (args.output / "tokenizer_config.json").write_text(
        json.dumps(config, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print(f"{args.output}: {len(layout['model']['vocab'])} entries, {len(layout['model']['merges'])} merges")


if __name__ == "__main__":
    main()
