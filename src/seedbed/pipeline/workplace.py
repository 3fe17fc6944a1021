"""Where a run happens: its output folder, its engine, and the index of what lies there."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import socket
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

from seedbed import recipe as recipes
from seedbed import sample
from seedbed.core import remote
from seedbed.core.artifact import Artifact, Store, write_text
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.mirror import Mirror
from seedbed.core.parameters import Json
from seedbed.curate.run import Curated
from seedbed.engine.contract import Engine
from seedbed.engine.local import LocalEngine
from seedbed.engine.ray import RayEngine
from seedbed.recipe import Recipe

ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer at its address."""


@dataclasses.dataclass(frozen=True)
class Workplace:
    """An output folder in use, and the engine that works there."""

    out: Path
    store: Store
    engine: Engine

    @classmethod
    @contextlib.contextmanager
    def open(cls, out: str | Path, workers: int = 1, engine: str = "local") -> Generator[Workplace, None, None]:
        """Make the folder if need be and lock it against another writer.

        Args:
            out: the output folder, here or on a remote store (s3://bucket/folder).
            workers: processes at once.
            engine: `local`, `ray` (a cluster of this machine) or `ray:ADDRESS` (a running one; `ray:auto`).
        """
        check_engine(engine)
        mirror = Mirror(str(out)) if remote.is_remote(out) else None
        _local_copy.cache_clear()  # a writer begins with what the store has now
        root = local(out)
        try:
            root.mkdir(parents=True, exist_ok=True)
            store = Store(root)
        except OSError as error:
            raise SeedbedError(str(root), f"cannot be used as output folder ({error.strerror})") from error
        with store.lock(), contextlib.closing(_engine(engine, root, workers)) as started:
            try:
                yield cls(root, store, started)
            finally:
                if mirror is not None:  # also what a failed run has finished
                    mirror.push()

    def remember(self, **roles: Json) -> None:
        """Write down where the artifacts of the newest run lie, by role."""
        write_index(self.out, {**read_index(self.out, missing_is_empty=True), **roles})

    def remember_made(self, role: str, artifact: Artifact) -> None:
        """Add to what was made on request, "selected" or "trained", so that it counts as in use."""
        before = cast("list[str]", read_index(self.out, missing_is_empty=True).get(role, []))
        self.remember(**{role: list[Json](sorted({*before, artifact.path.name}))})

    def remember_recipe(self, recipe: Recipe) -> None:
        """Store the resolved recipe; the run can be started again from it."""
        write_text(self.out / "recipe.json", json.dumps(recipes.to_json(recipe), indent=1, ensure_ascii=False) + "\n")


def local(out: str | Path) -> Path:
    """The output folder on this machine: of a remote one, its local copy, brought in step once a process."""
    if not remote.is_remote(out):
        return Path(out)
    return _local_copy(Mirror(str(out)))


@cache
def _local_copy(mirror: Mirror) -> Path:
    mirror.pull()
    return mirror.local


def check_engine(name: str) -> None:
    """Raises RecipeError for an engine that there is not, SeedbedError for a cluster that does not answer."""
    kind, _, address = name.partition(":")
    if kind not in ("local", "ray") or (kind == "local" and name != kind):
        raise RecipeError(f"--engine {name}", "there is no such engine", "Known: local, ray, ray:HOST:PORT, ray:auto.")
    host, _, port = address.rpartition(":")
    if address in ("", "auto") or "://" in address:
        return
    if not host or not port.isdecimal() or int(port) >= 1 << 16:
        raise RecipeError(f"--engine {name}", f"{address!r} is no address of a cluster", "Write ray:HOST:PORT.")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        mend = "Start a cluster there with `ray start --head`, or leave the address away to have one on this machine."
        raise SeedbedError(
            f"--engine {name}", f"no cluster answers at {address} ({error.strerror or error})", mend
        ) from error


def _engine(name: str, root: Path, workers: int) -> LocalEngine | RayEngine:
    kind, _, address = name.partition(":")
    return RayEngine(root, address, workers) if kind == "ray" else LocalEngine(workers)


def given(out: str | Path, name: str | Path) -> Path:
    """An artifact or model folder that was named: of this output folder, of another place here, or in a store."""
    known = remote.inside(out, "")
    is_here = remote.is_remote(out) and remote.url_of(name).startswith(known)
    folder = local(out) / remote.url_of(name).removeprefix(known) if is_here else local(name)
    if not folder.is_dir():
        raise SeedbedError(remote.url_of(name), "there is no such folder", "Name one that a verb printed.")
    return folder


def read_index(out: str | Path, *, missing_is_empty: bool = False) -> dict[str, Json]:
    """Role -> folder names, as the newest run left them."""
    file = local(out) / "artifacts" / "index.json"
    if file.exists():
        return cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))
    if missing_is_empty:
        return {}
    raise SeedbedError(
        remote.url_of(out), "this is not the output folder of a finished step", "Run `seedbed curate` there first."
    )


def write_index(out: Path, index: Mapping[str, Json]) -> None:
    """Replace the whole index. Roles are sorted; inside them order has a meaning: text versions follow the plan."""
    ordered = {role: index[role] for role in sorted(index)}
    write_text(out / "artifacts" / "index.json", json.dumps(ordered, indent=1) + "\n")


def holds_recipe(out: str | Path) -> bool:
    """Whether this names an output folder, with the recipe it was made with."""
    return (local(out) / "recipe.json").exists()


def read_recipe(out: str | Path) -> Recipe:
    """The resolved recipe a folder was made with."""
    return recipes.from_json(read_recipe_tree(out))


def read_curation(out: str | Path) -> Recipe:
    """That recipe's curation alone; what it takes to read the other sections (torch, say) is not loaded."""
    tree = read_recipe_tree(out)
    return recipes.from_json({name: tree[name] for name in ("name", "about", "inputs", "curate")})


def read_recipe_tree(out: str | Path) -> dict[str, Json]:
    """The resolved recipe as JSON."""
    file = local(out) / "recipe.json"
    if not file.exists():
        raise SeedbedError(
            remote.url_of(out), "there is no recipe.json here", "Name the folder given as --out to a finished run."
        )
    return cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))


def curated_at(out: str | Path) -> Curated:
    """The curation in an output folder."""
    return Curated.at(local(out), cast("dict[str, Json]", _role(out, "curate")))


def artifact_at(out: str | Path, role: str) -> Artifact:
    """An artifact in an output folder by its role."""
    return Artifact(local(out) / "artifacts" / str(_role(out, role)))


_MISSING = {
    "curate": ("there is no curation here yet", "Run `seedbed curate` into it first."),
    "tokens": ("there are no tokens here yet", "Run `seedbed tokenize` there first."),
}
"""Role -> what to say where nothing has it: (what, mend)."""


def _role(out: str | Path, role: str) -> Json:
    index = read_index(out)
    if role not in index:
        what, mend = _MISSING.get(role, (f"there is no {role} here yet", f"Here so far: {', '.join(sorted(index))}."))
        raise SeedbedError(remote.url_of(out), what, mend)
    return index[role]


def check_there(field: str, names: Iterable[str]) -> None:
    """Raises SeedbedError for a file or folder of this machine that is not there; before anything is made."""
    for path in resolve([name for name in names if not remote.is_remote(name)]):
        if not path.exists() or str(path) == ".":
            raise SeedbedError(field, f"there is no file or folder {str(path)!r}", "Check the path.")


def resolve(names: Sequence[str]) -> list[Path]:
    """Files and folders; `sample:pool` and `sample:NAME` are shipped with Seedbed."""
    found: list[Path] = []
    for name in names:
        if not name.startswith("sample:"):
            found.append(Path(name))
        elif name == "sample:pool":
            found.extend(sample.pool())
        else:
            found.append(Path(sample.__file__).parent / name.removeprefix("sample:"))
    return found


def expand(inputs: str | Path | Sequence[object]) -> tuple[str, ...]:
    """Globs resolved, in order; a pattern that matches nothing stays, and is then reported as missing.

    Raises RecipeError for what is no path, such as a list among the paths.
    """
    found: list[str] = []
    for path in [inputs] if isinstance(inputs, str | Path) else inputs:
        if not isinstance(path, str | Path):
            what = f"holds a {type(path).__name__} where a path belongs"
            raise RecipeError("inputs", what, "Give each path by itself: *paths.")
        given = str(path)
        is_glob = glob.has_magic(given) and not given.startswith("sample:")
        found.extend((sorted(glob.glob(given, recursive=True)) or [given]) if is_glob else [given])  # noqa: PTH207
    return tuple(found)
