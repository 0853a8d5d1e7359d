#pragma once
// Options whose value is a size: bytes, "64M", "1.5 GiB".

#include <CLI/CLI.hpp>
#include <cstdint>

namespace vl3::cli {

inline constexpr uint64_t kMostBytes = uint64_t{1} << 50;  // 1 PiB, more than any machine here has

// Turns the value of an option into a number of bytes. A number alone is bytes; behind one, with a blank or
// without, may stand K, M, G or T, powers of 1,024, each also as KB and KiB. What is no such size, or not
// from `least` to `most`, is refused with value and limit.
CLI::Validator size_in_bytes(uint64_t least = 1, uint64_t most = kMostBytes);

// The same of options whose numbers alone count GiB, and which are kept as such. zero: 0 is allowed, too.
CLI::Validator size_in_gib(bool zero = false);

}  // namespace vl3::cli
