#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vl3::serve {
namespace {

using Bounds = std::vector<double>;

// vLLM's, which boards were drawn for.
Bounds first_token() {
  return {.001, .005, .01, .02, .04, .06, .08, .1,  .25,  .5,   .75,
          1.,   2.5,  5.,  7.5, 10., 20., 40., 80., 160., 640., 2560.};
}
Bounds between_tokens() {
  return {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1., 2.5, 5., 7.5, 10., 20., 40., 80.};
}
Bounds whole_requests() {
  return {.3,  .5,  .8,  1.,  1.5,  2.,   2.5,  5.,   10.,   15.,  20.,
          30., 40., 50., 60., 120., 240., 480., 960., 1920., 7680.};
}

// 1, 2, 5, 10, … as far as limit.
Bounds tokens(int64_t limit) {
  Bounds bounds;
  for (int64_t power = 1; power <= limit; power *= 10) {
    for (const int64_t digit : {1, 2, 5}) {
      if (digit * power <= limit) bounds.push_back(static_cast<double>(digit * power));
    }
  }
  if (bounds.empty()) bounds.push_back(1);
  return bounds;
}

class Text {
 public:
  explicit Text(const std::string& model) : model_("model_name=\"" + label_value(model) + "\"") {}

  void family(const char* name, const char* type, const char* help) {
    text_ += fmt::format("# HELP videollama3:{0} {2}\n# TYPE videollama3:{0} {1}\n", name, type, help);
  }
  template <class Value>
  void sample(const std::string& name, const std::string& labels, Value value) {
    text_ +=
        fmt::format("videollama3:{}{{{}{}{}}} {}\n", name, model_, labels.empty() ? "" : ",", labels, value);
  }
  void gauge(const char* name, const char* help, const Gauge& gauge) {
    family(name, "gauge", help);
    sample(name, "", gauge.value());
  }
  // name with its "_total".
  void counter(const char* name, const char* help, const Counter& counter) {
    family(name, "counter", help);
    sample(name, "", counter.value());
  }
  void counters(const char* name, const char* help, const char* label,
                std::initializer_list<std::pair<const char*, const Counter*>> counters) {
    family(name, "counter", help);
    for (const auto& [value, counter] : counters)
      sample(name, fmt::format("{}=\"{}\"", label, value), counter->value());
  }
  void histogram(const char* name, const char* help, const Histogram& histogram) {
    family(name, "histogram", help);
    const std::vector<uint64_t> counts = histogram.counts();
    const double sum = histogram.sum();
    uint64_t below = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      below += counts[i];
      const std::string bound =
          i < histogram.bounds().size() ? fmt::format("{}", histogram.bounds()[i]) : "+Inf";
      sample(fmt::format("{}_bucket", name), fmt::format("le=\"{}\"", bound), below);
    }
    sample(fmt::format("{}_sum", name), "", sum);
    sample(fmt::format("{}_count", name), "", below);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string model_, text_;
};

void scheduler(Text& text, const Metrics& m) {
  text.gauge("num_requests_running", "Requests that are being answered.", m.num_requests_running);
  text.gauge("num_requests_waiting", "Requests that wait for their turn.", m.num_requests_waiting);
  text.gauge("kv_cache_usage_perc", "Share of the cache of keys and values that is in use, 0 to 1.",
             m.kv_cache_usage_perc);
  text.counter("num_preemptions_total", "Requests whose cache was taken for others.", m.num_preemptions);
  text.histogram("iteration_tokens_total", "Rows of the language model in a step.", m.iteration_tokens_total);
}

void requests(Text& text, const Metrics& m) {
  text.counter("prompt_tokens_total", "Tokens of prompts.", m.prompt_tokens);
  text.counter("generation_tokens_total", "Tokens of answers.", m.generation_tokens);
  text.counter("prefix_cache_queries_total", "Tokens of prompts that were looked up.",
               m.prefix_cache_queries);
  text.counter("prefix_cache_hits_total", "Tokens of prompts that were kept from before.",
               m.prefix_cache_hits);
  const FinishCounters& ends = m.request_success;
  text.counters(
      "request_success_total", "Requests that were answered, by how the answer ended.", "finished_reason",
      {{"stop", &ends.stop}, {"length", &ends.length}, {"abort", &ends.abort}, {"error", &ends.error}});
  text.histogram("time_to_first_token_seconds", "From a request's arrival to its first token.",
                 m.time_to_first_token_seconds);
  text.histogram("inter_token_latency_seconds", "From a token of an answer to the next.",
                 m.inter_token_latency_seconds);
  text.histogram("e2e_request_latency_seconds", "From a request's arrival to its last token.",
                 m.e2e_request_latency_seconds);
  text.histogram("request_queue_time_seconds", "Waiting before anything is computed.",
                 m.request_queue_time_seconds);
  text.histogram("request_inference_time_seconds", "Computing, from the end of waiting to the last token.",
                 m.request_inference_time_seconds);
  text.histogram("request_prefill_time_seconds", "From the end of waiting to the first token.",
                 m.request_prefill_time_seconds);
  text.histogram("request_decode_time_seconds", "From the first token to the last.",
                 m.request_decode_time_seconds);
  text.histogram("request_prompt_tokens", "Tokens of a request's prompt.", m.request_prompt_tokens);
  text.histogram("request_generation_tokens", "Tokens of a request's answer.", m.request_generation_tokens);
  text.histogram("request_params_n", "How many answers a request wants.", m.request_params_n);
  text.histogram("request_params_max_tokens", "The longest answer that a request wants.",
                 m.request_params_max_tokens);
}

void media(Text& text, const Metrics& m) {
  text.histogram("media_fetch_seconds", "Downloading a picture or clip.", m.media_fetch_seconds);
  text.histogram("media_decode_seconds", "Decoding a picture or clip.", m.media_decode_seconds);
  text.histogram("media_encode_seconds", "Computing the visual tokens of a request's pictures and clips.",
                 m.media_encode_seconds);
  text.counter("media_fetched_bytes_total", "Bytes that were downloaded.", m.media_fetched_bytes);
  text.counter("frames_sampled_total", "Frames that were taken from clips.", m.frames_sampled);
  text.counters("visual_tokens_total", "Visual tokens in prompts, after compression.", "kind",
                {{"image", &m.visual_tokens.image}, {"video", &m.visual_tokens.video}});
  text.counters("visual_tokens_before_compression_total", "Visual tokens that pictures and clips have.",
                "kind", {{"image", &m.visual_tokens_before.image}, {"video", &m.visual_tokens_before.video}});
  text.family("mm_cache_queries_total", "counter", "Pictures and clips that requests show.");
  text.sample("mm_cache_queries_total", "", m.mm_cache_queries.value());
  text.family("mm_cache_hits_total", "counter", "Pictures and clips that were not encoded again.");
  text.sample("mm_cache_hits_total", "", m.mm_cache_hits.value());
  const RejectCounters& why = m.media_rejects;
  text.counters("media_rejects_total", "Pictures and clips that were refused, by why.", "reason",
                {{"address", &why.address},
                 {"unreachable", &why.unreachable},
                 {"too_large", &why.too_large},
                 {"not_media", &why.not_media},
                 {"decoder_crashed", &why.decoder_crashed},
                 {"other", &why.other}});
  text.counter("decoder_restarts_total", "Decoding processes that were begun anew after one ended.",
               m.decoder_restarts);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

void Histogram::observe(double value) noexcept {
  if (std::isnan(value)) value = 0;
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(at - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts;
  for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

Metrics::Metrics(std::string model, int64_t max_model_len)
    : time_to_first_token_seconds(first_token()),
      inter_token_latency_seconds(between_tokens()),
      e2e_request_latency_seconds(whole_requests()),
      request_queue_time_seconds(whole_requests()),
      request_inference_time_seconds(whole_requests()),
      request_prefill_time_seconds(whole_requests()),
      request_decode_time_seconds(whole_requests()),
      request_prompt_tokens(tokens(max_model_len)),
      request_generation_tokens(tokens(max_model_len)),
      request_params_n({1, 2, 5, 10, 20}),
      request_params_max_tokens(tokens(max_model_len)),
      iteration_tokens_total({1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}),
      media_fetch_seconds(first_token()),
      media_decode_seconds(first_token()),
      media_encode_seconds(first_token()),
      model_(std::move(model)) {}

void Metrics::count_http(std::string_view route, int status) {
  const std::scoped_lock lock(mutex_);
  ++http_[{std::string(route), status / 100}];
}

std::string Metrics::text() const {
  Text text(model_);
  scheduler(text, *this);
  requests(text, *this);
  media(text, *this);
  text.gauge("http_connections", "Connections that are open.", http_connections);
  text.family("http_requests_total", "counter", "Requests over HTTP, by route and class of status.");
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, count] : http_) {
      text.sample("http_requests_total",
                  fmt::format("route=\"{}\",status=\"{}xx\"", label_value(key.first), key.second), count);
    }
  }
  return text.take();
}

std::string label_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace vl3::serve
