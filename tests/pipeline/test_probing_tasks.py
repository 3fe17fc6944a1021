"""Probes asked of models in folders: through Python, the command line, the comparison, and beside lm_eval."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from seedbed import api
from seedbed.cli import app
from seedbed.core.artifact import Request
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.facts import make_facts
from seedbed.evaluate.tasks.minimal_pairs import MinimalPairs
from seedbed.evaluate.tasks.multiple_choice import MultipleChoice
from seedbed.model.hugging_face import write_hugging_face
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.pipeline import models as opening
from seedbed.pipeline import probing_tasks
from seedbed.pipeline.workplace import Workplace

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
TEXTS = ["The seed lies in the ground. Rain falls on the roof.", "Rain, then sun; and it grows!\n\nÉté."]
PAIRS = [
    {"good": "The seed lies.", "bad": "The seed lie.", "paradigm": "agreement"},
    {"good": "The seeds lie.", "bad": "The seeds lies.", "paradigm": "agreement"},
    {"good": "It grows up.", "bad": "Grows up it.", "paradigm": "order"},
]
QUESTIONS = [
    {"question": "The seed lies in", "choices": ["the ground", "the air", "a bed"], "answer": 0},
    {"question": "Rain falls on ", "choices": ["the roof of a house", "the ground"], "answer": 1},
    {"question": "It grows", "choices": ["slowly", "in the bed", "up, then down", "é"], "answer": 0},
    {
        "question": "Rain, then sun; and it grows! " * 9,
        "choices": ["The seed", "The roof lies in the ground."],
        "answer": 0,
    },
]
CLOZES = [{"context": "The seed lies in the", "answer": "ground"}, {"context": "Rain", "answer": "falls on"}]


def model_into(folder, seed):
    """A model drawn at random, far from uniform, in Hugging Face's format."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    decoder = Decoder(ModelShape(tokenizer.get_vocab_size(), 32, 2, 4, 2, context=64))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    write_hugging_face(folder, decoder, tokenizer.to_str(), 0)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_into(tmp_path_factory.mktemp("export") / "model", 1)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """A folder with items of every task."""
    folder = tmp_path_factory.mktemp("items")
    facts = [fact.line() for fact in make_facts((0, 2), 8, seed=0)]
    for name, lines in {"pairs": PAIRS, "questions": QUESTIONS, "clozes": CLOZES, "facts": facts}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "text.txt").write_text("\n".join(TEXTS))
    return folder


def test_each_file_is_asked_as_the_task_its_fields_tell(model, items):
    names = ("pairs", "questions", "clozes", "facts")
    found = api.evaluate(model, probes=[items / f"{name}.jsonl" for name in names], ngrams=[items / "text.txt"])
    assert list(found) == ["probes"]
    tasks = {name: told["task"] for name, told in found["probes"].items()}
    assert tasks == dict(zip(names, ("minimal_pairs", "multiple_choice", "cloze", "planted_facts"), strict=True))
    pairs = found["probes"]["pairs"]
    assert {name: group["items"] for name, group in pairs["groups"].items()} == {"agreement": 2, "order": 1}
    assert pairs["shorter_wins"] == pytest.approx((0 + 1 + 0.5) / 3)  # "The seed lie." is the shorter and the wrong one
    assert pairs["above_shorter_wins"][0] == pytest.approx(pairs["accuracy"] - pairs["shorter_wins"])
    assert pairs["groups"]["order"]["ngrams"] == 1.0
    asked = opening.open_model(model)
    goods, bads = ([line[field] for line in PAIRS] for field in ("good", "bad"))
    good, bad = (asked.continuation_log_likelihoods([""] * 3, texts)[0] for texts in (goods, bads))
    assert pairs["accuracy"] == pytest.approx(np.mean(good > bad))
    assert found["probes"]["facts"]["chance"] == pytest.approx(1 / 8)
    assert json.loads(json.dumps(found)) == found


def test_a_task_may_be_given_with_its_parameters(model, items):
    asked = {"multiple_choice": {"normalise": "pmi"}}
    by_text = api.evaluate(model, probes=[items / "questions.jsonl"], task=json.dumps(asked))
    given = api.evaluate(model, probes=[items / "questions.jsonl"], task=MultipleChoice(normalise="pmi"))
    assert by_text == given
    assert given["probes"]["questions"]["parameters"]["normalise"] == "pmi"
    with pytest.raises(SeedbedError, match="field 'choices'"):
        api.evaluate(model, probes=[items / "pairs.jsonl"], task="multiple_choice")
    with pytest.raises(RecipeError, match="bits_per_byte is no Probe"):
        api.evaluate(model, probes=[items / "pairs.jsonl"], task="bits_per_byte")


def test_text_and_probes_together_and_nothing_at_all(model, items):
    found = api.evaluate(model, [items / "text.txt"], probes=[items / "clozes.jsonl"])
    assert set(found) == {"bits_per_byte", "loss_nats_per_token", "tokens", "bytes", "probes"}
    with pytest.raises(RecipeError, match="nothing to evaluate on"):
        api.evaluate(model)
    with pytest.raises(SeedbedError, match="there is no file or folder"):
        api.evaluate(model, probes=["nowhere.jsonl"])
    with pytest.raises(RecipeError, match="two probes have the same name"):
        api.evaluate(model, probes=[items / "clozes.jsonl"] * 2)
    (items / "odd.json").write_text('{"sentence": "x"}\n')
    with pytest.raises(SeedbedError, match=r"odd\.json, line 1: its fields are no task's"):
        api.evaluate(model, probes=[items / "odd.json"])
    (items / "twice.json").write_text('{"id": 1, "good": "a", "bad": "b"}\n' * 2)
    with pytest.raises(SeedbedError, match=r"twice\.json, line 2, field 'id': '1' is the id of line 1"):
        api.evaluate(model, probes=[items / "twice.json"])


def test_the_command_prints_a_table_a_probe(model, items, capsys):
    with pytest.raises(SystemExit) as ended:
        app(["evaluate", str(model), "--probe", str(items / "pairs.jsonl"), "--probe", str(items / "facts.jsonl")])
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert "pairs: minimal_pairs" in printed
    assert "shorter wins" in printed
    assert [line.split()[0] for line in printed.splitlines() if line.startswith(("agr", "ord"))] == [
        "agreement",
        "order",
    ]
    assert "read 2 times" in printed


def test_runs_are_asked_once_and_their_answers_are_kept(items, tmp_path):
    with Workplace.open(tmp_path / "out") as place:

        def run(seed):
            def fill(draft):
                for file in model_into(tmp_path / f"model-{seed}", seed).iterdir():
                    (draft.path / file.name).write_bytes(file.read_bytes())
                    draft.adopt(file.name)
                return {}

            return place.store.make(Request("Run", f"run-{seed}", {"seed": seed}, {}), fill)

        runs = [run(seed) for seed in (1, 2)]
        probes = {"grammar": (MinimalPairs(), str(items / "pairs.jsonl"))}
        found = probing_tasks.probe_runs(place, runs, probes)
        assert list(found) == [one.path.name for one in runs]
        told = api.evaluate(runs[1].path, probes=[items / "pairs.jsonl"])["probes"]["pairs"]
        assert found[runs[1].path.name]["grammar"].overall.accuracy.value == told["accuracy"]
        kept = [artifact for artifact in place.store.all() if artifact.manifest["noun"] == "Outcomes"]
        assert len(kept) == 2
        assert kept[0].table().schema.names == ANSWERS.names
        before = [artifact.path.stat().st_mtime_ns for artifact in kept]
        assert probing_tasks.probe_runs(place, runs, probes) == found
        assert [artifact.path.stat().st_mtime_ns for artifact in kept] == before
        other = {"grammar": (MinimalPairs(delimiter="\n"), str(items / "pairs.jsonl"))}
        probing_tasks.probe_runs(place, runs[:1], other)
        assert sum(artifact.manifest["noun"] == "Outcomes" for artifact in place.store.all()) == 3


def test_lm_eval_finds_the_same_likelihoods_and_accuracies(model, items, tmp_path):
    results, samples = lm_eval(model, items, tmp_path)
    names = {"none": "acc", "characters": "acc_norm", "bytes": "acc_bytes", "pmi": "acc_mutual_info"}
    for normalise, metric in names.items():
        told = api.evaluate(model, probes=[items / "questions.jsonl"], task=MultipleChoice(normalise=normalise))
        assert told["probes"]["questions"]["accuracy"] == pytest.approx(results["questions"][f"{metric},none"])
    asked = opening.open_model(model)
    for line, sample in zip(QUESTIONS, samples["questions"], strict=True):
        choices = [" " + choice for choice in line["choices"]]
        count = len(choices)
        contexts = [line["question"]] * count + [""] * count
        nats, _, greedy = asked.continuation_log_likelihoods(contexts, choices * 2)
        np.testing.assert_allclose(nats, [float(answer[0][0]) for answer in sample["resps"]], atol=1e-4)
        assert greedy.tolist() == [str(answer[0][1]) == "True" for answer in sample["resps"]]


def lm_eval(model, items, folder):
    """(results by task, samples by task) of the command that a user would type."""
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(items / "questions.jsonl")}}}
    kinds = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in kinds]
    asked = {"output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": "choices"}
    task = {"task": "questions", "test_split": "test", **data, **asked, "doc_to_target": "answer"}
    (folder / "questions.yaml").write_text(yaml.safe_dump({**task, "target_delimiter": " ", "metric_list": metrics}))
    arguments = ["--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu"]
    arguments += ["--include_path", str(folder), "--tasks", "questions", "--batch_size", "4"]
    arguments += ["--output_path", str(folder / "results"), "--log_samples"]
    told = {**os.environ, **OFFLINE, "HF_HOME": str(folder / "home"), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "lm_eval", *arguments]
    done = subprocess.run(command, env=told, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(next((folder / "results").rglob("results_*.json")).read_text())["results"]
    lines = next((folder / "results").rglob("samples_questions_*.jsonl")).read_text().splitlines()
    return results, {"questions": sorted(map(json.loads, lines), key=lambda row: row["doc_id"])}
