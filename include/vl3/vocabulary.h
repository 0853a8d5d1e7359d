#pragma once
// A byte-level BPE vocabulary out of text, for models that begin from nothing.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"

namespace vl3 {

// Counts the words of text as Qwen2's pattern cuts them, then joins the most frequent pair of neighbours
// again and again (Sennrich, Haddow and Birch, 2016); of equally frequent pairs the one that is first in byte
// order, so that the result depends on the counts alone.
class VL3_API VocabularyTrainer {
 public:
  void add(std::string_view text);  // UTF-8; words count once for every time they occur

  struct Merge {
    std::string left, right;  // bytes
  };
  // At most `count` merges, each of a pair that occurs at least `min_count` times.
  std::vector<Merge> merges(int64_t count, int64_t min_count = 2) const;

 private:
  std::map<std::string, int64_t, std::less<>> words_;
};

// Writes folder/tokenizer.json and tokenizer_config.json as Qwen2Tokenizer reads them: `specials` have the
// first ids, the 256 bytes the next ones, then what each merge makes. Throws kInvalidArgument where eos or
// pad is not among the specials; kIo.
VL3_API void write_vocabulary(const std::filesystem::path& folder, const std::vector<std::string>& specials,
                              const std::string& eos, const std::string& pad,
                              const std::vector<VocabularyTrainer::Merge>& merges);

}  // namespace vl3
