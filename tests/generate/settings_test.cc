#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "generate/settings_table.h"
#include "support/support.h"
#include "vl3/generation.h"

namespace vl3 {
namespace {

GenerationConfig parse(const std::string& text) {
  return GenerationConfig::from_json(parse_json(text, "test"));
}

struct Bad {
  const char* json;
  const char* says;  // part of the message
};

TEST(Settings, BadOnesAreRefusedByName) {
  const Bad bad[] = {
      {R"({"temprature": 1})", "nearest: \"temperature\""},
      {R"({"max_tokens": 5})", "there is no setting \"max_tokens\""},
      {R"({"top_k ": 5})", "nearest: \"top_k\""},
      {R"({"max_tokens": 5})", "nearest: \"max_new_tokens\""},
      {R"({"max_completion_tokens": 5})", "nearest: \"max_new_tokens\""},
      {R"({"stop": ["x"]})", "nearest: \"stop_strings\""},
      {R"({"n": 2})", "nearest: \"num_return_sequences\""},
      {R"({"repeat_penalty": 1.1})", "nearest: \"repetition_penalty\""},
      {R"({"max_new_tokens": 0})", "max_new_tokens should be an integer >= 1, not 0"},
      {R"({"max_new_tokens": -3})", "max_new_tokens"},
      {R"({"max_new_tokens": 2.5})", "max_new_tokens"},
      {R"({"max_new_tokens": "9"})", "max_new_tokens"},
      {R"({"max_new_tokens": true})", "max_new_tokens"},
      {R"({"max_length": 1e300})", "max_length"},
      {R"({"min_new_tokens": -1})", "min_new_tokens"},
      {R"({"do_sample": 1})", "do_sample should be true or false, not 1"},
      {R"({"temperature": -0.5})", "temperature should be a number >= 0, not -0.5"},
      {R"({"temperature": 0, "do_sample": true, "num_return_sequences": 2})", "temperature above 0"},
      {R"({"temperature": "hot"})", "temperature"},
      {R"({"top_k": -2})", "top_k"},
      {R"({"top_p": 1.5})", "top_p should be a number [0, 1], not 1.5"},
      {R"({"top_p": -0.1})", "top_p"},
      {R"({"min_p": 2})", "min_p"},
      {R"({"typical_p": 0})", "typical_p should be a number (0, 1]"},
      {R"({"epsilon_cutoff": 1})", "epsilon_cutoff should be a number [0, 1)"},
      {R"({"eta_cutoff": -1})", "eta_cutoff"},
      {R"({"repetition_penalty": 0})", "repetition_penalty"},
      {R"({"presence_penalty": 3})", "presence_penalty should be a number [-2, 2]"},
      {R"({"frequency_penalty": -2.5})", "frequency_penalty"},
      {R"({"no_repeat_ngram_size": -1})", "no_repeat_ngram_size"},
      {R"({"bad_words_ids": [1, 2]})", "bad_words_ids should be a list of token ids, not 1"},
      {R"({"bad_words_ids": [[]]})", "bad_words_ids"},
      {R"({"bad_words_ids": [[-4]]})", "bad_words_ids should be a token id, not -4"},
      {R"({"eos_token_id": "2"})", "eos_token_id"},
      {R"({"eos_token_id": [1.5]})", "eos_token_id"},
      {R"({"stop_token_ids": [99999999999]})", "stop_token_ids"},
      {R"({"stop_strings": ""})", "stop_strings"},
      {R"({"stop_strings": ["a", 5]})", "stop_strings"},
      {R"({"logit_bias": {"x": 1}})", "logit_bias should be a token id as key"},
      {R"({"logit_bias": {"1": "a"}})", "logit_bias should be a number as bias"},
      {R"({"sequence_bias": [[1, 2.0]]})", "sequence_bias"},
      {R"({"sequence_bias": {"1": 2.0}})", "sequence_bias"},
      {R"({"early_stopping": "sometimes"})", "early_stopping should be true, false or \"never\""},
      {R"({"num_beams": 0})", "num_beams should be an integer [1, 1024]"},
      {R"({"num_beams": 3, "num_return_sequences": 4})",
       "num_return_sequences = 4 is more than num_beams = 3"},
      {R"({"num_return_sequences": 2})", "greedy"},
      {R"({"num_beams": 2, "prompt_lookup_num_tokens": 4})", "prompt_lookup_num_tokens"},
      {R"({"logprobs": -1})", "logprobs"},
      {R"({"seed": 1.5})", "seed should be an integer of 64 bits"},
      {R"({"max_time": 0})", "max_time"},
      {R"([1])", "should be an object of settings"},
  };
  for (const Bad& entry : bad) {
    try {
      parse(entry.json);
      ADD_FAILURE() << entry.json << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << entry.json;
      EXPECT_NE(std::string(error.what()).find(entry.says), std::string::npos)
          << entry.json << ": " << error.what();
    }
  }
  std::printf("%zu bad settings refused\n", std::size(bad));
}

TEST(Settings, OfTheReferenceThatTheEngineLacksAreRefusedUnlessTheyDoNothing) {
  EXPECT_NO_THROW(
      parse(R"({"guidance_scale": 1.0, "top_h": null, "forced_eos_token_id": null, "num_beam_groups": 1,
                            "use_cache": true, "cache_implementation": "static", "output_scores": false})"));
  for (const char* text :
       {R"({"guidance_scale": 1.5})", R"({"top_h": 0.4})", R"({"forced_eos_token_id": 2})",
        R"({"num_beam_groups": 2})", R"({"penalty_alpha": 0.6})", R"({"output_scores": true})"}) {
    try {
      parse(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
    }
  }
}

TEST(Settings, EveryOneIsReadWrittenAndReadAgain) {
  const Json all = parse_json(R"({"max_new_tokens": 7, "max_length": 90, "min_new_tokens": 2, "min_length": 3,
    "max_time": 2.5, "eos_token_id": [2, 3], "stop_token_ids": [9], "stop_strings": ["a", "b"],
    "stop_strings_after": 4, "pad_token_id": 0,
    "sequence_bias": [[[1, 2], -1.5]], "logit_bias": [[4, 2.0]], "repetition_penalty": 1.1, "presence_penalty": 0.5,
    "frequency_penalty": -0.5, "no_repeat_ngram_size": 3, "bad_words_ids": [[1], [2, 3]], "suppress_tokens": [5],
    "begin_suppress_tokens": [6], "do_sample": true, "temperature": 0.7, "top_k": 0, "top_p": 0.9, "min_p": 0.0,
    "typical_p": 0.9, "epsilon_cutoff": 0.001, "eta_cutoff": 0.002, "renormalize_logits": true,
    "seed": 18446744073709551615, "num_beams": 4, "length_penalty": -1.0, "early_stopping": "never",
    "num_return_sequences": 2, "logprobs": 0})",
                              "test");
  const GenerationConfig config = GenerationConfig::from_json(all);
  const Json written = config.to_json();
  for (const auto& [name, value] : all.items()) {
    ASSERT_TRUE(written.contains(name)) << name;
    EXPECT_EQ(written.at(name), value) << name;
  }
  EXPECT_EQ(GenerationConfig::from_json(written).to_json(), written);
  EXPECT_EQ(config.min_p, 0.0);
  EXPECT_EQ(config.early_stopping, EarlyStopping::kNever);
  EXPECT_TRUE(GenerationConfig().to_json().empty());
  // What is left out here is what does not go with beams.
  std::set<std::string> seen;
  for (const auto& [name, value] : all.items()) seen.insert(name);
  for (const SettingInfo& info : generation_settings()) {
    if (seen.count(info.name) == 0) {
      EXPECT_TRUE(info.name == "prompt_lookup_num_tokens" || info.name == "max_matching_ngram_size")
          << info.name;
    }
  }
}

TEST(Settings, FormsOfOneSettingMeanTheSame) {
  EXPECT_EQ(parse(R"({"eos_token_id": 2})").eos_token_id, parse(R"({"eos_token_id": [2]})").eos_token_id);
  EXPECT_EQ(parse(R"({"stop_strings": "x"})").stop_strings, parse(R"({"stop_strings": ["x"]})").stop_strings);
  EXPECT_EQ(parse(R"({"logit_bias": {"3": 1.5}})").logit_bias,
            parse(R"({"logit_bias": [[3, 1.5]]})").logit_bias);
  EXPECT_EQ(parse(R"({"max_new_tokens": 3.0})").max_new_tokens, 3);
  EXPECT_EQ(parse(R"({"seed": -1})").seed, UINT64_MAX);
}

TEST(Settings, GoOverABaseAndNullKeepsIt) {
  GenerationConfig base;
  base.top_k = 7;
  base.eos_token_id = {2};
  const GenerationConfig config = GenerationConfig::from_json(
      parse_json(R"({"top_k": null, "top_p": 0.5, "eos_token_id": []})", "test"), base);
  EXPECT_EQ(config.top_k, 7);
  EXPECT_EQ(config.top_p, 0.5);
  EXPECT_TRUE(config.eos_token_id.empty());
}

TEST(Settings, FileOfACheckpoint) {
  const test::TemporaryFolder folder;
  GenerationConfig base;
  base.eos_token_id = {5};
  EXPECT_EQ(GenerationConfig::from_pretrained(folder.path(), base).eos_token_id, base.eos_token_id);
  test::write_text(folder / "generation_config.json",
                   R"({"_from_model_config": true, "transformers_version": "5.23.0",
      "attn_implementation": "x", "bos_token_id": 1, "do_sample": true, "eos_token_id": [2, 3], "top_k": 20})");
  const GenerationConfig config = GenerationConfig::from_pretrained(folder.path(), base);
  EXPECT_EQ(config.eos_token_id, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(config.top_k, 20);
  EXPECT_TRUE(config.do_sample);
  for (const char* text : {"{", R"({"top_k": "many"})", R"({"num_return_sequences": 2})", "[]"}) {
    test::write_text(folder / "generation_config.json", text);
    try {
      GenerationConfig::from_pretrained(folder.path());
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kFormat) << error.what();
      EXPECT_NE(std::string(error.what()).find("generation_config.json"), std::string::npos) << error.what();
    }
  }
}

// What checkpoints in the field say, of which nothing keeps one from being used.
TEST(Settings, FilesOfTheFieldAreRead) {
  const test::TemporaryFolder folder;
  const auto read = [&](const char* text) {
    test::write_text(folder / "generation_config.json", text);
    return GenerationConfig::from_pretrained(folder.path());
  };
  for (const char* text : {R"({"temperature": 0.0})", R"({"temperature": 0, "do_sample": true})",
                           R"({"temperature": 0, "do_sample": false, "top_k": 1, "top_p": 0})",
                           R"({"temperature": 0.0, "top_p": 0.0, "top_k": 0, "do_sample": true})"}) {
    const GenerationConfig config = read(text);
    EXPECT_FALSE(config.samples()) << text;
    EXPECT_EQ(config.temperature, 0) << text;
  }
  EXPECT_TRUE(read(R"({"temperature": 1, "do_sample": true, "top_k": 20.0, "top_p": 1})").samples());
  EXPECT_FALSE(
      read(R"({"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0, "do_sample": false})").samples());
  EXPECT_EQ(read(R"({"top_k": -1})").top_k, -1);
  EXPECT_EQ(
      read(R"({"temperature": null, "top_k": null, "top_p": null, "min_p": null, "do_sample": null})").top_k,
      50);
  const GenerationConfig none = read(R"({"pad_token_id": -1, "eos_token_id": -1, "bos_token_id": -1})");
  EXPECT_FALSE(none.pad_token_id);
  EXPECT_TRUE(none.eos_token_id.empty());
  read(
      R"({"output_scores": true, "output_attentions": true, "output_hidden_states": true, "thinking_budget": 3})");
  // The file itself, and another file of the folder, mean the folder.
  test::write_text(folder / "generation_config.json", R"({"top_k": 7})");
  EXPECT_EQ(GenerationConfig::from_pretrained(folder / "generation_config.json").top_k, 7);
  // What a caller asks for and will not get stays an error.
  EXPECT_THROW(parse(R"({"output_scores": true})"), Error);
  EXPECT_THROW(parse(R"({"pad_token_id": -1})"), Error);
}

TEST(Settings, LengthLimits) {
  EXPECT_EQ(GenerationConfig().new_token_limit(100), 20);
  EXPECT_EQ(parse(R"({"max_length": 30})").new_token_limit(10), 20);
  EXPECT_EQ(parse(R"({"max_length": 30, "max_new_tokens": 3})").new_token_limit(10), 3);
  EXPECT_THROW(parse(R"({"max_length": 30})").new_token_limit(30), Error);
}

TEST(Settings, MembersSetDirectlyAreCheckedToo) {
  GenerationConfig config;
  config.top_p = 2;
  EXPECT_THROW(config.validate(), Error);
  config = {};
  config.temperature = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(config.validate(), Error);
}

TEST(Settings, DocumentationShowsTheTable) {
  const std::string text = test::read_text(test::data_path("../../docs/generation.md"));
  EXPECT_NE(text.find(generation_settings_markdown()), std::string::npos)
      << "docs/generation.md should hold exactly this table:\n"
      << generation_settings_markdown();
}

}  // namespace
}  // namespace vl3
