"""Folders of Hugging Face, both ways: the logits of transformers, the same weights back, errors that name a field."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

from seedbed.core.errors import SeedbedError
from seedbed.model import counts
from seedbed.model.attentions.full import FullAttention
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.checkpoint import save_model
from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.hugging_face import folder as folder_module
from seedbed.model.hugging_face import open_model_folder, read_hugging_face, shorten, write_hugging_face
from seedbed.model.hugging_face.configs import read_architecture
from seedbed.model.hugging_face.fields import Fields
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder

CLOSE = {"rtol": 0, "atol": 1e-5}

SIZES = {"vocab_size": 40, "eos_token_id": 7, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
LLAMA = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 24}
WIDE = {"n_embd": 768, "n_head": 12}
STRETCHED = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
STRETCHED |= {"original_max_position_embeddings": 12, "rope_theta": 500.0}
GPT_2 = {"vocab_size": 40, "eos_token_id": 7, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 24}
ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]

THEIRS = {
    "llama": ("llama", LLAMA),
    "llama, tied": ("llama", {**LLAMA, "tie_word_embeddings": True}),
    "llama, wide heads": ("llama", {**LLAMA, "head_dim": 12}),
    "llama, all biases": ("llama", {**LLAMA, "attention_bias": True, "mlp_bias": True}),
    "llama, attention biases": ("llama", {**LLAMA, "attention_bias": True}),
    "llama, inner biases": ("llama", {**LLAMA, "mlp_bias": True}),
    "llama 3.1": ("llama", {**LLAMA, "rope_parameters": STRETCHED}),
    "llama, linear": ("llama", {**LLAMA, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    "mistral": ("mistral", {**LLAMA, "sliding_window": 5}),
    "mistral, no window": ("mistral", {**LLAMA, "sliding_window": None}),
    "qwen2": ("qwen2", LLAMA),
    "qwen2, windows": (
        "qwen2",
        {**LLAMA, "use_sliding_window": True, "sliding_window": 5, "layer_types": ALTERNATING},
    ),
    "qwen3": ("qwen3", {**LLAMA, "head_dim": 16, "tie_word_embeddings": True}),
    "qwen3, biases": ("qwen3", {**LLAMA, "head_dim": 16, "attention_bias": True}),
    "arcee": ("arcee", LLAMA),
    "gpt2": ("gpt2", GPT_2),
    "gpt2, untied, narrow": ("gpt2", {**GPT_2, "tie_word_embeddings": False, "n_inner": 24}),
    "gpt2, exact gelu": ("gpt2", {**GPT_2, "activation_function": "gelu"}),
}
"""What is asked of transformers: model_type and configuration."""

LLAMA_3 = RoPE(500.0, "llama3", 4.0, original_context=12)
QKV_STYLE = {"biases": "qkv", "attention": SlidingWindow(5)}
GPT_2_STYLE = {"norm": LayerNorm(), "positions": LearnedPositions(), "feed_forward": GELU(), "biases": "all"}
OURS = {
    "plain": ({}, "LlamaForCausalLM"),
    "untied": ({"tied_embeddings": False}, "LlamaForCausalLM"),
    "grouped, wide heads, eps": ({"n_kv_heads": 2, "head_dim": 12, "norm": RMSNorm(1e-3)}, "LlamaForCausalLM"),
    "stretched": ({"positions": LLAMA_3}, "LlamaForCausalLM"),
    "stretched evenly": ({"positions": RoPE(scaling="linear", factor=2.0)}, "LlamaForCausalLM"),
    "all biases": ({"biases": "all"}, "LlamaForCausalLM"),
    "odd heads": ({"d_model": 30, "head_dim": 8}, "MistralForCausalLM"),
    "window": ({"attention": SlidingWindow(5)}, "MistralForCausalLM"),
    "input biases": ({"biases": "qkv"}, "Qwen2ForCausalLM"),
    "input biases and window": (QKV_STYLE, "Qwen2ForCausalLM"),
    "some windows": ({"attention": SlidingWindow(5, full_every=2)}, "Qwen2ForCausalLM"),
    "normalised queries": ({"qk_norm": True}, "Qwen3ForCausalLM"),
    "normalised queries, windows": (
        {"qk_norm": True, "attention": SlidingWindow(5, full_every=3), "biases": "qkv"},
        "Qwen3ForCausalLM",
    ),
    "squared relu": ({"feed_forward": SquaredReLU()}, "ArceeForCausalLM"),
    "gelu, all biases": ({"feed_forward": GELU(), "biases": "all"}, "ArceeForCausalLM"),
    "gpt-2": (GPT_2_STYLE, "GPT2LMHeadModel"),
    "gpt-2 without biases": ({**GPT_2_STYLE, "biases": "none", "norm": LayerNorm(bias=False)}, "GPT2LMHeadModel"),
    "gpt-2, untied, squared relu": (
        {**GPT_2_STYLE, "feed_forward": SquaredReLU(), "tied_embeddings": False},
        "GPT2LMHeadModel",
    ),
    "depth scaled": (
        {"depth_scaling": LayerNormScaling(), "parametrization": Standard(scaled_residual=False)},
        "LlamaForCausalLM",
    ),
    "muP": ({"parametrization": MuP(base_width=8, base_head_width=4), "biases": "qkv"}, "Qwen2ForCausalLM"),
    "muP, untied, normalised queries": (
        {"parametrization": MuP(base_width=8, base_head_width=4), "qk_norm": True, "tied_embeddings": False},
        "Qwen3ForCausalLM",
    ),
    "muP, gpt-2, depth scaled": (
        {
            **GPT_2_STYLE,
            "parametrization": MuP(base_width=8, base_head_width=4, scaled_residual=False),
            "depth_scaling": LayerNormScaling(),
        },
        "GPT2LMHeadModel",
    ),
}
"""Our shapes, and the architecture that tells each."""


def ids() -> torch.Tensor:
    return torch.randint(0, 40, (2, 24), generator=torch.Generator().manual_seed(3))


def randomised(model: torch.nn.Module) -> None:
    """Every parameter far from what it starts as, gains and biases too."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            gain = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(gain + 0.2 * torch.randn(parameter.shape, generator=generator))


def our_model(**parts) -> Decoder:
    decoder = Decoder(ModelShape(40, **{"d_model": 32, "n_layers": 3, "n_heads": 4, "context": 24, **parts}))
    randomised(decoder)
    return decoder


def their_model(model_type: str, config: dict) -> torch.nn.Module:
    made = transformers.AutoConfig.for_model(model_type, **config)
    model = AutoModelForCausalLM.from_config(made).eval()
    randomised(model)
    return model


def their_logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(ids()).logits


def our_logits(model: Decoder) -> torch.Tensor:
    with torch.no_grad():
        return model(ids())


def byte_pairs() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the seed in the bed, the bed in the ground"] * 9, made)
    return tokenizer.to_str()


@pytest.mark.parametrize("case", THEIRS)
def test_a_model_of_transformers_gives_the_same_logits_here_and_comes_back_bit_for_bit(tmp_path, case):
    model_type, config = THEIRS[case]
    theirs = their_model(model_type, config)
    theirs.save_pretrained(tmp_path / "theirs")
    decoder, tokenizer, end_of_text = read_hugging_face(tmp_path / "theirs")
    expected = their_logits(theirs)
    assert expected.std() > 0.3, "logits are worth comparing"
    torch.testing.assert_close(our_logits(decoder), expected, **CLOSE)
    assert tokenizer is None
    assert end_of_text == 7

    architecture = write_hugging_face(tmp_path / "back", decoder)
    back = load_file(tmp_path / "back/model.safetensors")
    for name, tensor in load_file(tmp_path / "theirs/model.safetensors").items():
        assert torch.equal(back.pop(name), tensor), name
    assert all(name.endswith(".bias") and not tensor.any() for name, tensor in back.items())
    if "no window" not in case:
        assert architecture == type(theirs).__name__


@pytest.mark.parametrize("case", OURS)
def test_a_model_of_ours_gives_the_same_logits_in_transformers_and_comes_back(tmp_path, case):
    parts, architecture = OURS[case]
    decoder = our_model(**parts)
    assert write_hugging_face(tmp_path / "out", decoder) == architecture
    theirs, about = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(about.values())
    assert type(theirs).__name__ == architecture
    torch.testing.assert_close(their_logits(theirs.eval()), our_logits(decoder), **CLOSE)

    back = read_hugging_face(tmp_path / "out").decoder
    torch.testing.assert_close(our_logits(back), our_logits(decoder), **CLOSE)
    if not {"parametrization", "depth_scaling"} & parts.keys():
        again = back.state_dict()
        assert all(torch.equal(again.pop(name), tensor) for name, tensor in decoder.state_dict().items())
        assert not any(tensor.any() for tensor in again.values())
        if case not in ("gpt-2 without biases", "some windows", "normalised queries, windows"):
            assert back.shape == decoder.shape, "but for biases of zero"


@pytest.mark.parametrize("case", ["plain", "window", "input biases", "normalised queries", "squared relu", "gpt-2"])
def test_the_tokenizer_goes_along(tmp_path, case):
    definition = byte_pairs()
    write_hugging_face(tmp_path / "out", our_model(**OURS[case][0]), definition, 0)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in ["the seed", " in  the\n\nbed", "é 🌱\t!", "", "Ground 123 . don't"]:
        expected = Tokenizer.from_str(definition).encode(text, add_special_tokens=False).ids
        assert tokenizer(text)["input_ids"] == expected
        assert tokenizer.decode(expected) == text
    assert (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id) == (0, 0, 0)
    assert tokenizer.model_max_length == 24
    assert read_hugging_face(tmp_path / "out")[1:] == (definition, 0)


def changed(folder, **fields) -> None:
    """config.json with other fields; ... takes one out."""
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Folders as transformers writes them; copy before changing."""
    root = tmp_path_factory.mktemp("theirs")
    for name, (model_type, config) in {"llama": THEIRS["llama 3.1"], "gpt2": THEIRS["gpt2"]}.items():
        their_model(model_type, config).save_pretrained(root / name)
    return root


@pytest.fixture
def llama(theirs, tmp_path):
    return shutil.copytree(theirs / "llama", tmp_path / "llama")


@pytest.fixture
def gpt_2(theirs, tmp_path):
    return shutil.copytree(theirs / "gpt2", tmp_path / "gpt2")


def test_a_config_of_transformers_4_means_the_same(llama):
    expected = read_hugging_face(llama).decoder.shape
    scaling = {name: value for name, value in STRETCHED.items() if name != "rope_theta"}
    changed(llama, rope_parameters=..., rope_theta=500.0, rope_scaling=scaling, torch_dtype="bfloat16", dtype=...)
    assert read_hugging_face(llama).decoder.shape == expected
    changed(llama, rope_scaling={"type": "llama3", **{k: v for k, v in scaling.items() if k != "rope_type"}})
    assert read_hugging_face(llama).decoder.shape == expected
    changed(llama, mlp_bias=..., attention_bias=None, head_dim=..., hidden_act=...)
    assert read_hugging_face(llama).decoder.shape == expected


def test_defaults_are_those_of_transformers(tmp_path):
    small = {"vocab_size": 40, "hidden_size": 64, "intermediate_size": 16, "num_hidden_layers": 2}
    small["num_attention_heads"] = 32
    for model_type in ("llama", "mistral", "qwen2", "qwen3", "arcee"):
        config = transformers.AutoConfig.for_model(model_type, **small)
        shape = read_architecture(Fields(tmp_path, {"model_type": model_type, **small})).shape
        assert shape.norm.eps == config.rms_norm_eps
        assert shape.context == config.max_position_embeddings
        assert shape.positions == RoPE(config.rope_parameters["rope_theta"])
        assert shape.tied_embeddings == config.tie_word_embeddings
        assert shape.kv_heads == config.num_key_value_heads
        assert shape.head_width == getattr(config, "head_dim", 2)
        window = getattr(config, "sliding_window", None)
        assert shape.attention == (FullAttention() if window is None else SlidingWindow(window))
        assert shape.biases == ("qkv" if model_type == "qwen2" else "none")
    config = transformers.GPT2Config(vocab_size=40, n_layer=2)
    shape = read_architecture(Fields(tmp_path, {"model_type": "gpt2", "vocab_size": 40, "n_layer": 2, **WIDE})).shape
    assert (shape.context, shape.norm) == (config.n_positions, LayerNorm(config.layer_norm_epsilon))
    assert (shape.tied_embeddings, shape.feed_forward, shape.ff_width) == (True, GELU(), 4 * 768)


PUBLISHED = json.loads(Path(__file__).with_name("published_configs.json").read_text())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_gives_the_published_number_of_parameters(tmp_path, name):
    told = PUBLISHED[name]
    shape = read_architecture(Fields(tmp_path, told["config"])).shape
    assert counts.total_parameters(shape) == told["parameters"]


def test_weights_in_shards_and_in_half_precision_are_read(llama, tmp_path):
    whole = load_file(llama / "model.safetensors")
    halves = {name: tensor.bfloat16() for name, tensor in whole.items()}
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "shards", max_shard_size="10KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    state = read_hugging_face(tmp_path / "shards").decoder.state_dict()
    assert all(torch.equal(state.pop(name), tensor.float()) for name, tensor in halves.items())
    assert not state

    next((tmp_path / "shards").glob("*-00002-*")).unlink()
    with pytest.raises(SeedbedError, match=r"model-00002-of-0000\d.safetensors: is missing"):
        read_hugging_face(tmp_path / "shards")
    index = tmp_path / "shards/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": "../llama/model.safetensors"}}))
    with pytest.raises(SeedbedError, match=r"index.json: weight_map does not name files of this folder"):
        read_hugging_face(tmp_path / "shards")


def test_a_bare_backbone_with_its_masks_and_a_head_stored_twice_are_read(gpt_2):
    expected = read_hugging_face(gpt_2).decoder.state_dict()
    weights = load_file(gpt_2 / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    bare["h.0.attn.bias"], bare["h.0.attn.masked_bias"] = torch.ones(1, 1, 24, 24), torch.tensor(-1e4)
    save_file(bare, gpt_2 / "model.safetensors")
    found = read_hugging_face(gpt_2).decoder.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())

    save_file({**weights, "lm_head.weight": weights["transformer.wte.weight"].clone()}, gpt_2 / "model.safetensors")
    assert read_hugging_face(gpt_2).decoder.shape.tied_embeddings
    save_file({**weights, "lm_head.weight": weights["transformer.wte.weight"] + 1}, gpt_2 / "model.safetensors")
    with pytest.raises(SeedbedError, match=r"lm_head.weight is not the embedding.*Set tie_word_embeddings to false"):
        read_hugging_face(gpt_2)
    changed(gpt_2, tie_word_embeddings=False)
    assert not read_hugging_face(gpt_2).decoder.shape.tied_embeddings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "mamba"}, "model_type is 'mamba', which seedbed cannot represent. Known here: llama, mistral"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', which seedbed cannot represent. Known here: silu, swish"),
        ({"hidden_size": "32"}, "hidden_size is '32', not an integer of at least 1"),
        ({"hidden_size": ...}, "hidden_size is needed"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1, not true or false"),
        ({"rms_norm_eps": -1.0}, "rms_norm_eps is -1.0, not a positive number"),
        ({"rms_norm_eps": 2.0}, "describes no decoder: rms_norm.eps: 2.0 must be <= 1"),
        ({"num_key_value_heads": 3}, "describes no decoder: model.shape.n_kv_heads: 3 does not divide n_heads=4"),
        ({"logit_softcap": 30.0}, "logit_softcap is 30.0, which seedbed cannot represent"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5, which seedbed cannot represent"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_parameters.rope_type is 'yarn'"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_parameters.factor is needed"),
        ({"rope_parameters": {**STRETCHED, "attention_factor": 2.0}}, "rope_parameters.attention_factor is 2.0"),
        ({"rope_theta": 700.0}, "rope_parameters contradicts rope_theta or rope_scaling"),
        ({"eos_token_id": 40}, "eos_token_id is 40, outside the vocabulary of 40"),
    ],
)
def test_what_cannot_be_represented_is_an_error_that_names_the_field(llama, fields, message):
    changed(llama, **fields)
    with pytest.raises(SeedbedError) as found:
        read_hugging_face(llama)
    assert f"{llama}/config.json: {message}" in str(found.value)


def test_layers_that_slide_in_no_order_of_ours_are_refused(tmp_path):
    types = ["full_attention", "sliding_attention", "sliding_attention"]
    config = transformers.Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=5, layer_types=types)
    config.save_pretrained(tmp_path)
    with pytest.raises(SeedbedError, match="layer_types lets layers 2, 3 slide"):
        read_hugging_face(tmp_path)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("model.norm.weight", None, r"model.norm.weight is absent where config.json means \(32,\)"),
        ("model.norm.weight", torch.ones(31), r"model.norm.weight is \(31,\) where config.json means \(32,\)"),
        ("model.layers.9.oddity", torch.ones(2), r"model.layers.9.oddity is \(2,\) where config.json means absent"),
        ("model.norm.weight", torch.ones(32, dtype=torch.int8), "model.norm.weight is torch.int8, no floating point"),
    ],
)
def test_weights_that_do_not_fit_are_named(llama, name, tensor, message):
    weights = {**load_file(llama / "model.safetensors"), name: tensor}
    save_file({name: tensor for name, tensor in weights.items() if tensor is not None}, llama / "model.safetensors")
    with pytest.raises(SeedbedError, match=f"model.safetensors: {message}"):
        read_hugging_face(llama)


def test_pickled_weights_are_not_opened(llama):
    (llama / "model.safetensors").rename(llama / "pytorch_model.bin")
    with pytest.raises(SeedbedError, match=r"pickled weights are not opened. Convert it"):
        read_hugging_face(llama)
    with pytest.raises(SeedbedError, match=r"config.json: there is no such file"):
        read_hugging_face(llama / "nowhere")


def test_the_end_of_text_is_found_where_it_is_told(tmp_path):
    definition = byte_pairs()
    write_hugging_face(tmp_path / "out", our_model(), definition, 0)
    assert read_hugging_face(tmp_path / "out").end_of_text == 0
    changed(tmp_path / "out", eos_token_id=[3, 0])
    assert read_hugging_face(tmp_path / "out").end_of_text == 3
    changed(tmp_path / "out", eos_token_id=None)
    assert read_hugging_face(tmp_path / "out").end_of_text == 0, "tokenizer_config.json names the token"
    (tmp_path / "out/tokenizer_config.json").unlink()
    assert read_hugging_face(tmp_path / "out").end_of_text is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"norm": LayerNorm()}, "LlamaForCausalLM cannot tell norm=layer_norm"),
        ({"positions": LearnedPositions()}, "LlamaForCausalLM cannot tell positions=learned"),
        ({"qk_norm": True, "biases": "all"}, "LlamaForCausalLM cannot tell qk_norm=true"),
        ({"attention": SlidingWindow(4), "biases": "all"}, "LlamaForCausalLM cannot tell attention=sliding_window"),
        ({**GPT_2_STYLE, "n_kv_heads": 2}, "GPT2LMHeadModel cannot tell n_kv_heads=2 with head_dim=None"),
    ],
)
def test_parts_that_no_architecture_has_together_are_named(tmp_path, parts, message):
    with pytest.raises(SeedbedError) as found:
        write_hugging_face(tmp_path / "out", our_model(**parts))
    assert message in str(found.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_never_overwritten_and_never_half_written(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    write_hugging_face(tmp_path / "out", our_model())
    with pytest.raises(SeedbedError, match="out: is there already, and not empty"):
        write_hugging_face(tmp_path / "out", our_model())
    with pytest.raises(SeedbedError, match=r"tokenizer.json: has no token 999"):
        write_hugging_face(tmp_path / "new", our_model(), byte_pairs(), 999)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "write_text", full)
    with pytest.raises(SeedbedError, match="new: the disk is full"):
        write_hugging_face(tmp_path / "new", our_model())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_either_kind_of_folder_is_opened(tmp_path):
    definition, decoder = byte_pairs(), our_model()
    save_model(tmp_path / "ours", decoder, definition)
    write_hugging_face(tmp_path / "theirs", decoder, definition, 0)
    for folder in ("ours", "theirs"):
        found = open_model_folder(tmp_path / folder)
        assert torch.equal(our_logits(found.decoder), our_logits(decoder))
        assert found[1:] == (definition, 0)
    (tmp_path / "ours/special.json").write_text('{"end_of_text": "b"}')
    assert open_model_folder(tmp_path / "ours").end_of_text == Tokenizer.from_str(definition).token_to_id("b")
    save_model(tmp_path / "bare", decoder)
    assert open_model_folder(tmp_path / "bare")[1:] == (None, None)


@pytest.mark.parametrize("case", ["stretched", "gpt-2"])
def test_a_shorter_context_changes_nothing_inside_it(case):
    decoder = our_model(**OURS[case][0])
    short = shorten(decoder, 10)
    assert short.shape == replace(decoder.shape, context=10)
    with torch.no_grad():
        torch.testing.assert_close(short(ids()[:, :10]), decoder(ids()[:, :10]), rtol=0, atol=1e-6)
    with pytest.raises(SeedbedError, match="25 is not between 2 and the 24"):
        shorten(decoder, 25)
