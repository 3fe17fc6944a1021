"""An S3 server in a process of its own, and a proxy before it that breaks some of what passes."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """The port of a fresh, empty server."""
    process, port = _start()
    try:
        end = time.monotonic() + 120
        while not _answers(port):
            assert time.monotonic() < end, "the server does not answer"
            if process.poll() is not None:  # another process was given the port in between
                process, port = _start()
            time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()


def _start() -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
        return True
    return False


class Faults(http.server.BaseHTTPRequestHandler):
    """Passes requests on. Of those that move an object every third fails: no answer, an answer cut short, or 503."""

    protocol_version = "HTTP/1.1"
    port = 0
    seen = 0
    broken = 0
    lock = threading.Lock()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with Faults.lock:
            moves = self.command in ("GET", "PUT") and self.path.count("/") >= 2 and "list-type" not in self.path
            Faults.seen += moves
            fault = Faults.seen % 9 if moves and Faults.seen % 3 == 0 else None
            Faults.broken += fault is not None
        if fault == 3:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault == 6:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        upstream = http.client.HTTPConnection("127.0.0.1", Faults.port, timeout=30)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "server", "date"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if fault == 0 and self.command == "GET" and len(data) > 1:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def faulty(port: int) -> Iterator[int]:
    """The port of a proxy before the server at `port`."""
    Faults.port, Faults.seen, Faults.broken = port, 0, 0
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faults)
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy.server_address[1]
    finally:
        proxy.shutdown()
        proxy.server_close()
