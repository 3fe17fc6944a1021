"""The page: escaped to the last character, self-contained, the same every time, with any section absent."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from seedbed.report import bins
from seedbed.report.data import (
    ArmResult,
    Comparison,
    Distribution,
    DuplicatePair,
    Example,
    Funnel,
    LeakCheck,
    LeakItem,
    Loss,
    LossCurve,
    Provenance,
    ReportData,
    Share,
    StepTime,
)
from seedbed.report.law_data import Band, LawCurve, LawFit
from seedbed.report.page import lead, render
from seedbed.stats.intervals import Interval

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "'--></style></svg><script src=//evil.example></script>",
    "]]><!-- $x_1^{ $ \\frac{",
    "{{ 7 * 7 }}{% raw %}",
    "nul\x00 bell\x07 turn\u202edrow \ud800 end",
    "W" * 20_000,
    '#010101 url(#x) href="#y" 日本語 \U0001f331',
)


def interval(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01, 0.95, 3)


def comparison(word: str = "dsir") -> Comparison:
    arms = (
        ArmResult("random", "baseline", interval(1.6), flops_train=1e12, tokens=1e6, unique_tokens=5e5, epochs=2.0),
        ArmResult(word, "", interval(1.5), interval(-0.1), interval(-0.05), 1e9, 1e12, 3.0, 1e6, verdict=word),
        ArmResult("clean", "ceiling", interval(1.4), interval(-0.2)),
    )
    steps = np.arange(1.0, 50)
    curves = tuple(
        LossCurve(arm, seed, tuple(steps * 1000), tuple(3 + seed / 10 + 5 / steps))
        for arm in ("random", word)
        for seed in (0, 1)
    )
    domains = ((word, {"random": 1.6, word: 1.5}), ("society", {"random": 1.7}))
    return Comparison((f"{word} beats random.",), word, arms, (word,), domains, curves)


def funnel(word: str = "min_words") -> Funnel:
    losses = (Loss("warc", "not_html", 3), Loss("size", word, 5), Loss(word, "KeyError", 1, "errored"))
    groups = (Share(word, 12, 8), Share("en", 8, 3))
    return Funnel(20, 11, losses, 10_000, 6_000, groups, word, groups, 2)


def distribution(word: str = "words") -> Distribution:
    return Distribution(word, word, word, word, "min", 50.0, (0.0, 50.0, 100.0), (4, 9), (4, 0), "linear", 13, 4, 2)


def example(word: str = "text") -> Example:
    return Example(word, f"https://docs.example.org/{word}", word, word, 10, f"size.{word}", word, (word,) * 6)


def full(word: str = "word") -> ReportData:
    tokens = (1e6, 1e7)
    curve = LawCurve(1e6, Band(tokens, (3.0, 2.5), (2.9, 2.3), (3.1, 2.7)), tokens, (3.0, 2.5))
    return ReportData(
        title=word,
        about=word,
        inputs=(word,) * 8,
        comparison=comparison(word),
        funnel=funnel(word),
        distributions=(distribution(word),),
        dropped=(example(word),),
        kept=(example(word),),
        duplicates=(DuplicatePair(word, example(word), example(word), 3, 0.5),),
        leaks=LeakCheck(word, ((word, {word: 1, "clean": 2}),), (LeakItem(word, word, 0.5, word),), word),
        law=LawFit(
            word, word, ((word, interval(0.3)),), 0.95, facts=((word, word),), warnings=(word,), curves=(curve,)
        ),
        provenance=Provenance(word, ((word, word),), (StepTime(word, 3.0),), ((word, word),)),
    )


class Audit(HTMLParser):
    """Every tag, the attributes that could load something, and all ids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "img", "br", "i_"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.loads.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")
            if name == "style" and "url(" in (value or ""):
                self.loads += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: str) -> Audit:
    audit = Audit(page)
    assert audit.open == []
    assert not audit.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base", "image"}
    assert [load for load in audit.loads if not load.startswith("#")] == []
    assert {load[1:] for load in audit.loads} <= set(audit.ids), "a reference leads nowhere"
    assert audit.handlers == []
    assert len(audit.ids) == len(set(audit.ids)), "two elements share an id"
    return audit


@functools.cache
def tags_of_a_harmless_page() -> frozenset[str]:
    return frozenset(check(render(full())).tags)


@pytest.mark.parametrize("word", HOSTILE, ids=[str(i) for i in range(len(HOSTILE))])
def test_no_text_becomes_markup(word: str) -> None:
    page = render(full(word))
    assert check(page).tags == tags_of_a_harmless_page()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u202a-\u202e]", page)
    page.encode("utf-8")


def test_a_text_is_shown_as_it_is() -> None:
    page = render(full("<b>bold & brave</b>"))
    assert "&lt;b&gt;bold &amp; brave&lt;/b&gt;" in page
    assert "<b>bold" not in page


def test_the_same_data_give_the_same_bytes() -> None:
    assert render(full()) == render(full())


def test_no_date_and_no_name_of_the_plotting_library() -> None:
    page = render(full()).lower()
    assert [word for word in ("matplotlib", "dc:date", "<metadata", "<?xml", "doctype svg") if word in page] == []


SECTIONS = ("comparison", "funnel", "distributions", "dropped", "kept", "duplicates", "leaks", "law")
ANCHORS = {"comparison": "arms", "funnel": "funnel", "distributions": "scores", "leaks": "leaks", "law": "law"}


@pytest.mark.parametrize("there", [(), *itertools.combinations(SECTIONS, 1), SECTIONS[:4], SECTIONS[4:]])
def test_any_section_may_be_absent(there: tuple[str, ...]) -> None:
    whole = full()
    page = render(dataclasses.replace(ReportData("some"), **{name: getattr(whole, name) for name in there}))
    ids = set(check(page).ids)
    assert {anchor for name, anchor in ANCHORS.items() if name in there} == ids & set(ANCHORS.values())


def test_the_verdict_stands_before_every_number() -> None:
    page = render(full())
    assert page.index("beats random") < page.index("records read") < page.index("Head to head</h2>")


def test_the_lead_names_who_is_told_apart_and_on_what_terms() -> None:
    of = comparison()
    said = lead(of, "random")
    assert said == [
        "On dsir, at equal tokens: dsir and clean beat random.",
        "On dsir, at equal total cost: dsir beats random.",
        "3 seeds an arm: indicative, not settled.",
    ]
    worse = dataclasses.replace(of.arms[1], at_equal_cost=Interval(0.2, 0.1, 0.3, 0.95, 3))
    even = dataclasses.replace(of.arms[2], at_equal_tokens=Interval(-0.2, -0.5, 0.1, 0.95, 3))
    said = lead(dataclasses.replace(of, arms=(of.arms[0], worse, even)), "random")
    assert said[0] == "On dsir, at equal tokens: dsir beats random; no difference between clean and random can be told."
    assert said[1] == "On dsir, at equal total cost: dsir loses to random."


def test_one_seed_has_no_interval_and_says_so() -> None:
    one = Interval(1.5, None, None, 0.95, 1)
    arms = (ArmResult("random", "baseline", one), ArmResult("mine", "", one, Interval(-0.1, None, None, 0.95, 1)))
    page = render(ReportData("one", comparison=Comparison(("One seed.",), "databases", arms)))
    assert "no interval from one seed" in page
    check(page)


def test_an_account_that_does_not_balance_is_named() -> None:
    broken = dataclasses.replace(funnel(), kept=10)
    assert "The account balances" in render(ReportData("a", funnel=funnel()))
    assert "The account does not balance: 11 documents should be left and 10 are" in render(
        ReportData("a", funnel=broken)
    )


def test_nothing_read_is_a_page_too() -> None:
    check(render(ReportData("empty", funnel=Funnel(0, 0), distributions=(no_values(),))))


def no_values() -> Distribution:
    drawn = bins.binned(np.zeros(0), 50, "min", np.zeros(0, np.bool_))
    return Distribution("a", "b", "c", "d", "min", 50, drawn.edges, drawn.counts, drawn.broken, drawn.scale, 0, 0, 0)


def test_the_page_is_small() -> None:
    many = tuple(dataclasses.replace(distribution(f"rule{i}"), step=f"step{i % 5}") for i in range(40))
    examples = tuple(dataclasses.replace(example("text " * 80), reason=f"size.{i}") for i in range(60))
    page = render(dataclasses.replace(full(), distributions=many, dropped=examples))
    assert len(page.encode()) < 3_000_000
