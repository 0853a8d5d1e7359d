#pragma once
// The program's side of worker.h: starts the process that forks decoders, and starts it again when it dies.

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/wire.h"

namespace vl3::sandbox {

struct Decoder {
  pid_t number = -1;
  Fd socket;
  int64_t of_start = 0;  // of the process that made it
};

// Thread-safe.
class Nursery {
 public:
  // command: the program that calls wait_for_orders, with its arguments. Nothing is started yet.
  explicit Nursery(std::vector<std::string> command) : command_(std::move(command)) {}
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // restarted: set where the process that forks had died and was started again. Throws kIo where no process
  // can be started.
  Decoder make(bool* restarted);
  // Kills it where it still runs. What waitpid tells of it; nothing where nobody knows any more.
  std::optional<int> end(Decoder decoder);

 private:
  void start();
  void stop() noexcept;
  std::optional<int32_t> ask(const void* order, size_t bytes, int fd);

  const std::vector<std::string> command_;
  std::mutex mutex_;  // of what follows: one order at a time
  Fd orders_;
  pid_t process_ = -1;
  int64_t starts_ = 0;
};

}  // namespace vl3::sandbox
