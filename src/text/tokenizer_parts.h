#pragma once
// What a Tokenizer is made of.

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"
#include "vl3/tokenizer.h"

namespace vl3 {

struct Tokenizer::Parts {
  explicit Parts(TokenizerSpec spec);

  Vocabulary vocabulary;
  Bpe bpe;
  Pretokenizer pretokenizer;
  bool nfc;
  AddedTokenMatcher verbatim;    // added tokens looked for in the text as it is
  AddedTokenMatcher normalized;  // and those looked for, after them, in normalised text
  std::optional<int32_t> bos_id, eos_id, pad_id;
};

}  // namespace vl3
