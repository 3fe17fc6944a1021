"""config.json of a Hugging Face folder <-> ModelShape."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.attentions.full import FullAttention
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.contract import Attention, FeedForward
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.feed_forwards.swiglu import SwiGLU
from seedbed.model.hugging_face.families import ATTENTION, FAMILIES, GATED, GPT_2, NORMS, PLAIN, Family, Told
from seedbed.model.hugging_face.fields import Fields
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape

ACTIVATIONS: dict[bool, dict[str, FeedForward]] = {
    True: {"silu": SwiGLU(), "swish": SwiGLU()},
    False: {
        "gelu_new": GELU(),
        "gelu_pytorch_tanh": GELU(),
        "gelu": GELU(approximate=False),
        "relu2": SquaredReLU(),
    },
}
"""By whether the feed-forward is gated: the names there are for each; of several the first is written."""


class Architecture(NamedTuple):
    """What a config.json tells.

    Attributes:
        family: whose names and layout the tensors have.
        shape: the same in our terms.
        biased: the modules that have a bias in the file; there may be more of them in ours (zeros), or fewer.
    """

    family: Family
    shape: ModelShape
    biased: frozenset[str]


def read_architecture(fields: Fields) -> Architecture:
    """From config.json, strictly. Raises SeedbedError naming the field that cannot be represented."""
    name = fields.one_of("model_type", {name: name for name in FAMILIES}, "")
    family = FAMILIES[name]
    try:
        found = _read_gpt_2(fields) if family is GPT_2 else _read_llama_like(fields, family)
    except RecipeError as error:  # a number outside the bounds of our shape
        raise SeedbedError(
            str(fields.file), f"describes no decoder: {error.where}: {error.what}", error.mend
        ) from error
    fields.finish()
    return found


def _read_llama_like(fields: Fields, family: Family) -> Architecture:
    attention_bias = family.output_bias == "told" and fields.flag("attention_bias", False)
    inner_bias = family.inner_biases == "told" and fields.flag("mlp_bias", False)
    width, heads = fields.whole("hidden_size"), fields.whole("num_attention_heads")
    kv_heads = heads if fields.has("num_key_value_heads") else family.kv_heads or heads
    context = fields.whole("max_position_embeddings", family.context)
    layers = fields.whole("num_hidden_layers")
    shape = ModelShape(
        vocab_size=fields.whole("vocab_size"),
        d_model=width,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=fields.whole("num_key_value_heads", kv_heads),
        d_ff=fields.whole("intermediate_size"),
        head_dim=fields.whole("head_dim", family.head_dim or max(1, width // heads)),
        context=context,
        tied_embeddings=fields.flag("tie_word_embeddings", False),
        qk_norm=family.qk_norm,
        norm=RMSNorm(fields.number("rms_norm_eps", family.eps)),
        positions=_read_rope(fields, context),
        attention=_read_attention(fields, family, layers),
        feed_forward=fields.one_of("hidden_act", ACTIVATIONS[family.is_gated], "silu" if family.is_gated else "relu2"),
    )
    return _with_biases(family, shape, attention_bias, inner_bias)


def _read_gpt_2(fields: Fields) -> Architecture:
    width = fields.whole("n_embd")
    context = fields.whole("n_positions", GPT_2.context)
    if fields.whole("n_ctx", context) != context:
        raise fields.error("n_ctx", f"differs from n_positions, which is {context}")
    shape = ModelShape(
        vocab_size=fields.whole("vocab_size"),
        d_model=width,
        n_layers=fields.whole("n_layer"),
        n_heads=fields.whole("n_head"),
        d_ff=fields.whole("n_inner", 4 * width),
        context=context,
        tied_embeddings=fields.flag("tie_word_embeddings", True),
        norm=LayerNorm(fields.number("layer_norm_epsilon", GPT_2.eps)),
        positions=LearnedPositions(),
        feed_forward=fields.one_of("activation_function", ACTIVATIONS[False], "gelu_new"),
    )
    return _with_biases(GPT_2, shape, attention_bias=True, inner_bias=True)


def _with_biases(family: Family, shape: ModelShape, attention_bias: bool, inner_bias: bool) -> Architecture:
    biased = biased_modules(family, attention_bias, inner_bias)
    more = biased & {"o_proj", "up_proj"}
    biases = "all" if more else "qkv" if "q_proj" in biased else "none"
    return Architecture(family, _usual(dataclasses.replace(shape, biases=biases)), biased)


def biased_modules(family: Family, attention_bias: bool, inner_bias: bool) -> frozenset[str]:
    """The modules with a bias, by the last part of their names."""

    def has(told: Told, is_told: bool) -> bool:
        return told == "always" or (told == "told" and is_told)

    found = [*ATTENTION[:3]] if has(family.input_biases, attention_bias) else []
    found += [*ATTENTION[3:]] if has(family.output_bias, attention_bias) else []
    found += [*(GATED if family.is_gated else PLAIN)] if has(family.inner_biases, inner_bias) else []
    return frozenset([*found, *NORMS] if family is GPT_2 else found)


def _usual(shape: ModelShape) -> ModelShape:
    """The same shape, with None where a number is what it would be anyhow."""
    inner = shape.feed_forward.default_width(shape.d_model)
    return dataclasses.replace(
        shape,
        n_kv_heads=None if shape.kv_heads == shape.n_heads else shape.kv_heads,
        d_ff=None if shape.ff_width == inner else shape.ff_width,
        head_dim=None if shape.head_width * shape.n_heads == shape.d_model else shape.head_width,
    )


def _read_rope(fields: Fields, context: int) -> RoPE:
    """From rope_theta and rope_scaling, or from rope_parameters, as it is called since transformers 5; or from both."""
    has_theta = fields.has("rope_theta")
    theta = fields.number("rope_theta", RoPE().base)
    parts = [part for name in ("rope_parameters", "rope_scaling") if (part := fields.part(name))]
    found = [_read_scaling(part, theta, context) for part in parts] or [RoPE(theta)]
    if any(rope != found[0] for rope in found) or (has_theta and found[0].base != theta):
        raise fields.error("rope_parameters", "contradicts rope_theta or rope_scaling", "Remove one of them.")
    return found[0]


def _read_scaling(part: Fields, theta: float, context: int) -> RoPE:
    legacy = part.one_of("type", {name: name for name in ("default", "linear", "llama3")}, "default")
    kinds = {"default": "none", "linear": "linear", "llama3": "llama3"}
    kind = part.one_of("rope_type", kinds, legacy)
    rope = RoPE(part.number("rope_theta", theta))
    if kind != "none":
        rope = dataclasses.replace(rope, scaling=kind, factor=part.number("factor"))
    if kind == "llama3":
        rope = dataclasses.replace(
            rope,
            low_freq_factor=part.number("low_freq_factor"),
            high_freq_factor=part.number("high_freq_factor"),
            original_context=part.whole("original_max_position_embeddings", context),
        )
    part.finish()
    return rope


def _read_attention(fields: Fields, family: Family, layers: int) -> Attention:
    if not family.window:
        return FullAttention()
    window = 0 if fields.is_null("sliding_window") else fields.whole("sliding_window", family.window)
    slides = [window > 0] * layers
    if family.mixes_windows:
        window = window if fields.flag("use_sliding_window", False) else 0
        first = fields.whole("max_window_layers", 28, least=0)
        slides = [window > 0 and layer >= first for layer in range(layers)]
        names = fields.names("layer_types")
        if names is not None:
            slides = [name == "sliding_attention" for name in names]
            is_known = set(names) <= {"sliding_attention", "full_attention"} and len(names) == layers
            if not is_known or (any(slides) and not window):
                raise fields.error("layer_types", f"is {names} with {layers} layers and a sliding_window of {window}")
    if not any(slides):
        return FullAttention()
    full_every = 0 if all(slides) else slides.index(False) + 1
    attention = SlidingWindow(window, full_every)
    if slides != [attention.window_of(layer) is not None for layer in range(1, layers + 1)]:
        mend = "Seedbed knows windows in all layers, or in all but every n-th."
        raise fields.error("layer_types", f"lets layers {_numbers(slides)} slide", mend)
    return attention


def _numbers(flags: list[bool]) -> str:
    return ", ".join(str(number) for number, flag in enumerate(flags, start=1) if flag)
