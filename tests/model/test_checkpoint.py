"""A model folder: there and back, the same bytes for the same model, and errors that name the file."""

import json

import pytest
import torch

from seedbed.core.errors import SeedbedError
from seedbed.model.checkpoint import load_model, model_fingerprint, save_model
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


def test_the_same_model_gives_the_same_bytes_and_fingerprint(tmp_path):
    shape = ModelShape(30, 16, 2, 2, context=8)
    for name, seed, text in (("a", 1, "{}"), ("b", 1, "{}"), ("c", 2, "{}"), ("d", 1, None)):
        save_model(tmp_path / name, initial_model(shape, seed), text)
    save_model(tmp_path / "e", initial_model(ModelShape(30, 16, 2, 2, context=8, norm_eps=1e-6), 1), "{}")
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
