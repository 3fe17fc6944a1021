"""The tensors of a Hugging Face folder <-> those of a Decoder.

Llama and its kin have our names. GPT-2 has its own, keeps matrices the other way round (in, out), and the queries, keys
and values of a block in one. Nothing is rounded on the way: bfloat16 and float16 are read as float32, which holds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.hugging_face.configs import Architecture
from seedbed.model.hugging_face.families import ATTENTION, GPT_2
from seedbed.model.hugging_face.fields import read_object
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import read_tensors
from seedbed.model.transformer import Decoder

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"

NOT_LEARNED = re.compile(r"rotary_emb\.inv_freq$|(^|\.)attn\.(masked_)?bias$")
"""Tables that older folders carry: angles and masks, which follow from the configuration."""

GPT_2_MODULES = {
    "model.embed_tokens": "transformer.wte",
    "model.embed_positions": "transformer.wpe",
    "model.norm": "transformer.ln_f",
    "input_layernorm": "ln_1",
    "self_attn.qkv": "attn.c_attn",
    "self_attn.o_proj": "attn.c_proj",
    "post_attention_layernorm": "ln_2",
    "mlp.up_proj": "mlp.c_fc",
    "mlp.down_proj": "mlp.c_proj",
}


def read_weights(folder: Path, architecture: Architecture) -> dict[str, Tensor]:
    """Our names -> float32. Raises SeedbedError naming file and tensor where one is missing, unknown or misshapen."""
    tensors: dict[str, Tensor] = {}
    where: dict[str, Path] = {}
    for file in _files(folder):
        for name, tensor in read_tensors(file).items():
            if NOT_LEARNED.search(name):
                continue
            if not tensor.is_floating_point():
                mend = "Quantised weights must be turned back into numbers first."
                raise SeedbedError(str(file), f"{name} is {tensor.dtype}, no floating point number", mend)
            full = _full_name(name, architecture)
            tensors[full], where[full] = tensor.float(), file
    _drop_tied_head(tensors, where, architecture.shape)
    _check(tensors, where, folder, architecture)
    ours = from_gpt_2(tensors) if architecture.family is GPT_2 else tensors
    with torch.device("meta"):
        expected = Decoder(architecture.shape).state_dict()
    for name, tensor in expected.items():
        if name not in ours:  # a bias that this architecture does not have
            ours[name] = torch.zeros(tensor.shape)
    return ours


def told_weights(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Tensors of a decoder (real ones, or of device meta) under the names and in the layout of the architecture."""
    told: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, kind = name.rsplit(".", 1)
        is_biased = module.rsplit(".", 1)[-1] in architecture.biased
        if kind == "weight":
            told[name] = tensor
            if is_biased:
                bias = f"{module}.bias"
                told[bias] = state[bias] if bias in state else torch.zeros(tensor.shape[0], device=tensor.device)
        elif kind != "bias":
            raise SeedbedError("export", f"the weight {name} has no place in {architecture.family.architecture}")
    return to_gpt_2(told) if architecture.family is GPT_2 else told


def biases_of(state: Mapping[str, Tensor]) -> dict[str, bool]:
    """Module (the last part of its name) -> whether its bias is anything but zero in any block."""
    found: dict[str, bool] = {}
    for name, tensor in state.items():
        *_, module, kind = name.split(".")
        if kind == "bias":
            found[module] = found.get(module, False) or bool(tensor.any())
    return found


def to_gpt_2(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """GPT-2's names and layout."""
    told: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        if name.endswith((".k_proj.weight", ".k_proj.bias", ".v_proj.weight", ".v_proj.bias")):
            continue
        if ".q_proj." in name:
            tensor = torch.cat([ours[name.replace(".q_proj.", f".{part}.")] for part in ATTENTION[:3]])
            name = name.replace(".q_proj.", ".qkv.")
        told[_renamed(name)] = tensor.T.contiguous() if _is_turned(name) else tensor
    return told


def from_gpt_2(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names and layout."""
    ours: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        found = _renamed(name, back=True)
        tensor = tensor.T if _is_turned(found) else tensor
        if ".qkv." in found:
            for part, piece in zip(ATTENTION, tensor.chunk(3), strict=False):
                ours[found.replace(".qkv.", f".{part}.")] = piece.contiguous()
        else:
            ours[found] = tensor.contiguous()
    return ours


def folded(state: Mapping[str, Tensor], shape: ModelShape) -> dict[str, Tensor]:
    """Weights of a decoder without depth scaling and of standard parametrization that computes the same.

    A factor on a norm's output goes into its gains (and biases), one on the products of queries and keys into the
    queries. A tensor whose factor is 1 is handed on as it is.
    """
    rule, found = shape.parametrization, dict(state)
    factors = {"model.norm.": rule.output_multiplier(shape.d_model)}
    queries = rule.attention_scale(shape.head_width) / shape.head_width**-0.5
    for i in range(shape.n_layers):
        depth = 1.0 if shape.depth_scaling is None else shape.depth_scaling.factor(i + 1)
        block = f"model.layers.{i}"
        factors[f"{block}.input_layernorm."] = factors[f"{block}.post_attention_layernorm."] = depth
        factors[f"{block}.self_attn.{'q_norm' if shape.qk_norm else 'q_proj'}."] = queries
    for module, factor in factors.items():
        for name in (f"{module}weight", f"{module}bias"):
            if name in found and factor != 1.0:
                found[name] = (found[name].double() * factor).float()
    return found


def _files(folder: Path) -> list[Path]:
    """The safetensors files, all of which are there."""
    if not (folder / INDEX).exists():
        if not (folder / WEIGHTS).exists() and list(folder.glob("*.bin")):
            mend = "Convert it: load it with transformers where you trust it, and save_pretrained(folder)."
            raise SeedbedError(str(folder), f"holds no {WEIGHTS}, and pickled weights are not opened", mend)
        return [folder / WEIGHTS]
    shards = read_object(folder / INDEX).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) else set[Json]()
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise SeedbedError(str(folder / INDEX), "weight_map does not name files of this folder")
    files = [folder / name for name in sorted(map(str, names))]
    for file in files:
        if not file.exists():
            raise SeedbedError(str(file), f"is missing, though {INDEX} names it", "Copy the folder again, whole.")
    return files


def _full_name(name: str, architecture: Architecture) -> str:
    """With the prefix that a bare backbone's folder leaves out, as openai-community/gpt2 does."""
    prefix = "transformer." if architecture.family is GPT_2 else "model."
    return name if name == HEAD or name.startswith(prefix) else prefix + name


def _drop_tied_head(tensors: dict[str, Tensor], where: Mapping[str, Path], shape: ModelShape) -> None:
    """A head that is the embedding may be stored twice."""
    if not shape.tied_embeddings or HEAD not in tensors:
        return
    head = tensors.pop(HEAD)
    embedding = tensors.get("transformer.wte.weight", tensors.get(f"model.{EMBEDDING}"))
    if embedding is None or not torch.equal(head, embedding):
        what = f"{HEAD} is not the embedding, though config.json ties them"
        raise SeedbedError(str(where[HEAD]), what, "Set tie_word_embeddings to false in config.json.")


def _check(tensors: Mapping[str, Tensor], where: Mapping[str, Path], folder: Path, architecture: Architecture) -> None:
    with torch.device("meta"):
        expected = told_weights(Decoder(architecture.shape).state_dict(), architecture)
    for name in sorted(tensors.keys() | expected.keys()):
        found = tuple(tensors[name].shape) if name in tensors else "absent"
        meant = tuple(expected[name].shape) if name in expected else "absent"
        if found != meant:
            file = where.get(name, folder / (INDEX if (folder / INDEX).exists() else WEIGHTS))
            what = f"{name} is {found} where config.json means {meant}"
            raise SeedbedError(str(file), what, "Copy the folder again, whole, or mend config.json.")


def _is_turned(name: str) -> bool:
    """Whether GPT-2 keeps it as (in, out)."""
    return name.endswith(("qkv.weight", "_proj.weight"))


def _renamed(name: str, *, back: bool = False) -> str:
    """Our name in GPT-2's words, or back. A name that is known in neither stays."""
    words = {theirs: ours for ours, theirs in GPT_2_MODULES.items()} if back else GPT_2_MODULES
    layers = ("transformer.h.", "model.layers.") if back else ("model.layers.", "transformer.h.")
    module, kind = name.rsplit(".", 1)
    found = re.fullmatch(re.escape(layers[0]) + r"(\d+)\.(.+)", module)
    if found is None:
        return f"{words.get(module, module)}.{kind}"
    return f"{layers[1]}{found[1]}.{words.get(found[2], found[2])}.{kind}"
