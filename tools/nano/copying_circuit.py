"""Writes a copying circuit into untrained weights.

From a random start, copying from the prompt did not appear in millions of tokens; written into the weights it
is there after some tens of steps, and training goes on from it with every weight. Head 0 of layer 0 looks at
the token before (its rotary part prefers distance 1) and writes that token's signature; head 0 of layer 1
looks for places whose signature equals the current token's, and writes what stands there towards the head's
row of that token. The match is Olsson et al.'s induction head (arXiv:2209.11895), in latent attention.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .model import Nano

_SIGNATURE = 16  # dimensions that say which token stood before
_CONTENT = 32  # dimensions that say which token stands here


def _previous_token_head(model: Nano, common: Tensor, level: float) -> None:
    """Layer 0, head 0: attends to the position before, by the rotary parts alone.

    `common` is the direction that all embeddings share, `level` how far along it a normed embedding reaches:
    the constant part of query and key comes from there.
    """
    g, attention = model.g, model.model.layers[0].self_attn
    plain_scale = (g.nope + g.rope) ** -0.5
    strength = torch.tensor([10.0, 7.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0]) / plain_scale
    amplitude = (strength * plain_scale / g.softmax_scale).sqrt()
    key = torch.stack((amplitude, torch.zeros_like(amplitude)), 1).flatten()
    rows = attention.kv_a_proj_with_mqa.weight
    rows[g.latent_rank :] = torch.outer(key, common) / level + 0.02 * torch.randn(g.rope, g.hidden)
    attention.q_a_proj.weight[0] = 8 * common / level
    normed = 8 / math.sqrt((64 + g.query_rank - 1) / g.query_rank)
    turned = torch.stack(
        (amplitude * model.frequencies.cos(), -amplitude * model.frequencies.sin()), 1
    ).flatten()
    query = attention.q_b_proj.weight
    query[: g.nope + g.rope] *= 0.1
    query[g.nope : g.nope + g.rope, 0] = turned / normed


@torch.no_grad()
def write_copying_circuit(model: Nano) -> None:
    """Overwrites parts of layers 0 and 1, the embeddings and the head. Draws from torch's generator."""
    g = model.g
    embeddings = model.model.embed_tokens.weight
    embeddings += 0.3 * torch.randn(g.hidden)
    model.lm_head.weight.copy_(embeddings / embeddings.std() * 0.05)
    common = embeddings.mean(0)
    common = common / common.norm()
    normed = embeddings * embeddings.square().mean(-1, keepdim=True).rsqrt()
    _previous_token_head(model, common, float((normed @ common).mean()))

    def random_rows(n: int) -> Tensor:
        rows = 1.4 * torch.randn(n, g.hidden) / math.sqrt(g.hidden)
        return rows - torch.outer(rows @ common, common)

    signature, content = random_rows(_SIGNATURE), random_rows(_CONTENT)
    place = torch.linalg.qr(torch.randn(g.hidden, _SIGNATURE)).Q
    first, second = (model.model.layers[i].self_attn for i in (0, 1))
    values = slice(g.nope, g.nope + g.value)

    first.kv_a_proj_with_mqa.weight[:_SIGNATURE] = signature
    first.kv_b_proj.weight[values] = 0
    first.kv_b_proj.weight[g.nope : g.nope + _SIGNATURE, :_SIGNATURE] = torch.eye(_SIGNATURE)
    first.o_proj.weight[:, : g.value] = 0
    first.o_proj.weight[:, :_SIGNATURE] = 1.2 * place

    second.kv_a_proj_with_mqa.weight[:_SIGNATURE] = 0.8 * place.t()
    second.kv_a_proj_with_mqa.weight[_SIGNATURE : _SIGNATURE + _CONTENT] = content
    second.q_a_proj.weight[:_SIGNATURE] = signature
    match = 2.4 * (((g.nope + g.rope) ** -0.5 / g.softmax_scale) ** 0.5)
    second.q_b_proj.weight[: g.nope + g.rope] *= 0.1
    second.q_b_proj.weight[: g.nope] = 0
    second.q_b_proj.weight[: g.nope, :_SIGNATURE] = match * torch.eye(_SIGNATURE)
    second.kv_b_proj.weight[: g.nope + g.value] = 0
    second.kv_b_proj.weight[: g.nope, :_SIGNATURE] = match * torch.eye(_SIGNATURE)
    second.kv_b_proj.weight[values, _SIGNATURE : _SIGNATURE + _CONTENT] = torch.eye(_CONTENT)
    second.o_proj.weight[:, : g.value] = 2.4 * content.t()
