#include "serve/answer_outcome.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "engine/visual_tokens.h"
#include "model/kv_cache.h"

namespace vl3::serve {
namespace {

std::string finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      break;
  }
  return "abort";
}

double mean_logprob(const GenerationResult& result) {
  const double sum = std::accumulate(result.logprobs.begin(), result.logprobs.end(), 0.0,
                                     [](double s, const TokenLogprob& t) { return s + t.logprob; });
  return result.logprobs.empty() ? 0 : sum / static_cast<double>(result.logprobs.size());
}

Choice choice_of(GenerationResult result, int64_t index, const Sampling& sampling) {
  Choice choice;
  choice.index = index;
  choice.text = result.text;
  choice.finish_reason = finish_name(result.finish_reason);
  const auto& own = sampling.settings.stop_token_ids;
  if (!result.stop_reason.empty()) {
    choice.stop_reason = result.stop_reason;
    if (sampling.include_stop) choice.text += result.stop_reason;
  } else if (result.stop_token && std::find(own.begin(), own.end(), *result.stop_token) != own.end()) {
    choice.stop_reason = *result.stop_token;
  }
  choice.result = std::move(result);
  return choice;
}

// Rows of [n, 3], and one merge size each.
template <typename Take>
void each_grid(const Tensor& grids, const Tensor& merges, const Take& take) {
  if (!grids.defined()) return;
  const std::span<const int64_t> sizes = grids.span<int64_t>(), merge = merges.span<int64_t>();
  for (size_t i = 0; i < merge.size(); ++i)
    take(i, sizes[3 * i], sizes[3 * i + 1] / merge[i], sizes[3 * i + 2] / merge[i]);
}

double ratio(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

}  // namespace

Json Usage::to_json() const {
  return {
      {"prompt_tokens", prompt_tokens},
      {"completion_tokens", completion_tokens},
      {"total_tokens", total_tokens()},
      {"prompt_tokens_details",
       {{"cached_tokens", cached_tokens}, {"image_tokens", image_tokens}, {"video_tokens", video_tokens}}},
      {"completion_tokens_details", nullptr}};
}

Json media_report_of(const ProcessorOutput& inputs) {
  Json images = Json::array();
  each_grid(inputs.images.image_grid_thw, inputs.images.image_merge_sizes,
            [&](size_t, int64_t t, int64_t h, int64_t w) {
              images.push_back({{"tokens", t * h * w}, {"grid", {h, w}}});
            });
  Json videos = to_json(inputs.videos.clips);
  const Tensor& mask = inputs.videos.video_compression_mask;
  size_t at = 0;
  each_grid(inputs.videos.video_grid_thw, inputs.videos.video_merge_sizes,
            [&](size_t i, int64_t t, int64_t h, int64_t w) {
              if (i >= videos.size()) return;
              videos[i]["grid"] = {h, w};
              Json masks = Json::array();
              for (int64_t frame = 0; mask.defined() && frame < t; ++frame) {
                std::string row;
                for (int64_t token = 0; token < h * w; ++token)
                  row += mask.span<uint8_t>()[at++] != 0 ? '1' : '0';
                masks.push_back(std::move(row));
              }
              videos[i]["masks"] = std::move(masks);
              Json notes = Json::array();
              for (const std::string& note : inputs.videos.clips[i].notes) notes.push_back(note);
              videos[i]["notes"] = std::move(notes);
            });
  return {{"images", std::move(images)}, {"videos", std::move(videos)}};
}

Json timings_of(const RequestStatus& status, const Timings& engine, const AnswerTimes& times) {
  const double ms = 1000;
  const double prompt_s = std::max(times.first_token_s - times.submitted_s, 0.0);
  const double predicted_s = std::max(times.done_s - times.first_token_s, 0.0);
  const auto prompt = static_cast<double>(status.prompt_tokens - status.cached_tokens);
  const auto predicted = static_cast<double>(status.new_tokens);
  return {{"cache_n", status.cached_tokens},
          {"prompt_n", status.prompt_tokens - status.cached_tokens},
          {"prompt_ms", prompt_s * ms},
          {"prompt_per_token_ms", ratio(prompt_s * ms, prompt)},
          {"prompt_per_second", ratio(prompt, prompt_s)},
          {"predicted_n", status.new_tokens},
          {"predicted_ms", predicted_s * ms},
          {"predicted_per_token_ms", ratio(predicted_s * ms, predicted)},
          {"predicted_per_second", ratio(predicted, predicted_s)},
          {"fetch_ms", (times.submitted_s - times.received_s) * ms},
          {"media_ms", engine.process_s * ms},
          {"encode_ms", engine.encode_s * ms},
          {"time_to_first_token_ms", (times.first_token_s - times.received_s) * ms},
          {"total_ms", (times.done_s - times.received_s) * ms}};
}

AnswerOutcome outcome_of(const RequestStatus& status, Answers answers, const Sampling& sampling,
                         const AnswerTimes& times, std::span<const int64_t> visual_ids) {
  AnswerOutcome outcome;
  Usage& usage = outcome.usage;
  std::vector<std::vector<GenerationResult>> prompts;
  for (GenerationResult& result : answers.results) {
    if (static_cast<size_t>(result.prompt) >= prompts.size())
      prompts.resize(static_cast<size_t>(result.prompt) + 1);
    usage.completion_tokens +=
        static_cast<int64_t>(result.new_ids.size()) * (sampling.all_the_same ? sampling.n : 1);
    prompts[static_cast<size_t>(result.prompt)].push_back(std::move(result));
  }
  for (std::vector<GenerationResult>& results : prompts) {
    if (results.empty()) continue;
    usage.prompt_tokens += static_cast<int64_t>(results[0].ids.size() - results[0].new_ids.size());
    for (GenerationResult& result : results) result.ids = {};  // which choices do not tell, and may be long
    if (static_cast<int64_t>(results.size()) > sampling.n) {
      std::stable_sort(results.begin(), results.end(),
                       [](const auto& a, const auto& b) { return mean_logprob(a) > mean_logprob(b); });
    }
    for (int64_t i = 0; i < sampling.n; ++i) {
      const auto from = static_cast<size_t>(sampling.all_the_same ? 0 : i);
      if (from >= results.size()) break;
      const auto index = static_cast<int64_t>(outcome.choices.size());
      outcome.choices.push_back(choice_of(results[from], index, sampling));
    }
  }
  usage.cached_tokens = std::min(status.cached_tokens, usage.prompt_tokens);
  if (!answers.inputs.ids.empty() && !visual_ids.empty()) {
    const std::vector<int64_t>& ids = answers.inputs.ids[0];
    const auto first = std::find_first_of(ids.begin(), ids.end(), visual_ids.begin(), visual_ids.end());
    usage.cached_tokens = std::min<int64_t>(usage.cached_tokens, first - ids.begin());
  }
  // Whole blocks: whether fewer tokens are found depends on what follows them.
  usage.cached_tokens -= usage.cached_tokens % KvCache::kBlockTokens;
  const VisualTokens visual = visual_tokens(answers.inputs);
  usage.image_tokens = visual.pictures;
  usage.video_tokens = visual.clips;
  usage.whole_video_tokens = visual.whole_clips;
  outcome.encode_s = answers.timings.encode_s;
  outcome.timings = timings_of(status, answers.timings, times);
  outcome.media_report = media_report_of(answers.inputs);
  return outcome;
}

Json token_json(const Tokenizer& tokenizer, int64_t id, double logprob) {
  const std::string_view bytes = tokenizer.token_bytes(id);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
  const int64_t ids[] = {id};
  return {{"token", tokenizer.decode(ids)}, {"logprob", logprob}, {"bytes", std::move(list)}};
}

Json chat_logprob(const Tokenizer& tokenizer, const TokenLogprob& token, int64_t top) {
  Json entry = token_json(tokenizer, token.id, token.logprob);
  Json list = Json::array();
  for (const auto& [id, logprob] : token.top) {
    if (static_cast<int64_t>(list.size()) == top) break;
    list.push_back(token_json(tokenizer, id, logprob));
  }
  entry["top_logprobs"] = std::move(list);
  return entry;
}

void append_event(const Json& event, std::string& out) {
  out += "data: ";
  out += event.dump(-1, ' ', false, Json::error_handler_t::replace);
  out += "\n\n";
}

}  // namespace vl3::serve
