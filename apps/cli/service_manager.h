#pragma once
// What a service manager (systemd) and a server tell each other: sockets that listen already, signals, and
// when it is ready.

#include <optional>
#include <string>
#include <vector>

namespace vl3::cli {

// Descriptors that were passed with LISTEN_FDS for this process; the variables are removed. Empty: none were.
std::vector<int> passed_sockets();
// The address that a socket is bound to, as text; "" where it has none.
std::string address_of_socket(int descriptor);
// As many open files as the system lets this process have; each connection and each decoder needs some.
void raise_file_limit();
// A message to the service manager, e.g. "READY=1"; nothing where there is none.
void tell_service_manager(const std::string& state);

// SIGTERM, SIGINT and SIGHUP as a queue. To be made before any other thread: they are blocked in this one and
// in those that it begins.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int wait();  // the next one
  std::optional<int> wait_for(double seconds);

 private:
  int descriptor_;
};

}  // namespace vl3::cli
