"""DeepSeek-V2 in PyTorch for training: latent attention with compressed queries, shared and routed experts.

Parameter names are those of the Hugging Face checkpoint, except that the routed experts of a layer are three
stacked tensors (export.py takes them apart). Checked against transformers by the scores of the exported
checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Geometry:
    vocab: int = 2048
    hidden: int = 128
    layers: int = 6
    heads: int = 4
    query_rank: int = 96
    latent_rank: int = 48
    nope: int = 16
    rope: int = 16
    value: int = 32
    dense: int = 384
    expert: int = 96
    experts: int = 8
    chosen: int = 2
    groups: int = 4
    chosen_groups: int = 2
    eps: float = 1e-6
    theta: float = 10000.0
    yarn_factor: float = 32.0
    yarn_original: int = 512
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 0.707

    @property
    def softmax_scale(self) -> float:
        return (self.nope + self.rope) ** -0.5 * (0.1 * self.mscale * math.log(self.yarn_factor) + 1.0) ** 2

    def frequencies(self) -> Tensor:
        """YaRN's rotation per position of each pair of dimensions."""
        pairs = torch.arange(0, self.rope, 2, dtype=torch.float64)
        plain = self.theta ** (-pairs / self.rope)

        def pair_turning(turns: float) -> float:
            return (
                self.rope * math.log(self.yarn_original / (turns * 2 * math.pi)) / (2 * math.log(self.theta))
            )

        low = max(math.floor(pair_turning(self.beta_fast)), 0)
        high = min(math.ceil(pair_turning(self.beta_slow)), self.rope - 1)
        ramp = ((pairs / 2 - low) / max(high - low, 0.001)).clamp(0, 1)
        return (plain / self.yarn_factor * ramp + plain * (1 - ramp)).float()


class Norm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def linear(n_in: int, n_out: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(n_in))
    return layer


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates neighbouring pairs of the last dimension; cos and sin are [positions, pairs]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, g: Geometry):
        super().__init__()
        self.g = g
        self.q_a_proj = linear(g.hidden, g.query_rank)
        self.q_a_layernorm = Norm(g.query_rank, g.eps)
        self.q_b_proj = linear(g.query_rank, g.heads * (g.nope + g.rope))
        self.kv_a_proj_with_mqa = linear(g.hidden, g.latent_rank + g.rope)
        self.kv_a_layernorm = Norm(g.latent_rank, g.eps)
        self.kv_b_proj = linear(g.latent_rank, g.heads * (g.nope + g.value))
        self.o_proj = linear(g.heads * g.value, g.hidden, 1 / math.sqrt(2 * g.layers))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        g = self.g
        rows, length, _ = x.shape
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        q = q.view(rows, length, g.heads, g.nope + g.rope).transpose(1, 2)
        q_nope, q_rope = q.split((g.nope, g.rope), -1)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split((g.latent_rank, g.rope), -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(rows, length, g.heads, g.nope + g.value)
        k_nope, v = kv.transpose(1, 2).split((g.nope, g.value), -1)
        k_rope = rotate(k_rope, cos, sin)[:, None].expand(-1, g.heads, -1, -1)
        q = torch.cat((q_nope, rotate(q_rope, cos, sin)), -1)
        k = torch.cat((k_nope, k_rope), -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=g.softmax_scale)
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, g.heads * g.value))


class Mlp(nn.Module):
    def __init__(self, g: Geometry, width: int):
        super().__init__()
        self.gate_proj = linear(g.hidden, width)
        self.up_proj = linear(g.hidden, width)
        self.down_proj = linear(width, g.hidden, 1 / math.sqrt(2 * g.layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Router(nn.Module):
    """Group-limited greedy routing: softmax, the groups with the best experts, the best experts of these."""

    def __init__(self, g: Geometry):
        super().__init__()
        self.g = g
        self.weight = nn.Parameter(torch.randn(g.experts, g.hidden) / math.sqrt(g.hidden))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of tokens [n, hidden]: probabilities [n, experts], chosen experts [n, chosen] and their weights."""
        g = self.g
        probabilities = F.linear(x.float(), self.weight).softmax(-1)
        by_group = probabilities.detach().view(-1, g.groups, g.experts // g.groups)
        groups = by_group.amax(-1).topk(g.chosen_groups, -1).indices
        open_groups = torch.zeros(by_group.shape[:2], device=x.device).scatter_(1, groups, 1.0)
        allowed = (by_group * open_groups[:, :, None]).flatten(1)
        chosen = allowed.topk(g.chosen, -1).indices
        return probabilities, chosen, probabilities.gather(1, chosen)


class Experts(nn.Module):
    """A layer's routed experts: gate and up [experts, width, hidden], down [experts, hidden, width]."""

    def __init__(self, g: Geometry):
        super().__init__()
        self.gate_proj = nn.Parameter(torch.randn(g.experts, g.expert, g.hidden) / math.sqrt(g.hidden))
        self.up_proj = nn.Parameter(torch.randn(g.experts, g.expert, g.hidden) / math.sqrt(g.hidden))
        scale = 1 / math.sqrt(2 * g.layers * g.expert)
        self.down_proj = nn.Parameter(torch.randn(g.experts, g.hidden, g.expert) * scale)

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        return self.all_masked(x, chosen, weights) if x.is_cuda else self.by_segment(x, chosen, weights)

    def all_masked(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Every expert for every token: no synchronisation, the faster way on a GPU."""
        mask = x.new_zeros(x.shape[0], self.gate_proj.shape[0]).scatter(1, chosen, weights)
        hidden = F.silu(x @ self.gate_proj.transpose(1, 2)) * (x @ self.up_proj.transpose(1, 2))
        return torch.bmm(hidden * mask.t()[:, :, None], self.down_proj.transpose(1, 2)).sum(0)

    def by_segment(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Tokens sorted by expert, one product an expert: the faster way on a CPU."""
        experts = chosen.flatten()
        order = experts.argsort(stable=True)
        tokens = order // chosen.shape[1]
        counts = torch.bincount(experts, minlength=self.gate_proj.shape[0]).tolist()
        parts = []
        for expert, part in enumerate(x[tokens].split(counts)):
            hidden = F.silu(part @ self.gate_proj[expert].t()) * (part @ self.up_proj[expert].t())
            parts.append(hidden @ self.down_proj[expert].t())
        return torch.zeros_like(x).index_add(0, tokens, torch.cat(parts) * weights.flatten()[order, None])


class MoE(nn.Module):
    def __init__(self, g: Geometry):
        super().__init__()
        self.g = g
        self.gate = Router(g)
        self.experts = Experts(g)
        self.shared_experts = Mlp(g, g.expert)
        self.balance = torch.zeros(())  # auxiliary loss of the last forward

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        probabilities, chosen, weights = self.gate(flat)
        share = F.one_hot(chosen, self.g.experts).sum(1).float().mean(0) / self.g.chosen
        self.balance = self.g.experts * (share * probabilities.mean(0)).sum()
        return self.experts(flat, chosen, weights).view_as(x) + self.shared_experts(x)


class Layer(nn.Module):
    def __init__(self, g: Geometry, index: int):
        super().__init__()
        self.input_layernorm = Norm(g.hidden, g.eps)
        self.self_attn = Attention(g)
        self.post_attention_layernorm = Norm(g.hidden, g.eps)
        self.mlp = Mlp(g, g.dense) if index == 0 else MoE(g)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, g: Geometry):
        super().__init__()
        self.embed_tokens = nn.Embedding(g.vocab, g.hidden)
        nn.init.normal_(self.embed_tokens.weight, std=0.3)
        self.layers = nn.ModuleList(Layer(g, i) for i in range(g.layers))
        self.norm = Norm(g.hidden, g.eps)


class Nano(nn.Module):
    def __init__(self, g: Geometry):
        super().__init__()
        self.g = g
        self.model = Body(g)
        self.lm_head = linear(g.hidden, g.vocab, 0.5)
        self.register_buffer("frequencies", g.frequencies(), persistent=False)

    def hidden(self, ids: Tensor) -> Tensor:
        """Normed last states [rows, length, hidden] of ids [rows, length]."""
        angles = torch.arange(ids.shape[1], device=ids.device)[:, None] * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.model.norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        return self.lm_head(self.hidden(ids))

    def balance_loss(self) -> Tensor:
        return torch.stack([layer.mlp.balance for layer in self.model.layers[1:]]).mean()
