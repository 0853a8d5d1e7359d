#pragma once
// What is counted and measured while serving, and its text for Prometheus (version 0.0.4). Names are those of
// vLLM, which people's boards know, under "videollama3:"; labels come from fixed lists and never from
// clients.

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vl3::serve {

class Counter {
 public:
  void add(uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);  // rising; +Inf is added
  void observe(double value) noexcept;             // NaN counts as 0
  const std::vector<double>& bounds() const noexcept { return bounds_; }
  // As many as bounds and one: values up to each bound and above the one before.
  std::vector<uint64_t> counts() const;
  double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Answers by how they ended.
struct FinishCounters {
  Counter stop, length, abort, error;
};

// Visual tokens in prompts, after compression.
struct KindCounters {
  Counter image, video;
};

// Media that were refused, by why.
struct RejectCounters {
  Counter address, unreachable, too_large, not_media, decoder_crashed, other;
};

// Thread-safe: each member is fed by whoever knows it.
class Metrics {
 public:
  // model is the one label that all have; histograms of tokens go up to max_model_len.
  Metrics(std::string model, int64_t max_model_len);

  // Of the scheduler, set after steps or when asked for.
  Gauge num_requests_running, num_requests_waiting;
  Gauge kv_cache_usage_perc;  // 0 to 1
  Counter num_preemptions;

  // Of requests.
  Counter prompt_tokens, generation_tokens;
  Counter prefix_cache_queries, prefix_cache_hits;  // tokens of prompts, and those of them that were kept
  FinishCounters request_success;                   // videollama3:request_success_total{finished_reason}
  Histogram time_to_first_token_seconds, inter_token_latency_seconds, e2e_request_latency_seconds;
  Histogram request_queue_time_seconds, request_inference_time_seconds;
  Histogram request_prefill_time_seconds, request_decode_time_seconds;
  Histogram request_prompt_tokens, request_generation_tokens;
  Histogram request_params_n, request_params_max_tokens;
  Histogram iteration_tokens_total;  // rows of the language model in a step

  // Of media.
  Histogram media_fetch_seconds, media_decode_seconds;
  Histogram media_encode_seconds;         // of a request that has media
  Gauge mm_cache_queries, mm_cache_hits;  // pictures and clips, and those not encoded again; both only rise
  Counter media_fetched_bytes, frames_sampled;
  KindCounters visual_tokens, visual_tokens_before;  // after and before compression
  RejectCounters media_rejects;                      // videollama3:media_rejects_total{reason}
  Counter decoder_restarts;

  // Of HTTP. route: a pattern of the table of routes, or "none".
  Gauge http_connections;
  void count_http(std::string_view route, int status);

  std::string text() const;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  const std::string model_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> http_;  // by route and hundreds of the status
};

// A value of a label as the text has it: \, " and line ends are escaped.
std::string label_value(std::string_view value);

}  // namespace vl3::serve
