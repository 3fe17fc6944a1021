"""ModelShape -> the Hugging Face architecture that computes the same, and its config.json."""

from __future__ import annotations

from collections.abc import Mapping

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.attentions.full import FullAttention
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.hugging_face.configs import ACTIVATIONS, Architecture, biased_modules
from seedbed.model.hugging_face.families import FAMILIES, GPT_2, Family
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape


def architecture_for(shape: ModelShape, biases: Mapping[str, bool]) -> Architecture:
    """The architecture that can tell this shape, its biases as nearly ours as can be.

    Args:
        shape: depth scaling and parametrization are not looked at, for they go into the weights.
        biases: module (the last part of its name) -> whether its bias is anything but zero in any block.

    Raises SeedbedError naming the parts that no architecture here has together.
    """
    needed = {module for module, is_felt in biases.items() if is_felt}
    found: list[tuple[int, int, Architecture]] = []
    misfits: list[tuple[int, int, Family, list[str]]] = []
    for rank, family in enumerate(FAMILIES.values()):
        biased = biased_modules(family, shape.biases != "none", shape.biases == "all")
        misfit = _misfits(shape, family)
        misfit += [] if needed <= biased else [f"biases={shape.biases}"]
        misfits.append((len(misfit), rank, family, misfit))
        if not misfit:
            found.append((len(biased ^ biases.keys()), rank, Architecture(family, shape, biased)))
    if found:
        return min(found)[2]
    _, _, family, parts = min(misfits)
    what = f"no Hugging Face architecture has these parts together: {family.architecture} cannot tell "
    raise SeedbedError("export", what + " and ".join(parts), "Keep the model in seedbed's own folder.")


def _misfits(shape: ModelShape, family: Family) -> list[str]:
    """The parts of a shape that an architecture cannot tell."""
    is_gpt_2 = family is GPT_2
    dense = shape.d_model % shape.n_heads == 0  # transformers 5 refuses a Llama otherwise, whatever head_dim says
    same = shape.kv_heads == shape.n_heads and shape.head_width * shape.n_heads == shape.d_model
    windows = _windows(shape)
    fits = {
        f"norm={shape.norm.name()}": isinstance(shape.norm, LayerNorm if is_gpt_2 else RMSNorm),
        f"positions={shape.positions.name()}": isinstance(shape.positions, LearnedPositions if is_gpt_2 else RoPE),
        f"feed_forward={shape.feed_forward.name()}": shape.feed_forward in ACTIVATIONS[family.is_gated].values(),
        f"attention={shape.attention.name()}": windows is not None and _can_slide(windows, family),
        f"qk_norm={str(shape.qk_norm).lower()}": shape.qk_norm == family.qk_norm,
        f"n_kv_heads={shape.n_kv_heads} with head_dim={shape.head_dim}": same or not is_gpt_2,
        f"d_model={shape.d_model} with n_heads={shape.n_heads}": dense or family.architecture not in _DENSE,
    }
    return [part for part, is_told in fits.items() if not is_told]


_DENSE = ("LlamaForCausalLM", "ArceeForCausalLM")


def _can_slide(windows: list[int | None], family: Family) -> bool:
    return set(windows) == {None} or (family.window > 0 and (family.mixes_windows or None not in windows))


def _windows(shape: ModelShape) -> list[int | None] | None:
    """The window of each layer; None for an attention of another kind."""
    layers = range(1, shape.n_layers + 1)
    if isinstance(shape.attention, SlidingWindow):
        return [shape.attention.window_of(layer) for layer in layers]
    return [None for _ in layers] if isinstance(shape.attention, FullAttention) else None


def tell(architecture: Architecture, end_of_text: int | None) -> dict[str, Json]:
    """config.json."""
    family, shape, _ = architecture
    config: dict[str, Json] = {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "vocab_size": shape.vocab_size,
        "tie_word_embeddings": shape.tied_embeddings,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
        "use_cache": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": None,  # a padding row of the embedding would never learn
    }
    return config | (_tell_gpt_2(shape) if family is GPT_2 else _tell_llama_like(shape, family))


def _tell_gpt_2(shape: ModelShape) -> dict[str, Json]:
    assert isinstance(shape.norm, LayerNorm)
    return {
        "n_positions": shape.context,
        "n_embd": shape.d_model,
        "n_layer": shape.n_layers,
        "n_head": shape.n_heads,
        "n_inner": shape.ff_width,
        "activation_function": _activation(shape, GPT_2),
        "layer_norm_epsilon": shape.norm.eps,
        "scale_attn_weights": True,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }


def _tell_llama_like(shape: ModelShape, family: Family) -> dict[str, Json]:
    assert isinstance(shape.norm, RMSNorm)
    assert isinstance(shape.positions, RoPE)
    scaling = _tell_scaling(shape.positions)
    config: dict[str, Json] = {
        "hidden_size": shape.d_model,
        "intermediate_size": shape.ff_width,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "hidden_act": _activation(shape, family),
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm.eps,
        "attention_dropout": 0.0,
        # transformers 4 reads the first two, transformers 5 writes the third
        "rope_theta": shape.positions.base,
        "rope_scaling": scaling,
        "rope_parameters": {"rope_theta": shape.positions.base, **(scaling or {"rope_type": "default"})},
    }
    if family.output_bias == "told":
        config["attention_bias"] = shape.biases != "none"
    if family.inner_biases == "told":
        config["mlp_bias"] = shape.biases == "all"
    return config | (_tell_windows(shape, family) if family.window else {})


def _tell_windows(shape: ModelShape, family: Family) -> dict[str, Json]:
    windows = _windows(shape) or []
    slides = next((window for window in windows if window is not None), None)
    if not family.mixes_windows:
        return {"sliding_window": slides}
    return {
        "use_sliding_window": slides is not None,
        "sliding_window": slides,
        "max_window_layers": windows.index(slides) if slides is not None else shape.n_layers,
        "layer_types": ["full_attention" if window is None else "sliding_attention" for window in windows],
    }


def _tell_scaling(rope: RoPE) -> dict[str, Json] | None:
    if rope.scaling == "none":
        return None
    told: dict[str, Json] = {"rope_type": rope.scaling, "factor": rope.factor}
    if rope.scaling == "llama3":
        told["low_freq_factor"], told["high_freq_factor"] = rope.low_freq_factor, rope.high_freq_factor
        told["original_max_position_embeddings"] = rope.original_context
    return told


def _activation(shape: ModelShape, family: Family) -> str:
    return next(name for name, part in ACTIVATIONS[family.is_gated].items() if part == shape.feed_forward)
