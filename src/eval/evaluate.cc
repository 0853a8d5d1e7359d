#include "eval/evaluate.h"

#include <algorithm>
#include <map>
#include <span>

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"

namespace vl3::eval {
namespace {

using Batch = std::span<const Sample* const>;

// What is still to be asked, in order of media's first use.
std::vector<const Sample*> questions(const std::vector<Sample>& samples, const AnswerFolder& folder) {
  std::map<std::string, size_t> groups;
  std::vector<std::pair<size_t, const Sample*>> open;
  for (const Sample& sample : samples) {
    if (folder.find(sample) != nullptr) continue;
    const size_t group = groups.emplace(sample.set + "\n" + sample.media.dump(), groups.size()).first->second;
    open.emplace_back(group, &sample);
  }
  std::stable_sort(open.begin(), open.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Sample*> result;
  for (const auto& [group, sample] : open) result.push_back(sample);
  return result;
}

// Null where nobody here can say.
Json scored(const std::string& reply, const Expected& expected) {
  return expected.kind == ScoreKind::kNotScored ? Json() : Json(score(reply, expected));
}

class Asking {
 public:
  Asking(Context& context, const Engine& engine, const EvalOptions& options, AnswerFolder& folder)
      : context_(context),
        engine_(engine),
        options_(options),
        settings_(greedy(options.generation)),
        folder_(folder) {}

  void ask(Batch batch) {
    const double started = now_s();
    std::vector<GenerationResult> results;
    try {
      results = answers(batch);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      if (batch.size() == 1)
        throw Error(error.code(), fmt::format("[{}] {}", batch[0]->origin, error.what()));
      // Too much at once; or one of them cannot be answered, and this finds it.
      ask(batch.first(batch.size() / 2));
      ask(batch.subspan(batch.size() / 2));
      return;
    }
    context_.check_cancelled();
    const double seconds = (now_s() - started) / static_cast<double>(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) {
      const GenerationResult& result = results[i];
      folder_.add(*batch[i], {{"reply", result.text},
                              {"score", scored(result.text, batch[i]->expected)},
                              {"finish", to_string(result.finish_reason)},
                              {"new_tokens", result.new_ids.size()},
                              {"seconds", seconds}});
    }
  }

 private:
  std::vector<GenerationResult> answers(Batch batch) const {
    ProcessorRequest request = options_.request(Json::array({batch[0]->message}));
    for (const Sample* sample : batch.subspan(1))
      request.conversations.push_back(Json::array({sample->message}));
    if (options_.fetch) options_.fetch(request);
    return engine_.answer(context_, request, settings_).results;
  }

  Context& context_;
  const Engine& engine_;
  const EvalOptions& options_;
  GenerationConfig settings_;
  AnswerFolder& folder_;
};

}  // namespace

GenerationConfig greedy(GenerationConfig settings) {
  settings.do_sample = false;
  settings.num_beams = 1;
  settings.num_return_sequences = 1;
  settings.logprobs.reset();
  settings.max_time.reset();
  return settings;
}

Json evaluate(Context& context, const Engine& engine, const EvalOptions& options,
              const std::vector<Sample>& samples, AnswerFolder& folder) {
  require(options.batch > 0, ErrorCode::kInvalidArgument, "[eval] a batch of {}, at least 1", options.batch);
  const std::vector<const Sample*> open = questions(samples, folder);
  const auto total = static_cast<int64_t>(samples.size());
  int64_t done = total - static_cast<int64_t>(open.size());
  Asking asking(context, engine, options, folder);
  try {
    for (Batch rest = open; !rest.empty();) {
      if (options.progress) options.progress(done, total);
      const Batch batch = rest.first(std::min(rest.size(), static_cast<size_t>(options.batch)));
      asking.ask(batch);
      rest = rest.subspan(batch.size());
      done += static_cast<int64_t>(batch.size());
    }
  } catch (const Error& error) {
    folder.summarise(samples);
    if (error.code() != ErrorCode::kCancelled) throw;
    fail(ErrorCode::kCancelled, "[eval] stopped with {} of {} answered; the same command goes on", done,
         total);
  }
  if (options.progress) options.progress(total, total);
  return folder.summarise(samples);
}

}  // namespace vl3::eval
