"""The architectures of Hugging Face that a ModelShape can be: what each one's config.json says, and what it cannot.

Source: the configuration and modelling files of transformers 5.23 (4.x says the same of these), defaults included.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Told = Literal["told", "always", "never"]
"""Whether config.json tells of it, or the architecture has it always or never."""

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
GATED, PLAIN = ("gate_proj", "up_proj", "down_proj"), ("up_proj", "down_proj")
NORMS = ("input_layernorm", "post_attention_layernorm", "norm")


@dataclasses.dataclass(frozen=True)
class Family:
    """A model_type.

    Args:
        model_type, architecture: its two names.
        eps, context: defaults of rms_norm_eps (layer_norm_epsilon) and max_position_embeddings (n_positions).
        is_gated: its feed-forward has three matrices.
        input_biases: of queries, keys and values.
        output_bias: of what leaves the attention.
        inner_biases: of the feed-forward.
        window: default of sliding_window; 0 for an architecture without windows.
        mixes_windows: layers may differ in what they see.
        qk_norm: queries and keys are normalised.
        head_dim: its default; 0 for the width divided by the heads.
        kv_heads: default of num_key_value_heads; 0 for as many as heads.
    """

    model_type: str
    architecture: str
    eps: float = 1e-6
    context: int = 2048
    is_gated: bool = True
    input_biases: Told = "never"
    output_bias: Told = "never"
    inner_biases: Told = "never"
    window: int = 0
    mixes_windows: bool = False
    qk_norm: bool = False
    head_dim: int = 0
    kv_heads: int = 0


LLAMA = Family("llama", "LlamaForCausalLM", input_biases="told", output_bias="told", inner_biases="told")
ARCEE = Family(
    "arcee",
    "ArceeForCausalLM",
    eps=1e-5,
    context=4096,
    is_gated=False,
    input_biases="told",
    output_bias="told",
    inner_biases="told",
)
MISTRAL = Family("mistral", "MistralForCausalLM", context=4096 * 32, window=4096, kv_heads=8)
QWEN_2 = Family(
    "qwen2",
    "Qwen2ForCausalLM",
    context=32768,
    input_biases="always",
    window=4096,
    mixes_windows=True,
    kv_heads=32,
)
QWEN_3 = Family(
    "qwen3",
    "Qwen3ForCausalLM",
    context=32768,
    input_biases="told",
    output_bias="told",
    window=4096,
    mixes_windows=True,
    qk_norm=True,
    head_dim=128,
    kv_heads=32,
)
GPT_2 = Family(
    "gpt2",
    "GPT2LMHeadModel",
    eps=1e-5,
    context=1024,
    is_gated=False,
    input_biases="always",
    output_bias="always",
    inner_biases="always",
)
FAMILIES = {family.model_type: family for family in (LLAMA, MISTRAL, QWEN_2, QWEN_3, ARCEE, GPT_2)}
