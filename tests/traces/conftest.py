"""What the tests stand on: the program, a collector that nobody here wrote, and a sink behind it.

    caller (websockets) -> voice-s2s -> rotel (OTLP/HTTP) -> sink

The sink stands where Langfuse would, and decodes with the official protobuf classes of
OpenTelemetry. So this is tested against Langfuse's contract, not against Langfuse.
"""

import contextlib
import gzip
import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
import rotel
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ROOT / "target/debug/voice-s2s"
# For the broken case only.
DEADLINE = 60
TRACES = "/api/public/otel/v1/traces"
SCORES = "/api/public/scores"
KEYS = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-1"}
# The same as basic auth.
BASIC = "Basic cGstbGYtMTpzay1sZi0x"


def eventually(what, holds):
    """Waits until `holds` says something true, and answers it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        if found := holds():
            return found
        time.sleep(0.05)
    pytest.fail(f"did not come about: {what}")


class Sink:
    """Langfuse's two doors, as far as its contract goes."""

    def __init__(self):
        self.spans, self.resources, self.scores = [], [], []
        self.headers, self.refused = [], []
        sink = self

        class Door(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, answer = sink.take(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        if headers.get("Authorization") != BASIC:
            self.refused.append(f"{path}: no key")
            return 401, b""
        if path == SCORES:
            self.scores.append(json.loads(body))
            return 200, b"{}"
        if path != TRACES or headers["Content-Type"] != "application/x-protobuf":
            self.refused.append(f"{path}: {headers['Content-Type']}")
            return 400, b""
        request = ExportTraceServiceRequest.FromString(body)
        self.headers.append(dict(headers))
        for of_resource in request.resource_spans:
            self.resources.append(plain(of_resource.resource.attributes))
            for scope in of_resource.scope_spans:
                self.spans.extend(scope.spans)
        return 200, ExportTraceServiceResponse().SerializeToString()

    def named(self, name):
        return [span for span in self.spans if span.name == name]


def plain(attributes):
    """Attributes as Python values; a name that is there twice is a mistake."""

    def value(any_value):
        kind = any_value.WhichOneof("value")
        if kind == "array_value":
            return [value(item) for item in any_value.array_value.values]
        return getattr(any_value, kind)

    found = {pair.key: value(pair.value) for pair in attributes}
    assert len(found) == len(attributes), "a name is there twice"
    return found


@contextlib.contextmanager
def running(command, environment, ready):
    """A process that ends with the test; `ready` finds in a line of its output what is asked."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []

    def read():
        for line in process.stdout:
            lines.append(line)

    threading.Thread(target=read, daemon=True).start()
    try:

        def found():
            assert process.poll() is None, "".join(lines)
            return next((it for line in list(lines) if (it := ready(line))), None)

        yield process, eventually(f"{command[0]} is ready", found)
    finally:
        process.terminate()
        try:
            process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def server(data, environment):
    """The program, on a free port."""

    def url(line):
        with contextlib.suppress(ValueError):
            line = json.loads(line)
            return line.get("message") == "ready" and line["url"]

    settings = {"DATA_DIR": str(data), "OTEL_BSP_SCHEDULE_DELAY": "50", **environment}
    command = [str(PROGRAM), "serve", "--port", "0", "--log", "json", "--greeting-delay", "0.05"]
    return running(command, settings, url)


@contextlib.contextmanager
def collector(sink):
    """rotel between the program and the sink."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The package brings a program, and no entry point of its own.
    program = pathlib.Path(rotel.__file__).with_name("rotel-agent")
    command = [
        str(program),
        "start",
        "--otlp-grpc-endpoint",
        "127.0.0.1:0",
        "--otlp-http-endpoint",
        f"127.0.0.1:{port}",
        "--exporter",
        "otlp",
        "--otlp-exporter-protocol",
        "http",
        "--otlp-exporter-endpoint",
        f"{sink.url}/api/public/otel",
        "--otlp-exporter-custom-headers",
        f"Authorization={BASIC}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        assert process.poll() is None, "rotel has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True

    try:
        eventually("rotel listens", listens)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE)


class Call:
    """A caller who types."""

    def __init__(self, url, session):
        self.seen = []
        self.socket = connect(
            f"{url.replace('http', 'ws')}/sonic?sessionId={session}", legacy=True
        )
        self.send(type="sessionConfig", config={})

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def until(self, fits):
        """Reads on until a message fits."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            frame = self.socket.recv(timeout=DEADLINE)
            if isinstance(frame, str):
                message = json.loads(frame)
                self.seen.append(message)
                if fits(message):
                    return message
        pytest.fail(f"seen: {[message['type'] for message in self.seen]}")

    def line(self):
        """Reads on until the assistant has said a line."""

        def is_said(message):
            is_line = message["type"] == "transcript" and message["role"] == "assistant"
            return is_line and message["isFinal"] and not message.get("interrupted")

        return self.until(is_said)

    def say(self, text):
        self.send(type="textInput", text=text)
        return self.line()

    def message(self, kind):
        return next(message for message in self.seen if message["type"] == kind)


def balance(url, session):
    """A call of the demo bank, from the greeting to the balance. Answers what the caller saw."""
    call = Call(url, session)
    call.line()
    call.say("What is my balance?")
    call.say("4021")
    call.send(type="textInput", text="1188")
    call.until(lambda m: m["type"] == "tool_result" and m["toolName"] == "get_account_balance")
    call.line()
    call.until(lambda m: m["type"] == "token_usage")
    call.send(type="session_feedback", score=5, comment="mail me at ann@example.com")
    call.socket.close()
    return call


def fetch(url, body=None):
    """A GET, or a POST of JSON."""
    data = body and json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return json.load(answer)


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.server.shutdown()
    assert not sink.refused, sink.refused
