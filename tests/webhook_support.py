"""A server on loopback that takes what alarms and lineage send."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def webhook(*codes: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers with these codes, then with 200; what it received."""
    received: list[bytes] = []
    left = list(codes)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(left.pop(0) if left else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        server.server_close()
