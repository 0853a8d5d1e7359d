// What the documents say of the demo's model is what the model is.

#include <cmath>
#include <regex>

#include "base/json.h"
#include "documents.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

std::string text_of(const std::string& name) { return test::read_text(test::project() / name); }

std::vector<std::smatch> all_matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), std::sregex_iterator()};
}

int64_t number(std::string digits) {
  digits.erase(std::remove(digits.begin(), digits.end(), ','), digits.end());
  return std::stoll(digits);
}

uint32_t crc32(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320 & (0U - (crc & 1U)));
  }
  return ~crc;
}

TEST(DemoFacts, ParametersAreThoseOfTheWeights) {
  const Checkpoint demo = Checkpoint::open(test::project() / "models/demo");
  int64_t parameters = 0;
  for (const ExpectedTensor& tensor : demo.tensors()) {
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    parameters += count;
  }
  const std::string expected = fmt::format("{:.1f}", static_cast<double>(parameters) / 1e6);
  // Numbers with a fraction are the demo's; those of models for measurements are whole millions.
  const std::regex pattern(R"((\d+\.\d+)\s+million\s+parameters)");
  int found = 0;
  std::vector<std::string> names = test::documents();
  names.emplace_back("scripts/demo");
  for (const std::string& name : names) {
    if (name.starts_with("docs/history/")) continue;
    const std::string text = text_of(name);
    for (const std::smatch& match : all_matches(text, pattern)) {
      EXPECT_EQ(match[1].str(), expected) << name;
      ++found;
    }
  }
  EXPECT_GE(found, 4);
}

TEST(DemoFacts, SizeIsThatOfTheFile) {
  const auto bytes = std::filesystem::file_size(test::project() / "models/demo/model.safetensors");
  const std::string expected = fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6);
  for (const std::string name : {"README.md", "models/demo/README.md"}) {
    const std::string text = text_of(name);
    const auto matches = all_matches(text, std::regex(R"((\d+\.\d+)\s+MB)"));
    EXPECT_FALSE(matches.empty()) << name;
    for (const std::smatch& match : matches) EXPECT_EQ(match[1].str(), expected) << name;
  }
}

TEST(DemoFacts, ScoresAreOfTheseWeightsAndThoseOfTheTable) {
  const Json scores = parse_json(text_of("models/demo/scores.json"), "scores.json");
  EXPECT_EQ(scores["weights_crc32"], fmt::format("{:08x}", crc32(text_of("models/demo/model.safetensors"))))
      << "the weights are not those that the scores were measured with";
  const std::string page = text_of("models/demo/README.md");
  for (const auto& [task, row] : scores["percent"].items()) {
    std::string expected =
        fmt::format("\n| {} | {} | {} | {} | {} |", task, row["bf16"].get<int>(), row["questions"].get<int>(),
                    row["int8"].get<int>(), row["int4"].get<int>());
    if (row.contains("heldout"))
      expected += fmt::format(" {} ({}) |", row["heldout"].get<int>(), row["heldout_questions"].get<int>());
    else
      expected += " |";
    EXPECT_NE(page.find(expected + "\n"), std::string::npos) << "no row" << expected;
  }
}

TEST(DemoFacts, SharesOfQuestionsAreTheScores) {
  const Json all = parse_json(text_of("models/demo/scores.json"), "scores.json")["percent"]["all"];
  const std::pair<int64_t, int> known[] = {
      {all["questions"].get<int64_t>(), all["bf16"].get<int>()},
      {all["heldout_questions"].get<int64_t>(), all["heldout"].get<int>()}};
  const std::regex pattern(R"((\d+)\s+%\s+of\s+(\d+,\d+)(?=\s+(questions|about)|\.))");
  for (const std::string name : {"README.md", "CHANGELOG.md", "models/demo/README.md"}) {
    const std::string text = text_of(name);
    const auto matches = all_matches(text, pattern);
    EXPECT_FALSE(matches.empty()) << name;
    for (const std::smatch& match : matches) {
      const auto* at = std::find_if(std::begin(known), std::end(known),
                                    [&](const auto& one) { return one.first == number(match[2]); });
      ASSERT_NE(at, std::end(known)) << name << ": " << match[0];
      EXPECT_EQ(std::stoi(match[1]), at->second) << name << ": " << match[0];
    }
  }
}

}  // namespace
}  // namespace vl3
