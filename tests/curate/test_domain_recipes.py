"""The recipes of one domain each keep its pages, with what makes them so, and drop the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed import api

PROSE = (
    "The river rose in the night, and by the morning the lower meadows were under water that had come from the hills. "
    "People who live there have learnt to move the cattle to the upper fields when the gauge at the bridge says so. "
    "Nobody was hurt, and the road that follows the valley will be open again with the first dry day of the week. "
)
TOPICS = {
    "math": "<p>Consider {} for all {} and also {} with {}. That is the claim to be proved here.</p>",
    "code": "<p>The function below is the one that the text explains, line by line, with care.</p>{}",
    "qa": "<h2>How deep is the river at the bridge?</h2><p>Answer: It is as deep as the gauge says, and no deeper.</p>",
}
KEPT = {"math": "$\\alpha_0^2$", "code": "```python\ndef f(x):\n    return  x\n```", "qa": "Answer: It is as deep"}


def page(topic: str) -> str:
    inside = TOPICS.get(topic, "")
    if topic == "math":
        inside = inside.format(*(f'<script type="math/tex">\\alpha_{i}^2</script>' for i in range(4)))
    if topic == "code":
        inside = inside.format('<pre class="lang-python">def f(x):\n    return  x\n</pre>' * 3)
    return f"<html><body><article><h1>A page on {topic}</h1><p>{PROSE}</p>{inside}</article></body></html>"


@pytest.mark.parametrize("recipe", KEPT)
def test_a_domain_recipe_keeps_its_pages_alone(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "in").mkdir()
    for topic in (*TOPICS, "weather"):
        (tmp_path / "in" / f"{topic}.html").write_text(page(topic))
    corpus = api.curate(str(tmp_path / "in"), recipe=recipe, out=str(tmp_path / "out"))
    (text,) = corpus.documents().column("text").to_pylist()
    assert f"A page on {recipe}" in text
    assert KEPT[recipe] in text
