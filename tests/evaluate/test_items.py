import gzip
import json
import zipfile

import pytest

from seedbed.core.errors import SeedbedError
from seedbed.evaluate.items import Line, read_lines


def test_a_file_a_folder_and_an_archive_give_the_same_lines(tmp_path):
    rows = {"b.jsonl": [{"n": 1}, {"n": 2}], "a.jsonl": [{"n": 3}]}
    folder = tmp_path / "folder"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, lines in rows.items():
            text = "\n".join(map(json.dumps, lines)) + "\n\n"
            archive.writestr(f"data/{name}", text)
            archive.writestr(f"__MACOSX/data/._{name}", "no JSON")
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "README.md").write_text("no items")
    for source in (folder, tmp_path / "all.zip"):
        lines = read_lines(source)
        assert [line.fields["n"] for line in lines] == [3, 1, 2]
        assert [line.stem for line in lines] == ["a", "b", "b"]
        assert [line.name for line in lines] == ["a:1", "b:1", "b:2"]
    (one,) = read_lines(folder / "a.jsonl.gz")
    assert (one.number, one.fields) == (1, {"n": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x.jsonl: holds no items"),
        (b'{"a": 1}\n{"a": ', "x.jsonl, line 2: is no JSON"),
        (b'{"a": 1}\n\xff\n', "x.jsonl, line 2: is no JSON"),
        (b"[1, 2]\n", r"x.jsonl, line 1: \[1, 2\] is no JSON object"),
    ],
)
def test_what_is_no_item_is_named_by_file_and_line(tmp_path, content, said):
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    with pytest.raises(SeedbedError, match=said):
        read_lines(file)


def test_no_file_and_a_broken_one_are_errors(tmp_path):
    with pytest.raises(SeedbedError, match=r"none\.jsonl: there is no such file"):
        read_lines(tmp_path / "none.jsonl")
    for name in ("x.jsonl.gz", "x.zip"):
        (tmp_path / name).write_bytes(gzip.compress(b'{"a": 1}\n' * 9)[:-12])
        with pytest.raises(SeedbedError, match=f"{name}: is broken"):
            read_lines(tmp_path / name)


def test_fields_are_typed_and_errors_name_the_field():
    line = Line("x.jsonl", 7, {"good": "a", "n": 3, "flag": True, "empty": " ", "many": ["a", "b", "a"], "id": 12})
    assert line.text("better", "good") == "a"
    assert line.text("none", missing="-") == "-"
    assert line.number_of("n") == 3.0
    assert line.name == "12"
    wrong = [
        (lambda: line.text("goood"), "line 7, field 'goood': is missing. Did you mean 'good'"),
        (lambda: line.text("n"), "field 'n': 3 is no text"),
        (lambda: line.filled("empty"), "field 'empty': is empty"),
        (lambda: line.texts("many", 2), "field 'many': holds 2 different texts"),
        (lambda: line.texts("n", 2), "field 'n': 3 is no list of texts"),
        (lambda: line.number_of("flag"), "field 'flag': true is no number"),
        (lambda: line.number_of("good"), "field 'good': \"a\" is no number"),
    ]
    for ask, said in wrong:
        with pytest.raises(SeedbedError, match=said):
            ask()
