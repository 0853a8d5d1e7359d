#pragma once
// Where memory lies, and who allocates and copies it there.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vl3/export.h"

namespace vl3 {

class Storage;

// kExternal: of a backend that a program brings along (ContextOptions::backends).
enum class DeviceKind : uint8_t { kCpu, kExternal };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  uint8_t index = 0;              // among devices of this name
  std::string_view name = "cpu";  // of its backend, and alive as long as that is

  bool is_host() const noexcept { return kind == DeviceKind::kCpu; }
  friend bool operator==(const Device&, const Device&) = default;
};
VL3_API std::string to_string(const Device& device);  // "cpu"; "name:index" of another one

// Memory of one device. Thread-safe. Held by a shared_ptr: a device's storages keep their backend alive.
class VL3_API Backend : public std::enable_shared_from_this<Backend> {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual Device device() const noexcept = 0;
  // Of at least so many bytes, aligned to 64, not initialised. Throws kOutOfMemory with the size asked for.
  virtual std::shared_ptr<Storage> allocate(size_t bytes) = 0;
  // Bytes from one storage to another; each is this device's or the host's. Done when it returns. The ranges
  // are inside the storages, which is the caller's part to check, and do not overlap.
  virtual void copy(const Storage& from, size_t from_byte, Storage& to, size_t to_byte, size_t bytes) = 0;
};

// "cpu": memory of the host, from Storage::allocate.
VL3_API std::shared_ptr<Backend> make_cpu_backend();

// The backend of this name among the one of the host and others. Throws kInvalidArgument, with the names
// there are, for another name.
VL3_API std::shared_ptr<Backend> backend_named(std::string_view name,
                                               std::span<const std::shared_ptr<Backend>> others);

}  // namespace vl3
