"""The judge against a real server on this machine that misbehaves on request."""

import json
import threading
import time
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.select import judging
from seedbed.select.contract import Judge
from seedbed.select.judging import HttpJudge

KEY = "sk-secret-0123456789"


class Server(ThreadingHTTPServer):
    """Answers "<prompt>/<vote>" with `script` asked first: it may return (status, headers, body) or None."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.bodies, self.keys, self.at_once, self.most = Counter(), [], [], 0, 0
        self.script = lambda body, nth: None
        self.takes_n, self.usage, self.lock = True, True, threading.Lock()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        with server.lock:
            server.asked[prompt] += 1
            nth = server.asked[prompt]
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.at_once += 1
            server.most = max(server.most, server.at_once)
        try:
            told = server.script(body, nth)
            status, headers, content = told or (200, {}, completion(server, prompt, body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # the asker has left
        finally:
            with server.lock:
                server.at_once -= 1

    def log_message(self, *_):
        pass


def completion(server, prompt, body):
    n = body["n"] if server.takes_n else 1
    told = {"choices": [{"message": {"content": f"{prompt}/{vote}"}} for vote in range(n)]}
    if server.usage:
        told["usage"] = {"prompt_tokens": 10, "completion_tokens": 3 * n}
    return json.dumps(told).encode()


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def ask(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY + "\n")

    def made(timeout_seconds=5.0, tries=4, back_off_seconds=0.01, **about):
        judge = Judge(**{"endpoint": server.endpoint, "model": "wise", "key_variable": "TEST_KEY", **about})
        options = {"timeout_seconds": timeout_seconds, "tries": tries, "back_off_seconds": back_off_seconds}
        return HttpJudge(judge, tmp_path / "answers.jsonl", **options)

    return made


def test_it_answers_in_order_counts_what_it_cost_and_asks_nothing_twice(server, ask, tmp_path):
    judge = ask(billions=2.0, temperature=0.5, max_tokens=7)
    assert judge.answers(["a", "b", "a"], votes=3) == [[f"{p}/{v}" for v in range(3)] for p in "aba"]
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["n"]) == ("wise", 0.5, 7, 3)
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert server.asked == {"a": 1, "b": 1}
    cost = Cost(flops_forward=2 * 2e9 * (2 * 10 + 2 * 9), calls=2)
    assert (judge.cost, judge.prompt_tokens, judge.completion_tokens) == (cost, 20, 18)
    again = ask(billions=2.0, temperature=0.5, max_tokens=7)
    assert again.answers(["b", "a"], votes=3) == [["b/0", "b/1", "b/2"], ["a/0", "a/1", "a/2"]]
    assert again.answers(["b"], votes=1) == [["b/0"]]
    assert (server.asked.total(), again.cost) == (2, cost)
    ask(temperature=0.6, max_tokens=7).answers(["a"])
    assert server.asked["a"] == 2
    content = (tmp_path / "answers.jsonl").read_text()
    assert KEY not in content
    assert len(content.splitlines()) == 7


def test_more_votes_of_a_known_prompt_ask_for_the_rest_alone(server, ask):
    judge = ask()
    judge.answers(["a"], votes=2)
    assert [len(votes) for votes in judge.answers(["a"], votes=5)] == [5]
    assert [body["n"] for body in server.bodies] == [2, 3]


def test_a_server_that_ignores_n_is_asked_for_single_answers(server, ask):
    server.takes_n = False
    judge = ask(parallel=1)
    assert judge.answers(["a", "b"], votes=3) == [["a/0"] * 3, ["b/0"] * 3]
    assert [body["n"] for body in server.bodies] == [3, 1, 1, 1, 1, 1]
    assert (judge.calls, judge.prompt_tokens) == (6, 60)


def test_a_server_that_refuses_n_or_the_older_name_of_the_limit_is_asked_in_its_way(server, ask):
    def script(body, nth):
        if body["n"] > 1:
            return 422, {}, b'{"error": "n must be 1"}'
        if "max_tokens" in body:
            return 400, {}, b'{"error": {"message": "Use max_completion_tokens instead"}}'
        return None

    server.script = script
    assert ask().answers(["a"], votes=2) == [["a/0", "a/0"]]
    assert server.bodies[-1]["max_completion_tokens"] == 64


def test_too_many_choices_are_cut_and_content_of_no_text_is_empty(server, ask):
    choices = [{"message": {"content": None}}, {"message": {"content": "x"}}, {"message": {"content": "y"}}]
    server.script = lambda body, nth: (200, {}, json.dumps({"choices": choices}).encode())
    judge = ask()
    assert judge.answers(["eight by"], votes=2) == [["", "x"]]
    assert (judge.prompt_tokens, judge.completion_tokens) == (2, 1)  # 8 and 2 bytes, where the server counts nothing


@pytest.mark.parametrize(
    "fault",
    [(429, {}, b""), (500, {}, b"{}"), (503, {}, b"busy"), (200, {}, b'{"choices": [{"mess'), (200, {}, b"[]"),
     (200, {}, b'{"choices": []}')],
)  # fmt: skip
def test_a_passing_fault_is_asked_again(server, ask, fault):
    server.script = lambda body, nth: fault if nth < 3 else None
    assert ask().answers(["a"]) == [["a/0"]]
    assert server.asked["a"] == 3


def test_a_lasting_fault_is_an_error_that_names_the_endpoint_and_not_the_key(server, ask, capfd):
    server.script = lambda body, nth: (500, {}, json.dumps({"error": {"message": f"broken {KEY}"}}).encode())
    with pytest.raises(SeedbedError, match=r"judge http://127\.0\.0\.1:\d+/v1: .*500: broken \[key\], 4 times"):
        ask().answers(["a"])
    server.script = lambda body, nth: (200, {}, f'{{"choices": "{KEY}'.encode())
    with pytest.raises(SeedbedError, match=r"no completion: '\{\"choices\": \"\[key\]', 4 times\. Run again"):
        ask().answers(["a"])
    said = capfd.readouterr()
    assert KEY not in said.out + said.err


def test_a_hanging_question_is_asked_again(server, ask):
    server.script = lambda body, nth: time.sleep(0.6) if nth == 1 else None
    assert ask(timeout_seconds=0.2).answers(["a", "b"]) == [["a/0"], ["b/0"]]
    assert server.asked["a"] >= 2
    server.script = lambda body, nth: time.sleep(0.3)
    with pytest.raises(SeedbedError, match=r"nothing came for 0\.1 seconds, 2 times"):
        ask(timeout_seconds=0.1, tries=2).answers(["c"])


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(server, ask, as_date):
    wait = {"Retry-After": formatdate(time.time() + 2, usegmt=True) if as_date else "1"}
    server.script = lambda body, nth: (429, wait, b"") if nth == 1 else None
    begun = time.monotonic()
    assert ask().answers(["a"]) == [["a/0"]]
    assert time.monotonic() - begun >= 0.9


def test_a_pause_beyond_all_patience_ends_the_run(server, ask):
    server.script = lambda body, nth: (429, {"Retry-After": "86400"}, b'{"error": {"message": "quota"}}')
    with pytest.raises(SeedbedError, match=r"asks to wait 86400 seconds \(.*quota\)\. Run again later"):
        ask().answers(["a"])
    assert server.asked["a"] == 1


def test_a_refused_key_is_named_by_its_variable(server, ask, monkeypatch):
    server.script = lambda body, nth: (401, {}, f'{{"error": {{"message": "wrong key {KEY}"}}}}'.encode())
    with pytest.raises(SeedbedError, match="refuses the key in the environment variable TEST_KEY") as caught:
        ask().answers(["a"])
    assert KEY not in str(caught.value)
    assert server.asked["a"] == 1
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(SeedbedError, match="there is none in the environment variable TEST_KEY"):
        ask().answers(["a"])
    monkeypatch.setenv("TEST_KEY", "two\nlines")
    with pytest.raises(SeedbedError, match="TEST_KEY holds characters that no key has") as caught:
        ask().answers(["a"])
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed_with_the_key(server, ask, status):
    server.script = lambda body, nth: (status, {"Location": server.endpoint + "/elsewhere"}, b"")
    with pytest.raises(SeedbedError, match=f"status {status}"):
        ask().answers(["a"])
    assert server.asked.total() == 1


def test_nobody_there_and_no_address_are_said_at_once(server, ask):
    with pytest.raises(SeedbedError, match=r"judge http://127\.0\.0\.1:9/v1: it cannot be reached"):
        ask(endpoint="http://127.0.0.1:9/v1", back_off_seconds=60).answers(["a"])
    with pytest.raises(SeedbedError, match="there is no endpoint"):
        ask(endpoint="")
    with pytest.raises(SeedbedError, match=r"judge file://.*no base address"):
        ask(endpoint="file:///etc/hosts")
    with pytest.raises(SeedbedError, match="no base address") as caught:
        ask(endpoint=f"http://user:{KEY}@host/v1?key={KEY}")
    assert KEY not in str(caught.value)
    with pytest.raises(SeedbedError, match="no model is named"):
        ask(model="")


def test_questions_are_asked_side_by_side(server, ask):
    together = threading.Barrier(4, timeout=10)
    server.script = lambda body, nth: together.wait() and None
    assert len(ask(parallel=4, timeout_seconds=20).answers(list("abcdefgh"))) == 8
    assert server.most == 4


def test_an_error_ends_the_other_questions_and_keeps_their_answers(server, ask):
    server.script = lambda body, nth: (404, {}, b"") if body["messages"][0]["content"] == "3" else None
    prompts = [str(i) for i in range(50)]
    with pytest.raises(SeedbedError, match="status 404"):
        ask(parallel=1).answers(prompts)
    assert server.asked.total() < 50
    server.script = lambda body, nth: None
    assert ask().answers(prompts) == [[f"{p}/0"] for p in prompts]
    assert [server.asked[str(i)] for i in range(4)] == [1, 1, 1, 2]


def test_a_kill_at_any_byte_costs_at_most_the_line_it_cut(server, ask, tmp_path):
    prompts, file = ["a", "ü", "c"], tmp_path / "answers.jsonl"
    whole = ask().answers(prompts)
    content = file.read_bytes()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        server.asked.clear()
        judge = ask(billions=1.0)
        assert judge.answers(prompts) == whole
        kept = content[:size].count(b"\n") + (content[size : size + 1] == b"\n")
        assert server.asked.total() == 3 - kept
        assert judge.cost == Cost(flops_forward=2e9 * 3 * 13, calls=3)
        assert len(judging.AnswerFile(file).held) == 3


def test_off_a_terminal_it_says_little(server, ask, capfd):
    ask().answers([str(i) for i in range(30)])
    assert len(capfd.readouterr().err.splitlines()) <= 1
