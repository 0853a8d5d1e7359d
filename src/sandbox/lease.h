#pragma once
// Decoders as they are used: who has one, how long it may take, and what its end means.

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "sandbox/job.h"
#include "sandbox/nursery.h"
#include "sandbox/sandboxed_decoder.h"

namespace vl3::sandbox {

class DecoderPool;

// One decoder at its job. Not for several threads at a time. Its end ends the process.
class Lease {
 public:
  using Cancelled = std::function<bool()>;

  // Waits for a place, then makes a decoder and sends it the job. Throws as SandboxedDecoder says.
  Lease(std::shared_ptr<DecoderPool> pool, const Job& job, const Cancelled& cancelled = {});
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  void send(MessageKind kind, std::string_view body, std::span<const int> fds = {});
  // The decoder's next message; what it throws (kError) is thrown, with kOutOfMemory as the limit that it is.
  // state: set where such a message has a clip's.
  Message next(const Cancelled& cancelled = {}, std::optional<ClipState>* state = nullptr);
  // That the decoder broke the rules: ends it. Throws.
  [[noreturn]] void broke_rules();
  // What f reads of a message: it breaks the rules where that is not there, or f throws anything but
  // kLimitExceeded.
  template <class F>
  auto parse(const Message& message, F f) {
    try {
      Reader reader(message.body);
      return f(reader);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kLimitExceeded) throw;
      broke_rules();
    }
  }

  // Nobody waits for this decoder now: where places are short it may be ended. False from unpark(): it was.
  void park();
  bool unpark();

 private:
  friend class DecoderPool;
  [[noreturn]] void died();
  [[noreturn]] void timed_out(const char* limit, std::chrono::milliseconds most);
  void throw_error(const Message& message, std::optional<ClipState>* state);
  std::optional<int> end();

  const std::shared_ptr<DecoderPool> pool_;
  const std::string name_;
  const MediaLimits limits_;
  Decoder decoder_;
  std::chrono::steady_clock::duration waited_{};  // for its answers, in all
  std::optional<std::list<Lease*>::iterator> parked_;
};

class DecoderPool {
 public:
  explicit DecoderPool(SandboxOptions options);

  const SandboxOptions& options() const noexcept { return options_; }
  SandboxStats stats() const;

 private:
  friend class Lease;
  Decoder take(const std::string& name, const Lease::Cancelled& cancelled);
  std::optional<int> give_back(Decoder decoder);

  const SandboxOptions options_;
  Nursery nursery_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable freed_;
  int64_t jobs_ = 0, running_ = 0, crashed_ = 0, timed_out_ = 0;
  std::list<Lease*> parked_;  // the longest parked first
};

}  // namespace vl3::sandbox
