"""One POST of JSON that never takes longer than it may."""

import threading
from collections.abc import Mapping


def post_json(url: str, body: bytes, patience: float, headers: Mapping[str, str] | None = None) -> str:
    """Send `body` to an http(s) address; empty when it was taken, else why not, without the server's words.

    It runs beside us: a server that sends a byte now and then never times out by itself.
    """
    import urllib.error
    import urllib.request

    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, body, sent, method="POST")  # noqa: S310 - callers check for http(s)
    answer: list[str] = []

    def post() -> None:
        try:
            with urllib.request.urlopen(request, timeout=patience):  # noqa: S310 - callers check for http(s)
                answer.append("")
        except urllib.error.HTTPError as error:
            answer.append(f"it answered {error.code}")
        except Exception as error:  # nothing may escape a thread
            answer.append(f"no connection, {type(error).__name__}")

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    thread.join(patience)
    return answer[0] if answer else f"no answer within {patience:g} s"
