#pragma once
// What calls of one model compute with.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "lent_media.h"
#include "off_gil.h"
#include "vl3/context.h"

namespace vl3::python {

// Of an option, by its name and what it says: "auto" or "f32"; "auto" (none), "f32", "f16" or "int8". Throws
// kInvalidArgument naming both.
Compute compute_of(const std::string& option, const std::string& name);
std::optional<CacheType> cache_type_of(const std::string& option, const std::string& name);

// A context and whose turn it is: calls of several threads come one after the other, each with all of the
// context's threads. Its threads are made with the first call, and anew after a fork.
class Runtime {
 public:
  explicit Runtime(ContextOptions options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const ContextOptions& options() const noexcept { return options_; }
  // What its calls read where Python has it; given back when a call has ended.
  Loans& loans() const noexcept { return *loans_; }

  // work with the interpreter's lock released, as run_off_gil; Ctrl-C cancels the context. A call from a
  // callback of another one does not wait for its turn: it has a context of its own. Throws RuntimeError
  // where the process was forked while a call was under way.
  void run(const std::function<void(Context&)>& work);
  template <class Work>
  auto call(Work&& work) {
    std::optional<decltype(work(std::declval<Context&>()))> result;
    run([&](Context& context) { result.emplace(work(context)); });
    return std::move(*result);
  }

 private:
  struct Turn;
  std::shared_ptr<Turn> turn();

  ContextOptions options_;
  std::shared_ptr<Loans> loans_ = std::make_shared<Loans>();
  std::shared_ptr<Turn> turn_;  // read and replaced under the interpreter's lock
};

// A sink that writes to logging.getLogger("videollama3"), from any thread; nothing once Python ends.
LogSink python_log();

}  // namespace vl3::python
