"""Writes tests/golden/tokenizer/cases.json: texts, the ids that `tokenizers` gives them, and their decoding.

    python tools/tokenizer/make_golden_cases.py tests/golden/tokenizer

Needs `tokenizers`.
"""

import json
import pathlib
import sys

from tokenizers import Tokenizer

from corpora import CORPORA, texts as corpus_texts

HAND_MADE = ["", " ", "  a", "a   b", "a  \n  b", "   \n", "it's", "foo_bar", "C++", "!!!!!!", "1,234.5", "caf\u00e9", " \u3002",
             "\u00a0word", "<note>s <note> <not", "x" * 300, "def f(x):\n    return x\n", "\u2460\u00bd\u0663\u2163",
             "\U0001f44d\U0001f3fd ok", "<\uff5cUser\uff5c>hi<\uff5cAssistant\uff5c>", "\u0915\u094d\u0937 \u0e01\u0e33"]


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    texts = list(HAND_MADE)
    for name in CORPORA:
        texts += corpus_texts(name, 1, 30, tokens)
    cases = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True, separators=(",", ":")) for case in cases)
    (folder / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
