#!/usr/bin/env python3
"""Man pages and completions tell all commands and options, and shells complete with them.

VL3_PROGRAM names the program.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = os.environ["VL3_PROGRAM"]
SHELLS = ("bash", "zsh", "fish")


def run(*words, **more):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=600, **more)
    return done


def told(*words):
    done = run(*words)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def commands_of(path=()):
    """All commands, as tuples of words, with what the help of each says."""
    text = told(*path, "--help")
    found = {path: text}
    headings = re.split(r"\n(?=\S.*:\n)", text)
    for heading in headings:
        if re.match(r"(Usage|Examples)", heading) or not re.search(r"^Usage: .* COMMAND ", text, re.M):
            continue
        for name in re.findall(r"^  ([a-z][a-z-]*)(?:  |\n)", heading, re.M):
            found.update(commands_of((*path, name)))
    return found


def options_of(text):
    """The long options of a help, each with what follows it, in the rows of options alone."""
    rows = re.findall(r"^  (?:-\w, ?)?(--[a-z][a-z0-9-]*(?:,-?-?[a-z0-9-]+)*)(?: (\S+))?", text, re.M)
    return {name: value for names, value in rows for name in re.findall(r"--[a-z0-9-]+", names)}


class Terminal:
    """An interactive shell on a pseudo terminal."""

    def __init__(self, folder, words, environment):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environment)
        self.seen = ""

    def read_until(self, text, seconds=600):  # only ends what hangs
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            if select.select([self.terminal], [], [], 1)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def close(self):
        os.kill(self.process, signal.SIGKILL)
        os.close(self.terminal)
        os.waitpid(self.process, 0)


class Bash:
    """What a line becomes when Tab is typed behind it."""

    def __init__(self, folder):
        self.folder = folder
        script = Path(folder) / "completions.bash"
        script.write_text(told("completions", "bash"))
        environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": folder, "TERM": "dumb", "PS1": "", "LC_ALL": "C.UTF-8"}
        self.terminal = Terminal(folder, ["bash", "--noprofile", "--norc"], environment)
        self.terminal.type(
            f"PS1=; bind 'set enable-bracketed-paste off' 'set bell-style none' 2>/dev/null; "
            f"bind 'set completion-query-items 0'; bind 'set page-completions off'; "
            f"source {script}; echo rea''dy\n"
        )
        self.terminal.read_until("ready\r\n")

    def line(self, typed):
        """The words of the line after one Tab: those that the shell would run it with."""
        self.terminal.type("words() { printf '<%s>' \"$@\"; echo; }; complete -F _videollama3 words; echo n''ow\n")
        self.terminal.read_until("now\r\n")
        self.terminal.type(typed.replace("videollama3", "words", 1) + "\t\n")
        text = self.terminal.read_until(">\r\n")
        return re.findall(r"<([^<>]*)(?=>|$)", text)

    def offered(self, typed):
        """What Tab, typed twice, lists."""
        # Ctrl-A and Ctrl-K: keys may come before bash reads them, and the terminal takes Ctrl-U for its own.
        self.terminal.type(typed + "\t\t\x01\x0becho en''d\n")
        return self.terminal.read_until("end\r\n").replace("\r\n", " ").split()


class ManPages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = commands_of()
        cls.folder = tempfile.TemporaryDirectory()
        cls.pages = Path(cls.folder.name) / "man1"
        told("man", "--out", str(cls.pages))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def page(self, path):
        return (self.pages / ("-".join(("videollama3", *path)) + ".1")).read_text()

    def test_every_command_has_a_page_with_every_option(self):
        self.assertGreaterEqual(len(self.commands), 19)
        self.assertEqual(len(list(self.pages.iterdir())), len(self.commands))
        for path, text in self.commands.items():
            page = self.page(path)
            for option in options_of(text):
                self.assertIn("\\fB" + option.replace("-", "\\-") + "\\fR", page, f"{path} {option}")
            self.assertEqual(page, told("man", *path))

    def test_the_program_page_lists_every_command(self):
        page = self.page(())
        for path in self.commands:
            if len(path) == 1:
                self.assertIn(f".TP\n\\fB{path[0]}\\fR\n", page)
                self.assertIn(f".BR videollama3\\-{path[0]} (1)", page)

    def test_environment_of_serve(self):
        self.assertIn("\\fBVIDEOLLAMA3_MAX_QUEUE\\fR\nAs \\fB\\-\\-max\\-queue\\fR", self.page(("serve",)))

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_has_nothing_to_say(self):
        for page in sorted(self.pages.iterdir()):
            done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
            self.assertEqual(done.stdout + done.stderr, "")

    @unittest.skipUnless(shutil.which("man") and shutil.which("nroff"), "man and nroff are not installed")
    def test_man_has_no_warnings_and_shows_what_can_be_copied(self):
        for page in sorted(self.pages.iterdir()):
            environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""}
            done = subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page],
                capture_output=True, text=True, env=environment,
            )
            self.assertEqual(done.stderr, "")
        shown = subprocess.run(
            ["man", "-l", self.pages / "videollama3-run.1"], capture_output=True, text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
        ).stdout
        self.assertIn("--max-new-tokens", shown)

    def test_pages_of_a_date_are_the_same(self):
        for seconds, day in (("0", "1970-01-01"), ("1790000000", "2026-09-21")):
            environment = {**os.environ, "SOURCE_DATE_EPOCH": seconds}
            done = run("man", "run", env=environment)
            self.assertTrue(done.stdout.startswith(f".TH VIDEOLLAMA3\\-RUN 1 {day} \"videollama3 "), done.stdout[:80])
        for wrong in ("yesterday", "1x", "-1"):
            done = run("man", env={**os.environ, "SOURCE_DATE_EPOCH": wrong})
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'SOURCE_DATE_EPOCH is "{wrong}"', done.stderr)

    def test_what_cannot_be_had_is_said(self):
        done = run("man", "nothing")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn('there is no command "nothing"', done.stderr)
        done = run("man", "run", "--out", "somewhere")
        self.assertEqual(done.returncode, 1)
        self.assertFalse(Path("somewhere").exists())
        done = run("man", "--out", "/dev/null/pages")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/dev/null/pages", done.stderr)


class Completions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.commands = commands_of()
        cls.scripts = {shell: told("completions", shell) for shell in SHELLS}

    def test_scripts_hold_every_command_and_option(self):
        for path, text in self.commands.items():
            name = " ".join(path)
            rows = re.search(rf"^    '{name}'\)\n(.*?);;", self.scripts["bash"], re.M | re.S)[1]
            for option in options_of(text):
                self.assertRegex(rows, rf"options='[^']*{option}[ ']")
                self.assertIn(f"complete -c videollama3 -n '__videollama3_at {name}' ", self.scripts["fish"])
                self.assertRegex(
                    self.scripts["fish"], rf"(?m)^complete -c videollama3 -n '__videollama3_at {name}'.* -l {option[2:]} "
                )
            function = re.search(
                rf"^_videollama3{''.join('_' + word for word in path)}\(\) {{\n(.*?)^}}", self.scripts["zsh"], re.M | re.S
            )[1]
            for option in options_of(text):
                self.assertRegex(function, rf"'\*?{option}=?\[")

    def test_unknown_shells_are_refused(self):
        done = run("completions", "csh")
        self.assertEqual((done.returncode, done.stdout), (2, ""))

    def test_shells_parse_them(self):
        for shell in SHELLS:
            if shutil.which(shell) is None:
                continue
            with tempfile.NamedTemporaryFile("w", suffix="." + shell) as file:
                file.write(self.scripts[shell])
                file.flush()
                done = subprocess.run([shell, "-n", file.name], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)

    def test_bash_completes(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("photo one.jpg", "clip.mp4"):
                (Path(folder) / name).touch()
            (Path(folder) / "checkpoint").mkdir()
            bash = Bash(folder)
            try:
                for typed, words in (
                    ("videollama3 quan", ["quantize"]),
                    ("videollama3 run --max-new-t", ["run", "--max-new-tokens"]),
                    ("videollama3 run --compute f", ["run", "--compute", "f32"]),
                    ("videollama3 run --compute=f", ["run", "--compute=f32"]),
                    ("videollama3 run --do-sample t", ["run", "--do-sample", "true"]),
                    ("videollama3 run --cpu av", ["run", "--cpu", "avx"]),
                    ("videollama3 run check", ["run", "checkpoint/"]),
                    ("videollama3 run checkpoint --image pho", ["run", "checkpoint", "--image", "photo one.jpg"]),
                    ("videollama3 run checkpoint --image clip.mp4 ph", ["run", "checkpoint", "--image", "clip.mp4", "photo one.jpg"]),
                    ("videollama3 run checkpoint cl", ["run", "checkpoint", "cl"]),  # a question
                    ("videollama3 run --adapter c", ["run", "--adapter", "checkpoint/"]),  # folders alone
                    ("videollama3 scenes out --kinds shapes,tab", ["scenes", "out", "--kinds", "shapes,table"]),
                    ("videollama3 completions z", ["completions", "zsh"]),
                    ("videollama3 man quan", ["man", "quantize"]),
                    ("videollama3 serve --no-sandbox che", ["serve", "--no-sandbox", "checkpoint/"]),
                    ("videollama3 run --temperature 1", ["run", "--temperature", "1"]),
                    ("videollama3 run -- --hel", ["run", "--", "--hel"]),
                ):
                    self.assertEqual(bash.line(typed), words, typed)
                offered = bash.offered("videollama3 ")
                for path in self.commands:
                    if len(path) == 1:
                        self.assertIn(path[0], offered)
                self.assertTrue({"f32", "f16", "int8"} <= set(bash.offered("videollama3 run --cache ")))
            finally:
                bash.terminal.close()

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_completes(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "clip.mp4").touch()
            (Path(folder) / "checkpoint").mkdir()
            (Path(folder) / "videollama3.fish").write_text(self.scripts["fish"])

            def offered(line):
                done = subprocess.run(
                    ["fish", "--no-config", "-c", f"source videollama3.fish; complete -C '{line}'"],
                    capture_output=True, text=True, cwd=folder, env={**os.environ, "HOME": folder},
                )
                self.assertEqual(done.stderr, "")
                return [row.split("\t")[0] for row in done.stdout.splitlines()]

            self.assertEqual(offered("videollama3 quan"), ["quantize"])
            self.assertIn("--max-new-tokens", offered("videollama3 run --max"))
            self.assertEqual(offered("videollama3 run --compute "), ["auto", "f32"])
            self.assertEqual(offered("videollama3 run --adapter che"), ["checkpoint/"])
            self.assertIn("clip.mp4", offered("videollama3 run --image cl"))
            self.assertEqual(offered("videollama3 run --temperature cl"), [])
            self.assertEqual(offered("videollama3 quantize checkpoint out --keep vision,te"), ["vision,text"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_completes(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "checkpoint").mkdir()
            (Path(folder) / "_videollama3").write_text(self.scripts["zsh"])
            environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
            zsh = Terminal(folder, ["zsh", "-f", "-i"], environment)
            try:
                zsh.type(
                    "PS1=; unsetopt zle_bracketed_paste prompt_cr prompt_sp beep; fpath=($PWD $fpath); "
                    "autoload -Uz compinit; compinit -u -D; "
                    "show() { printf '<%s>' \"$BUFFER\"; zle kill-whole-line; }; zle -N show; bindkey '^X' show; "
                    "echo rea''dy\n"
                )
                zsh.read_until("ready\r\n")
                for typed, line in (
                    ("videollama3 quan", "videollama3 quantize"),
                    ("videollama3 run --compute f", "videollama3 run --compute f32"),
                    ("videollama3 run --compute=f", "videollama3 run --compute=f32"),
                    ("videollama3 run --max-new-t", "videollama3 run --max-new-tokens"),
                    ("videollama3 run che", "videollama3 run checkpoint/"),
                    ("videollama3 run --adapter che", "videollama3 run --adapter checkpoint/"),
                ):
                    zsh.type(typed + "\t\x18")
                    zsh.read_until("<")
                    self.assertEqual(zsh.read_until(">").rstrip(" ="), line, typed)
            finally:
                zsh.close()


if __name__ == "__main__":
    unittest.main()
