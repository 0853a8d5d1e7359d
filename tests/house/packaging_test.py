"""That what packages say agrees with what the project is: its version, what it is built with, and whose code it holds."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


class Debian(unittest.TestCase):
    def test_the_version_is_that_of_the_project(self):
        version = re.search(r"^project\(videollama3 VERSION ([0-9.]+)", text("CMakeLists.txt"), re.M)[1]
        self.assertEqual(re.match(r"videollama3 \(([^)]+)\)", text("debian/changelog"))[1], version)
        self.assertIn(f"find_package(vl3 {'.'.join(version.split('.')[:2])} ", text("docs/library.md"))

    def test_it_is_built_with_what_setup_installs(self):
        setup = re.search(r"^packages=\((.*?)^\)", text("scripts/setup"), re.M | re.S)[1]
        wanted = {word for line in setup.splitlines() for word in line.split("#")[0].split()}
        for alone in ("g++", "libgtest-dev", "python3", "python3-dev", "python3-venv"):  # with every compiler of Debian; tests
            wanted.discard(alone)
        depends = re.search(r"^Build-Depends: (.*?)^\n", text("debian/control"), re.M | re.S)[1]
        named = {part.split()[0] for part in depends.split(",")}
        self.assertEqual(sorted(wanted - named), [])

    def test_what_is_bundled_is_in_the_copyright(self):
        head = text("web/dist/app.js")[:2000]
        for holder in re.findall(r"^Copyright \(c\) [0-9+, -]+ (.*)$", head, re.M):
            self.assertIn(holder.strip(), text("debian/copyright"))

    def test_the_service_of_the_package_runs_the_program_of_the_package(self):
        self.assertIn("ExecStart=/usr/local/bin/videollama3 serve\n", text("deploy/videollama3.service"))
        self.assertIn("s,/usr/local/bin,/usr/bin,", text("debian/rules"))


if __name__ == "__main__":
    unittest.main()
