#include "sandbox/lease.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace vl3::sandbox {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kAskedEvery{50};  // whether it was cancelled

std::vector<std::string> command_of(const SandboxOptions& options) {
  if (!options.command.empty()) return options.command;
  return {"/proc/self/exe", "decode-worker"};
}

void check_cancelled(const std::string& name, const Lease::Cancelled& cancelled) {
  require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", name);
}

}  // namespace

// --- the pool

DecoderPool::DecoderPool(SandboxOptions options)
    : options_(std::move(options)), nursery_(command_of(options_)) {}

SandboxStats DecoderPool::stats() const {
  const std::lock_guard lock(mutex_);
  return {jobs_, running_, crashed_, timed_out_, restarts_};
}

void DecoderPool::count(SandboxEvent::Kind kind, double seconds) {
  {
    const std::lock_guard lock(mutex_);
    if (kind == SandboxEvent::Kind::kCrashed) ++crashed_;
    if (kind == SandboxEvent::Kind::kTimedOut) ++timed_out_;
    if (kind == SandboxEvent::Kind::kRestarted) ++restarts_;
  }
  if (options_.on_event) options_.on_event({kind, seconds});
}

Decoder DecoderPool::take(const std::string& name, const Lease::Cancelled& cancelled) {
  std::unique_lock lock(mutex_);
  const Clock::time_point deadline = Clock::now() + options_.total_timeout;
  while (running_ >= options_.max_decoders) {
    if (!parked_.empty()) {
      Lease* longest = parked_.front();
      parked_.pop_front();
      longest->parked_.reset();
      Decoder ended = std::move(longest->decoder_);
      longest->decoder_.number = -1;
      lock.unlock();
      give_back(std::move(ended));
      lock.lock();
      continue;
    }
    freed_.wait_for(lock, kAskedEvery);
    check_cancelled(name, cancelled);
    require(Clock::now() < deadline, ErrorCode::kLimitExceeded,
            "[{}] all {} decoders are at work; try again later", name, options_.max_decoders);
  }
  ++running_;
  ++jobs_;
  lock.unlock();
  try {
    bool restarted = false;
    Decoder decoder = nursery_.make(&restarted);
    if (restarted) count(SandboxEvent::Kind::kRestarted);
    return decoder;
  } catch (...) {
    lock.lock();
    --running_;
    throw;
  }
}

std::optional<int> DecoderPool::give_back(Decoder decoder) {
  const std::optional<int> status = nursery_.end(std::move(decoder));
  const std::lock_guard lock(mutex_);
  --running_;
  freed_.notify_one();
  return status;
}

// --- one decoder

Lease::Lease(std::shared_ptr<DecoderPool> pool, const Job& job, const Cancelled& cancelled)
    : pool_(std::move(pool)), name_(job.sources[0].name()), limits_(job.limits) {
  decoder_ = pool_->take(name_, cancelled);
  try {
    send_job(decoder_.socket.get(), job);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) died();
    end();
    throw;
  } catch (...) {
    end();
    throw;
  }
}

Lease::~Lease() { end(); }

std::optional<int> Lease::end() {
  {
    const std::lock_guard lock(pool_->mutex_);
    if (parked_) pool_->parked_.erase(*parked_);
    parked_.reset();
  }
  if (decoder_.number < 0) return {};
  Decoder ended = std::move(decoder_);
  decoder_.number = -1;
  return pool_->give_back(std::move(ended));
}

void Lease::done() {
  pool_->count(SandboxEvent::Kind::kDecoded, std::chrono::duration<double>(waited_).count());
}

void Lease::park() {
  const std::lock_guard lock(pool_->mutex_);
  parked_ = pool_->parked_.insert(pool_->parked_.end(), this);
  pool_->freed_.notify_one();
}

bool Lease::unpark() {
  const std::lock_guard lock(pool_->mutex_);
  if (!parked_) return decoder_.number >= 0;
  pool_->parked_.erase(*parked_);
  parked_.reset();
  return true;
}

void Lease::send(MessageKind kind, std::string_view body, std::span<const int> fds) {
  try {
    sandbox::send(decoder_.socket.get(), kind, body, fds);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) throw;
    died();
  }
}

Message Lease::next(const Cancelled& cancelled, std::optional<ClipState>* state) {
  const SandboxOptions& options = pool_->options();
  const Clock::time_point begun = Clock::now();
  const auto wait = [&] {
    check_cancelled(name_, cancelled);
    const Clock::duration so_far = Clock::now() - begun;
    if (so_far > options.answer_timeout) timed_out("an answer", options.answer_timeout);
    if (waited_ + so_far > options.total_timeout) timed_out("decoding", options.total_timeout);
    return static_cast<int>(kAskedEvery.count());
  };
  std::optional<Message> message;
  try {
    message = receive(decoder_.socket.get(), wait);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kFormat) broke_rules();
    throw;
  }
  waited_ += Clock::now() - begun;
  if (!message) died();
  if (message->kind == MessageKind::kError) throw_error(*message, state);
  return *std::move(message);
}

void Lease::throw_error(const Message& message, std::optional<ClipState>* state) {
  int32_t number = 0;
  bool ended = false;
  std::string words;
  try {
    Reader reader(message.body);
    number = reader.get<int32_t>();
    ended = reader.get_flag();
    words = shown_text(reader.get_text(4096));
    if (reader.get_flag() && state != nullptr) *state = get_clip_state(reader, limits_);
  } catch (const Error&) {
    broke_rules();
  }
  if (number < 0 || number > static_cast<int32_t>(ErrorCode::kInternal)) broke_rules();
  const auto code = static_cast<ErrorCode>(number);
  if (ended) throw ClipEnded(words);
  require(code != ErrorCode::kOutOfMemory, ErrorCode::kLimitExceeded,
          "[{}] takes more than the {} MiB of memory that its decoder has", name_,
          pool_->options().memory_bytes >> 20);
  // The machine's own troubles are told as they are; a fault of ours is the decoder's, for whoever sent this.
  require(code != ErrorCode::kInternal, ErrorCode::kFormat, "[{}] could not be decoded", name_);
  throw Error(code, words);
}

void Lease::broke_rules() {
  end();
  pool_->count(SandboxEvent::Kind::kCrashed);
  fail(ErrorCode::kFormat, "[{}] broke its decoder, which gave no answer that makes sense", name_);
}

void Lease::timed_out(const char* limit, milliseconds most) {
  end();
  pool_->count(SandboxEvent::Kind::kTimedOut);
  fail(ErrorCode::kLimitExceeded, "[{}] takes too long: {} may take {} ms", name_, limit, most.count());
}

void Lease::died() {
  const std::optional<int> status = end();
  const bool killed = status && WIFSIGNALED(*status);
  const int signal = killed ? WTERMSIG(*status) : 0;
  // Whoever forked it is gone, and all its decoders with it: no fault of what was decoded.
  require(status.has_value(), ErrorCode::kCancelled,
          "[{}] was cut off: the process that makes decoders has died; it is started again", name_);
  pool_->count(signal == SIGXCPU ? SandboxEvent::Kind::kTimedOut : SandboxEvent::Kind::kCrashed);
  require(signal != SIGXCPU, ErrorCode::kLimitExceeded,
          "[{}] takes too long: decoding may take {} s of a processor", name_, pool_->options().cpu_s);
  require(signal != SIGKILL, ErrorCode::kLimitExceeded,
          "[{}] ended its decoder, which was killed: there may not be enough memory for it", name_);
  require(!killed, ErrorCode::kFormat, "[{}] crashed its decoder (signal {})", name_, signal);
  fail(ErrorCode::kFormat, "[{}] ended its decoder, which gave no answer", name_);
}

}  // namespace vl3::sandbox
