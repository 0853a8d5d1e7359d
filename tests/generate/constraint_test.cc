// The hook for constraints, under every strategy.

#include "generate/constraint.h"

#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::ToyDecoder;

constexpr int64_t kVocab = 40;  // more than a word of the mask

// After an even id an odd one, and the other way round: depends on the ids alone.
bool alternate(const ConstraintQuery& query, TokenMask mask) {
  for (int64_t id = 0; id < kVocab; ++id) {
    if (id % 2 != query.ids.back() % 2) mask[static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
  }
  return true;
}

bool alternates(const GenerationResult& result) {
  for (size_t i = result.ids.size() - result.new_ids.size(); i < result.ids.size(); ++i) {
    if (result.ids[i] % 2 == result.ids[i - 1] % 2) return false;
  }
  return true;
}

TEST(Constraint, HoldsUnderEveryStrategy) {
  Context context(ContextOptions{.num_threads = 2});
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationHooks hooks;
  hooks.allowed = alternate;
  for (const GenerationConfig& settings : test::strategies()) {
    bool differs = false;
    const auto free = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings);
    for (const auto& result : free) differs = differs || !alternates(result);
    EXPECT_TRUE(differs) << "a constraint that changes nothing tests nothing";
    const auto results = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings, hooks);
    for (const auto& result : results) {
      EXPECT_TRUE(alternates(result));
      EXPECT_EQ(result.new_ids.size(), 30u);
    }
  }
}

TEST(Constraint, LookupChangesNothing) {
  Context context(ContextOptions{.num_threads = 1});
  GenerationHooks hooks;
  hooks.allowed = alternate;
  int64_t accepted = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    ToyDecoder decoder({.seed = seed, .vocab = kVocab, .order = 1, .eos_bias = -100});
    GenerationConfig settings;
    settings.max_new_tokens = 60;
    const auto plain = generate(context, decoder, test::prompts_of({{3, 4}}), settings, hooks);
    settings.prompt_lookup_num_tokens = 6;
    const auto looked = generate(context, decoder, test::prompts_of({{3, 4}}), settings, hooks);
    EXPECT_EQ(looked[0].new_ids, plain[0].new_ids);
    accepted += looked[0].stats.accepted_tokens;
  }
  EXPECT_GT(accepted, 0);
}

TEST(Constraint, MayLeaveAllTokens) {
  Context context;
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationHooks hooks;
  hooks.allowed = [](const ConstraintQuery&, TokenMask mask) {
    mask[0] = 1;  // said in vain
    return false;
  };
  for (const GenerationConfig& settings : test::strategies()) {
    const auto free = generate(context, decoder, test::prompts_of({{3}}), settings);
    const auto results = generate(context, decoder, test::prompts_of({{3}}), settings, hooks);
    EXPECT_EQ(test::new_ids_of(results), test::new_ids_of(free));
  }
}

TEST(Constraint, ThatLeavesNothingEndsTheRequest) {
  Context context;
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationHooks hooks;
  hooks.allowed = [](const ConstraintQuery& query, TokenMask mask) {
    if (query.new_ids.size() < 3) return false;
    mask.back() = ~uint32_t{0} << (kVocab % 32);  // beyond the vocabulary
    return true;
  };
  for (const GenerationConfig& settings : test::strategies()) {
    try {
      generate(context, decoder, test::prompts_of({{3}}), settings, hooks);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("allows no token after 3 tokens"), std::string::npos)
          << error.what();
    }
  }
  hooks.allowed = [](const ConstraintQuery&, TokenMask) -> bool { throw std::runtime_error("broken"); };
  for (const GenerationConfig& settings : test::strategies())
    EXPECT_THROW(generate(context, decoder, test::prompts_of({{3}}), settings, hooks), std::runtime_error);
}

TEST(Constraint, KnowsPromptSequenceAndAnswer) {
  Context context;
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationConfig settings;
  settings.max_new_tokens = 3;
  settings.num_return_sequences = 2;
  settings.do_sample = true;
  settings.seed = 1;
  int64_t asked = 0;
  GenerationHooks hooks;
  hooks.allowed = [&](const ConstraintQuery& query, TokenMask) {
    EXPECT_EQ(query.ids.size() - query.new_ids.size(), query.prompt == 0 ? 1u : 2u);
    EXPECT_EQ(static_cast<int64_t>(query.new_ids.size()), asked / 4);
    EXPECT_EQ(query.prompt * 2 + query.sequence, asked++ % 4);
    return false;
  };
  generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings, hooks);
  EXPECT_EQ(asked, 12);
}

}  // namespace
}  // namespace vl3
