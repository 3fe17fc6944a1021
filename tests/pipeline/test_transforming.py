"""The verb `transform` from Python and as a command: what it leaves, and that what it refuses leaves nothing."""

import json
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

import seedbed as sb
from seedbed import cli
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.checkpoint import load_model, save_model
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.task_vectors import TaskVectors
from seedbed.pipeline import models as opening
from seedbed.pipeline.transforming import NOTE, apply, fingerprint_of

WORDS = ["<end>", *"abcdefg"]
OWN = """
import copy, dataclasses
import torch
from seedbed.model.transforming import Checkpoint, Transform

class Copying(Transform):
    def apply(self, checkpoint, given):
        list(given.texts())
        return Checkpoint(copy.deepcopy(checkpoint.decoder), checkpoint.tokenizer_json, checkpoint.end_of_text)

@dataclasses.dataclass(frozen=True)
class Faithful(Copying):
    def promise(self, shape): return "exact"

@dataclasses.dataclass(frozen=True)
class Liar(Copying):
    promised: str = "exact"
    def promise(self, shape): return self.promised
    def apply(self, checkpoint, given):
        made = super().apply(checkpoint, given)
        with torch.no_grad(): made.decoder.model.embed_tokens.weight[3] += 1
        return made

@dataclasses.dataclass(frozen=True)
class Meddler(Copying):
    def apply(self, checkpoint, given):
        with torch.no_grad(): checkpoint.decoder.model.embed_tokens.weight[3] += 1
        return checkpoint

@dataclasses.dataclass(frozen=True)
class Reader(Copying):
    needs_texts = True

class NoTransform: pass
"""


def write_model(folder: Path, seed: int, shape: ModelShape | None = None) -> Path:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="g"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    decoder = initial_model(shape or ModelShape(len(WORDS), 16, 1, 2, context=8), seed)
    with torch.no_grad():
        decoder.model.embed_tokens.weight.mul_(20)
    save_model(folder, decoder, tokenizer.to_str())
    (folder / "special.json").write_text('{"end_of_text": "<end>"}')
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Models base and tuned, a text, and a file of transforms; only to be read."""
    root = tmp_path_factory.mktemp("transforming")
    for name, seed in (("base", 0), ("tuned", 1)):
        write_model(root / name, seed)
    write_model(root / "wide", 2, ModelShape(len(WORDS), 32, 1, 2, context=8))
    (root / "text.jsonl").write_text('{"text": "a b c d e f g"}\n{"text": "g f e d"}\n')
    (root / "none.jsonl").write_text("")
    (root / "mine.py").write_text(OWN)
    return root


def ask(monkeypatch, capsys, *arguments):
    """(exit code, stdout, stderr) of the command."""
    monkeypatch.setattr(sys, "argv", ["seedbed", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    return ended.value.code or 0, told.out, told.err


def test_the_folder_is_a_model_and_tells_what_was_done(place, tmp_path):
    movement = sb.transform(
        place / "base",
        "task_vectors",
        tmp_path / "new",
        others={"tuned": place / "tuned"},
        settings={"scale": 0.5},
        probes=[place / "text.jsonl"],
    )
    assert movement.texts == 2
    assert movement.promise == "none"
    assert movement.max_logit_difference > 0
    made, base, tuned = (load_model(folder)[0] for folder in (tmp_path / "new", place / "base", place / "tuned"))
    name = "model.embed_tokens.weight"
    mean = (base.state_dict()[name].double() + tuned.state_dict()[name].double()) / 2
    torch.testing.assert_close(made.state_dict()[name], mean.float(), rtol=1e-6, atol=1e-6)
    found = opening.read(tmp_path / "new")
    assert found.end_of_text == 0
    note = json.loads((tmp_path / "new" / NOTE).read_text())
    assert note["method"]["method"] == "model.transforms.task_vectors"
    assert note["method"]["parameters"] == {"scale": 0.5, "scales": []}
    assert note["movement"] == json.loads(json.dumps(movement.to_json()))
    sides = {"model": place / "base", "tuned": place / "tuned"}
    assert note["from"] == {role: fingerprint_of(Checkpoint(*opening.read(at))) for role, at in sides.items()}
    assert note["model"] == fingerprint_of(Checkpoint(*found))
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        "config.json", "model.safetensors", "special.json", "tokenizer.json", NOTE,
    ]  # fmt: skip


def test_evaluate_sample_and_export_open_what_was_made(place, tmp_path):
    new = tmp_path / "new"
    movement = sb.transform(place / "base", f"{place / 'mine.py'}:Faithful", new, texts=[place / "text.jsonl"])
    told = sb.evaluate(new, [place / "text.jsonl"])
    assert told["bits_per_byte"] > 0
    assert movement.bits_per_byte_before == movement.bits_per_byte_after > 0
    assert "".join(sb.api.sample(new, "a b", max_tokens=3, temperature=0))
    sb.export(new, tmp_path / "hf", to="hf")
    again = sb.transform(tmp_path / "hf", "task_vectors", tmp_path / "third", others={"tuned": new})
    assert again.max_logit_difference == 0


def test_the_same_command_gives_the_same_bytes(place, tmp_path):
    for name in ("one", "two"):
        sb.transform(place / "base", TaskVectors(scale=0.3), tmp_path / name, others={"tuned": place / "tuned"})
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_it_prints_the_movement_and_warns_where_nothing_was_promised(place, tmp_path, monkeypatch, capsys):
    pair = ("--with", f"tuned={place / 'tuned'}")
    begin = ("transform", place / "base", "task_vectors", *pair)
    code, out, err = ask(monkeypatch, capsys, *begin, "--out", tmp_path / "a", "--set", "scale=0.5")
    assert code == 0, err
    assert "random tokens, for want of text" in out
    assert "logits moved by" in out
    assert "warning: this method promises nothing" in err
    code, out, err = ask(
        monkeypatch, capsys, *begin, "--out", tmp_path / "b", "--json", "--probe", place / "text.jsonl"
    )
    assert code == 0, err
    assert json.loads(out)["texts"] == 2
    code, out, err = ask(monkeypatch, capsys, *begin, "--out", tmp_path / "c", "--set", "scale=0")
    assert (code, err) == (0, "")
    assert f"Model: {tmp_path / 'c'}" in out


@pytest.mark.parametrize(("promised", "said"), [("exact", "the logits should be"), ("greedy", "the likeliest token")])
def test_a_broken_promise_is_an_error_that_leaves_nothing(place, tmp_path, monkeypatch, capsys, promised, said):
    method = f"{place / 'mine.py'}:Liar"
    code, _, err = ask(
        monkeypatch, capsys, "transform", place / "base", method, "--set", f"promised={promised}", "--out",
        tmp_path / "deep" / "new", "--probe", place / "text.jsonl",
    )  # fmt: skip
    assert code == 1
    assert f"broke its promise: {said}" in err
    assert list(tmp_path.iterdir()) == []


def test_another_model_is_never_written_over(place, tmp_path):
    kept = write_model(tmp_path / "kept", 5)
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    for target in (kept, kept / "config.json"):
        with pytest.raises(SeedbedError, match="is there already, and not empty"):
            sb.transform(place / "base", "task_vectors", target, others={"tuned": place / "tuned"})
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
    (tmp_path / "empty").mkdir()
    sb.transform(place / "base", "task_vectors", tmp_path / "empty", others={"tuned": place / "tuned"})
    assert (tmp_path / "empty" / NOTE).exists()


def test_a_transform_that_changes_what_it_was_handed_is_caught(place, tmp_path):
    with pytest.raises(SeedbedError, match="changed the model that it was handed"):
        sb.transform(place / "base", f"{place / 'mine.py'}:Meddler", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


REFUSED = [
    ("task_vector", {}, "Did you mean 'task_vectors'"),
    ("gopher_quality", {}, "there is no such transform"),
    ("curate.filters.gopher_quality", {}, "there is no such transform"),
    ("absent.py:Mine", {}, "there is no file"),
    ("MINE:NoTransform", {}, "is no Method"),
    ("MINE:Nobody", {}, "is no Method"),
    ("task_vectors", {}, "needs another model as 'tuned'. Say --with tuned=MODEL"),
    ("instruction_residual", {"others": {"base": "ROOT/base"}}, "needs another model as 'instruct'"),
    ("MINE:Faithful", {"others": {"x": "ROOT/base"}}, "takes no other model, and one is given as 'x'"),
    ("MINE:Reader", {}, "reads text, and is given none. Say --text FILE"),
    ("MINE:Reader", {"texts": ["ROOT/none.jsonl"]}, "reads text, and is given none"),
    ("MINE:Reader", {"texts": ["ROOT/absent.jsonl"]}, "--text: there is no file"),
    ("MINE:Faithful", {"probes": ["ROOT/absent.jsonl"]}, "--probe: there is no file"),
    ("task_vectors", {"others": {"tuned": "ROOT/absent"}}, "there is no such folder"),
    ("task_vectors", {"others": {"tuned": "ROOT/wide"}}, "has d_model 32 where the model has 16"),
    ("task_vectors", {"others": {"tuned": "ROOT/tuned"}, "settings": {"scal": 1}}, "task_vectors.scal: unknown field"),
    ("task_vectors", {"others": {"tuned": "ROOT/tuned"}, "settings": {"scale": "x"}}, "is not a finite number"),
]


@pytest.mark.parametrize(("method", "how", "said"), REFUSED)
def test_what_cannot_be_meant_is_said_and_leaves_nothing(place, tmp_path, method, how, said):
    how = json.loads(json.dumps(how).replace("ROOT", str(place)))
    method = method.replace("MINE", str(place / "mine.py"))
    with pytest.raises(SeedbedError) as caught:
        sb.transform(place / "base", method, tmp_path / "new", **how)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_none_and_stores_are_refused(place, tmp_path):
    with pytest.raises(SeedbedError, match="there is no such folder"):
        sb.transform(tmp_path / "absent", "task_vectors", tmp_path / "new", others={"tuned": place / "tuned"})
    broken = write_model(tmp_path / "broken", 0)
    (broken / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(SeedbedError, match="safetensors"):
        sb.transform(broken, "task_vectors", tmp_path / "new", others={"tuned": place / "tuned"})
    with pytest.raises(RecipeError, match="is in a store"):
        sb.transform(place / "base", "task_vectors", "s3://bucket/new", others={"tuned": place / "tuned"})
    with pytest.raises(RecipeError, match="the method is given as it shall be"):
        sb.transform(place / "base", TaskVectors(), tmp_path / "new", settings={"scale": 1})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("given", ["tuned", "=x", "tuned="])
def test_roles_are_pairs(place, tmp_path, monkeypatch, capsys, given):
    begin = ("transform", place / "base", "task_vectors", "--out", tmp_path / "new")
    code, _, err = ask(monkeypatch, capsys, *begin, "--with", given)
    assert (code, "Write --with ROLE=MODEL" in err) == (2, True)
    code, _, err = ask(monkeypatch, capsys, *begin, "--with", "tuned=x", "--with", "tuned=y")
    assert (code, "two models are given as 'tuned'" in err) == (2, True)


def test_a_pipeline_gets_the_checkpoint_and_its_movement(place):
    base, tuned = (Checkpoint(*opening.read(place / name)) for name in ("base", "tuned"))
    made, movement = apply(TaskVectors(), base, Given(models={"tuned": tuned}), ["a b c"])
    assert fingerprint_of(made) == fingerprint_of(tuned)
    assert movement.texts == 1
    with pytest.raises(RecipeError, match="needs another model as 'tuned'"):
        apply(TaskVectors(), base, Given(), ["a b c"])
