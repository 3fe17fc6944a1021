"""A small model of one domain alone, beside a general model of twice its size, at equal core-seconds.

    python benchmarks/effect/continual/domain_only.py --corpus FOLDER [--domain python3.11-doc] [--core-seconds 60]

domain_only   0.23 M parameters, reads the domain's package alone
general       0.53 M parameters, reads all English packages, the domain's with them in proportion to its documents
small_general 0.23 M parameters, reads what `general` reads: says whether size or text makes the difference

All share one tokenizer, learned from what `general` reads. How many tokens a second each shape trains is measured
first, alone on one core; every run of a shape then reads the same number of tokens, the budget's. What the training
took is written beside it in core-seconds, and what that costs at --price-per-core-hour.

Three probes, cut by rule from the domain's held-out documents, answered by likelihood; in points, chance at 50, 50, 25:
obsolete      a line that names a current function or setting, against the line with its obsolete name (OBSOLETE)
identifiers   a line with a dotted name, against the line with another such name of the held-out text in its place
next          the text's next 60 characters, against those of three other texts

Writes benchmarks/results/continual_domain_only.csv; rows that are there are not run again, and keep the rates of
tokens that they were run with. Some 11 minutes on one core; with --processes 2 cores must be free.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import texts

from paired import RESULTS, Row, Table, run_all, told  # isort: skip
from seedbed.evaluate.items import Item
from seedbed.stats.intervals import mean_interval
from seedbed.tokenize.encode import Encoder

KEY = ("domain", "arm", "core_seconds", "seed")
PROBES = ("obsolete", "identifiers", "next")
VALUES = (*PROBES, "mean", "bits_per_byte", "parameters", "tokens", "core_seconds_taken", "items")
SIZES = {"domain_only": (64, 2, 2), "general": (96, 3, 3), "small_general": (64, 2, 2)}
VOCAB_SIZE, CONTEXT, LONGEST, MOST_ITEMS, TRIAL_TOKENS = 2048, 128, 20_000, 400, 60_000
LINE = (40, 200)
MOST_CHARACTERS = 40_000_000
"""Of what `general` reads: many times what it gets to."""
OBSOLETE = {
    "python3.11-doc": {
        "collections.abc": "collections",
        "inspect.getfullargspec": "inspect.getargspec",
        "time.perf_counter": "time.clock",
        "assertEqual": "assertEquals",
        "assertRaisesRegex": "assertRaisesRegexp",
        "assertRegex": "assertRegexpMatches",
        "subprocess.Popen": "os.popen2",
        "subprocess.run": "commands.getoutput",
        "string.ascii_letters": "string.letters",
        "string.ascii_lowercase": "string.lowercase",
        "urllib.request": "urllib2",
        "urllib.parse": "urlparse",
        "configparser": "ConfigParser",
        "queue.Queue": "Queue.Queue",
        "io.StringIO": "StringIO.StringIO",
        "asyncio.ensure_future": "asyncio.async",
        "await ": "yield from ",
        ".items()": ".iteritems()",
        ".values()": ".itervalues()",
        "is_alive": "isAlive",
        "tobytes": "tostring",
        "html.parser": "HTMLParser",
        "html.escape": "cgi.escape",
        "math.gcd": "fractions.gcd",
        "functools.reduce": "reduce",
        "input(": "raw_input(",
        "range(": "xrange(",
        "socketserver": "SocketServer",
        "tkinter": "Tkinter",
        "winreg": "_winreg",
        "http.client": "httplib",
        "http.server": "BaseHTTPServer",
        "xmlrpc.client": "xmlrpclib",
        "builtins": "__builtin__",
    },
    "postgresql-doc-15": {
        "pg_wal": "pg_xlog",
        "pg_xact": "pg_clog",
        "wal_keep_size": "wal_keep_segments",
        "max_wal_size": "checkpoint_segments",
        "pg_switch_wal": "pg_switch_xlog",
        "pg_current_wal_lsn": "pg_current_xlog_location",
        "pg_waldump": "pg_xlogdump",
        "pg_resetwal": "pg_resetxlog",
        "pg_receivewal": "pg_receivexlog",
        "promote_trigger_file": "trigger_file",
        "EXECUTE FUNCTION": "EXECUTE PROCEDURE",
    },
}
"""Package -> current name -> the name that it replaced. Few lines of the second have any: a dozen items."""
DOTTED = re.compile(r"\b[a-z_]\w*(?:\.[a-zA-Z_]\w*)+\b|\b[a-z]+_[a-z_]+\b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--domain", choices=sorted(OBSOLETE), default="python3.11-doc")
    parser.add_argument("--core-seconds", type=int, default=60, help="of training, for each arm")
    parser.add_argument("--price-per-core-hour", type=float, default=0.04, help="in any currency")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "continual_domain_only.csv")
    args = parser.parse_args()
    table = Table(args.out, KEY, VALUES)
    file = args.out.with_suffix(f".{args.domain}.tmp")
    prepare(args.corpus, args.domain, file)
    named = {"domain": args.domain, "core_seconds": str(args.core_seconds)}
    runs = [{**named, "arm": arm, "seed": str(seed), "file": str(file)} for seed in range(args.seeds) for arm in SIZES]
    if not all(table.has(run) for run in runs):
        tokens = {arm: budget(table, named, arm, file) for arm in SIZES}
        run_all([{**run, "tokens": str(tokens[run["arm"]])} for run in runs], one, table, args.processes)
    file.unlink()
    report(table, named, args.price_per_core_hour)


def prepare(corpus: Path, domain: str, file: Path) -> None:
    """What is read, and a tokenizer."""
    from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe

    train, held_out = texts.documents(corpus, lambda package, _: package == domain, LONGEST)
    rest, _ = texts.documents(corpus, lambda package, language: language == "en" and package != domain, LONGEST)
    general = within(interleaved(train, rest), MOST_CHARACTERS)
    tokenizer = ByteBpe(vocab_size=VOCAB_SIZE, max_train_bytes=20_000_000).make(iter(general))
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"domain": train, "general": general, "held_out": held_out, "tokenizer": tokenizer}
    file.write_text(json.dumps(told), encoding="utf-8")


def within(found: list[str], characters: int) -> list[str]:
    """The first of them."""
    ends = texts.np.cumsum([len(text) for text in found])
    return found[: int(texts.np.searchsorted(ends, characters)) + 1]


def interleaved(few: list[str], many: list[str]) -> list[str]:
    """Both, each evenly spread, so that any beginning has both in proportion."""
    places = [
        ((i + 0.5) / len(part), side, text) for side, part in enumerate((few, many)) for i, text in enumerate(part)
    ]
    return [text for _, _, text in sorted(places, key=lambda place: place[:2])]


@cache
def prepared(file: Path) -> tuple[dict[str, list[str]], Encoder]:
    told = json.loads(file.read_text(encoding="utf-8"))
    return told, Encoder(told.pop("tokenizer"))


def budget(table: Table, named: Row, arm: str, file: Path) -> int:
    """Tokens that the arm's shape trains on in the time asked; those of rows that are there, if any."""
    known = table.by_seed("tokens", **named, arm=arm)
    if known:
        return int(next(iter(known.values())))
    trained_tokens, seconds = 0, 0.0
    for repeat in range(2):  # the first warms up
        begun = time.process_time()
        train(arm, file, TRIAL_TOKENS, repeat)
        trained_tokens, seconds = TRIAL_TOKENS, time.process_time() - begun
    return max(TRIAL_TOKENS, int(trained_tokens / seconds * float(named["core_seconds"])))


def train(arm: str, file: Path, tokens: int, seed: int):
    import torch

    from seedbed.model.shape import ModelShape

    torch.set_num_threads(1)
    encoder = prepared(file)[1]
    width, layers, heads = SIZES[arm]
    shape = ModelShape(encoder.vocab_size, d_model=width, n_layers=layers, n_heads=heads, context=CONTEXT)
    ids = rows(file, "domain" if arm == "domain_only" else "general", tokens)
    begun = time.process_time()
    decoder = texts.learned(texts.planned(shape, tokens, 4e-3), ids, seed=seed, end=encoder.end_id)
    return decoder, time.process_time() - begun


@cache
def rows(file: Path, part: str, tokens: int):
    parts, encoder = prepared(file)
    return texts.rows(encoder, parts[part], CONTEXT, tokens + CONTEXT * texts.BATCH)


def one(run: Row) -> Row:
    """Train an arm, and ask it."""
    from seedbed.evaluate.tasks.minimal_pairs import MinimalPairs
    from seedbed.evaluate.tasks.multiple_choice import MultipleChoice

    file, tokens = Path(run["file"]), int(run["tokens"])
    parts, encoder = prepared(file)
    decoder, seconds = train(run["arm"], file, tokens, int(run["seed"]))
    model = texts.asked(decoder, encoder)
    asked = items(parts["held_out"], run["domain"])
    found = {name: texts.accuracy(MultipleChoice() if name == "next" else MinimalPairs(), model, asked[name])
             for name in PROBES}  # fmt: skip
    return {
        **{name: run[name] for name in KEY},
        **{name: f"{value:.2f}" for name, value in found.items()},
        "mean": f"{sum(found.values()) / len(found):.3f}",
        "bits_per_byte": f"{texts.bits_per_byte(model, [text[:1500] for text in parts['held_out'][:200]]):.5f}",
        "parameters": str(sum(weight.numel() for weight in decoder.parameters())),
        "tokens": run["tokens"],
        "core_seconds_taken": f"{seconds:.1f}",
        "items": " ".join(str(len(asked[name])) for name in PROBES),
    }


def items(held_out: Sequence[str], domain: str) -> dict[str, list[Item]]:
    """The three probes; lines are taken once each, in the order of the text."""
    lines = list(dict.fromkeys(line.strip() for text in held_out for line in text.splitlines()))
    lines = [line for line in lines if LINE[0] <= len(line) <= LINE[1]]
    return {
        "obsolete": obsolete(lines, OBSOLETE[domain]),
        "identifiers": identifiers(lines),
        "next": texts.continuations([text[at : at + 2000] for text in held_out for at in (0, 4000, 8000)], MOST_ITEMS),
    }


def obsolete(lines: list[str], names: dict[str, str]) -> list[Item]:
    """At most a tenth of all for each name, so that no name decides alone."""
    found: list[Item] = []
    for current, old in names.items():
        whole = re.compile(r"(?<![\w.])" + re.escape(current) if current[0].isalnum() else re.escape(current))
        fitting = [line for line in lines if whole.search(line) and old not in line.replace(current, "")]
        for line in fitting[: MOST_ITEMS // 10]:
            pair = (line, whole.sub(lambda _, old=old: old, line, count=1))
            found.append(Item(f"obsolete:{len(found)}", current, "", pair))
    return found


def identifiers(lines: list[str]) -> list[Item]:
    """Another name of the held-out text: the next in the list of all that has as many characters, give or take two."""
    names = sorted({name for line in lines for name in DOTTED.findall(line)}, key=lambda name: (len(name), name))
    found: list[Item] = []
    for line in lines[:: max(1, len(lines) // (8 * MOST_ITEMS))]:
        match = DOTTED.search(line)
        if match and len(found) < MOST_ITEMS:
            other = names[(names.index(match[0]) + 17) % len(names)]
            if abs(len(other) - len(match[0])) <= 2 and other not in line:
                pair = (line, line[: match.start()] + other + line[match.end() :])
                found.append(Item(f"identifiers:{len(found)}", "identifiers", "", pair))
    return found


def report(table: Table, named: Row, price: float) -> None:
    for arm in SIZES:
        mine = {**named, "arm": arm}
        taken = table.by_seed("core_seconds_taken", **mine)
        seconds = mean_interval(texts.np.array(list(taken.values()))).value
        size, tokens = (next(iter(table.by_seed(name, **mine).values())) for name in ("parameters", "tokens"))
        print(f"{arm}: {size:,.0f} parameters, {tokens:,.0f} tokens, {seconds:.1f} core-seconds a run, "
              f"{seconds / 3600 * price:.6f} at {price} a core-hour")  # fmt: skip
    first = {**named, "arm": "domain_only"}
    for other in ("general", "small_general"):
        for value in (*PROBES, "mean", "bits_per_byte"):
            print(f"{value}, domain_only - {other}: {told(table.difference(value, first, {**named, 'arm': other}))}")


if __name__ == "__main__":
    main()
