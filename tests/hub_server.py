"""A server on 127.0.0.1 that answers as the Hugging Face hub does, faults included.

Paths, status codes and the headers `X-Error-Code`, `X-Error-Message`, `X-Repo-Commit`, `ETag`,
`X-Linked-Etag`, `X-Linked-Size` are the hub's, as recorded in October 2026. Large files are sent
on to another host name, as the hub sends to its storage.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LOGIN = (
    "Access to model {id} is restricted. You must have access to it and be authenticated to "
    "access it. Please log in."
)
GATES = {
    "none": "Access to model {id} is restricted and you are not in the authorized list. Visit "
    "https://huggingface.co/{id} to ask for access.",
    "pending": "Your request to access model {id} is awaiting a review from the repo authors.",
    "rejected": "Your request to access model {id} has been rejected by the repo's authors.",
    "reset": "Your request to access model {id} has been reset by the repo's authors. Visit "
    "https://huggingface.co/{id} to submit a new request.",
}
FINE_GRAINED = (
    "Please enable access to public gated repositories in your fine-grained token settings to "
    "view this repository."
)


@dataclass
class Repo:
    """A repository.

    Attributes
    ----------
    files : dict
        Name to content.
    large : set of str
        Names of those kept in large file storage.
    access : str or None
        None: open to all; "granted", "fine-grained", or a key of `GATES`: gated.
    """

    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    access: str | None = None

    @property
    def commit(self) -> str:
        return hashlib.sha1(repr(sorted(self.files)).encode()).hexdigest()


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    has_token: bool


class FakeHub:
    """The server; change its attributes while it runs.

    Attributes
    ----------
    repos : dict of str to Repo
    tokens : dict of str to str
        Tokens that it accepts, and whose they are.
    cuts : list of int
        Each download of a large file takes the first number away, and its connection is cut
        after so many bytes.
    ignores_ranges : bool
        Whether it sends large files whole, whatever was asked for.
    fault : int or None
        A status to answer everything with.
    requests : list of Request
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.tokens = {"hf_good": "somebody"}
        self.cuts: list[int] = []
        self.ignores_ranges = False
        self.fault: int | None = None
        self.requests: list[Request] = []
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def downloads(self, name: str = "/storage/") -> list[Request]:
        """Requests for content, not for headers alone, whose path holds a name."""
        return [r for r in self.requests if r.method == "GET" and name in r.path]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        hub.requests.append(Request(self.command, path, self.headers.get("Range"), bool(token)))
        if hub.fault is not None:
            self._refuse(hub.fault, "", "the hub is ill")
        elif path.startswith("/storage/"):
            self._send_large(path.rpartition("/")[2])
        elif token and token not in hub.tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif path == "/api/whoami-v2":
            self._who(token)
        elif found := re.fullmatch(
            r"/api/models/([^/]+/[^/]+)/(auth-check|revision/.+|tree/.+)", path
        ):
            self._tell(found[1], found[2], token)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3], token)
        else:
            self._refuse(404, "", f"no such page: {path}")

    def _who(self, token: str) -> None:
        if not token:
            self._refuse(401, "", "Invalid username or password.")
            return
        access = {"displayName": "mine", "role": "read"}
        self._json({"name": self.hub.tokens[token], "auth": {"accessToken": access}})

    def _tell(self, repo_id: str, what: str, token: str) -> None:
        repo = self._repo(repo_id, token)
        if repo is None:
            return
        if what == "auth-check":
            if self._lets_in(repo_id, repo, token):
                self._send(200, b"OK")
            return
        kind, _, revision = what.partition("/")
        if revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if kind == "tree":
            self._json([self._file(repo, name, "path") for name in repo.files])
        else:
            files = [self._file(repo, name, "rfilename") for name in repo.files]
            self._json({"id": repo_id, "sha": repo.commit, "siblings": files})

    def _file(self, repo: Repo, name: str, key: str) -> dict[str, Any]:
        content = repo.files[name]
        told: dict[str, Any] = {
            "type": "file",
            key: name,
            "size": len(content),
            "oid": _blob_id(content),
            "blobId": _blob_id(content),
        }
        if name in repo.large:
            digest = hashlib.sha256(content).hexdigest()
            told["lfs"] = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 1}
        return told

    def _resolve(self, repo_id: str, revision: str, name: str, token: str) -> None:
        repo = self._repo(repo_id, token)
        if repo is None or not self._lets_in(repo_id, repo, token):
            return
        if revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        headers = {"X-Repo-Commit": repo.commit}
        if name not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found", headers)
            return
        content = repo.files[name]
        if name in repo.large:
            digest = hashlib.sha256(content).hexdigest()
            headers |= {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"http://localhost:{self.hub.port}/storage/{digest}",
            }
            self._send(302, b"", headers)
        else:
            self._send(200, content, headers | {"ETag": f'"{_blob_id(content)}"'})

    def _send_large(self, digest: str) -> None:
        for repo in self.hub.repos.values():
            for name in repo.large:
                content = repo.files[name]
                if hashlib.sha256(content).hexdigest() == digest:
                    self._send_range(content)
                    return
        self._refuse(404, "", "no such object")

    def _send_range(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        first = int(asked[1]) if asked and not self.hub.ignores_ranges else 0
        if first >= len(content):
            self._refuse(416, "", "", {"Content-Range": f"bytes */{len(content)}"})
            return
        body = content[first:]
        self.send_response(206 if asked and not self.hub.ignores_ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cuts:
            self.wfile.write(body[: self.hub.cuts.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _repo(self, repo_id: str, token: str) -> Repo | None:
        repo = self.hub.repos.get(repo_id)
        if repo is None and token:
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif repo is None:
            # who is not logged in is not told whether it exists
            self._refuse(401, "", "Invalid username or password.")
        return repo

    def _lets_in(self, repo_id: str, repo: Repo, token: str) -> bool:
        if repo.access is None or (token and repo.access == "granted"):
            return True
        if not token:
            self._refuse(401, "GatedRepo", LOGIN.format(id=repo_id))
        elif repo.access == "fine-grained":
            self._refuse(403, "", FINE_GRAINED)
        else:
            self._refuse(403, "GatedRepo", GATES[repo.access].format(id=repo_id))
        return False

    def _refuse(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        told = {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})}
        body = json.dumps({"error": message}).encode()
        self._send(status, body, {key: value for key, value in told.items() if value})

    def _json(self, told: Any) -> None:
        self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
