"""A server for the tests of clients: `videollama3 serve` on a free port of this machine, ended with the tests.

The program's path comes from VL3_PROGRAM; ctest sets it.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[3]
KEY = "a-key-of-the-tests"
PATIENCE_S = 600  # only ends what hangs


class Served(unittest.TestCase):
    """One server for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        program = os.environ.get("VL3_PROGRAM", str(PROJECT / "build/release/apps/videollama3"))
        if not pathlib.Path(program).exists():
            raise unittest.SkipTest(f"there is no {program}: build it, or name it in VL3_PROGRAM")
        environment = {**os.environ, "VIDEOLLAMA3_API_KEY": KEY}
        log = tempfile.NamedTemporaryFile()
        cls.addClassCleanup(log.close)
        cls.server = subprocess.Popen([program, "serve", str(PROJECT / "models/demo"), "--port", "0"],
                                      env=environment, stdout=subprocess.DEVNULL, stderr=log)
        cls.addClassCleanup(cls.end_server)
        cls.address = cls.address_told(log)
        cls.api = f"{cls.address}/v1"
        request = urllib.request.Request(f"{cls.api}/models", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            cls.model = json.load(reply)["data"][0]["id"]

    @classmethod
    def address_told(cls, log):
        """Where it listens, which the log says when it answers."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            ended = cls.server.poll() is not None
            told = pathlib.Path(log.name).read_text(encoding="utf-8")
            if found := re.search(r"http://127\.0\.0\.1:[0-9]+(?= serves )", told):
                return found[0]
            if ended:
                raise RuntimeError(f"the server ended with {cls.server.returncode}: {told}")
            time.sleep(0.1)
        raise RuntimeError(f"the server was not ready after {PATIENCE_S} s: {told}")

    @classmethod
    def end_server(cls):
        cls.server.terminate()
        try:
            cls.server.wait(PATIENCE_S)
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
