#include "runtime.h"

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "base/check.h"
#include "gil.h"

namespace nb = nanobind;

namespace vl3::python {

struct Runtime::Turn {
  explicit Turn(const ContextOptions& options) : context(options) {}
  Context context;
  std::timed_mutex mutex;
  const pid_t process = getpid();

  // For calls that a callback makes: whoever has this turn waits for them.
  std::shared_ptr<Turn> within(const ContextOptions& options) {
    const std::lock_guard lock(within_mutex);
    if (within_ == nullptr) within_ = std::make_shared<Turn>(options);
    return within_;
  }
  void cancel() {
    context.cancel();
    const std::lock_guard lock(within_mutex);
    if (within_ != nullptr) within_->cancel();
  }

 private:
  std::mutex within_mutex;
  std::shared_ptr<Turn> within_;
};

namespace {

// A fork has none of the threads that a context waits for in the end: what belongs to it is left as it is.
template <class T>
void leave(std::shared_ptr<T> value) {
  new std::shared_ptr<T>(std::move(value));
}

}  // namespace

Compute compute_of(const std::string& option, const std::string& name) {
  if (name == "auto") return Compute::kAuto;
  if (name == "f32") return Compute::kF32;
  fail(ErrorCode::kInvalidArgument, R"([options] "{}" is "{}"; it should be "auto" or "f32")", option, name);
}

std::optional<CacheType> cache_type_of(const std::string& option, const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "f32") return CacheType::kF32;
  if (name == "f16") return CacheType::kF16;
  if (name == "int8") return CacheType::kInt8;
  fail(ErrorCode::kInvalidArgument, R"([options] "{}" is "{}"; it should be "auto", "f32", "f16" or "int8")",
       option, name);
}

Runtime::Runtime(ContextOptions options) : options_(std::move(options)) {
  if (!options_.log) options_.log = python_log();
  turn_ = std::make_shared<Turn>(options_);  // so that wrong options are told here
}

Runtime::~Runtime() {
  loans_->settle();
  if (turn_->process != getpid()) leave(std::move(turn_));
}

std::shared_ptr<Runtime::Turn> Runtime::turn() {
  if (turn_->process == getpid()) return turn_;
  if (!turn_->mutex.try_lock()) {
    throw std::runtime_error(
        "[fork] this process was forked while the model was answering: fork between calls, or start "
        "processes by \"spawn\"");
  }
  auto fresh = std::make_shared<Turn>(options_);
  leave(std::exchange(turn_, fresh));
  return fresh;
}

void Runtime::run(const std::function<void(Context&)>& work) {
  std::shared_ptr<Turn> mine = turn();
  const bool in_callback = WithGil::in_callback();
  loans_->settle();  // of calls before
  // Cancelled before it is this call's turn, the call ends; later its context does.
  std::mutex state;
  bool stop = false, running = false;
  const auto cancel = [&] {
    const std::lock_guard lock(state);
    stop = true;
    if (running) mine->cancel();
  };
  run_off_gil(
      [&] {
        std::unique_lock turn(mine->mutex, std::defer_lock);
        while (!turn.try_lock_for(in_callback ? std::chrono::milliseconds(0) : kSignalPeriod)) {
          const std::lock_guard lock(state);
          require(!stop, ErrorCode::kCancelled, "[model] cancelled");
          if (!in_callback) continue;
          mine = mine->within(options_);
          turn = std::unique_lock(mine->mutex, std::defer_lock);
        }
        {
          const std::lock_guard lock(state);
          require(!stop, ErrorCode::kCancelled, "[model] cancelled");
          mine->context.clear_cancel();
          running = true;
        }
        struct End {
          std::mutex& state;
          bool& running;
          ~End() {
            const std::lock_guard lock(state);
            running = false;
          }
        } const end{state, running};
        work(mine->context);
      },
      cancel);
}

LogSink python_log() {
  return [](LogLevel level, std::string_view message) {
    if (!nb::is_alive() || Py_IsInitialized() == 0) return;
    const WithGil acquire;
    const int number = level == LogLevel::kDebug ? 10 : level == LogLevel::kInfo ? 20 : 30;
    const nb::object logger = nb::module_::import_("logging").attr("getLogger")("videollama3");
    logger.attr("log")(number, "%s", nb::str(message.data(), message.size()));
  };
}

}  // namespace vl3::python
