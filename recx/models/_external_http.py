"""A registered HTTP endpoint: histories posted in batches, with a deadline, repetitions and a limit on the answer.

The request and the response are documented in docs/external-models.md.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from socket import gaierror
from typing import Any
from urllib.parse import urlsplit

import torch

from recx.core import registered
from recx.core.errors import BadInput
from recx.data.interactions import PAD
from recx.models._external_blackbox import Answer, Ask, Ids, called, ranked_scores, scores_of

FORM = 1
"""The number of the form of requests and responses."""
CHUNK = 65536


class _Broken(Exception):
    """A failure that may pass: a broken connection or a 5xx. Its text says which."""


def endpoint(entry: registered.Registered, ids: Ids) -> Ask:
    """How the endpoint of an entry is asked."""
    model = entry.model
    assert isinstance(model, registered.HttpModel)
    post, who, codes = Post(entry.name, model), called(entry), ids.item_codes()
    k = min(model.top, len(ids.items))

    def ask(histories: torch.Tensor, users: torch.Tensor) -> Answer:
        body = {
            "form": FORM,
            "dataset": ids.dataset,
            "histories": [[ids.items[code] for code in row if code != PAD] for row in histories.tolist()],
            "users": [ids.users[code] if code >= 0 else None for code in users.tolist()],
            "items": ids.items,
            "k": k,
        }
        found = read(who, post(json.dumps(body, ensure_ascii=False).encode()))
        if "ranked" in found:
            return Answer(ranked_scores(who, _as_ids(found["ranked"]), len(histories), ids, codes), exact=False)
        return Answer(scores_of(who, found["scores"], len(histories), ids), exact=True)

    return ask


def read(who: str, text: bytes) -> dict[str, Any]:
    """A response: a JSON object with exactly one of `scores` and `ranked`, a list. Raises BadInput."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        begin = text[:40].decode("utf-8", "replace")
        raise BadInput(f"{who} answered with {begin!r}, which is not JSON: answer with scores or ranked.") from None
    kinds = [key for key in ("scores", "ranked") if isinstance(found, dict) and isinstance(found.get(key), list)]
    if len(kinds) != 1:
        raise BadInput(
            f"{who} answered with {_form(found)}: answer with an object that holds one list, scores or ranked "
            "(docs/external-models.md)."
        )
    return {kinds[0]: found[kinds[0]]}


def _form(found: Any) -> str:
    if not isinstance(found, dict):
        return "a list" if isinstance(found, list) else "a text or a number"
    return f"the fields {', '.join(repr(key[:20]) for key in list(found)[:5]) or 'none'}"


def _as_ids(lists: list[Any]) -> list[Any]:
    """Ranked ids as text: an endpoint may write a numeric id as a number."""
    return [[str(one) for one in row] if isinstance(row, list) else row for row in lists]


@dataclass(frozen=True)
class Post:
    """Posts a body and gives the response's; raises BadInput, naming the address and the cure."""

    name: str
    model: registered.HttpModel

    def __call__(self, body: bytes) -> bytes:
        why = ""
        for wait in self._waits():
            time.sleep(wait)
            try:
                return self._once(body)
            except _Broken as error:
                why = str(error)
        tries = f"asked {self.model.retries + 1} times" if self.model.retries else "asked once"
        raise BadInput(f"{self.who} {why} ({tries}): look whether the server runs, and into its log.")

    @property
    def who(self) -> str:
        return f"{self.name} ({self.model.http.partition('?')[0]})"

    def _waits(self) -> Iterator[float]:
        """Seconds to wait before each attempt."""
        yield 0.0
        for repetition in range(self.model.retries):
            yield self.model.backoff * 2**repetition

    def _once(self, body: bytes) -> bytes:
        """One request. Raises _Broken for what may pass, BadInput for what will not."""
        parts = urlsplit(self.model.http)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        line = kind(parts.hostname or "", parts.port, timeout=self.model.timeout)
        deadline = time.monotonic() + self.model.timeout
        try:
            line.request(
                "POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, self._headers()
            )
            socket = line.sock  # the connection lets go of it when the server says that it will close
            socket.settimeout(self._left(deadline))
            answer = line.getresponse()
            text = b"".join(self._chunks(answer, socket, deadline))
        except TimeoutError:
            raise BadInput(
                f"{self.who} took longer than {self.model.timeout:g} s: make it faster, its batch smaller, or its "
                "timeout longer."
            ) from None
        except (ConnectionRefusedError, gaierror) as error:
            raise _Broken(f"cannot be reached ({_reason(error)})") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"broke the connection ({_reason(error)})") from None
        finally:
            line.close()
        return self._accepted(answer, text)

    def _headers(self) -> dict[str, str]:
        found = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "recx"}
        if self.model.token:
            token = os.environ.get(self.model.token, "")
            if not token or not token.isascii() or not token.isprintable():
                raise BadInput(f"{self.who} needs a token: set the environment variable {self.model.token} to it.")
            found["Authorization"] = f"Bearer {token}"
        return found

    def _chunks(self, answer: http.client.HTTPResponse, socket: Any, deadline: float) -> Iterator[bytes]:
        """The body, as long as it stays within the limit and the deadline."""
        limit, length = int(self.model.megabytes * 1e6), 0
        if (answer.length or 0) > limit:
            self._too_long()
        while True:
            socket.settimeout(self._left(deadline))
            chunk = answer.read1(CHUNK)
            length += len(chunk)
            if length > limit:
                self._too_long()
            if not chunk:
                break
            yield chunk
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _too_long(self) -> None:
        raise BadInput(
            f"{self.who} answered with more than {self.model.megabytes:g} MB: make its batch smaller, or megabytes "
            "larger."
        )

    def _accepted(self, answer: http.client.HTTPResponse, text: bytes) -> bytes:
        """The body of a 200. Raises _Broken for a 5xx, BadInput for everything else."""
        said = f"answered {answer.status} {answer.reason if answer.reason.isprintable() else ''}".rstrip()
        if answer.status >= 500:
            raise _Broken(said)
        if answer.status != 200:
            words = " ".join(text[:100].decode("utf-8", "replace").split())
            more = f" ({words})" if words.isprintable() and words else ""
            raise BadInput(f"{self.who} {said}{more}: check the address.")
        return text


def _reason(error: Exception) -> str:
    """Why a connection broke, in a few words."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:100]
