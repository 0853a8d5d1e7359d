#pragma once
// An engine, its scheduler and the thread that steps it: what stands behind the handle vl3_engine.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "capi/json_text.h"
#include "capi/request.h"
#include "engine/engine_thread.h"
#include "engine/worker_pool.h"
#include "vl3/answer_request.h"
#include "vl3/context.h"
#include "vl3/engine.h"
#include "vl3/media_fetch.h"
#include "vl3/scheduler.h"
#include "vl3/structured_output.h"

namespace vl3::capi {

// Thread-safe but for the destructor, which cancels what is under way or waits, and ends when none is.
class Session {
 public:
  Session(std::string folder, OpenOptions options);
  ~Session();
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
  void give(const std::shared_ptr<Request>& request, AnswerRequest asked, RequestOptions options);
  void fetch_and_give(const std::shared_ptr<Request>& request, AnswerRequest asked, RequestOptions options,
                      double submitted_s);

  std::string folder_;
  Engine engine_;
  std::once_flag compiler_once_;
  std::optional<StructuredCompiler> compiler_;  // of forms of answers, made when the first is asked for
  Context context_;
  std::mutex mutex_;
  std::map<const Request*, RequestId> live_;  // not ended
  std::set<const Request*> fetching_;         // not in live_ yet: what they name is fetched, or waits for it
  std::atomic<bool> closing_{false};
  std::optional<MediaFetcher> fetcher_;  // none: addresses are refused by the processor
  // The last members: their threads use the others, and those of the pool the engine's.
  EngineThread thread_;  // tells requests of their end
  WorkerPool fetchers_;
};

}  // namespace vl3::capi
