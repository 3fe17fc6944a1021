"""Concepts counted in files and in a curated folder; the long tail as items; flatness on files."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from seedbed import recipes
from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.evaluate.concepts import items_text
from seedbed.model.hugging_face import write_hugging_face
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.pipeline import concepts, workplace
from seedbed.pipeline.flatness import measured


@pytest.fixture(scope="module")
def defaults():
    return recipes.load("study")


@pytest.fixture
def words(tmp_path):
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in ("oak oak", "Oak, birch.")))
    (tmp_path / "words.txt").write_text("oak\n\n  birch\nsilver birch\n")
    return tmp_path


def test_concepts_are_counted_in_files(words, defaults):
    counts = concepts.count([words / "pool.jsonl"], words / "words.txt", defaults)
    assert counts.to_pylist() == [
        {"concept": "oak", "n_words": 1, "documents": 2, "occurrences": 3},
        {"concept": "birch", "n_words": 1, "documents": 1, "occurrences": 1},
        {"concept": "silver birch", "n_words": 2, "documents": 0, "occurrences": 0},
    ]
    twice = concepts.count([words / "*.jsonl", words / "pool.jsonl"], words / "words.txt", defaults)
    assert max(arrow.numpy(twice, "occurrences")) == 3  # a file named twice is read once


def test_concepts_are_counted_in_what_a_curation_kept(asked, words, defaults):
    kept = workplace.curated_at(asked).kept.table()
    texts = arrow.strings(kept, "text")
    word = next(w for text in texts for w in text.split() if w.isalpha() and w.isascii())
    (words / "words.txt").write_text(word + "\n")
    counts = concepts.count([asked], words / "words.txt", defaults).to_pylist()[0]
    assert 1 <= counts["documents"] <= len(texts)
    both = concepts.count([asked, words / "pool.jsonl"], words / "words.txt", defaults).to_pylist()[0]
    assert both["documents"] >= counts["documents"]


def test_the_long_tail_is_written_as_items_a_probe_reads(words, defaults):
    counts = concepts.count([words / "pool.jsonl"], words / "words.txt", defaults)
    items = [
        {"context": "Here grows an", "answer": "oak"},
        {"context": "Here grows a", "answer": "birch"},
        {"context": "Here grows a silver", "answer": "birch"},
    ]
    (words / "items.jsonl").write_text(items_text(items))
    tail = concepts.tail(words / "items.jsonl", counts, 2)
    assert [(one["concept"], one["frequency"]) for one in tail] == [("silver birch", 0), ("birch", 1)]
    with pytest.raises(SeedbedError, match="fewer than 0"):
        concepts.tail(words / "items.jsonl", counts, 0)


def test_what_is_not_there_is_named(words, defaults):
    with pytest.raises(SeedbedError, match="no file or folder"):
        concepts.count([words / "nowhere.jsonl"], words / "words.txt", defaults)
    with pytest.raises(SeedbedError, match=r"nowhere\.txt.*cannot be read"):
        concepts.count([words / "pool.jsonl"], words / "nowhere.txt", defaults)
    with pytest.raises(RecipeError, match="no text to count in"):
        concepts.count([], words / "words.txt", defaults)
    (words / "words.txt").write_text("oak\n?!\n")
    with pytest.raises(SeedbedError, match=r"concept 2: '\?!' holds no word"):
        concepts.count([words / "pool.jsonl"], words / "words.txt", defaults)


def test_flatness_of_a_model_folder_on_files(words, defaults):
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(["<|endoftext|>", *"abcdefghijklmnopqrs"])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    decoder = initial_model(ModelShape(20, d_model=16, n_layers=1, n_heads=2, context=16), 0)
    write_hugging_face(words / "model", decoder, tokenizer.to_str(), 0)
    (words / "text.jsonl").write_text(json.dumps({"text": "abcdefgh"}) + "\n" + json.dumps({"text": "hgf"}) + "\n")
    told = measured(words / "model", [str(words / "text.jsonl")], defaults, draws=3)
    assert told["tokens"] == 11
    assert told["value"] > 0
    assert told == measured(words / "model", [str(words / "text.jsonl")], defaults, draws=3)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
