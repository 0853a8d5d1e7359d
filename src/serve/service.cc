#include "serve/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/check.h"
#include "vl3/context_exceeded.h"

namespace vl3::serve {

Service::Service(ApiOptions given, Context& context, const Engine& opened, MediaIntake& media, Metrics& fed)
    : options(std::move(given)),
      engine(opened),
      intake(media),
      metrics(fed),
      created(unix_time()),
      forms(opened.processor().tokenizer()),
      thread(context, opened, options.scheduler),
      parsers(options.parsing_threads),
      fetchers(options.fetching_threads) {
  require(context_tokens() > 0, ErrorCode::kInvalidArgument,
          "[--kv-cache] {} bytes hold no keys and values of a prompt beside what answers share",
          options.scheduler.kv_cache_bytes);
  thread.after_steps([this](const SchedulerStats& stats) {
    const int64_t rows = stats.prompt_tokens - last_.prompt_tokens + stats.new_tokens - last_.new_tokens;
    if (rows > 0) metrics.iteration_tokens_total.observe(static_cast<double>(rows));
    metrics.num_preemptions.add(static_cast<uint64_t>(stats.preemptions - last_.preemptions));
    last_ = stats;
    update_gauges();
  });
}

// Those that submit go first, and what they have submitted is told of its end while everything is there.
Service::~Service() {
  parsers.stop();
  fetchers.stop();
}

SamplingSource Service::sampling_source() const {
  return {engine.processor().tokenizer(), engine.default_settings(), engine.model().config().text.vocab_size};
}

int64_t Service::context_tokens() const { return thread.scheduler().context_tokens(); }

void Service::update_gauges() {
  const SchedulerStats stats = thread.scheduler().stats();
  const int64_t running = stats.encoding + stats.prefilling + stats.decoding;
  metrics.num_requests_running.set(static_cast<double>(running));
  metrics.num_requests_waiting.set(static_cast<double>(std::max<int64_t>(open - running, 0)));
  if (stats.max_cache_blocks > 0)
    metrics.kv_cache_usage_perc.set(static_cast<double>(stats.cache_blocks) /
                                    static_cast<double>(stats.max_cache_blocks));
}

void Service::watch(const std::shared_ptr<UnderWay>& request) {
  const std::lock_guard lock(mutex_);
  watched_.push_back(request);
}

std::vector<std::shared_ptr<UnderWay>> Service::under_way() {
  std::vector<std::shared_ptr<UnderWay>> requests;
  const std::lock_guard lock(mutex_);
  for (auto entry = watched_.begin(); entry != watched_.end();) {
    if (auto request = entry->lock()) {
      requests.push_back(std::move(request));
      ++entry;
    } else {
      entry = watched_.erase(entry);
    }
  }
  return requests;
}

void Service::glance() {
  for (const auto& request : under_way()) request->glance();
}

void Service::cut_off() {
  ApiError error(503, "shutting_down",
                 "The server shuts down: the time that it gives answers to end is over.");
  error.retry_after_s = 5;
  for (const auto& request : under_way()) request->cut_off(error);
}

ApiError deadline_exceeded(std::string_view when) {
  return {504, "deadline_exceeded", fmt::format("The time for this request ran out {}.", when)};
}

OpenPlace::OpenPlace(Service& service) : service_(service) {
  if (service.draining) {
    ApiError error(503, "shutting_down", "The server is shutting down and takes no more requests.");
    error.retry_after_s = 5;
    throw error;
  }
  const int64_t most = service.options.max_open;
  if (++service_.open > most && most > 0) {
    --service_.open;
    ApiError error(
        429, "queue_full",
        fmt::format("{} requests are being answered or wait, which is the limit: try again later.", most));
    error.retry_after_s = 1;
    throw error;
  }
}

ApiError Service::refusal(const std::exception_ptr& failure, const std::string& id,
                          const std::string& prompt) const {
  try {
    std::rethrow_exception(failure);
  } catch (const ContextExceeded& error) {
    return {400, "context_length_exceeded",
            fmt::format(
                "{} {} tokens, and the prompt has {}{} with {} for the answer: "
                "shorten it, lower max_tokens, or the size of pictures, fps and max_frames where it has any.",
                error.context_tokens() < engine.model().config().text.max_position_embeddings
                    ? "The memory for keys and values (--kv-cache) holds"
                    : "This model's context holds",
                error.context_tokens(), error.prompt_tokens(),
                error.prompt_tokens() >= error.context_tokens() ? "" : ",", error.new_tokens()),
            prompt};
  } catch (const std::exception& error) {
    ApiError told = to_api_error(failure);
    if (told.status == 500 && options.failed) options.failed(id, error.what());
    return told;
  } catch (...) {
    return to_api_error(failure);
  }
}

std::string random_hex(size_t digits) {
  thread_local std::mt19937_64 random(std::random_device{}());
  std::string text;
  while (text.size() < digits) text += fmt::format("{:016x}", random());
  text.resize(digits);
  return text;
}

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace vl3::serve
