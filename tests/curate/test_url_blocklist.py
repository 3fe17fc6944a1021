import shutil

import pytest

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.url_blocklist import UrlBlocklist


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "domains.txt").write_text("# sites\nBad.example\n\nwww.worse.example\nco.uk.listed.example\n")
    (tmp_path / "urls").write_text("https://fine.example/one/bad-page/\nplain.example/x?y=1\n")
    (tmp_path / "strict_words.txt").write_text("free-stuff\ncasino\n")
    (tmp_path / "hard_words.txt").write_text("betting\n")
    (tmp_path / "soft_words.txt").write_text("win\nbig\nnow\n")
    return tmp_path


def measure(lists, *urls):
    method = UrlBlocklist(lists=str(lists))
    signals = method.measure(DocumentBatch.of(["text"] * len(urls), url=list(urls)))
    broken = method.failures(signals)
    return signals.to_pylist(), [[rule for rule, rows in broken.items() if rows[i]] for i in range(len(urls))]


def dropped(lists, url):
    return measure(lists, url)[1][0]


def test_a_domain_covers_its_subdomains_and_no_other(lists):
    for url in (
        "http://bad.example/",
        "HTTPS://a.b.BAD.example:8080/x",
        "http://user@bad.example",
        "https://worse.example/p",
        "https://www.worse.example",
        "bad.example/path",
        "http://bad.example.?q",
    ):
        assert dropped(lists, url) == ["max_blocked_domain"], url
    for url in (
        "http://notbad.example/",
        "http://bad.example.org/",
        "http://fine.example/bad.example",
        "http://example/",
    ):
        assert dropped(lists, url) == [], url


def test_whole_urls(lists):
    for url in (
        "http://fine.example/one/bad-page",
        "https://www.fine.example/one/bad-page/#top",
        "http://plain.example/x?y=1",
    ):
        assert dropped(lists, url) == ["max_blocked_url"], url
    assert dropped(lists, "http://fine.example/one/bad-page/two") == []


def test_words(lists):
    assert dropped(lists, "http://a.example/my-freestuff-page") == ["max_strict_words"]
    assert dropped(lists, "http://fr-ee.stuff.example/") == ["max_strict_words"]
    assert dropped(lists, "http://a.example/mycasinos/casino") == ["max_strict_words"]
    assert dropped(lists, "http://a.example/sport_betting?x") == ["max_hard_words"]
    assert dropped(lists, "http://a.example/abetting") == []
    assert dropped(lists, "http://a.example/win-window/win") == []
    assert dropped(lists, "http://a.example/Win/BIG") == ["max_soft_words"]
    assert measure(lists, "http://a.example/win/big/now")[0][0]["soft_words"] == 3


def test_without_a_url_or_lists_nothing_is_dropped(lists):
    signals, broken = measure(lists, "", "http://bad.example/")
    assert broken == [[], ["max_blocked_domain"]]
    assert set(signals[0].values()) == {0}
    method = UrlBlocklist()
    table = method.measure(DocumentBatch.of(["a"], url=["http://bad.example/"]))
    assert not any(rows.any() for rows in method.failures(table).values())
    assert UrlBlocklist.columns == ("url",)


def test_lists_are_content_and_named(lists, tmp_path):
    before = UrlBlocklist(lists=str(lists)).measuring()
    assert before == UrlBlocklist(lists=str(shutil.copytree(lists, tmp_path / "elsewhere"))).measuring()
    assert before == UrlBlocklist(lists=str(lists), max_soft_words=None).measuring()
    (lists / "hard_words.txt").write_text("poker\n")
    assert UrlBlocklist(lists=str(lists)).measuring() != before
    assert dropped(lists, "http://a.example/poker") == ["max_hard_words"]
    (lists / "domain.txt").write_text("x.example\n")
    with pytest.raises(RecipeError, match="Did you mean 'domains'"):
        measure(lists, "http://x.example")
    with pytest.raises(RecipeError, match="holds no lists"):
        UrlBlocklist(lists=str(tmp_path / "missing")).identity()
