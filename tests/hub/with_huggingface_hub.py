"""The program beside huggingface_hub, over a stand-in for the hub: what one downloads, the other finds and verifies; every
fault of the stand-in; kills at random moments. Skips, with the reason, without the library, the stand-in
(../shared/reference/hub_server.py) or VL3_PROGRAM.

    VL3_PROGRAM=build/release/apps/videollama3 python3 tests/hub/with_huggingface_hub.py [-v]
"""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("VL3_SHARED", PROJECT.parent / "shared"))
PROGRAM = os.environ.get("VL3_PROGRAM", "")
MISSING = ""
if not PROGRAM or not pathlib.Path(PROGRAM).exists():
    MISSING = "VL3_PROGRAM names no program"
elif not (SHARED / "reference/hub_server.py").exists():
    MISSING = f"no stand-in for the hub: {SHARED}/reference/hub_server.py"
else:
    PROGRAM = str(pathlib.Path(PROGRAM).resolve())
    sys.path.insert(0, str(SHARED / "reference"))
    for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING", "TRANSFORMERS_OFFLINE"))]:
        del os.environ[name]
    # A stand-in on a busy machine may be late: neither side gives up on it, but where a test says so.
    os.environ |= {"HF_HUB_ETAG_TIMEOUT": "600", "HF_HUB_DOWNLOAD_TIMEOUT": "600", "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    try:
        import huggingface_hub
        import hub_server
        from huggingface_hub.utils import WeakFileLock
    except ImportError as error:
        MISSING = f"no huggingface_hub: {error}"

PATIENCE_S = 600  # only ends what hangs
WEIGHTS = random.Random(7).randbytes(6_000_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@unittest.skipIf(MISSING, MISSING)
class WithLibrary(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.work.name)
        model = self.folder / "root/org/model"
        model.mkdir(parents=True)
        for file in (PROJECT / "models/tiny").iterdir():
            if file.suffix in (".json", ".jinja"):
                (model / file.name).write_bytes(file.read_bytes())
        (model / "model.safetensors").write_bytes(WEIGHTS)
        (model / "README.md").write_text("read me")
        (model / "pytorch_model.bin").write_bytes(b"pickled" * 2000)
        self.hub = hub_server.Hub(self.folder / "root")
        for server in self.hub.servers:
            server.handle_error = lambda *_: None  # connections that tests break are no news
        self.hub.__enter__()
        self.cache = self.folder / "cache"

    def tearDown(self):
        self.hub.__exit__()
        self.work.cleanup()

    def environment(self, **more):
        # With more patience than this, what the small files lack would be counted as a server that brings nothing.
        return os.environ | {"HF_HUB_DOWNLOAD_TIMEOUT": "30", "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.folder / "home"),
                             "HF_HUB_CACHE": str(self.cache)} | more

    def run_program(self, *words, **more):
        return subprocess.run([PROGRAM, *words], env=self.environment(**more), capture_output=True, text=True, timeout=PATIENCE_S)

    def start_pull(self):
        program = subprocess.Popen([PROGRAM, "pull", "org/model"], env=self.environment(HF_HUB_DOWNLOAD_TIMEOUT="600"),
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        watch = threading.Timer(PATIENCE_S, program.kill)
        watch.daemon = True
        watch.start()
        self.addCleanup(watch.cancel)
        return program

    def weights_asked(self):
        return [e for e in list(self.hub.log) if e["port"] == "cdn" and SHA256 in e["path"]]

    def pull(self, *words, **more):
        got = self.run_program("pull", "org/model", *words, **more)
        self.assertEqual(got.returncode, 0, got.stderr)
        return pathlib.Path(got.stdout.removesuffix("\n"))

    def refused(self, *words, **more):
        got = self.run_program("pull", *words, **more)
        self.assertEqual((got.returncode, got.stdout), (1, ""), got.stderr)
        return got.stderr

    def check_weights(self, folder):
        self.assertEqual(hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(), SHA256)

    # -- both ways

    def library(self, **more):
        return huggingface_hub.snapshot_download("org/model", cache_dir=self.cache, endpoint=self.hub.url, **more)

    def test_the_library_finds_and_verifies_what_the_program_fetched(self):
        folder = self.pull()
        info = huggingface_hub.scan_cache_dir(self.cache)
        self.assertEqual([str(w) for w in info.warnings], [])
        self.assertEqual([(r.repo_id, r.nb_files) for r in info.repos], [("org/model", len(list(folder.iterdir())))])
        self.assertEqual([f.file_path for f in info.incomplete_files], [])
        self.hub.log.clear()
        found = self.library(local_files_only=True, ignore_patterns=["*.md", "*.bin"])
        self.assertEqual(pathlib.Path(found), folder)
        self.assertEqual(huggingface_hub.hf_hub_download("org/model", "config.json", cache_dir=self.cache, local_files_only=True),
                         str(folder / "config.json"))
        absent = huggingface_hub.try_to_load_from_cache("org/model", "adapter_config.json", cache_dir=self.cache)
        self.assertIs(absent, huggingface_hub.file_download._CACHED_NO_EXIST)
        self.assertEqual(self.hub.log, [])
        api = huggingface_hub.HfApi(endpoint=self.hub.url)
        check = api.verify_repo_checksums("org/model", cache_dir=self.cache)
        self.assertEqual((check.mismatches, check.extra_paths, check.checked_count), ([], [], len(list(folder.iterdir()))))
        # It goes on from here: what the program left out comes, and nothing comes twice.
        self.hub.log.clear()
        self.assertEqual(pathlib.Path(self.library()), folder)
        self.assertEqual((folder / "README.md").read_text(), "read me")
        self.assertNotIn(SHA256, json.dumps([e["path"] for e in self.hub.log if e["port"] == "cdn"]))

    def test_the_program_finds_and_verifies_what_the_library_fetched(self):
        folder = pathlib.Path(self.library())
        self.hub.log.clear()
        self.assertEqual(self.pull("--local-files-only"), folder)
        self.assertEqual(self.pull(HF_HUB_OFFLINE="1"), folder)
        self.assertEqual(self.hub.log, [])
        self.assertEqual(self.pull(), folder)
        self.assertEqual(len(self.hub.log), 1)
        got = self.run_program("cache", "verify", "--json")
        self.assertEqual(json.loads(got.stdout)["faults"], [])
        listed = json.loads(self.run_program("cache", "ls", "--json").stdout)
        self.assertEqual([(m["model"], m["revisions"], m["missing"]) for m in listed], [("org/model", ["main"], 0)])
        self.assertEqual(self.run_program("cache", "rm", "org/model").returncode, 0)
        self.assertEqual([r.repo_id for r in huggingface_hub.scan_cache_dir(self.cache).repos], [])

    def test_both_at_once_fetch_once(self):
        self.hub.rules.append({"port": "cdn", "match": SHA256, "rate": 3_000_000, "times": 0})
        results = []
        thread = threading.Thread(target=lambda: results.append(self.library()))
        thread.start()
        results.append(str(self.pull()))
        thread.join()
        self.assertEqual(results[0], results[1])
        self.check_weights(pathlib.Path(results[0]))
        self.assertEqual(len(self.weights_asked()), 1)

    def test_the_librarys_lock_is_waited_for(self):
        lock = self.cache / f".locks/models--org--model/{SHA256}.lock"
        lock.parent.mkdir(parents=True)
        with WeakFileLock(lock):
            program = self.start_pull()
            told = ""
            while "waiting" not in told and (line := program.stderr.readline()):
                told += line
            self.assertIn("waiting", told)
            time.sleep(1)
            self.assertIsNone(program.poll())
            self.assertEqual(self.weights_asked(), [])
        told = program.communicate()[1]
        self.assertEqual(program.returncode, 0, told)

    # -- kills, Ctrl-C

    def test_ten_kills_at_random_moments(self):
        # However long a moment is, ten of them bring less than everything.
        self.hub.rules.append({"port": "cdn", "match": SHA256, "rate": 2_500_000, "stall_after": 500_000, "stall_s": 2 * PATIENCE_S,
                               "times": 0})
        chance, kept = random.Random(11), []
        partial = self.cache / f"models--org--model/blobs/{SHA256}.vl3.incomplete"
        for _ in range(10):
            program = subprocess.Popen([PROGRAM, "pull", "org/model"], env=self.environment(HF_HUB_DOWNLOAD_TIMEOUT="600"),
                                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            # At some moment after bytes began to come; how long a start takes is no matter here.
            before = kept[-1] if kept else 0
            while program.poll() is None and (partial.stat().st_size if partial.exists() else 0) <= before:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.2))
            program.kill()
            program.wait()
            kept.append(partial.stat().st_size if partial.exists() else 0)
        self.assertEqual(kept, sorted(set(kept)))
        self.assertTrue(0 < kept[0] and kept[-1] < len(WEIGHTS), kept)
        self.assertFalse((self.cache / "models--org--model/refs/main").exists())
        self.hub.rules.clear()
        self.check_weights(self.pull())
        self.assertFalse(partial.exists())
        asked = self.weights_asked()
        self.assertTrue(all(e["range"] and e["if_range"] for e in asked[1:]), asked)
        self.assertEqual(asked[-1]["range"], f"bytes={kept[-1]}-")
        self.assertEqual(huggingface_hub.scan_cache_dir(self.cache).warnings, [])
        print(f"ten kills: {kept} bytes kept, {len(asked)} requests", file=sys.stderr)

    def test_interrupted_it_ends_while_the_hub_keeps_it_waiting(self):
        long = 2 * PATIENCE_S
        # Five minutes are the longest wait that a server may ask for.
        for rule in ({"stall_after": 100_000, "stall_s": long}, {"status": 503, "retry_after": 299}, {"delay_s": long}):
            self.hub.rules[:] = [{"port": "cdn", "match": SHA256, **rule}]
            self.hub.log.clear()
            program = self.start_pull()
            while program.poll() is None and not self.weights_asked():
                time.sleep(0.002)
            time.sleep(0.5)  # most of the time it is waiting then
            begin = time.monotonic()
            program.send_signal(signal.SIGINT)
            told = program.communicate()[1]
            self.assertEqual(program.returncode, 130, (rule, told))
            print(f"interrupted: ended after {time.monotonic() - begin:.2f} s", file=sys.stderr)

    # -- faults

    def test_faults_that_pass(self):
        for rule in ({"drop_after": 1_000_000, "times": 3}, {"drop_after": 2_000_000, "reset": True, "times": 2},
                     {"stall_after": 500_000, "stall_s": 600, "times": 1}, {"corrupt": True, "times": 1}, {"status": 403, "times": 1},
                     {"status": 503, "retry_after": 1, "times": 1}, {"status": 429, "ratelimit": 1, "times": 1},
                     {"no_range": True, "drop_after": 3_000_000, "times": 2}, {"etag": "another", "drop_after": 1_000_000, "times": 1},
                     {"extra": 5, "times": 1}, {"missing": 5, "times": 1}):
            self.hub.rules[:] = [{"port": "cdn", "match": SHA256, **rule}]
            # Which stall is long enough to go on elsewhere; the server's is longer.
            self.check_weights(self.pull(**({"HF_HUB_DOWNLOAD_TIMEOUT": "5"} if "stall_after" in rule else {})))
            self.assertEqual(self.hub.rules, [], rule)
            self.assertEqual(self.run_program("cache", "rm", "org/model").returncode, 0)
        for rule in ({"status": 500, "times": 2}, {"status": 408, "times": 1}, {"status": 429, "ratelimit": 1, "times": 1}):
            self.hub.rules[:] = [{"port": "hub", "match": "/(tree|revision)/", **rule}]
            self.check_weights(self.pull())
            self.run_program("cache", "rm", "org/model")

    def test_faults_that_stay(self):
        cases = (({"port": "cdn", "corrupt": True}, "has other bytes than its hash"),
                 ({"port": "cdn", "extra": 5}, "has other bytes than its hash"),
                 ({"port": "cdn", "missing": 5}, "is not used"),
                 ({"port": "hub", "match": "safetensors", "linked_size": 5}, "where it gives it out"),
                 ({"port": "hub", "match": "safetensors", "etag": "0" * 64}, "where it gives it out"),
                 ({"port": "hub", "match": "/revision/", "status": 200, "body": "<html>"}, "no JSON"),
                 ({"port": "hub", "match": "/tree/", "status": 200, "body": "[{\"type\": \"file\", \"path\": \"../x\"}]"},
                  "leads out of its folder"),
                 ({"port": "hub", "match": "/tree/", "status": 200, "headers": {"Retry-After": "1"}, "body": "{"}, "no JSON"))
        for rule, words in cases:
            self.hub.rules[:] = [{**rule, "times": 0}]
            shutil.rmtree(self.cache, ignore_errors=True)
            self.assertIn(words, self.refused("org/model"), rule)
            self.assertFalse((self.cache / "models--org--model/refs/main").exists(), rule)
            self.assertFalse((self.cache / f"models--org--model/blobs/{SHA256}").exists(), rule)

    def test_refusals(self):
        (self.folder / "root/org/secret").mkdir()
        (self.folder / "root/org/secret/config.json").write_text("{}")
        settings = self.folder / "root/org/secret/.hub.json"
        settings.write_text(json.dumps({"gated": "manual", "tokens": ["hf_reader"]}))
        (self.folder / "root/org/secret/model.safetensors").write_bytes(b"x" * 5000)
        self.assertIn("accept its conditions", self.refused("org/secret"))
        self.assertIn("ask for access", self.refused("org/secret", HF_TOKEN="hf_good"))
        self.assertIn("does not know the token", self.refused("org/secret", HF_TOKEN="hf_wrong"))
        settings.write_text(json.dumps({"private": True, "tokens": ["hf_reader"]}))
        self.assertIn("no such model", self.refused("org/secret"))
        self.assertIn("may not read it", self.refused("org/secret", HF_TOKEN="hf_good"))
        self.assertIn("no revision", self.refused("org/model@v9"))
        settings.write_text(json.dumps({"disabled": True}))
        self.assertIn("disabled", self.refused("org/secret"))
        settings.write_text(json.dumps({"private": True, "tokens": ["hf_reader"]}))
        self.hub.log.clear()
        got = self.run_program("pull", "org/secret", HF_TOKEN="hf_reader")
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertNotIn("hf_reader", got.stdout + got.stderr)
        for entry in self.hub.log:
            self.assertEqual(entry["authorization"], "Bearer hf_reader" if entry["port"] == "hub" else None, entry["path"])


if __name__ == "__main__":
    unittest.main()
