"""Trains the small tokenizer of tests/golden/tokenizer on seeded text of our own.

    python tools/tokenizer/make_golden_tokenizer.py tests/golden/tokenizer

Needs `tokenizers`. Same file format and pre-tokenizer as the DeepSeek-V2 family, 512 ids: the 256 bytes,
247 merges, seven special tokens and three added tokens that are not special and overlap, so that the longest
match matters. The same `tokenizers` version writes the same bytes.
"""

import json
import pathlib
import random
import sys

from pre_tokenizer import deepseek_pre_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers
from tokenizers import pre_tokenizers as hf

SPECIAL = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>",
           "<｜User｜>", "<｜Assistant｜>"]
NOT_SPECIAL = ["<note>", "<note>s", "ø"]
NEW_TOKENS = SPECIAL + NOT_SPECIAL[:2]  # "ø" is also the alphabet's character of byte F8 and keeps that id
VOCABULARY = 512

# Renders like the templates of DeepSeek-V2-Chat; written here, not taken from a checkpoint.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}"
    "{% if turn.role == 'system' %}{{ turn.content + '\\n\\n' }}"
    "{% elif turn.role == 'user' %}{{ 'User: ' + turn.content + '\\n\\n' }}"
    "{% elif turn.role == 'assistant' %}{{ 'Assistant: ' + turn.content + eos_token }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def training_text(seed: int) -> list[str]:
    """Lines of prose, arithmetic and code in several scripts."""
    draw = random.Random(seed)
    things = ["river", "lantern", "engine", "answer", "question", "garden", "table", "window", "mountain", "letter"]
    people = ["Ana", "Bruno", "Chidi", "Dagmar", "Émile", "Zoë"]
    verbs = ["finds", "counts", "paints", "remembers", "sells", "builds"]
    other = ["Женщина читает книгу у окна.", "河边的灯亮了，人们在等答案。", "Ο ποταμός κυλά ήσυχα.",
             "नदी के किनारे एक बगीचा है।", "Die Brücke führt über den Fluss.", "강가에 작은 정원이 있다."]
    lines = []
    for _ in range(1500):
        who, what, verb = draw.choice(people), draw.choice(things), draw.choice(verbs)
        a, b = draw.randrange(100), draw.randrange(100)
        lines.append(draw.choice([
            f"{who} {verb} the {what} before the {draw.choice(things)} is gone.",
            f"Question: What does {who} see near the {what}?\nAnswer: a {draw.choice(things)}",
            f"If {who} has {a} and gets {b} more, the answer is {a + b}.",
            f"def add_{what}(x, y):\n    return x + y  # {a}",
            f"(A) {what} (B) {draw.choice(things)} (C) {draw.choice(things)}",
            draw.choice(other),
        ]))
    return lines


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = deepseek_pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(NEW_TOKENS), show_progress=False,
                                  initial_alphabet=hf.ByteLevel.alphabet())
    tokenizer.train_from_iterator(training_text(seed=7), trainer)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, normalized=True) for t in NOT_SPECIAL])
    assert tokenizer.get_vocab_size() == VOCABULARY
    tokenizer.save(str(folder / "tokenizer.json"), pretty=True)
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": {"__type": "AddedToken", "content": SPECIAL[0], "lstrip": False, "normalized": False,
                      "rstrip": False, "single_word": False},
        "eos_token": SPECIAL[1],
        "pad_token": SPECIAL[1],
        "unk_token": None,
        "model_max_length": 163840,
        "tokenizer_class": "LlamaTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
