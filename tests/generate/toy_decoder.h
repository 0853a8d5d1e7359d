#pragma once
// A decoder without weights: its logits are a hash of the last ids, which it reads back from the cache it was
// given. So whatever forks, truncates or mixes up caches wrongly gives other logits.
// tools/goldens/generate.py has the same function.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "generate/decoder.h"
#include "vl3/generation.h"
#include "vl3/json.h"

namespace vl3::test {

inline uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBULL;
  return x ^ x >> 31;
}

struct Toy {
  uint64_t seed = 1;
  int64_t vocab = 24;
  size_t order = 2;
  int64_t eos = 2;
  float eos_bias = 0;
  bool timed = false;  // the number of ids counts too

  static Toy from(const Json& json) {
    return {json.at("seed").get<uint64_t>(), json.at("vocab").get<int64_t>(),  json.at("order").get<size_t>(),
            json.at("eos").get<int64_t>(),   json.at("eos_bias").get<float>(), json.at("timed").get<bool>()};
  }

  std::vector<float> logits(std::span<const int64_t> ids) const {
    uint64_t hash = mix(timed ? seed + ids.size() : seed);
    for (const int64_t id : ids.last(std::min(order, ids.size()))) {
      hash = mix(hash * 31 + static_cast<uint64_t>(id) + 1);
    }
    std::vector<float> row;
    for (int64_t v = 0; v < vocab; ++v) {
      const uint64_t bits = mix(hash + static_cast<uint64_t>(v + 1) * 0x9E3779B97F4A7C15ULL) >> 40;
      row.push_back((static_cast<float>(bits) / static_cast<float>(1 << 24) - 0.5f) * 6.0f);
    }
    row[static_cast<size_t>(eos)] += eos_bias;
    return row;
  }
};

// One layer, one head, one number: the key of a token is its id.
inline void remember(Context& context, KvCache& cache, std::span<const int64_t> ids) {
  const auto count = static_cast<int64_t>(ids.size());
  if (count == 0) return;
  cache.reserve(count);
  const Tensor keys = Tensor::empty({count, 1, 1}, DType::kF32);
  std::copy(ids.begin(), ids.end(), keys.mutable_data<float>());
  cache.append(context, 0, keys, keys);
  cache.advance(count);
}

inline std::vector<int64_t> remembered(const KvCache& cache) {
  const auto view = cache.view(0, cache.length());
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < cache.length(); ++i) {
    const std::byte* block = view.keys(i / view.block_tokens);
    float id;
    std::memcpy(&id, block + i % view.block_tokens * view.token_stride, sizeof id);
    ids.push_back(static_cast<int64_t>(id));
  }
  return ids;
}

inline std::vector<Prompt> prompts_of(const std::vector<std::vector<int64_t>>& all) {
  std::vector<Prompt> made;
  for (const auto& ids : all) made.push_back({ids, {}, {}, -1});
  return made;
}

class ToyDecoder final : public CausalDecoder {
 public:
  explicit ToyDecoder(Toy toy) : toy_(toy) {}
  int64_t vocab_size() const override { return toy_.vocab; }

  KvCache new_cache(const Context&) const override { return KvCache(KvShape{1, 1, 1}); }

  Logits decode(Context& context, std::span<const Feed> feeds) override {
    ++steps;
    if (cancel_after && steps > *cancel_after) context.cancel();
    context.check_cancelled();
    std::vector<float> all;
    for (const Feed& feed : feeds) {
      rows += feed.rows();
      const size_t at_once = feed.want == Want::kAll ? 1 : feed.ids.size();
      for (size_t i = 0; i < feed.ids.size(); i += at_once) {
        remember(context, *feed.cache, feed.ids.subspan(i, at_once));
        if (feed.want == Want::kNone) continue;
        const auto row = toy_.logits(remembered(*feed.cache));
        all.insert(all.end(), row.begin(), row.end());
      }
    }
    return Logits(Tensor::from<float>({static_cast<int64_t>(all.size()) / toy_.vocab, toy_.vocab}, all));
  }

  const Toy& toy() const { return toy_; }

  int64_t steps = 0, rows = 0;
  std::optional<int64_t> cancel_after;

 private:
  Toy toy_;
};

// Text for toys: every id has a spelling; unfinished UTF-8 is held back.
class ToyText final : public TextStream {
 public:
  explicit ToyText(const std::vector<std::string>* spellings) : spellings_(spellings) {}
  std::string push(int64_t id) override {
    held_ += (*spellings_)[static_cast<size_t>(id)];
    size_t whole = held_.size();
    // Back over the bytes of a last character that is not complete yet.
    for (size_t back = 1; back <= std::min<size_t>(3, held_.size()); ++back) {
      const auto byte = static_cast<unsigned char>(held_[held_.size() - back]);
      if (byte < 0x80) break;
      if (byte >= 0xC0) {
        const size_t needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
        if (needed > back) whole = held_.size() - back;
        break;
      }
    }
    std::string out = held_.substr(0, whole);
    held_.erase(0, whole);
    return out;
  }
  std::string finish() override {
    const std::string out = held_.empty() ? "" : "\xEF\xBF\xBD";
    held_.clear();
    return out;
  }
  std::unique_ptr<TextStream> clone() const override { return std::make_unique<ToyText>(*this); }

 private:
  const std::vector<std::string>* spellings_;
  std::string held_;
};

// A decoder that says what it is told to, whatever is fed: token i of the script after i tokens of answer.
class ScriptDecoder final : public CausalDecoder {
 public:
  ScriptDecoder(std::vector<int64_t> script, int64_t vocab) : script_(std::move(script)), vocab_(vocab) {}
  int64_t vocab_size() const override { return vocab_; }
  std::vector<float> row(size_t index) const {
    std::vector<float> logits(static_cast<size_t>(vocab_), 0.0f);
    logits[static_cast<size_t>(script_[std::min(index, script_.size() - 1)])] = 9.0f;
    return logits;
  }
  KvCache new_cache(const Context&) const override { return KvCache(KvShape{1, 1, 1}); }
  Prompt prompt() const { return {{0}, {}, {}, -1}; }
  Logits decode(Context& context, std::span<const Feed> feeds) override {
    std::vector<float> all;
    for (const Feed& feed : feeds) {
      for (size_t i = 0; i < feed.ids.size(); ++i) {
        remember(context, *feed.cache, feed.ids.subspan(i, 1));
        if (feed.want != Want::kAll && (feed.want == Want::kNone || i + 1 < feed.ids.size())) continue;
        const auto logits = row(static_cast<size_t>(feed.cache->length()) - 1);
        all.insert(all.end(), logits.begin(), logits.end());
      }
    }
    return Logits(Tensor::from<float>({static_cast<int64_t>(all.size()) / vocab_, vocab_}, all));
  }

 private:
  std::vector<int64_t> script_;
  int64_t vocab_;
};

inline std::vector<std::vector<int64_t>> new_ids_of(const std::vector<GenerationResult>& results) {
  std::vector<std::vector<int64_t>> rows;
  for (const auto& result : results) rows.push_back(result.new_ids);
  return rows;
}

// Greedy, sampling, beams and prompt lookup.
inline std::vector<GenerationConfig> strategies() {
  std::vector<GenerationConfig> all(4);
  for (GenerationConfig& settings : all) {
    settings.max_new_tokens = 30;
    settings.seed = 5;
  }
  all[1].do_sample = true;
  all[1].temperature = 0.6;
  all[1].top_k = 4;
  all[1].num_return_sequences = 4;
  all[2].num_beams = 3;
  all[2].num_return_sequences = 3;
  all[3].prompt_lookup_num_tokens = 5;
  return all;
}

}  // namespace vl3::test
