// Files of requests: a line each, exactly once, whatever ended the run before.

#include "serve/batch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

class Batches : public ApiTest {
 protected:
  static Json row(const std::string& id, const Json& more = Json::object()) {
    return {{"custom_id", id},
            {"method", "POST"},
            {"url", "/v1/chat/completions"},
            {"body", chat_body("describe the picture " + id, more)}};
  }
  serve::BatchProgress run(const std::vector<std::string>& lines, const serve::BatchOptions& options = {}) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    std::istringstream input(text);
    serve::BatchFile output(path_);
    return serve::run_batch(api(), input, output, options);
  }
  std::vector<Json> rows() const {
    std::vector<Json> list;
    std::istringstream text(read_text(path_));
    for (std::string line; std::getline(text, line);) list.push_back(Json::parse(line));
    return list;
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "answers.jsonl";
};

TEST_F(Batches, AnswerEveryRowOnceAndWrongOnesAsErrors) {
  const auto progress = run({row("a").dump(), row("b", {{"temperature", 9}}).dump(), "{not json", "",
                             row("a").dump(), R"({"custom_id":"c","url":"/nowhere","body":{}})",
                             R"({"custom_id":"d","url":"/v1/embeddings","body":{"input":"x"}})",
                             R"({"custom_id":5,"url":"/v1/embeddings","body":{"input":"x"}})",
                             row("e", {{"stream", true}}).dump()});
  std::map<std::string, Json> by_id;
  int64_t without = 0;
  for (const Json& answer : rows()) {
    if (answer["custom_id"].is_null()) {
      ++without;
      EXPECT_TRUE(answer["error"]["message"].is_string());
      continue;
    }
    EXPECT_TRUE(by_id.emplace(answer["custom_id"], answer).second) << "twice";
  }
  EXPECT_EQ(without, 3) << "no JSON, an id of another row, an id that is none";
  EXPECT_EQ(by_id.size(), 5u);
  EXPECT_EQ(by_id["a"]["response"]["status_code"], 200);
  EXPECT_EQ(text_of(by_id["a"]["response"]["body"]), say("describe the picture a"));
  EXPECT_EQ(by_id["b"]["response"]["status_code"], 400);
  EXPECT_EQ(by_id["b"]["response"]["body"]["error"]["param"], "temperature");
  EXPECT_EQ(by_id["c"]["response"]["status_code"], 404);
  EXPECT_EQ(by_id["d"]["response"]["body"]["object"], "list");
  EXPECT_EQ(by_id["e"]["response"]["status_code"], 400);
  EXPECT_EQ(progress.answered, 2);
  EXPECT_EQ(progress.refused, 6);
  EXPECT_EQ(progress.repeated, 1);
}

TEST_F(Batches, GoOnBehindWhatIsThereAndMendATornLine) {
  std::vector<std::string> lines;
  for (int i = 0; i < 12; ++i) lines.push_back(row(std::to_string(i)).dump());
  lines.push_back("no row");
  run({lines.begin(), lines.begin() + 5});
  const std::string whole = read_text(path_);
  ASSERT_EQ(rows().size(), 5u);
  // Killed while it wrote: the last line has no end.
  const std::string kept = whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  write_text(path_, whole.substr(0, whole.size() - 20));
  const auto progress = run(lines);
  EXPECT_EQ(progress.skipped, 4);
  EXPECT_EQ(progress.answered, 8);
  EXPECT_TRUE(read_text(path_).starts_with(kept));
  const auto again = run(lines);
  EXPECT_EQ(again.skipped, 13);
  EXPECT_EQ(again.answered + again.refused, 0);
  std::map<std::string, int> times;
  for (const Json& answer : rows()) ++times[answer["custom_id"].dump()];
  EXPECT_EQ(times.size(), 13u);
  for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
}

TEST_F(Batches, InterruptedTheyKeepWhatIsWhole) {
  std::vector<std::string> lines, shorter;
  for (int i = 0; i < 40; ++i) {
    lines.push_back(row(std::to_string(i), {{"max_tokens", 200}, {"ignore_eos", true}}).dump());
    shorter.push_back(row(std::to_string(i), {{"max_tokens", 2}}).dump());
  }
  serve::BatchOptions options;
  options.at_once = 3;
  int glances = 0;
  options.cancelled = [&] { return ++glances > 3; };
  EXPECT_THROW(run(lines, options), Error);
  const size_t before = rows().size();
  EXPECT_LT(before, 40u);
  EXPECT_EQ(run(shorter).skipped, static_cast<int64_t>(before));
  EXPECT_EQ(rows().size(), 40u);
}

TEST_F(Batches, RefuseAFileOfSomethingElseAndOneThatIsInUse) {
  write_text(path_, "a letter\n");
  EXPECT_THROW(serve::BatchFile{path_}, Error);
  EXPECT_EQ(read_text(path_), "a letter\n") << "it is left alone";
  write_text(path_, "");
  const serve::BatchFile first(path_);
  EXPECT_THROW(serve::BatchFile{path_}, Error);
}

}  // namespace
}  // namespace vl3::test
