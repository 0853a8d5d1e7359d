#pragma once
// The processes that decode. One, which never sees a foreign byte, waits for orders and forks; each of its
// children is confined, does one job and ends. Nothing that one client sent meets another's.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sandbox/wire.h"

namespace vl3::sandbox {

// The descriptor on which the waiting process takes its orders; the program starts it so.
inline constexpr int kOrders = 3;

// Orders and what comes back, one packet each. kFork comes with the child's end of its socket; kEnd kills the
// child where it still runs, and its result is what waitpid tells of it.
enum class OrderKind : uint32_t { kFork, kEnd };
struct Order {
  OrderKind kind = OrderKind::kFork;
  int32_t child = 0;  // of kEnd
};
struct OrderResult {
  int32_t value = 0;  // of kFork: the child's number, or -errno
};
bool send_packet(int socket, const void* packet, size_t bytes, int fd = -1);
// False when the other side is gone, or has not answered for so long (-1: any time).
bool receive_packet(int socket, void* packet, size_t bytes, Fd* fd = nullptr, int timeout_ms = -1);

// The rest of this process: waits for orders until the program is gone. What it returns is its exit status.
// Where it was started by hand it says on stderr what it is for. before_decoding: called in each child when
// it is confined, with the first source's name; for tests of what a child may do.
int wait_for_orders(const std::function<void(const std::string& name)>& before_decoding = nullptr);

}  // namespace vl3::sandbox
