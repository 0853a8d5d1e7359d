#pragma once
// A second device for tests: memory that is the host's, but that nothing outside may touch.

#include <cstring>

#include "vl3/tensor.h"

namespace vl3::test {

class FakeBackend final : public Backend {
 public:
  explicit FakeBackend(uint8_t index = 0, const char* name = "fake")
      : device_{DeviceKind::kExternal, index, name} {}

  Device device() const noexcept override { return device_; }
  std::shared_ptr<Storage> allocate(size_t bytes) override {
    auto memory = std::make_shared<std::string>(bytes, '\xcd');
    ++allocations;
    return Storage::wrap(
        memory->data(), bytes, false, [memory] {}, shared_from_this());
  }
  void copy(const Storage& from, size_t from_byte, Storage& to, size_t to_byte, size_t bytes) override {
    std::memcpy(to.address() + to_byte, from.address() + from_byte, bytes);
    ++copies;
  }

  int allocations = 0, copies = 0;

 private:
  Device device_;
};

}  // namespace vl3::test
