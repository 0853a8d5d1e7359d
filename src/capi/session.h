#pragma once
// An engine, its scheduler and the thread that steps it: what stands behind the handle vl3_engine.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "capi/request.h"
#include "engine/engine_thread.h"
#include "vl3/context.h"
#include "vl3/engine.h"
#include "vl3/scheduler.h"
#include "vl3/structured_output.h"

namespace vl3::capi {

// Thread-safe but for the destructor, which cancels what is under way or waits, and ends when none is.
class Session {
 public:
  Session(std::string folder, const EngineOptions& engine, ContextOptions context);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws what parse_answer_request throws, and kInvalidArgument for "client", "priority" and "deadline_s".
  std::shared_ptr<Request> submit(const Json& request);
  // Within a step of the model.
  void cancel(Request& request);
  // As vl3_engine_describe has it.
  Json describe() const;

 private:
  const StructuredCompiler& compiler();

  std::string folder_;
  Engine engine_;
  std::once_flag compiler_once_;
  std::optional<StructuredCompiler> compiler_;  // of forms of answers, made when the first is asked for
  Context context_;
  std::mutex mutex_;
  std::map<const Request*, RequestId> live_;  // not ended
  EngineThread thread_;                       // the last member: it tells requests of their end
};

}  // namespace vl3::capi
