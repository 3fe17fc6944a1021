"""An exported model among others' tools: transformers writes the same text, and lm_eval finds the same likelihoods."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from seedbed.core.nouns import DocumentBatch
from seedbed.model.hugging_face import write_hugging_face
from seedbed.model.language_model import LanguageModel
from seedbed.model.sampling import sample
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

QUESTIONS = [
    {"text": "The seed lies in", "choices": ["the ground", "the air", "a bed"], "gold": 0},
    {"text": "Rain falls on", "choices": ["the roof of a house", "the ground"], "gold": 1},
    {"text": "It grows", "choices": ["slowly", "in the bed", "up, then down", "é"], "gold": 0},
]
TEXTS = ["The seed lies in the ground.", "Rain, then sun; and it grows!\n\nÉté."]

TASKS = {
    "whole_texts": {"doc_to_text": "", "doc_to_choice": "choices"},
    "continuations": {"doc_to_text": "text", "doc_to_choice": "choices"},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(folder, decoder, tokenizer.json) of a model drawn at random, far from uniform."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    decoder = Decoder(ModelShape(tokenizer.get_vocab_size(), 32, 2, 4, 2, context=64))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    folder = tmp_path_factory.mktemp("export") / "model"
    write_hugging_face(folder, decoder, tokenizer.to_str(), 0)
    return folder, decoder, tokenizer.to_str()


def test_transformers_writes_the_same_text(exported):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, decoder, definition = exported
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for prompt in ("The seed", "", "é"):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(prompt)["input_ids"]]])
        room = 64 - ids.shape[1]
        written = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False, renormalize_logits=False
        )
        expected = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        told = sample(decoder, definition, prompt, max_tokens=room, temperature=0, end_of_text=0)
        assert "".join(told) == expected
        assert len(expected) > 10


def test_lm_eval_runs_on_the_export_and_chooses_as_the_model_does(exported, tmp_path):
    folder, decoder, definition = exported
    evaluated = lm_eval(folder, tmp_path)
    model = LanguageModel(decoder, 0, definition)
    scores = {"whole_texts": whole_scores(model), "continuations": continued_scores(decoder, definition)}
    for name in TASKS:
        samples = samples_of(tmp_path, name)
        assert len(samples) == len(QUESTIONS)
        hits: list[bool] = []
        for found, ours, question in zip(samples, scores[name], QUESTIONS, strict=True):
            theirs = [float(answer[0][0]) for answer in found["resps"]]
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)
            hits.append(int(np.argmax(ours)) == question["gold"])
            assert found["acc"] == float(hits[-1])
        assert evaluated[name]["acc,none"] == pytest.approx(np.mean(hits))

    log_likelihoods, _ = model.log_likelihoods(DocumentBatch.of(TEXTS))
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    bits = -log_likelihoods.sum() / n_bytes / np.log(2)
    assert evaluated["rolling"]["bits_per_byte,none"] == pytest.approx(bits, abs=1e-4)


def whole_scores(model: LanguageModel) -> list[list[float]]:
    """Log-likelihoods of the choices as texts of their own."""
    return [list(model.log_likelihoods(DocumentBatch.of(question["choices"]))[0]) for question in QUESTIONS]


def continued_scores(decoder: Decoder, definition: str) -> list[list[float]]:
    """Log-likelihoods of the choices behind the question, summed from the logits of one pass."""
    tokenizer = Tokenizer.from_str(definition)
    found: list[list[float]] = []
    for question in QUESTIONS:
        begin = tokenizer.encode(question["text"]).ids
        found.append([])
        for choice in question["choices"]:
            ids = torch.tensor([[*begin, *tokenizer.encode(" " + choice).ids]])
            with torch.no_grad():
                log_p = decoder(ids).log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
            found[-1].append(float(log_p[len(begin) - 1 :].sum()))
    return found


def lm_eval(model: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Results by task of the command that a user would type."""
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    for name, about in TASKS.items():
        data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / "questions.jsonl")}}}
        delimiter = " " if about["doc_to_text"] else ""
        asked = {"output_type": "multiple_choice", "doc_to_target": "gold", "target_delimiter": delimiter}
        metrics = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
        task = {"task": name, "test_split": "test", **data, **asked, **about, "metric_list": metrics}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / "texts.jsonl")}}}
    asked = {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "text"}
    metrics = [{"metric": "bits_per_byte"}]
    task = {"task": "rolling", "test_split": "test", **data, **asked, "metric_list": metrics}
    (folder / "rolling.yaml").write_text(yaml.safe_dump(task))
    arguments = ["--model", "hf", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu"]
    arguments += ["--include_path", str(folder), "--tasks", ",".join([*TASKS, "rolling"]), "--batch_size", "4"]
    arguments += ["--output_path", str(folder / "results"), "--log_samples"]
    told = {**os.environ, **OFFLINE, "HF_HOME": str(folder / "home"), "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "lm_eval", *arguments]
    done = subprocess.run(command, env=told, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    results = next((folder / "results").rglob("results_*.json"))
    return json.loads(results.read_text())["results"]


def samples_of(folder: Path, task: str) -> list[dict]:
    file = next((folder / "results").rglob(f"samples_{task}_*.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return sorted(rows, key=lambda row: row["doc_id"])
