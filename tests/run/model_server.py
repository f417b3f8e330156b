"""A server that speaks what two makers of models do: answers as they were recorded, whole and as streams."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

WORD = "only-the-provider-knows-this-key"
WORDS = ("Authority", " only", " shrinks.")
SECONDS = 20


@dataclass(slots=True)
class ModelServer:
    """What it was asked is kept; between the events of a stream it waits for `seen`, when told to."""

    port: int = 0
    asked: list[tuple[str, str, dict]] = field(default_factory=list)
    wait_for: Event | None = None

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def model_server() -> Iterator[ModelServer]:
    server = ModelServer()

    class Model(_Model):
        state = server

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as http:
        http.daemon_threads = True
        server.port = http.server_address[1]
        thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _openai(stream: bool) -> dict | list[tuple[str, dict]]:
    shared = {
        "id": "chatcmpl-1",
        "created": 1700000000,
        "model": "recorded",
        "system_fingerprint": "f",
    }
    if not stream:
        message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
        return shared | {"object": "chat.completion", "choices": [choice], "usage": usage}
    chunk = shared | {"object": "chat.completion.chunk"}
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
    events = [
        ("", chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        for delta in deltas
    ]
    return [
        *events,
        ("", chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ]


def _anthropic(stream: bool) -> dict | list[tuple[str, dict]]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "recorded",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    if not stream:
        content = [{"type": "text", "text": "".join(WORDS)}]
        return message | {"content": content, "stop_reason": "end_turn"}
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            }
            for word in WORDS
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        openai = self.path.endswith("/chat/completions")
        key = self.headers.get("Authorization" if openai else "X-Api-Key", "")
        self.state.asked.append((self.path, key, body))
        answer = (_openai if openai else _anthropic)(body.get("stream", False))
        if isinstance(answer, dict):
            self._whole(answer)
        else:
            self._stream(answer, done=openai)

    def log_message(self, *_arguments) -> None:
        pass

    def _whole(self, answer: dict) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: list[tuple[str, dict]], *, done: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for name, event in events:
            line = f"event: {name}\n" if name else ""
            self._chunk(f"{line}data: {json.dumps(event)}\n\n".encode())
            waiting = self.state.wait_for
            if waiting is not None and WORDS[0] in json.dumps(event):
                assert waiting.wait(SECONDS), "the program saw nothing of what was sent"
        if done:
            self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
