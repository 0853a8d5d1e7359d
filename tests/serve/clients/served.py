"""A server for the tests of clients: `videollama3 serve` on a free port of this machine, ended with the tests.

The program's path comes from VL3_PROGRAM; ctest sets it.
"""
import json
import os
import pathlib
import socket
import subprocess
import time
import unittest
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[3]
KEY = "a-key-of-the-tests"
PATIENCE_S = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Served(unittest.TestCase):
    """One server for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        program = os.environ.get("VL3_PROGRAM", str(PROJECT / "build/release/apps/videollama3"))
        if not pathlib.Path(program).exists():
            raise unittest.SkipTest(f"there is no {program}: build it, or name it in VL3_PROGRAM")
        port = free_port()
        cls.address = f"http://127.0.0.1:{port}"
        cls.api = f"{cls.address}/v1"
        environment = {**os.environ, "VIDEOLLAMA3_API_KEY": KEY}
        cls.server = subprocess.Popen([program, "serve", str(PROJECT / "models/demo"), "--port", str(port)],
                                      env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end_server)
        cls.wait_until_ready()
        request = urllib.request.Request(f"{cls.api}/models", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            cls.model = json.load(reply)["data"][0]["id"]

    @classmethod
    def wait_until_ready(cls):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if cls.server.poll() is not None:
                raise RuntimeError(f"the server ended with {cls.server.returncode}")
            try:
                with urllib.request.urlopen(f"{cls.address}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server was not ready after {PATIENCE_S} s")

    @classmethod
    def end_server(cls):
        cls.server.terminate()
        try:
            cls.server.wait(30)
        except subprocess.TimeoutExpired:
            cls.server.kill()
            cls.server.wait()

    def run_program(self, *arguments, **options):
        """The answer of the program itself, without a server."""
        program = self.server.args[0]
        return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, timeout=PATIENCE_S,
                              **options).stdout


def picture():
    """A picture of the project as a data: URL."""
    import base64
    data = (PROJECT / "examples/media/shapes.png").read_bytes()
    return "data:image/png;base64," + base64.b64encode(data).decode()
