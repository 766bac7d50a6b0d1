"""A real HTTP server on this machine that answers as docs/external-models.md says, or misbehaves on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]
"""A request's body to a response's."""


class Endpoint(ThreadingHTTPServer):
    """`answer` is what it computes, `mood` how it behaves (of MOODS); `asked`: the requests it has seen.

    `release` ends what a slow mood waits for.
    """

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.mood = answer, "well"
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/scores"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.headers.append(dict(self.headers))
        MOODS[self.server.mood](self, body)

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def say(self, status: int, text: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(text))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text)

    def tell(self, found: Any) -> None:
        self.say(200, json.dumps(found).encode())


def _well(handler: _Handler, body: dict[str, Any]) -> None:
    handler.tell(handler.server.answer(body))


def _slow(handler: _Handler, body: dict[str, Any]) -> None:
    handler.server.release.wait(30)


def _dripping(handler: _Handler, body: dict[str, Any]) -> None:
    """A byte now and then: no read is ever slow, the whole is."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.release.wait(0.02):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


def _fails_once(handler: _Handler, body: dict[str, Any]) -> None:
    if len(handler.server.asked) == 1:
        handler.say(500, b"once")
    else:
        _well(handler, body)


def _hangs_up_once(handler: _Handler, body: dict[str, Any]) -> None:
    if len(handler.server.asked) == 1:
        handler.connection.close()
    else:
        _well(handler, body)


def _half(handler: _Handler, body: dict[str, Any]) -> None:
    handler.say(200, b'{"scores": [[', Content_Length="500")


def _huge(handler: _Handler, body: dict[str, Any]) -> None:
    """More than was announced as nothing: a chunked answer that does not end."""
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.release.is_set():
        try:
            handler.wfile.write(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n")
        except OSError:
            return


def _changed(change: Callable[[list[list[Any]]], Any]) -> Callable[[_Handler, dict[str, Any]], None]:
    """The right scores after a change."""

    def mood(handler: _Handler, body: dict[str, Any]) -> None:
        handler.tell({"scores": change(handler.server.answer(body)["scores"])})

    return mood


def _ranked(lists: Callable[[list[str]], list[Any]]) -> Callable[[_Handler, dict[str, Any]], None]:
    def mood(handler: _Handler, body: dict[str, Any]) -> None:
        handler.tell({"ranked": [lists(body["items"]) for _ in body["histories"]]})

    return mood


MOODS: dict[str, Callable[[_Handler, dict[str, Any]], None]] = {
    "well": _well,
    "slow": _slow,
    "dripping": _dripping,
    "fails once": _fails_once,
    "fails": lambda handler, _: handler.say(500, b"always"),
    "hangs up once": _hangs_up_once,
    "hangs up": lambda handler, _: handler.connection.close(),
    "half an answer": _half,
    "huge": _huge,
    "announces too much": lambda handler, _: handler.say(200, b"", Content_Length="1" + "0" * 12),
    "not there": lambda handler, _: handler.say(404, b"no such page"),
    "moved": lambda handler, _: handler.say(301, b"", Location="http://127.0.0.1:9/"),
    "not json": lambda handler, _: handler.say(200, b"<html>hello</html>"),
    "deep json": lambda handler, _: handler.say(200, b"[" * 50_000),
    "a list": lambda handler, _: handler.tell([[1.0]]),
    "both": lambda handler, body: handler.tell({"scores": [], "ranked": []}),
    "too few rows": _changed(lambda rows: rows[:-1]),
    "too few items": _changed(lambda rows: [row[:-1] for row in rows]),
    "one short row": _changed(lambda rows: [rows[0][:-1], *rows[1:]]),
    "nan": _changed(lambda rows: [[float("nan"), *row[1:]] for row in rows]),
    "infinite": _changed(lambda rows: [[float("-inf"), *row[1:]] for row in rows]),
    "null": _changed(lambda rows: [[None, *row[1:]] for row in rows]),
    "words": _changed(lambda rows: [["high", *row[1:]] for row in rows]),
    "ranks unknown items": _ranked(lambda items: [*items[:2], "nothing-of-that-name"]),
    "ranks twice": _ranked(lambda items: [items[0], items[1], items[0]]),
    "ranks no list": _ranked(lambda items: items[0]),
    "ranks": _ranked(lambda items: items[::-1]),
}


@contextmanager
def serving(answer: Answer) -> Iterator[Endpoint]:
    """An endpoint that runs in a thread of this process."""
    server = Endpoint(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
