"""transformers as a second opinion: its DeepSeek-V2 port in float32, with the original semantics put back.

The port ignores norm_topk_prob, moe_layer_freq, a lone mscale or mscale_all_dim, missing shared experts
and a model without experts. original_semantics() patches exactly those five points for the time of a load
and a run, so that everything else of the port can be compared on configurations that use them.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import DeepseekV2ForCausalLM
from transformers.models.deepseek_v2 import modeling_deepseek_v2 as port

from reference.deepseek_v2_numpy import Scores, attention_factor, scores_of_logits
from reference.geometry import is_moe_layer, resolve

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.filterwarnings("ignore", message="Initializing zero-element tensors")


# Releases of 2026 renamed it; the others ignore the name they do not know.
CACHE_ARGUMENT = (
    "cache" if "cache" in inspect.signature(DeepseekV2ForCausalLM.forward).parameters else "past_key_values"
)


def port_agrees(config: dict) -> bool:
    """Whether transformers computes this config as the original model does, unpatched."""
    c = resolve(config)
    yarn = c["rope_scaling"]
    lone = yarn is not None and (("mscale" in yarn) != ("mscale_all_dim" in yarn))
    layers = range(c["num_hidden_layers"])
    sparse = all(is_moe_layer(c, i) == (i >= c["first_k_dense_replace"]) for i in layers)
    return not (c["norm_topk_prob"] or lone) and sparse and bool(c["n_shared_experts"])


def port_config(config: dict) -> dict:
    """`config` spelt so that the patched port means what the original means."""
    c = copy.deepcopy(config)
    full = resolve(config)
    c["q_lora_rank"] = full["q_lora_rank"]
    if full["rope_scaling"] is not None:
        c.pop("rope_parameters", None)
        c["rope_scaling"] = {**full["rope_scaling"], "attention_factor": attention_factor(full)}
        c["rope_theta"] = full["rope_theta"]
    c["n_shared_experts"] = full["n_shared_experts"] or 0
    if not full["n_routed_experts"]:
        c.update(n_routed_experts=1, num_experts_per_tok=1, first_k_dense_replace=full["num_hidden_layers"])
    return c


@contextlib.contextmanager
def original_semantics(config: dict) -> Iterator[None]:
    """Patches the port's layer choice and router weights to the original model's rules."""
    c = resolve(config)
    layer_init, router_forward = port.DeepseekV2DecoderLayer.__init__, port.DeepseekV2TopkRouter.forward

    def init(self, model_config, layer_idx):
        layer_init(self, model_config, layer_idx)
        if not is_moe_layer(c, layer_idx):
            self.mlp = port.DeepseekV2MLP(model_config)

    def forward(self, hidden_states):
        logits, weights, experts = router_forward(self, hidden_states)
        if c["norm_topk_prob"] and c["num_experts_per_tok"] > 1:
            weights = weights / self.routed_scaling_factor
            weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        return logits, weights, experts

    port.DeepseekV2DecoderLayer.__init__, port.DeepseekV2TopkRouter.forward = init, forward
    try:
        yield
    finally:
        port.DeepseekV2DecoderLayer.__init__, port.DeepseekV2TopkRouter.forward = layer_init, router_forward


def load(folder: Path, patched: bool, attention: str = "eager") -> DeepseekV2ForCausalLM:
    """The checkpoint in float32. With `patched`, call it inside original_semantics() only."""
    if not patched:
        return DeepseekV2ForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention
        ).eval()
    config = json.loads((folder / "config.json").read_text())
    with tempfile.TemporaryDirectory() as twin:
        for file in folder.iterdir():
            if file.name != "config.json":
                (Path(twin) / file.name).symlink_to(file.resolve())
        (Path(twin) / "config.json").write_text(json.dumps(port_config(config)))
        return DeepseekV2ForCausalLM.from_pretrained(
            twin, dtype=torch.float32, attn_implementation=attention
        ).eval()


@torch.no_grad()
def score(model: DeepseekV2ForCausalLM, ids: list[int], prefix: int = 0) -> Scores:
    """Scores of one sequence; its first `prefix` ids in one call and the rest in another, by the cache."""
    routes: dict[int, list[np.ndarray]] = {}
    hooks = []
    for index, layer in enumerate(model.model.layers):
        if isinstance(layer.mlp, port.DeepseekV2Moe):
            hooks.append(
                layer.mlp.gate.register_forward_hook(
                    lambda _, __, out, index=index: routes.setdefault(index, []).append(_by_weight(out))
                )
            )
    try:
        tokens = torch.tensor([ids])
        if prefix:
            first = model.model(tokens[:, :prefix], use_cache=True)
            rest = model.model(tokens[:, prefix:], **{CACHE_ARGUMENT: first.past_key_values}, use_cache=True)
            hidden = torch.cat([first.last_hidden_state, rest.last_hidden_state], dim=1)[0]
        else:
            hidden = model.model(tokens, use_cache=False).last_hidden_state[0]
    finally:
        for hook in hooks:
            hook.remove()
    scores = scores_of_logits(
        lambda x: model.lm_head(torch.from_numpy(x)).double().numpy(), hidden.numpy(), ids
    )
    layers = range(len(model.model.layers))
    scores.routes = [np.concatenate(routes[i]) if i in routes else np.empty(0, int) for i in layers]
    return scores


def _by_weight(router_output: tuple) -> np.ndarray:
    """Expert ids of a router call, heaviest first, then lower id."""
    _, weights, experts = router_output
    weights, experts = weights.numpy(), experts.numpy()
    order = np.lexsort((experts, -weights), axis=-1)
    return np.take_along_axis(experts, order, axis=-1)


@torch.no_grad()
def greedy(model: DeepseekV2ForCausalLM, prompt: list[int], n_new: int) -> list[int]:
    """`n_new` greedy ids after `prompt`, through the cache; EOS is a token like any other."""
    cache, ids, step = None, [], torch.tensor([prompt])
    for _ in range(n_new):
        out = model(step, **{CACHE_ARGUMENT: cache}, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        ids.append(int(out.logits[0, -1].argmax()))
        step = torch.tensor([[ids[-1]]])
    return ids
