#!/usr/bin/env bash
# Installs the library into a prefix of its own, as its users get it, builds the examples against it with CMake and
# with pkg-config, from C and from C++, and compares what they answer.
#   tests/consumer/run.sh BUILD KIND    BUILD: a build folder; KIND: what was built, static or shared
# CC, CXX, CMAKE choose the tools; COMPONENT names what to install, where it is not everything.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
kind=$2
cmake=${CMAKE:-cmake} cc=${CC:-cc} cxx=${CXX:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
fail() {
  echo "consumer: $*" >&2
  exit 1
}

"$cmake" --install "$build" --prefix "$prefix" ${COMPONENT:+--component "$COMPONENT"} >/dev/null

echo "== what is installed"
packages=$(dirname "$(find "$prefix" -name vl3.pc)")
library=$(find "$prefix" -name "libvl3.*" ! -type l)
[ "$(echo "$library" | wc -l)" = 1 ] || fail "more than one library: $library"
[ -f "$prefix/include/vl3/vl3.h" ] && [ -f "$prefix/include/vl3/version.h" ] || fail "no headers"
[ -n "$(find "$prefix" -name LICENSE)" ] || fail "no licence"
if grep -rlE "$project|$build|-Wall|-fsanitize|vl3_flags" "$prefix" --include="*.cmake" --include="*.pc"; then
  fail "folders or flags of the build are in what is installed"
fi
if [ "$kind" = shared ]; then
  name=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
  [[ $name =~ ^libvl3\.so\.[0-9]+$ ]] || fail "the name that programs look for is \"$name\""
  # Functions that are seen: those of C, and members of vl3 that the headers declare. No internal names, and nothing of
  # other libraries; instances of the standard library's templates are weak, and of no interest.
  nm -D --defined-only --demangle "$library" >"$work/all"
  awk '$2 == "T" { $1 = $2 = ""; print }' "$work/all" | sed 's/^ *//' >"$work/seen"
  if grep -vE '^(vl3_[a-z_]+$|vl3::|(virtual|non-virtual) thunk to vl3::|typeinfo)' "$work/seen"; then
    fail "symbols that are not ours are seen"
  fi
  if grep -E '^vl3::(ops|capi|detail)::|^vl3::KvCache::|^vl3::read_file|^vl3::parse_json' "$work/seen"; then
    fail "internal symbols are seen"
  fi
  grep -q '^vl3::Engine::open' "$work/seen" || fail "Engine::open is not seen"
  grep -q 'vl3::Tensor::from<vl3::bf16>' "$work/all" || fail "templates of our own types are not seen"
  if objdump -p "$library" | grep -E 'NEEDED.*(cairo|libedit|x264)'; then fail "the library needs what only the program needs"; fi
fi

echo "== with CMake"
for source in "$project/tests/consumer" "$project/tests/consumer/c"; do
  made=$work/$(basename "$source")
  "$cmake" -S "$source" -B "$made" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DEXAMPLES="$project/examples" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" >"$made.log" 2>&1 || { cat "$made.log"; fail "cmake"; }
  "$cmake" --build "$made" >"$made.log" 2>&1 || { cat "$made.log"; fail "building with CMake"; }
done

echo "== with pkg-config"
export PKG_CONFIG_PATH=$packages${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
read -ra flags <<<"$(pkg-config --cflags --libs vl3)"
"$cxx" -std=c++20 -O0 "$project/examples/describe_picture.cc" "${flags[@]}" -o "$work/pkg_cxx"
read -ra flags <<<"$(pkg-config --cflags --libs vl3-c)"
"$cc" -std=c99 -pedantic -Wall -Werror "$project/examples/c/describe.c" "${flags[@]}" -o "$work/pkg_c"

echo "== the programs of docs/library.md"
snippet() { awk -v fence="\`\`\`$1 compiles whole" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$project/docs/library.md"; }
snippet cpp >"$work/snippet.cc"
snippet c >"$work/snippet.c"
[ -s "$work/snippet.cc" ] && [ -s "$work/snippet.c" ] || fail "docs/library.md has no programs"
"$cxx" -std=c++20 -Wall -Werror -fsyntax-only "$work/snippet.cc" $(pkg-config --cflags vl3)
"$cc" -std=c99 -pedantic -Wall -Werror -fsyntax-only "$work/snippet.c" $(pkg-config --cflags vl3-c)

echo "== what they answer"
export LD_LIBRARY_PATH=$(dirname "$library")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
first=
for program in "$work"/consumer/describe_cxx "$work"/consumer/describe_c "$work"/c/describe_c "$work"/pkg_cxx "$work"/pkg_c; do
  answer=$("$program" "$project/models/tiny" "$project/examples/media/shapes.png")
  [ -n "$answer" ] || fail "$program answers nothing"
  [ -z "$first" ] || [ "$answer" = "$first" ] || fail "$program answers \"$answer\", the first one \"$first\""
  first=$answer
done
echo "all five: $first"
