"""The proxy of a mixer that learns while it trains: made once, its whole cost counted, its weights those of its law."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.model import counts
from seedbed.pipeline import mixing_online
from seedbed.pipeline.material import Material, scaled
from seedbed.pipeline.mixing import mixed, mixture_of
from seedbed.pipeline.mixing_online import proxy_weights, step_weights
from seedbed.pipeline.workplace import Workplace
from seedbed.select.mixers.doge import Doge
from seedbed.select.mixers.doremi import Doremi
from seedbed.select.mixing import Domains, Seen
from tests.pipeline.test_mixing import material_of, stage, write

TOKENS, BATCH, CONTEXT = 4096, 4, 64
STEPS = TOKENS // (BATCH * CONTEXT)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, Material]]:
    """Three domains of words of their own; the target speaks of animals."""
    folder = tmp_path_factory.mktemp("proxy")
    write(folder / "pool", ["animals", "colours", "numbers"])
    write(folder / "target", ["animals"], documents=20)
    with Workplace.open(folder / "out") as place:
        yield place, material_of(place, folder / "pool", folder / "target")


def domains(material: Material, *, with_target: bool) -> Domains:
    return mixed(material, "source", TOKENS, with_target=with_target).domains


def test_doremi_trains_a_reference_and_a_proxy_and_counts_both(ground: tuple[Workplace, Material]) -> None:
    place, material = ground
    about = domains(material, with_target=False)
    method = Doremi(tokens=TOKENS, shape=1.0)
    made = proxy_weights(place, material, method, about, "source", 3)
    weight_SD = step_weights(made)
    assert weight_SD.shape == (STEPS, 3)
    assert weight_SD.sum(1) == pytest.approx(1)
    assert made.table().column_names == ["animals", "colours", "numbers"]
    shape = scaled(material.plan.shape, 1.0)
    step = counts.training_flops(shape, BATCH, CONTEXT)
    assert made.about["flops_reference"] == pytest.approx(STEPS * step)
    assert made.about["flops_proxy"] == pytest.approx(STEPS * (step + counts.forward_flops(shape, BATCH, CONTEXT)))
    assert made.about["flops_select"] == made.about["flops_reference"] + made.about["flops_proxy"]
    share_D = method.mixture(about, Seen(step_weight_SD=weight_SD), 0).share_D
    assert share_D == pytest.approx(weight_SD.mean(0))
    assert not (made.path / "state").exists()


def test_it_is_made_once_and_another_question_is_another_run(
    ground: tuple[Workplace, Material], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, material = ground
    about, method = domains(material, with_target=False), Doremi(tokens=2048, shape=1.0, reference=False)
    made = proxy_weights(place, material, method, about, "source", 3)
    assert made.about["flops_reference"] == 0
    other = proxy_weights(place, material, dataclasses.replace(method, smoothing=0.5), about, "source", 3)
    assert other.path != made.path
    assert step_weights(other).min() >= 0.5 / 3
    monkeypatch.setattr(mixing_online, "proxy_one", None)
    again = proxy_weights(place, material, method, about, "source", 3)
    assert again.path == made.path


def test_doge_finds_the_domain_of_the_target(ground: tuple[Workplace, Material]) -> None:
    place, material = ground
    method = Doge(tokens=TOKENS, shape=1.0, learning_rate=3e-3)
    about = domains(material, with_target=True)
    made = proxy_weights(place, material, method, about, "source", 3)
    share_D = step_weights(made).mean(0)
    assert about.names[int(share_D.argmax())] == "animals"
    one_more_row = counts.training_flops(scaled(material.plan.shape, 1.0), BATCH + 1, CONTEXT)
    assert made.about["flops_select"] == pytest.approx(STEPS * one_more_row)
    alone = proxy_weights(place, material, method, domains(material, with_target=False), "source", 3)
    assert not np.allclose(step_weights(alone), step_weights(made))


def test_a_stage_asks_for_its_proxy_and_stores_the_answer(ground: tuple[Workplace, Material]) -> None:
    place, material = ground
    untargeted = dataclasses.replace(material, target=None)
    made = mixture_of(place, untargeted, stage(Doremi(tokens=TOKENS, shape=1.0)), budget_tokens=TOKENS, seed=3)
    shares = made.about["shares"]
    assert isinstance(shares, dict)
    assert list(shares) == ["animals", "colours", "numbers"]
    proxy = proxy_weights(place, untargeted, Doremi(tokens=TOKENS, shape=1.0), domains(material, with_target=False),
                          "source", 3)  # fmt: skip
    assert list(shares.values()) == pytest.approx(step_weights(proxy).mean(0))
    assert made.about["flops_select"] == proxy.about["flops_select"]
    assert made.about["told"]["steps"] == STEPS


def test_a_domain_that_no_document_has_is_an_error(ground: tuple[Workplace, Material]) -> None:
    place, material = ground
    about = dataclasses.replace(domains(material, with_target=False), names=("animals", "colours", "plants"))
    with pytest.raises(SeedbedError, match=r"'plants': no document has this source.*There are: animals, colours"):
        proxy_weights(place, material, Doremi(tokens=2048, reference=False), about, "source", 3)


def test_killed_in_the_proxy_it_goes_on(ground: tuple[Workplace, Material], monkeypatch: pytest.MonkeyPatch) -> None:
    from seedbed.train import domain_proxy

    place, material = ground
    plan = dataclasses.replace(material.plan, checkpoints=dataclasses.replace(material.plan.checkpoints, every_steps=4))
    material, about = dataclasses.replace(material, plan=plan), domains(material, with_target=False)
    method = Doremi(tokens=TOKENS, reference=False, learning_rate=2e-3)
    begun: list[int] = []
    train = domain_proxy.train_proxy

    def watched(*given, observe, **about):  # type: ignore[no-untyped-def]
        def stop(step, told):  # type: ignore[no-untyped-def]
            observe(step, told)
            if not begun and step == 10:
                begun.append(0)
                raise KeyboardInterrupt

        result = train(*given, observe=stop, **about)
        begun.append(result.resumed_from_step)
        return result

    monkeypatch.setattr(domain_proxy, "train_proxy", watched)
    with pytest.raises(KeyboardInterrupt):
        proxy_weights(place, material, method, about, "source", 3)
    made: Artifact = proxy_weights(place, material, method, about, "source", 3)
    assert begun == [0, 8]
    assert step_weights(made).shape == (STEPS, 3)
