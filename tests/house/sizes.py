"""What is committed stays small: sizes.py PROJECT

No file above 12 MiB, all of them together below 40, and nothing packed or built by somebody else. Passes where
PROJECT is no clone.
"""
import pathlib
import subprocess
import sys

MIB = 1 << 20
FOREIGN = (".whl", ".tar.gz", ".tgz", ".tar.xz", ".zip", ".deb", ".rpm", ".so", ".a", ".o", ".pyc", ".egg")


def faults(project):
    listed = subprocess.run(["git", "-C", project, "ls-files", "-z"], capture_output=True)
    if listed.returncode != 0:
        return ["# no clone: nothing is looked at"]
    files = [project / name for name in listed.stdout.decode().split("\0") if name]
    sizes = {file: file.stat().st_size for file in files if file.is_file() and not file.is_symlink()}
    found = [f"{file}: {size} bytes, more than {12 * MIB}" for file, size in sizes.items() if size > 12 * MIB]
    found += [f"{file}: is packed or built, and belongs elsewhere" for file in sizes
              if file.name.endswith(FOREIGN) and "tests" not in file.relative_to(project).parts]
    if sum(sizes.values()) > 40 * MIB:
        found.append(f"all files together: {sum(sizes.values())} bytes, more than {40 * MIB}")
    return found


if __name__ == "__main__":
    told = faults(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(told) or "every committed file is small enough")
    sys.exit(any(not line.startswith("#") for line in told))
