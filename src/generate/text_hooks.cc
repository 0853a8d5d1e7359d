#include <utility>

#include "vl3/generation.h"
#include "vl3/tokenizer.h"

namespace vl3 {
namespace {

class TokenizerText final : public TextStream {
 public:
  explicit TokenizerText(const Tokenizer& tokenizer) : decoder_(tokenizer) {}

  std::string push(int64_t id) override { return decoder_.push(id); }
  std::string finish() override { return decoder_.finish(); }
  std::unique_ptr<TextStream> clone() const override { return std::make_unique<TokenizerText>(*this); }

 private:
  StreamDecoder decoder_;
};

}  // namespace

GenerationHooks text_hooks(const Tokenizer& tokenizer) {
  GenerationHooks hooks;
  hooks.make_text = [tokenizer] { return std::make_unique<TokenizerText>(tokenizer); };
  hooks.special_token = [tokenizer](std::string_view text) -> std::optional<int64_t> {
    const std::optional<int64_t> id = tokenizer.token_to_id(text);
    if (!id || !tokenizer.is_special(*id)) return std::nullopt;
    return *id;
  };
  return hooks;
}

}  // namespace vl3
