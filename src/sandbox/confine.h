#pragma once
// What a decoder gives up before it looks at foreign bytes. Nothing of it can be taken back.

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace vl3::sandbox {

struct Confinement {
  uint64_t memory_bytes = 0;  // beside what the program takes by itself
  int cpu_s = 0;              // of all of its threads
};

// The system calls that are left: reading and writing what is open, memory that is not executed, threads,
// time. Paths are not opened or looked at (EACCES), what is unknown is not there (ENOSYS), and what only
// somebody who has taken over the decoder would do (sockets, programs, processes, signals, the kernel's
// parts) kills it.
using Filter = std::vector<sock_filter>;
// Throws kUnsupported where libseccomp cannot make it.
Filter make_filter();

// Limits, no new privileges, the filter. Throws kUnsupported where the kernel refuses: then nothing foreign
// may be decoded.
void confine(const Confinement& limits, const Filter& filter);

}  // namespace vl3::sandbox
