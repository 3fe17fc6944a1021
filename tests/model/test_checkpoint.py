"""A model folder: there and back, the same bytes for the same model, and errors that name the file."""

import json

import pytest
import torch

from seedbed import catalogue
from seedbed.core.errors import SeedbedError
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.checkpoint import load_model, model_fingerprint, save_model
from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("tokenizer", [None, '{"é": 1}'])
def test_a_model_comes_back_as_it_was(tmp_path, tied, tokenizer):
    model = initial_model(ModelShape(30, 16, 2, 2, 1, context=8, tied_embeddings=tied), 1)
    save_model(tmp_path / "m", model, tokenizer)
    back, text = load_model(tmp_path / "m")
    assert text == tokenizer
    assert back.shape == model.shape
    assert list(back.state_dict()) == list(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))
    ids = torch.arange(8)[None]
    assert torch.equal(model(ids), back(ids))
    names = {file.name for file in (tmp_path / "m").iterdir()}
    assert names == {"model.safetensors", "config.json"} | ({"tokenizer.json"} if tokenizer else set())


PARTS = [
    {},
    {"norm": LayerNorm(eps=1e-6), "positions": LearnedPositions(), "feed_forward": GELU(), "biases": "all"},
    {"positions": RoPE(scaling="llama3"), "attention": SlidingWindow(3, 2), "head_dim": 6, "qk_norm": True},
    {"parametrization": Standard(False), "depth_scaling": LayerNormScaling(), "biases": "qkv"},
    {"parametrization": MuP(8, 4), "feed_forward": SquaredReLU(), "n_kv_heads": 1},
]


@pytest.mark.parametrize("fields", PARTS)
def test_parts_travel_in_the_configuration(tmp_path, fields):
    model = initial_model(ModelShape(30, 16, 2, 2, context=8, **fields), 1)
    save_model(tmp_path, model)
    back, _ = load_model(tmp_path)
    assert back.shape == model.shape
    assert torch.equal(back(torch.arange(8)[None]), model(torch.arange(8)[None]))
    norm = json.loads((tmp_path / "config.json").read_text())["shape"]["norm"]
    name = "model.norms.layer_norm" if "norm" in fields else "model.norms.rms_norm"
    assert list(norm) == [name]


OWN = """
import dataclasses, pathlib
from seedbed.model.norms.rms_norm import RMSNormLayer
from seedbed.model.contract import Norm
pathlib.Path(__file__).with_suffix(".ran").touch()

@dataclasses.dataclass(frozen=True)
class Mine(Norm):
    def build(self, width):
        return RMSNormLayer(width, 0.5)
    def parameters(self, width):
        return width
"""


def test_a_configuration_opens_no_file_outside_the_shelves(tmp_path):
    own = tmp_path / "own_norm_for_checkpoints.py"
    own.write_text(OWN)
    mark = own.with_suffix(".ran")
    save_model(tmp_path / "m", initial_model(ModelShape(30, 16, 1, 2, context=8), 1))
    file = tmp_path / "m/config.json"
    config = json.loads(file.read_text())
    strangers = [
        "model.norms.absent",
        "model.checkpoint",
        "model.norms.__init__",
        "model.positions.rope",
        "train.run",
        "",
    ]
    for name in (f"{own}:Mine", *strangers):
        file.write_text(json.dumps(config | {"shape": config["shape"] | {"norm": {name: {}}}}))
        with pytest.raises(SeedbedError, match=r"shape\.norm.* is no Norm of seedbed's model room"):
            load_model(tmp_path / "m")
        assert not mark.exists()
    for value in ("model.norms.rms_norm", {}, {"model.norms.rms_norm": {"epz": 1}}, 3):
        file.write_text(json.dumps(config | {"shape": config["shape"] | {"norm": value}}))
        with pytest.raises(SeedbedError, match=r"shape\.norm"):
            load_model(tmp_path / "m")
    mine = catalogue.load(f"{own}:Mine")
    assert mark.exists()
    model = initial_model(ModelShape(30, 16, 1, 2, context=8, norm=mine()), 1)
    save_model(tmp_path / "own", model)
    back, _ = load_model(tmp_path / "own")  # its file was loaded, by the line above
    assert back.shape == model.shape
    assert torch.equal(back(torch.arange(8)[None]), model(torch.arange(8)[None]))


def test_an_older_format_is_named(tmp_path):
    save_model(tmp_path, initial_model(ModelShape(30, 16, 1, 2, context=8), 1))
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(SeedbedError, match="has format 1; this version of seedbed reads format 2"):
        load_model(tmp_path)


def test_the_same_model_gives_the_same_bytes_and_fingerprint(tmp_path):
    shape = ModelShape(30, 16, 2, 2, context=8)
    for name, seed, text in (("a", 1, "{}"), ("b", 1, "{}"), ("c", 2, "{}"), ("d", 1, None)):
        save_model(tmp_path / name, initial_model(shape, seed), text)
    save_model(tmp_path / "e", initial_model(ModelShape(30, 16, 2, 2, context=8, norm=RMSNorm(eps=1e-6)), 1), "{}")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    prints = [model_fingerprint(tmp_path / name) for name in "abcde"]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def _truncate(file):
    file.write_bytes(file.read_bytes()[:-5])


def _rename(file):
    config = json.loads(file.read_text())
    config["shape"]["d_modle"] = config["shape"].pop("d_model")
    file.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "harm", "match"),
    [
        ("config.json", lambda file: file.unlink(), "config.json: there is no such file"),
        ("model.safetensors", lambda file: file.unlink(), "model.safetensors: there is no such file"),
        ("model.safetensors", _truncate, "model.safetensors: is no readable"),
        ("config.json", lambda file: file.write_text("{"), "config.json: is no model configuration"),
        ("config.json", lambda file: file.write_text("[]"), "config.json: is no model configuration"),
        ("config.json", lambda file: file.write_text('{"format": 9, "shape": {}}'), "format 9"),
        ("config.json", _rename, "d_modle"),
        (
            "config.json",
            lambda file: file.write_text(file.read_text().replace('"vocab_size": 30', '"vocab_size": 31')),
            "model.embed_tokens.weight is",
        ),
    ],
)
def test_a_broken_folder_names_the_file(tmp_path, name, harm, match):
    save_model(tmp_path, initial_model(ModelShape(30, 16, 1, 2, context=8), 1))
    harm(tmp_path / name)
    with pytest.raises(SeedbedError, match=match) as caught:
        load_model(tmp_path)
    assert str(tmp_path) in caught.value.where
