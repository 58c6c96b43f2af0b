"""A server on loopback that hands out files, and fails on demand."""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Served(NamedTuple):
    """A file as the server hands it out."""

    content: bytes
    type: str = "application/octet-stream"
    disposition: str = ""


class Request(NamedTuple):
    """A request that the server saw."""

    path: str
    start: int
    """The first byte that was sent."""
    sent: int
    """How many bytes were sent."""


HTML = Served(b"<!DOCTYPE html><html><body>Please log in</body></html>", "text/html; charset=utf-8")


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` with byte ranges.

    Attributes
    ----------
    files : dict of path to bytes or Served
    failures : dict of path to list of str
        What goes wrong at the next requests, one each: ``"break"`` closes the connection after half of the bytes,
        ``"hang"`` never sends any, ``"stall"`` sends half of them and then none, ``"html"`` sends a web page,
        ``"500"`` a server error.
    requests : list of Request
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.failures, self.requests = {}, {}, []
        self.closing = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def seen(self, path):
        return [request for request in self.requests if request.path == path]


@contextlib.contextmanager
def running():
    """A server in a thread, ended with the block."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        failures = self.server.failures.get(path, [])
        failure = failures.pop(0) if failures else None
        if failure == "hang":
            self.server.closing.wait(10)
            return
        served = HTML if failure == "html" else self.server.files.get(path)
        if failure == "500" or served is None:
            self.server.requests.append(Request(path, 0, 0))
            self.send_error(500 if failure else 404)
            return
        self._send(path, Served(served) if isinstance(served, bytes) else served, part=failure in ("break", "stall"))
        if failure == "stall":
            self.server.closing.wait(10)

    def _send(self, path, served, part):
        tag = f'"{hashlib.sha1(served.content).hexdigest()}"'
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if self.headers.get("If-Range", tag) != tag:
            start = 0
        size = len(served.content)
        if start and start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Type", served.type)
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", tag)
        if served.disposition:
            self.send_header("Content-Disposition", served.disposition)
        self.end_headers()
        end = start + (size - start) // 2 if part else size
        self.server.requests.append(Request(path, start, end - start))
        self.wfile.write(served.content[start:end])
        self.close_connection = True
