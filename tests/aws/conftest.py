"""What the tests stand on: moto as the far side, the aws command line, and the real program."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest
import websockets
from werkzeug.serving import make_server

from gateway import Gateway

PROGRAM = os.environ["VOICE_S2S"]
AWS = pathlib.Path(sys.executable).with_name("aws")

# No wait of a test is longer but for the minute between two publications.
DEADLINE = 30

# moto takes any keys. They are in the environment of what is started here, and nowhere else.
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDOUTSIDE",
    "AWS_SECRET_ACCESS_KEY": "a-secret-for-moto",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Nothing of this machine's own account, and nothing of a metadata service.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Cloud:
    """moto behind the gateway, on a free port, in a thread of this process."""

    def __init__(self):
        self.gateway = Gateway()
        self.server = make_server("127.0.0.1", 0, self.gateway, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join(DEADLINE)

    def aws(self, *arguments, endpoint=None):
        """What the command line says, as JSON."""
        command = [AWS, "--endpoint-url", endpoint or self.url, "--output", "json", *arguments]
        ran = subprocess.run(
            command, env={"PATH": os.environ["PATH"], **KEYS}, capture_output=True, timeout=60
        )
        assert ran.returncode == 0, ran.stderr.decode()
        return json.loads(ran.stdout or b"null")


@pytest.fixture(scope="session")
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.stop()


class Program:
    """The program, as a process of its own."""

    def __init__(self, subcommand, settings, data):
        self.lines = []
        # Whoever runs the tests may have settings of his own; the program gets those of the test.
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "LOG": "json", **KEYS}
        self.child = subprocess.Popen(
            [PROGRAM, subcommand, "--port", "0"],
            env=environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def first(self, key):
        """The first line with this key."""
        return self.eventually(lambda: self._first(key), f"a line with {key}")[key]

    def _first(self, key):
        for line in list(self.lines):
            if line.startswith("{") and key in (said := json.loads(line)):
                return said
        return None

    def eventually(self, look, what, deadline=DEADLINE):
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            if found := look():
                return found
            assert self.child.poll() is None, "\n".join(self.lines)
            time.sleep(0.1)
        raise AssertionError(f"did not come about: {what}\n" + "\n".join(self.lines))

    def stop(self):
        """SIGTERM; the exit code."""
        self.child.terminate()
        try:
            code = self.child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self.reader.join(DEADLINE)
        return code


@pytest.fixture
def start(tmp_path):
    """Starts the program; what is left of it at the end is stopped."""
    started = []

    def start(subcommand, **settings):
        program = Program(subcommand, settings, tmp_path / str(len(started)))
        started.append(program)
        return program

    yield start
    for program in started:
        if program.child.poll() is None:
            program.stop()


def call(url, text, meanwhile=lambda: None):
    """A call in which something is typed and answered; `meanwhile` runs before it is hung up."""
    return asyncio.run(_call(url, text, meanwhile))


async def _call(url, text, meanwhile):
    async with asyncio.timeout(DEADLINE + 90):
        async with websockets.connect(url.replace("http", "ws", 1) + "/sonic") as socket:
            session = None
            asked = False
            async for message in socket:
                if isinstance(message, bytes):
                    continue
                said = json.loads(message)
                if said["type"] == "connected":
                    session = said["sessionId"]
                final = said["type"] == "transcript" and said["isFinal"]
                if final and said["role"] == "assistant" and not asked:
                    asked = True
                    await socket.send(json.dumps({"type": "textInput", "text": text}))
                # The figures of the turn that was asked for.
                if asked and said["type"] == "latency_update":
                    break
            # The socket is still read: its pings are answered, and nothing piles up.
            reading = asyncio.create_task(_swallow(socket))
            await asyncio.to_thread(meanwhile)
            reading.cancel()
            return session


async def _swallow(socket):
    async for _ in socket:
        pass
