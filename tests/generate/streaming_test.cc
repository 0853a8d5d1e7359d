#include <gtest/gtest.h>

#include <random>

#include "generate/generate.h"
#include "generate/loop.h"
#include "generate/prompt_lookup.h"
#include "generate/stop_strings.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

using test::ScriptDecoder;
using test::ToyDecoder;
using test::ToyText;

// What naive search would show: everything before the first stop string.
std::string before_stop(const std::string& text, const std::vector<std::string>& stops) {
  size_t begin = text.size();
  for (const auto& stop : stops)
    begin = std::min(begin, text.find(stop) == std::string::npos ? begin : text.find(stop));
  return text.substr(0, begin);
}

TEST(StopMatcher, HoldsBackWhatMayBecomeAStop) {
  StopMatcher matcher({"END", "EN."});
  EXPECT_EQ(matcher.push("abE"), "ab");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("xE"), "ENx");
  EXPECT_EQ(matcher.matched(), nullptr);
  EXPECT_EQ(matcher.push("ND more"), "");
  ASSERT_NE(matcher.matched(), nullptr);
  EXPECT_EQ(*matcher.matched(), "END");
}

TEST(StopMatcher, GivesBackTheRestWhenNothingComes) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(matcher.push("a sto"), "a ");
  EXPECT_EQ(matcher.finish(), "sto");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, EqualsNaiveSearchOnRandomTexts) {
  std::mt19937 random(3);
  const auto letters = [&](size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) text += "abc"[random() % 3];
    return text;
  };
  int matched = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::vector<std::string> stops = {letters(1 + random() % 5), letters(2 + random() % 4)};
    StopMatcher matcher(stops);
    std::string fed, shown;
    for (int piece = 0; piece < 12 && matcher.matched() == nullptr; ++piece) {
      const std::string next = letters(random() % 4);
      fed += next;
      shown += matcher.push(next);
      ASSERT_EQ(before_stop(fed, stops).substr(0, shown.size()), shown);
    }
    if (matcher.matched() == nullptr) shown += matcher.finish();
    matched += matcher.matched() != nullptr;
    ASSERT_EQ(shown, before_stop(fed, stops));
  }
  EXPECT_GT(matched, 1000);
}

TEST(StopMatcher, NoStopEndsInWhatPasses) {
  StopMatcher matcher({"ab", "cab", "zz"});
  EXPECT_EQ(matcher.pass("xab"), "xab");
  EXPECT_EQ(matcher.pass("cab"), "cab");
  EXPECT_EQ(matcher.pass("zz"), "z");
  EXPECT_EQ(matcher.push("y ca"), "zy ");
  EXPECT_EQ(matcher.matched(), nullptr);
  EXPECT_EQ(matcher.push("b"), "");
  ASSERT_NE(matcher.matched(), nullptr);
  EXPECT_EQ(*matcher.matched(), "cab");
}

// The first stop that ends behind what passes, whether it begins there or before.
TEST(StopMatcher, EqualsNaiveSearchBehindWhatPasses) {
  std::mt19937 random(5);
  const auto letters = [&](size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) text += "abc"[random() % 3];
    return text;
  };
  int across = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::vector<std::string> stops = {letters(1 + random() % 5), letters(2 + random() % 4)};
    StopMatcher matcher(stops);
    std::string fed, shown;
    for (int piece = 0; piece < 3; ++piece) {
      const std::string next = letters(random() % 4);
      fed += next;
      shown += matcher.pass(next);
    }
    const size_t passed = fed.size();
    while (fed.size() < passed + 12 && matcher.matched() == nullptr) {
      fed += letters(1);
      shown += matcher.push(fed.substr(fed.size() - 1));
    }
    if (matcher.matched() == nullptr) shown += matcher.finish();
    size_t begin = std::string::npos;  // letter by letter, only what ends with the last one may match
    for (size_t end = passed + 1; end <= fed.size() && begin == std::string::npos; ++end) {
      for (const std::string& stop : stops) {
        if (fed.substr(0, end).ends_with(stop)) begin = std::min(begin, end - stop.size());
      }
    }
    ASSERT_EQ(shown, fed.substr(0, begin));
    across += begin != std::string::npos && begin < passed;
  }
  EXPECT_GT(across, 100);
}

TEST(PromptLookup, ProposesWhatFollowedTheLongestLatestMatch) {
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{1, 2, 3, 9, 2, 3, 7, 2, 3}, 2, 4),
            (std::vector<int64_t>{7, 2, 3}));
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{1, 2, 3, 4, 5, 2, 3}, 3, 2), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{1, 2, 3}, 3, 2), std::vector<int64_t>{});
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{4}, 3, 2), std::vector<int64_t>{});
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{}, 3, 2), std::vector<int64_t>{});
  EXPECT_EQ(propose_tokens(std::vector<int64_t>{4, 4}, 2, 5), std::vector<int64_t>{4});
}

TEST(PromptLookup, RestsWhenHardlyAnythingIsAccepted) {
  const std::vector<int64_t> history = {1, 2, 3, 1};
  DraftLength governor(4, 2);
  while (governor.drafted() < DraftLength::kTrial) {
    const auto proposed = governor.propose(history, 10);
    ASSERT_FALSE(proposed.empty());
    governor.report(static_cast<int64_t>(proposed.size()), 0);
  }
  for (int64_t i = 0; i < DraftLength::kRestSteps; ++i) EXPECT_TRUE(governor.propose(history, 10).empty());
  EXPECT_FALSE(governor.propose(history, 10).empty());
  EXPECT_TRUE(governor.propose(history, 0).empty());
}

// Spellings in which characters and stop strings cross the borders of tokens.
const std::vector<std::string> kSpellings = {"<p>", "Hel", "lo",  " \xF0\x9F", "\x99\x82", " wor",
                                             "ld",  "##",  "#EN", "D",         "\xC3"};

GenerationHooks hooks_for(const std::vector<std::string>& spellings) {
  GenerationHooks hooks;
  hooks.make_text = [&spellings] { return std::make_unique<ToyText>(&spellings); };
  return hooks;
}

TEST(Streaming, TextComesInWholeCharacters) {
  Context context;
  ScriptDecoder decoder({1, 2, 3, 4, 5, 6, 10}, 11);
  GenerationHooks hooks = hooks_for(kSpellings);
  std::vector<std::string> pieces;
  std::vector<int64_t> tokens;
  hooks.on_token = [&](const StreamEvent& event) {
    EXPECT_EQ(event.index, static_cast<int64_t>(tokens.size()));
    EXPECT_EQ(event.finish_reason.has_value(), tokens.size() == 6);
    pieces.emplace_back(event.text);
    tokens.push_back(event.token);
    return true;
  };
  GenerationConfig config;
  config.max_new_tokens = 7;
  std::vector<Prompt> prompts;
  prompts.push_back(decoder.prompt());
  const auto results = generate(context, decoder, std::move(prompts), config, hooks);
  EXPECT_EQ(pieces,
            (std::vector<std::string>{"Hel", "lo", " ", "\xF0\x9F\x99\x82", " wor", "ld", "\xEF\xBF\xBD"}));
  EXPECT_EQ(tokens, results[0].new_ids);
  EXPECT_EQ(results[0].text, "Hello \xF0\x9F\x99\x82 world\xEF\xBF\xBD");
  EXPECT_EQ(results[0].finish_reason, FinishReason::kLength);
}

TEST(Streaming, StopStringsAcrossTokens) {
  Context context;
  for (const int64_t lookup : {0, 4}) {
    ScriptDecoder decoder({1, 2, 7, 5, 7, 8, 9, 6, 6}, 11);
    GenerationHooks hooks = hooks_for(kSpellings);
    std::string shown;
    hooks.on_token = [&](const StreamEvent& event) {
      shown += event.text;
      return true;
    };
    GenerationConfig config;
    config.max_new_tokens = 20;
    config.stop_strings = {"nothing", "###END"};
    config.prompt_lookup_num_tokens = lookup;
    std::vector<Prompt> prompts;
    prompts.push_back(decoder.prompt());
    const auto result = generate(context, decoder, std::move(prompts), config, hooks)[0];
    EXPECT_EQ(result.text, "Hello## wor");
    EXPECT_EQ(shown, result.text);
    EXPECT_EQ(result.new_ids, (std::vector<int64_t>{1, 2, 7, 5, 7, 8, 9}));
    EXPECT_EQ(result.finish_reason, FinishReason::kStop);
    EXPECT_EQ(result.stop_reason, "###END");
    EXPECT_FALSE(result.stop_token.has_value());
  }
}

TEST(Streaming, StopStringInTheMiddleOfAToken) {
  Context context;
  ScriptDecoder decoder({1, 5, 2}, 11);
  GenerationConfig config;
  config.stop_strings = {"w", "wo"};
  std::vector<Prompt> prompts;
  prompts.push_back(decoder.prompt());
  const auto result = generate(context, decoder, std::move(prompts), config, hooks_for(kSpellings))[0];
  EXPECT_EQ(result.text, "Hel ");
  EXPECT_EQ(result.stop_reason, "wo");
}

TEST(Streaming, StopStringsBehindSoManyTokens) {
  Context context;
  GenerationConfig config;
  config.stop_strings = {"Hel", "rld#"};
  config.max_new_tokens = 9;
  const auto answer = [&](int64_t after) {
    ScriptDecoder decoder({1, 2, 5, 6, 7, 1, 2, 2, 2}, 11);
    config.stop_strings_after = after;
    std::vector<Prompt> prompts;
    prompts.push_back(decoder.prompt());
    return generate(context, decoder, std::move(prompts), config, hooks_for(kSpellings))[0].text;
  };
  EXPECT_EQ(answer(0), "");
  EXPECT_EQ(answer(1), "Hello wo");
  EXPECT_EQ(answer(4), "Hello wo") << "begins within them, ends behind them";
  EXPECT_EQ(answer(5), "Hello world##");
  EXPECT_EQ(answer(6), "Hello world##Hellololo");
  // Only end tokens heed min_new_tokens, as in the reference.
  config.min_new_tokens = 9;
  EXPECT_EQ(answer(0), "");
}

TEST(Streaming, ProgressOfAPromptComesBeforeItsFirstToken) {
  for (const int64_t beams : {1, 2}) {
    Context context;
    ToyDecoder decoder({.seed = 1, .vocab = 6, .order = 2, .timed = true});
    std::vector<std::string> told;
    Probe probe;
    probe.progress = [&](std::string_view stage, int64_t done, int64_t total) {
      told.push_back(std::string(stage) + (done == total ? " all" : ""));
    };
    GenerationHooks hooks;
    hooks.on_token = [&](const StreamEvent&) {
      told.emplace_back("token");
      return true;
    };
    GenerationConfig config;
    config.num_beams = beams;
    config.max_new_tokens = 2;
    generate(context, decoder, test::prompts_of({{3, 4, 1}}), config, hooks, &probe);
    EXPECT_EQ(told, (std::vector<std::string>{"prefill all", "token", "token"}));
  }
}

TEST(Streaming, StopTokensEndWithoutText) {
  Context context;
  ScriptDecoder decoder({1, 2, 6, 5}, 11);
  GenerationConfig config;
  config.eos_token_id = {4};
  config.stop_token_ids = {6};
  std::vector<Prompt> prompts;
  prompts.push_back(decoder.prompt());
  const auto result = generate(context, decoder, std::move(prompts), config, hooks_for(kSpellings))[0];
  EXPECT_EQ(result.text, "Hello");
  EXPECT_EQ(result.new_ids, (std::vector<int64_t>{1, 2, 6}));
  EXPECT_EQ(result.stop_token, 6);
  EXPECT_EQ(result.finish_reason, FinishReason::kStop);
}

TEST(Streaming, StopStringsMayNameSpecialTokens) {
  Context context;
  ScriptDecoder decoder({1, 9, 2}, 11);
  GenerationHooks hooks = hooks_for(kSpellings);
  hooks.special_token = [](std::string_view text) {
    return text == "<|end|>" ? std::optional<int64_t>(9) : std::nullopt;
  };
  GenerationConfig config;
  config.stop_strings = {"<|end|>"};
  std::vector<Prompt> prompts;
  prompts.push_back(decoder.prompt());
  const auto result = generate(context, decoder, std::move(prompts), config, hooks)[0];
  EXPECT_EQ(result.text, "Hel");
  EXPECT_EQ(result.stop_token, 9);
  EXPECT_EQ(result.stop_reason, "<|end|>");
}

TEST(Streaming, StopStringsNeedText) {
  Context context;
  ScriptDecoder decoder({1}, 11);
  GenerationConfig config;
  config.stop_strings = {"x"};
  std::vector<Prompt> prompts;
  prompts.push_back(decoder.prompt());
}

TEST(Streaming, BeamsStopAtStringsToo) {
  Context context;
  const std::vector<std::string> spellings = {"a", "b", "", "c", "d", "e"};
  int stopped = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    ToyDecoder decoder({.seed = seed, .vocab = 6, .order = 2, .timed = true});
    GenerationConfig config;
    config.num_beams = 3;
    config.num_return_sequences = 3;
    config.max_new_tokens = 12;
    config.stop_strings = {"ab", "cd", "ee"};
    config.logprobs = 1;
    for (const auto& result :
         generate(context, decoder, test::prompts_of({{3, 4}}), config, hooks_for(spellings))) {
      std::string whole;
      for (const int64_t id : result.new_ids) whole += spellings[static_cast<size_t>(id)];
      EXPECT_EQ(result.text, before_stop(whole, config.stop_strings));
      EXPECT_EQ(result.logprobs.size(), result.new_ids.size());
      if (result.finish_reason != FinishReason::kStop) continue;
      ++stopped;
      EXPECT_EQ(result.text + result.stop_reason, whole);
    }
  }
  EXPECT_GT(stopped, 20);
}

TEST(Streaming, EventsComeInOrderOfStepsPromptsAndSequences) {
  Context context;
  ToyDecoder decoder({.seed = 4, .vocab = 24, .order = 2, .eos_bias = -100});
  GenerationConfig config;
  config.do_sample = true;
  config.seed = 1;
  config.num_return_sequences = 2;
  config.max_new_tokens = 5;
  std::vector<std::vector<int64_t>> seen(4);
  std::vector<std::array<int64_t, 3>> order;
  GenerationHooks hooks;
  hooks.on_token = [&](const StreamEvent& event) {
    if (event.index > 0) order.push_back({event.index, event.prompt, event.sequence});
    seen[static_cast<size_t>(event.prompt * 2 + event.sequence)].push_back(event.token);
    return true;
  };
  const auto results = generate(context, decoder, test::prompts_of({{3}, {4, 5}}), config, hooks);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(seen, test::new_ids_of(results));
  for (size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].prompt, static_cast<int64_t>(i / 2));
    EXPECT_EQ(results[i].sequence, static_cast<int64_t>(i % 2));
    EXPECT_EQ(results[i].ids.size(), results[i].new_ids.size() + i / 2 + 1);
  }
}

TEST(Cancelling, ByTheCallbackEndsOneSequence) {
  Context context;
  ToyDecoder decoder({.seed = 4, .vocab = 24, .order = 2, .eos_bias = -100});
  GenerationConfig config;
  config.max_new_tokens = 8;
  GenerationHooks hooks;
  hooks.on_token = [&](const StreamEvent& event) { return event.prompt != 0 || event.index < 2; };
  const auto results = generate(context, decoder, test::prompts_of({{3}, {4}}), config, hooks);
  EXPECT_EQ(results[0].finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(results[0].new_ids.size(), 3u);
  EXPECT_EQ(results[1].finish_reason, FinishReason::kLength);
  EXPECT_EQ(results[1].new_ids.size(), 8u);
}

TEST(Cancelling, ByTheContextKeepsWhatThereIs) {
  for (const int64_t beams : {1, 3}) {
    Context context;
    ToyDecoder decoder({.seed = 4, .vocab = 24, .order = 2, .eos_bias = -100});
    decoder.cancel_after = 4;  // the prompts' step is the first
    GenerationConfig config;
    config.max_new_tokens = 8;
    config.num_beams = beams;
    config.num_return_sequences = beams;
    const auto results = generate(context, decoder, test::prompts_of({{3}, {4}}), config);
    ASSERT_EQ(results.size(), static_cast<size_t>(2 * beams));
    for (const auto& result : results) {
      EXPECT_EQ(result.finish_reason, FinishReason::kCancelled);
      EXPECT_EQ(result.new_ids.size(), 4u);
    }
    context.clear_cancel();
  }
}

// What a server does: prompts with settings of their own come and go between steps, and one that fails harms
// no other.
TEST(Loop, TasksComeAndGoBetweenSteps) {
  Context context;
  ToyDecoder decoder({.seed = 8, .vocab = 24, .order = 2, .eos_bias = -100});
  GenerationLoop loop(context, decoder);
  uint64_t arrival = 0;
  const auto task = [&](int64_t token, int64_t count, const GenerationHooks& hooks = {}) {
    GenerationConfig config;
    config.max_new_tokens = count;
    return Job{{{token}, {}, {}, -1}, {0, 24, 1, config, hooks}, {0, "", arrival++}};
  };
  const auto alone = [&](int64_t token, int64_t count) {
    GenerationConfig config;
    config.max_new_tokens = count;
    return generate(context, decoder, test::prompts_of({{token}}), config)[0].new_ids;
  };
  const uint64_t first = loop.add(task(3, 6));
  EXPECT_TRUE(loop.step());
  GenerationHooks failing;
  failing.on_token = [](const StreamEvent& event) -> bool {
    if (event.index == 1) throw std::runtime_error("the line is dead");
    return true;
  };
  const uint64_t second = loop.add(task(4, 9)), third = loop.add(task(5, 9, failing)),
                 fourth = loop.add(task(6, 30));
  EXPECT_TRUE(loop.step());  // first tokens
  EXPECT_FALSE(loop.done(third));
  EXPECT_TRUE(loop.step());
  EXPECT_TRUE(loop.done(third));
  EXPECT_THROW(loop.check_failures(), std::runtime_error);
  EXPECT_THROW(loop.take(third), std::runtime_error);
  while (!loop.done(first)) loop.step();
  EXPECT_EQ(loop.take(first)[0].new_ids, alone(3, 6));
  const uint64_t fifth = loop.add(task(7, 4));
  loop.step();
  loop.cancel(fourth);
  while (loop.step()) {
  }
  EXPECT_EQ(loop.take(second)[0].new_ids, alone(4, 9));
  EXPECT_EQ(loop.take(fifth)[0].new_ids, alone(7, 4));
  const auto cut = loop.take(fourth)[0];
  EXPECT_EQ(cut.finish_reason, FinishReason::kCancelled);
  const auto whole = alone(6, 30);
  EXPECT_EQ(cut.new_ids,
            std::vector(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut.new_ids.size())));
}

TEST(Limits, TimeEndsAnAnswer) {
  Context context;
  ToyDecoder decoder({.eos_bias = -100});
  GenerationConfig config;
  config.max_new_tokens = 1000000;
  config.max_time = 0.02;
  const auto result = generate(context, decoder, test::prompts_of({{3}}), config)[0];
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  EXPECT_LT(result.new_ids.size(), 1000000u);
}

TEST(Limits, LogProbabilitiesAreTheModelsOwn) {
  Context context;
  const test::Toy toy{.seed = 9, .vocab = 24, .order = 2};
  ToyDecoder decoder(toy);
  GenerationConfig config;
  config.max_new_tokens = 6;
  config.temperature = 0.3;
  config.do_sample = true;
  config.repetition_penalty = 1.5;
  config.logprobs = 3;
  config.seed = 1;
  const auto result = generate(context, decoder, test::prompts_of({{3, 4}}), config)[0];
  std::vector<int64_t> ids = {3, 4};
  for (size_t t = 0; t < result.new_ids.size(); ++t) {
    const auto logits = toy.logits(ids);
    double total = 0;
    for (const float logit : logits) total += std::exp(logit);
    const auto token = static_cast<size_t>(result.new_ids[t]);
    EXPECT_NEAR(result.logprobs[t].logprob, logits[token] - std::log(total), 1e-5);
    ASSERT_EQ(result.logprobs[t].top.size(), 3u);
    EXPECT_GE(result.logprobs[t].top[0].second, result.logprobs[t].top[1].second);
    EXPECT_EQ(result.logprobs[t].top[0].second,
              static_cast<float>(*std::max_element(logits.begin(), logits.end()) - std::log(total)))
        << "within rounding";
    ids.push_back(result.new_ids[t]);
  }
}

TEST(Limits, LengthsAndWrongPrompts) {
  Context context;
  ToyDecoder decoder({});
  GenerationConfig config;
  EXPECT_EQ(generate(context, decoder, test::prompts_of({{3}}), config)[0].new_ids.size(), 20u);
  EXPECT_TRUE(generate(context, decoder, {}, config).empty());
  config.max_length = 2;
  EXPECT_THROW(generate(context, decoder, test::prompts_of({{3, 4}}), config), Error);
  config = {};
  EXPECT_THROW(generate(context, decoder, test::prompts_of({{}}), config), Error);
  config.suppress_tokens.resize(24);
  for (int64_t i = 0; i < 24; ++i) config.suppress_tokens[static_cast<size_t>(i)] = i;
  EXPECT_THROW(generate(context, decoder, test::prompts_of({{3}}), config), Error);
}

}  // namespace
}  // namespace vl3
