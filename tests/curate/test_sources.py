"""Finding input: what a folder without anything to read is told, and which kinds the shipped recipes take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seedbed import api, recipes
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.curate.sources import find_sources

READERS = recipes.load("fineweb_en").curate.readers


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match="there is no file in it"):
        find_sources([tmp_path], READERS)


def test_a_folder_of_other_files_is_told_which_endings_are_in_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.PNG", "c.jpg", "LICENSE"):
        (tmp_path / name).write_bytes(b"x")
    wanted = r"no file here can be read \(2 \.png, 1 \S.*\).*can be read: warc.*pdf, docx, epub"
    with pytest.raises(SeedbedError, match=wanted) as told:
        find_sources([tmp_path], READERS)
    assert "1 .jpg" in str(told.value)
    assert "1 without an ending" in str(told.value)
    for number in range(9):
        (tmp_path / f"x.e{number}").write_bytes(b"x")
    with pytest.raises(SeedbedError, match=r"1 \S+, \.\.\.\)"):
        find_sources([tmp_path], READERS)


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.epub", "a.warc.wet.gz"])
def test_the_shipped_recipes_take_documents(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (source,), ignored = find_sources([tmp_path], READERS)
    assert source.reader.name() in ("pdf", "docx", "epub", "warc")
    assert ignored == []


def test_dumps_have_a_recipe_of_their_own_and_a_sitemap_is_no_dump(tmp_path: Path) -> None:
    for name in ("dewiki-pages-articles.xml.bz2", "page.html"):
        (tmp_path / name).write_bytes(b"x")
    sources, ignored = find_sources([tmp_path], READERS)
    assert [source.reader.name() for source in sources] == ["html"]
    assert len(ignored) == 1
    sources, _ = find_sources([tmp_path], recipes.load("wikipedia").curate.readers)
    assert [source.reader.name() for source in sources] == ["wikipedia"]


def test_a_missing_library_matters_only_where_its_kind_of_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pypdfium2", "docx", "mwparserfromhell"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.txt").write_text("A text.")
    assert len(find_sources([tmp_path], READERS)[0]) == 1
    (tmp_path / "a.pdf").write_bytes(b"x")
    with pytest.raises(SeedbedError, match=r"a\.pdf: needs the library pypdfium2.*seedbed\[documents\]"):
        find_sources([tmp_path], READERS)


def test_a_missing_library_is_said_of_a_file_in_a_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/missing-library/a.pdf", b"x")
    assert len(find_sources(["memory://missing-library"], READERS)[0]) == 1
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(SeedbedError, match=r"a\.pdf: needs the library pypdfium2.*seedbed\[documents\]"):
        find_sources(["memory://missing-library"], READERS)


def test_one_path_is_a_list_of_one_and_a_list_among_paths_is_refused(tmp_path: Path) -> None:
    assert api.expand("a.txt") == api.expand(["a.txt"]) == ("a.txt",)
    with pytest.raises(RecipeError, match=r"inputs: holds a list where a path belongs.*\*paths"):
        api.curate([tmp_path / "a", tmp_path / "b"], out=tmp_path / "out")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
