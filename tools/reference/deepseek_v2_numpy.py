"""DeepSeek-V2 in float64, written from its formulas: the truth that engines and ports are measured against.

Semantics are the original model's where ports differ: norm_topk_prob and moe_layer_freq are honoured, a
lone mscale counts. Attention is in the expanded form. Everything is float64 except the RoPE angles, which
the model defines in float32 (position times inverse frequency, both float32). It is slow and has no cache;
sequences of a batch share nothing but the pass over the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from reference.geometry import is_moe_layer, resolve

_LATENT_NORM_EPS = 1e-6  # q_a_layernorm and kv_a_layernorm: the class default, not rms_norm_eps
_ROW_BLOCK = 512
_VOCAB_BLOCK = 16384


class Weights(Protocol):
    def __call__(self, name: str, rows: slice = ...) -> np.ndarray:
        """Tensor `name` in float64, or a range of its rows."""


@dataclass
class Scores:
    """What one sequence of T ids is worth."""

    logprobs: np.ndarray  # [T]; log p(ids[i] | ids[<i]), NaN at 0
    argmax: np.ndarray  # [T]; most likely id after ids[0..i], ties to the lowest
    margins: np.ndarray  # [T]; best minus second-best logit
    top: list[tuple[int, float]]  # the 20 best (id, logprob) after the last id
    routes: list[np.ndarray]  # a layer: [T, K] expert ids by falling score, or [0] for a dense layer
    router_margins: list[np.ndarray]  # a layer: [T] smallest probability gap that decided the choice, or [0]
    logits: np.ndarray | None = None  # [T, V] when asked for


@dataclass
class _Routing:
    experts: np.ndarray  # [N, K]
    weights: np.ndarray  # [N, K]
    margins: np.ndarray = field(default_factory=lambda: np.empty(0))  # [N]


def inverse_frequencies(config: dict) -> np.ndarray:
    """[dr/2] float32: plain RoPE, or YaRN's blend of it and the same divided by `factor`."""
    d, base = config["qk_rope_head_dim"], float(config["rope_theta"])
    j = np.arange(d // 2, dtype=np.float64)
    extrapolated = base ** (-2.0 * j / d)
    yarn = config["rope_scaling"]
    if yarn is None:
        return extrapolated.astype(np.float32)

    def corrected(rotations: float) -> float:
        original = yarn["original_max_position_embeddings"]
        return d * math.log(original / (2 * math.pi * rotations)) / (2 * math.log(base))

    low = max(math.floor(corrected(yarn.get("beta_fast", 32))), 0)
    high = min(math.ceil(corrected(yarn.get("beta_slow", 1))), d - 1)
    ramp = np.clip((j - low) / (high - low if high != low else 0.001), 0.0, 1.0)
    return (extrapolated / yarn["factor"] * ramp + extrapolated * (1.0 - ramp)).astype(np.float32)


def yarn_mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def attention_factor(config: dict) -> float:
    """Multiplies cos and sin. The original's defaults: mscale 1, mscale_all_dim 0."""
    yarn = config["rope_scaling"]
    if yarn is None:
        return 1.0
    factor = yarn["factor"]
    return yarn_mscale(factor, yarn.get("mscale", 1)) / yarn_mscale(factor, yarn.get("mscale_all_dim", 0))


def softmax_scale(config: dict) -> float:
    scale = (config["qk_nope_head_dim"] + config["qk_rope_head_dim"]) ** -0.5
    yarn = config["rope_scaling"]
    if yarn is not None and yarn.get("mscale_all_dim", 0):
        scale *= yarn_mscale(yarn["factor"], yarn["mscale_all_dim"]) ** 2
    return scale


def _rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return weight * (x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps))


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Pairs (x[2j], x[2j+1]) turned by angle j. x: [T, ..., dr], cos and sin: [T, dr/2]."""
    shape = (x.shape[0],) + (1,) * (x.ndim - 2) + (cos.shape[1],)
    cos, sin = cos.reshape(shape), sin.reshape(shape)
    out = np.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 1::2] * cos + x[..., 0::2] * sin
    return out


class DeepseekV2:
    """The model of one config.json over a source of float64 weights."""

    def __init__(self, config: dict, weights: Weights):
        self.config = resolve(config)
        self.weights = weights
        self.inverse_frequencies = inverse_frequencies(self.config)

    def score(self, sequences: list[list[int]], keep_logits: bool = False) -> list[Scores]:
        """Scores of every sequence. Weights are read once for the whole batch."""
        c = self.config
        lengths = [len(ids) for ids in sequences]
        bounds = np.cumsum([0] + lengths)
        spans = [slice(int(bounds[i]), int(bounds[i + 1])) for i in range(len(sequences))]
        rows = np.concatenate([np.asarray(ids) for ids in sequences])
        used, index = np.unique(rows, return_inverse=True)
        x = np.stack([self.weights("model.embed_tokens.weight", slice(int(i), int(i) + 1))[0] for i in used])[
            index
        ]
        routings: list[_Routing | None] = []
        for i in range(c["num_hidden_layers"]):
            layer = f"model.layers.{i}."
            eps = c["rms_norm_eps"]
            x = x + self._attention(
                layer + "self_attn.", _rms_norm(x, self.weights(layer + "input_layernorm.weight"), eps), spans
            )
            normed = _rms_norm(x, self.weights(layer + "post_attention_layernorm.weight"), eps)
            if is_moe_layer(c, i):
                y, routing = self._moe(layer + "mlp.", normed)
                routings.append(routing)
            else:
                y = self._swiglu(layer + "mlp.", normed)
                routings.append(None)
            x = x + y
        x = _rms_norm(x, self.weights("model.norm.weight"), c["rms_norm_eps"])
        return [
            self._head(x[span], sequences[i], routings, span, keep_logits) for i, span in enumerate(spans)
        ]

    def _bias(self, name: str) -> np.ndarray | float:
        return self.weights(name + ".bias") if self.config["attention_bias"] else 0.0

    def _attention(self, p: str, x: np.ndarray, spans: list[slice]) -> np.ndarray:
        c = self.config
        heads, dn, dr, dv = (
            c["num_attention_heads"],
            c["qk_nope_head_dim"],
            c["qk_rope_head_dim"],
            c["v_head_dim"],
        )
        if c["q_lora_rank"] is None:
            q = x @ self.weights(p + "q_proj.weight").T
        else:
            latent = x @ self.weights(p + "q_a_proj.weight").T + self._bias(p + "q_a_proj")
            latent = _rms_norm(latent, self.weights(p + "q_a_layernorm.weight"), _LATENT_NORM_EPS)
            q = latent @ self.weights(p + "q_b_proj.weight").T
        q = q.reshape(-1, heads, dn + dr)
        kv = x @ self.weights(p + "kv_a_proj_with_mqa.weight").T + self._bias(p + "kv_a_proj_with_mqa")
        rank = c["kv_lora_rank"]
        latent = _rms_norm(kv[:, :rank], self.weights(p + "kv_a_layernorm.weight"), _LATENT_NORM_EPS)
        expanded = (latent @ self.weights(p + "kv_b_proj.weight").T).reshape(-1, heads, dn + dv)
        out = np.empty((x.shape[0], heads, dv))
        for span in spans:
            length = span.stop - span.start
            angles = (np.arange(length, dtype=np.float32)[:, None] * self.inverse_frequencies).astype(
                np.float64
            )
            cos, sin = (f(angles) * attention_factor(c) for f in (np.cos, np.sin))
            q_pe = _rotate(q[span, :, dn:], cos, sin)
            k_pe = _rotate(kv[span, rank:], cos, sin)
            for head in range(heads):
                keys = np.concatenate([expanded[span, head, :dn], k_pe], axis=1)
                queries = np.concatenate([q[span, head, :dn], q_pe[:, head]], axis=1)
                out[span, head] = self._causal(queries, keys, expanded[span, head, dn:])
        return out.reshape(x.shape[0], heads * dv) @ self.weights(p + "o_proj.weight").T + self._bias(
            p + "o_proj"
        )

    def _causal(self, queries: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
        """softmax(scale q k^T) v, token i seeing 0..i. [T, dn+dr], [T, dn+dr], [T, dv] -> [T, dv]."""
        scale = softmax_scale(self.config)
        out = np.empty((queries.shape[0], values.shape[1]))
        for begin in range(0, queries.shape[0], _ROW_BLOCK):
            end = min(begin + _ROW_BLOCK, queries.shape[0])
            scores = scale * (queries[begin:end] @ keys[:end].T)
            hidden = np.arange(end)[None, :] > np.arange(begin, end)[:, None]
            scores[hidden] = -np.inf
            out[begin:end] = _softmax(scores) @ values[:end]
        return out

    def _swiglu(self, p: str, x: np.ndarray) -> np.ndarray:
        gate = x @ self.weights(p + "gate_proj.weight").T
        gate = gate / (1.0 + np.exp(-gate))
        return (gate * (x @ self.weights(p + "up_proj.weight").T)) @ self.weights(p + "down_proj.weight").T

    def _moe(self, p: str, x: np.ndarray) -> tuple[np.ndarray, _Routing]:
        routing = self.route(_softmax(x @ self.weights(p + "gate.weight").T))
        y = np.zeros_like(x)
        for e in np.unique(routing.experts):
            token, slot = np.nonzero(routing.experts == e)
            y[token] += routing.weights[token, slot, None] * self._swiglu(f"{p}experts.{e}.", x[token])
        if self.config["n_shared_experts"]:
            y += self._swiglu(p + "shared_experts.", x)
        return y, routing

    def route(self, scores: np.ndarray) -> _Routing:
        """Chosen experts of softmax probabilities [N, E]: larger score first, then lower id."""
        c = self.config
        n, experts = scores.shape
        k = c["num_experts_per_tok"]
        margins = np.full(n, np.inf)
        eligible = np.ones_like(scores, dtype=bool)
        if c["topk_method"] == "group_limited_greedy":
            groups, kept = c["n_group"], c["topk_group"]
            best = scores.reshape(n, groups, -1).max(axis=-1)
            order = np.argsort(-best, axis=-1, kind="stable")
            mask = np.zeros((n, groups), dtype=bool)
            np.put_along_axis(mask, order[:, :kept], True, axis=1)
            eligible = np.repeat(mask, experts // groups, axis=1)
            if kept < groups:
                ranked = np.take_along_axis(best, order, axis=1)
                margins = ranked[:, kept - 1] - ranked[:, kept]
        masked = np.where(eligible, scores, -1.0)
        order = np.argsort(-masked, axis=-1, kind="stable")
        ranked = np.take_along_axis(masked, order, axis=1)
        if k < experts:  # a rival outside the kept groups (-1) is no rival
            gap = np.where(ranked[:, k] >= 0, ranked[:, k - 1] - ranked[:, k], np.inf)
            margins = np.minimum(margins, gap)
        chosen, weights = order[:, :k], ranked[:, :k]
        if c["norm_topk_prob"] and k > 1:
            weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-20)
        else:
            weights = weights * c["routed_scaling_factor"]
        return _Routing(chosen, weights, margins)

    def _head(
        self,
        x: np.ndarray,
        ids: list[int],
        routings: list[_Routing | None],
        span: slice,
        keep_logits: bool,
    ) -> Scores:
        blocks = (
            [self._logits(x[b : b + _ROW_BLOCK]) for b in range(0, len(ids), _ROW_BLOCK)]
            if keep_logits
            else []
        )
        scores = scores_of_logits(self._logits, x, ids)
        scores.routes = [np.empty(0, int) if r is None else r.experts[span] for r in routings]
        scores.router_margins = [np.empty(0) if r is None else r.margins[span] for r in routings]
        scores.logits = np.concatenate(blocks) if keep_logits else None
        return scores

    def _logits(self, x: np.ndarray) -> np.ndarray:
        """[N, h] final hidden states -> [N, V]."""
        vocab = self.config["vocab_size"]
        tied = self.config["tie_word_embeddings"]
        name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        logits = np.empty((x.shape[0], vocab))
        for begin in range(0, vocab, _VOCAB_BLOCK):
            block = slice(begin, min(begin + _VOCAB_BLOCK, vocab))
            logits[:, block] = x @ self.weights(name, block).T
        return logits


def scores_of_logits(head: Callable[[np.ndarray], np.ndarray], x: np.ndarray, ids: list[int]) -> Scores:
    """Scores without routes of hidden states x [T, h], with `head` mapping rows of x to float64 logits."""
    logprobs, argmax, margins = np.full(len(ids), np.nan), [], []
    for begin in range(0, len(ids), _ROW_BLOCK):
        end = min(begin + _ROW_BLOCK, len(ids))
        logits = head(x[begin:end])
        best = logits.max(axis=-1)
        total = best + np.log(np.exp(logits - best[:, None]).sum(axis=-1))
        scored = np.arange(begin, min(end, len(ids) - 1))
        targets = np.asarray(ids, dtype=int)[scored + 1]
        logprobs[scored + 1] = logits[scored - begin, targets] - total[scored - begin]
        argmax.append(logits.argmax(axis=-1))
        margins.append(best - np.partition(logits, -2, axis=-1)[:, -2])
    order = np.argsort(-logits[-1], kind="stable")[:20]
    return Scores(
        logprobs=logprobs,
        argmax=np.concatenate(argmax),
        margins=np.concatenate(margins),
        top=[(int(i), float(logits[-1, i] - total[-1])) for i in order],
        routes=[],
        router_margins=[],
    )
