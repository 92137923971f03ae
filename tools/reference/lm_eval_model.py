"""lm-eval's Hugging Face model in float32, remembering the token ids it sent and got."""

from __future__ import annotations

from pathlib import Path

import torch
from lm_eval.models.huggingface import HFLM

from reference import deepseek_v2_transformers as port
from reference.lm_eval_local import load_tokenizer


class RecordingModel(HFLM):
    """HFLM over a loaded checkpoint; log-softmax in float32, one request a batch (no padding)."""

    def __init__(self, folder: Path, add_bos: bool, model=None):
        super().__init__(
            pretrained=model if model is not None else port.load(folder, patched=False, attention="sdpa"),
            tokenizer=load_tokenizer(folder),
            backend="causal",
            batch_size=1,
            device="cpu",
            softmax_dtype="float32",
            add_bos_token=add_bos,
        )
        self.scored: dict[tuple[str, str], tuple[list[int], list[int]]] = {}  # (context, continuation) -> ids
        self.generated: dict[tuple[int, ...], list[int]] = {}  # context ids -> all generated ids

    def _loglikelihood_tokens(self, requests, *args, **kwargs):
        for texts, context, continuation in requests:
            self.scored[texts] = (list(context), list(continuation))
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def _model_generate(self, context: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        out = super()._model_generate(context, *args, **kwargs)
        for row, ids in zip(context.tolist(), out.tolist(), strict=True):
            self.generated[tuple(row)] = ids[len(row) :]
        return out

    def context_ids(self, text: str) -> list[int]:
        """Ids of a generation prompt, as generate_until encodes it."""
        return self.tok_batch_encode([text])[0][0].tolist()
