#pragma once
// Rows of goldens, as tools/goldens/text.py and the shared ones have them.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/support.h"
#include "vl3/json.h"
#include "vl3/tokenizer.h"

namespace vl3::test {

inline std::vector<Json> read_rows(const std::filesystem::path& path) {
  std::istringstream lines(read_text(path));
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

struct RowCounts {
  int encoded = 0, plain = 0, decoded = 0, wrong = 0;
};

inline std::string stream(const Tokenizer& tokenizer, const std::vector<int64_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const int64_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

// Compares everything that the rows say; stops reporting after ten differences.
inline RowCounts check_rows(const Tokenizer& tokenizer, const std::vector<Json>& rows) {
  RowCounts counts;
  const auto differs = [&](const Json& row, const char* what, const Json& got) {
    if (++counts.wrong <= 10)
      ADD_FAILURE() << what << " differs for " << row.dump() << "\ngot " << got.dump();
  };
  for (const Json& row : rows) {
    const auto ids = row["ids"].get<std::vector<int64_t>>();
    if (row.contains("text")) {
      const auto text = row["text"].get<std::string>();
      const auto got = tokenizer.encode(text);
      if (got != ids) differs(row, "ids", got);
      ++counts.encoded;
      if (row.contains("plain_ids")) {
        const auto plain = tokenizer.encode(text, false);
        if (plain != row["plain_ids"].get<std::vector<int64_t>>()) differs(row, "plain_ids", plain);
        ++counts.plain;
      }
    }
    for (const bool skip : {false, true}) {
      const auto want = row[skip ? "decoded_skip" : "decoded"].get<std::string>();
      const std::string got = tokenizer.decode(ids, skip);
      if (got != want) differs(row, skip ? "decoded_skip" : "decoded", got);
      if (stream(tokenizer, ids, skip) != want) differs(row, "streamed text", want);
      ++counts.decoded;
    }
  }
  return counts;
}

inline void print(const char* what, const RowCounts& counts) {
  std::printf("%s: %d texts, %d of them also as plain text, %d decodings, each also streamed; %d differ\n",
              what, counts.encoded, counts.plain, counts.decoded, counts.wrong);
}

}  // namespace vl3::test
