"""An outside language model as a judge: any OpenAI-compatible endpoint, asked side by side, never twice for an answer.

Answers are kept on disk as they come, a line each, under a hash of model, temperature, length limit, prompt and vote.
The key is read from its environment variable when asked; no error, log or cache holds it. What is counted as cost are
the answers that were used, also those from the cache: a run that was killed costs what one that was not costs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from urllib import error as urllib_error
from urllib import parse as urllib_parse
from urllib import request as urllib_request

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.engine.progress import Bar
from seedbed.select.contract import Judge

BYTES_PER_TOKEN = 4
"""Counts tokens where an endpoint does not."""
LONGEST_BACK_OFF_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 600.0
"""An endpoint that asks for a longer pause ends the run: a quota of a day is not waited for."""
_SHOWN = 200


class HttpJudge:
    """A judge behind an OpenAI-compatible endpoint: `POST {endpoint}/chat/completions`.

    Args:
        judge: what is asked, and how.
        cache: the file of answers, JSON lines. One that cannot be read (the last of a killed run) is asked again.
        timeout_seconds: how long nothing may come before a question is asked again.
        tries: of a question, with pauses of `back_off_seconds` times 1, 2, 4, ... or what Retry-After says.
    """

    def __init__(
        self,
        judge: Judge,
        cache: Path,
        *,
        timeout_seconds: float = 120.0,
        tries: int = 6,
        back_off_seconds: float = 1.0,
    ) -> None:
        self.judge = judge
        self._endpoint = Endpoint(judge, timeout_seconds, tries, back_off_seconds)
        self._answers = AnswerFile(cache)
        self._used: set[bytes] = set()
        self.calls = self.prompt_tokens = self.completion_tokens = 0

    @property
    def cost(self) -> Cost:
        """Calls, and forward FLOP where the judge's size is known: 2 a parameter and token."""
        tokens = self.prompt_tokens + self.completion_tokens
        return Cost(flops_forward=2.0 * self.judge.billions * 1e9 * tokens, calls=self.calls)

    def answers(self, prompts: Sequence[str], votes: int = 1) -> list[list[str]]:
        """`votes` answers to each prompt. Raises SeedbedError naming the endpoint where it cannot be asked."""
        keys = {prompt: [self._key(prompt, vote) for vote in range(votes)] for prompt in prompts}
        missing = {
            prompt: lacking
            for prompt, wanted in keys.items()
            if (lacking := [key for key in wanted if key not in self._answers.held])
        }
        if missing:
            self._ask(missing)
        return [[self._use(key) for key in keys[prompt]] for prompt in prompts]

    def _key(self, prompt: str, vote: int) -> bytes:
        told = (self.judge.model, repr(float(self.judge.temperature)), str(self.judge.max_tokens), prompt, str(vote))
        return hash_bytes(*(part.encode("utf-8", "surrogatepass") for part in told))

    def _use(self, key: bytes) -> str:
        answer = self._answers.held[key]
        if key not in self._used:
            self._used.add(key)
            self.calls += answer.calls
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
        return answer.text

    def _ask(self, missing: Mapping[str, Sequence[bytes]]) -> None:
        total = sum(map(len, missing.values()))
        self._endpoint.stop.clear()
        pool = ThreadPoolExecutor(self.judge.parallel, thread_name_prefix="judge")
        try:
            with Bar(f"judge {self.judge.model}", total, "answers") as bar:
                asked = [pool.submit(self._ask_one, prompt, lacking) for prompt, lacking in missing.items()]
                for done in as_completed(asked):
                    bar.add(done.result())
        except BaseException:
            self._endpoint.stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask_one(self, prompt: str, lacking: Sequence[bytes]) -> int:
        left = list(lacking)
        while left:
            reply = self._endpoint.ask(prompt, len(left))
            told = reply.texts[: len(left)]
            spent = _split(reply.completion_tokens, len(told))
            for at, text in enumerate(told):
                first = at == 0
                self._answers.add(left[at], Answer(text, int(first), reply.prompt_tokens if first else 0, spent[at]))
            left = left[len(told) :]
        return len(lacking)


def _split(total: int, n: int) -> list[int]:
    """Whole parts that differ by at most 1."""
    return [total * (i + 1) // n - total * i // n for i in range(n)]


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer and what it cost: the call and its prompt count for the first of the answers that came with it."""

    text: str
    calls: int
    prompt_tokens: int
    completion_tokens: int


class AnswerFile:
    """Answers by key, in memory and in an append-only file. Several processes may append: a line is one write."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.held: dict[bytes, Answer] = {}
        self._lock = threading.Lock()
        content = file.read_bytes() if file.exists() else b""
        for line in content.split(b"\n"):
            if line:
                self._read(line)
        self._torn = bool(content) and not content.endswith(b"\n")

    def _read(self, line: bytes) -> None:
        try:
            told = cast("dict[str, Any]", json.loads(line))
            numbers = (int(told[name]) for name in ("calls", "prompt_tokens", "completion_tokens"))
            self.held[bytes.fromhex(told["key"])] = Answer(str(told["text"]), *numbers)
        except (ValueError, KeyError, TypeError):
            return  # a write that a kill cut short

    def add(self, key: bytes, answer: Answer) -> None:
        """Keep one more; it is in the file when this returns."""
        line = json.dumps({"key": key.hex(), **dataclasses.asdict(answer)}).encode() + b"\n"
        with self._lock:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            place = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(place, b"\n" + line if self._torn else line)
            finally:
                os.close(place)
            self._torn = False
            self.held[key] = answer


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came of one call."""

    texts: list[str]
    prompt_tokens: int
    completion_tokens: int


class _AgainError(Exception):
    """A call that may go better the next time, after so many seconds (None: by the back-off)."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.what, self.after = what, after


class Endpoint:
    """Speaks the protocol. All threads share its pauses, and what it has learnt about the server."""

    def __init__(self, judge: Judge, timeout_seconds: float, tries: int, back_off_seconds: float) -> None:
        address = urllib_parse.urlsplit(judge.endpoint)
        host = address.hostname or ""
        shown = host + (f":{address.port}" if address.port else "")
        self.where = f"judge {address.scheme}://{shown}{address.path}"  # a key may be in the rest
        if address.scheme not in ("http", "https") or not host or address.query or address.fragment:
            what = "this is no base address of an endpoint" if judge.endpoint else "there is no endpoint"
            raise SeedbedError(self.where, what, "Give one such as http://localhost:8000/v1, or a file of labels.")
        if not judge.model:
            raise SeedbedError(self.where, "no model is named", "Give the model's name at that endpoint.")
        self.judge, self.timeout_seconds = judge, timeout_seconds
        self.tries, self.back_off_seconds = tries, back_off_seconds
        self.stop = threading.Event()
        self._url = judge.endpoint.rstrip("/") + "/chat/completions"
        local = host in ("localhost", "127.0.0.1", "::1")
        proxies = (urllib_request.ProxyHandler({}),) if local else ()
        self._opener = urllib_request.build_opener(_NoRedirects, *proxies)
        self._heard = False
        self._takes_many = True
        self._limit_name = "max_tokens"
        self._pause_until = 0.0

    def ask(self, prompt: str, n: int) -> Reply:
        """1 to n answers. Raises SeedbedError where the endpoint refuses, or fails too often."""
        what = ""
        for attempt in range(self.tries):
            self._wait()
            try:
                return self._call(prompt, n if self._takes_many else 1)
            except _AgainError as again:
                what, pause = again.what, again.after
                if pause is not None and pause > LONGEST_WAIT_SECONDS:
                    what = f"it asks to wait {pause:.0f} seconds ({what})"
                    raise SeedbedError(self.where, what, "Run again later: what was answered is kept.") from None
                if pause is None:
                    pause = min(self.back_off_seconds * 2**attempt, LONGEST_BACK_OFF_SECONDS)
                self._pause_until = max(self._pause_until, time.monotonic() + pause)
        what = f"{what}, {self.tries} times"
        raise SeedbedError(self.where, what, "Run again when it is well: what was answered is kept.")

    def _wait(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0 and not self.stop.wait(left):
            pass
        if self.stop.is_set():
            raise SeedbedError(self.where, "another question failed")

    def _call(self, prompt: str, n: int) -> Reply:
        limit_name = self._limit_name
        body: dict[str, object] = {
            "model": self.judge.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": self.judge.temperature,
            limit_name: self.judge.max_tokens,
            "n": n,
        }
        key = self._key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        call = urllib_request.Request(self._url, json.dumps(body).encode(), headers, method="POST")
        try:
            with self._opener.open(call, timeout=self.timeout_seconds) as response:
                content = cast(bytes, response.read())
        except urllib_error.HTTPError as error:
            with error:
                self._heard = True
                raise self._refusal(error, n, limit_name, key) from None
        except (OSError, HTTPException) as error:
            raise self._silence(error) from None
        self._heard = True
        reply = _reply(content, prompt, key)
        if len(reply.texts) < n:
            self._takes_many = False
        return reply

    def _key(self) -> str:
        key = os.environ.get(self.judge.key_variable, "").strip() if self.judge.key_variable else ""
        if not all("!" <= character <= "~" for character in key):
            what = f"the environment variable {self.judge.key_variable} holds characters that no key has"
            raise SeedbedError(self.where, what, "Set it to the key alone.")
        return key

    def _refusal(self, error: urllib_error.HTTPError, n: int, limit_name: str, key: str) -> Exception:
        status, message = error.code, _message(error, key)
        if status in (401, 403):
            known = os.environ.get(self.judge.key_variable)
            state = "refuses the key in" if known else "wants a key, and there is none in"
            what = f"it {state} the environment variable {self.judge.key_variable} (status {status})"
            return SeedbedError(self.where, what, "Set the variable to a key of this endpoint.")
        said = f"it answers with status {status}" + (f": {message}" if message else "")
        if status in (408, 409, 425, 429) or status >= 500:
            return _AgainError(said, _retry_after(error.headers.get("Retry-After")))
        if status == 400 and limit_name == "max_tokens" and "max_completion_tokens" in message:
            self._limit_name = "max_completion_tokens"  # newer models there refuse the older name
            return _AgainError(said, 0.0)
        if status in (400, 422) and n > 1:
            self._takes_many = False
            return _AgainError(said, 0.0)
        mend = "Give the base address, such as http://localhost:8000/v1, and the name of a model there."
        return SeedbedError(self.where, said, mend if status in (301, 302, 303, 307, 308, 404, 405) else "")

    def _silence(self, error: OSError | HTTPException) -> Exception:
        reason = error.reason if isinstance(error, urllib_error.URLError) else error
        if isinstance(reason, TimeoutError):
            return _AgainError(f"nothing came for {self.timeout_seconds:g} seconds")
        what = f"it cannot be reached ({type(reason).__name__}: {getattr(reason, 'strerror', None) or reason})"
        if self._heard or isinstance(reason, (ConnectionResetError, HTTPException)):
            return _AgainError(what)
        return SeedbedError(self.where, what, "Is the server running, and is the address right?")


class _NoRedirects(urllib_request.HTTPRedirectHandler):
    """A redirect would carry the key to another address."""

    def redirect_request(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def _reply(content: bytes, prompt: str, key: str) -> Reply:
    try:
        told = cast("dict[str, Any]", json.loads(content))
        messages = [cast("dict[str, Any]", choice["message"]) for choice in cast("list[Any]", told["choices"])]
        texts = [str(message.get("content") or "") for message in messages]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _AgainError(f"its answer is no completion: {_hidden(content, key)!r}") from None
    if not texts:
        raise _AgainError("its answer holds no choices")
    usage = told.get("usage")
    counted = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    guess = (len(prompt.encode("utf-8", "replace")), sum(len(text.encode("utf-8", "replace")) for text in texts))
    numbers = [
        int(value) if isinstance(value := counted.get(name), int) else -(-n_bytes // BYTES_PER_TOKEN)
        for name, n_bytes in zip(("prompt_tokens", "completion_tokens"), guess, strict=True)
    ]
    return Reply(texts, *numbers)


def _message(error: urllib_error.HTTPError, key: str) -> str:
    """What the server said about it, without the key."""
    try:
        content = error.read(1 << 16)
    except (OSError, HTTPException):
        return ""
    try:
        told: Any = cast("dict[str, Any]", json.loads(content))["error"]
        content = (told if isinstance(told, str) else str(told["message"])).encode()
    except (ValueError, KeyError, TypeError):
        pass
    return _hidden(content, key)


def _hidden(content: bytes, key: str) -> str:
    text = " ".join(content.decode("utf-8", "replace").split())
    return (text.replace(key, "[key]") if key else text)[:_SHOWN]


def _retry_after(value: str | None) -> float | None:
    """Seconds from now; the header holds seconds or a date."""
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
