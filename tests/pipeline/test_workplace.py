"""Folders as a user names them: here, in a store, and what lies in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.mirror import SCRATCH, Mirror
from seedbed.pipeline import workplace


def test_a_folder_in_the_output_folder_is_found_by_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path / "scratch"))
    out = "s3://crawl/run"
    here = Mirror(out).local / "artifacts" / "weights-x"
    here.mkdir(parents=True)
    monkeypatch.setattr(Mirror, "pull", lambda _: None)  # as if it had been fetched: no store is asked
    for name in (f"{out}/artifacts/weights-x", Path(f"{out}/artifacts/weights-x"), here):
        assert workplace.given(out, name) == here
    assert workplace.given(tmp_path, here) == here
    for name in (f"{out}/artifacts/weights-y", str(tmp_path / "weights-y")):
        with pytest.raises(SeedbedError, match=f"^{name}: there is no such folder"):
            workplace.given(out, name)


def test_what_a_recipe_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    workplace.check_there("target", [str(tmp_path / "x.txt"), "sample:pool", "s3://crawl/asked/when/it/is/read"])
    for missing in (str(tmp_path / "y.txt"), "sample:none", ""):
        with pytest.raises(SeedbedError, match=r"^target: there is no file or folder"):
            workplace.check_there("target", [str(tmp_path / "x.txt"), missing])
