#pragma once
// The form that a request wants its answer to have, in all the spellings there are, and what was compiled of
// it.

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>

#include "serve/field_reader.h"
#include "vl3/structured_output.h"

namespace vl3::serve {

struct StructuredSpec {
  Json spec;          // as StructuredCompiler::from_json has it; null: any answer will do
  std::string param;  // where it stood
};

// response_format (or text.format, of responses), structured_outputs, guided_json, guided_regex,
// guided_choice, regex, json_schema. Throws ApiError 400 for more than one of them and for what is none.
StructuredSpec read_structured(const FieldReader& fields);

// Thread-safe. What was compiled lately is kept, for each client by itself.
class StructuredForms {
 public:
  explicit StructuredForms(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Takes as long as compiling does: not on the engine's thread. Throws ApiError 400.
  StructuredOutput compile(const StructuredSpec& wanted, const std::string& client);

 private:
  struct Kept {
    std::string key;
    StructuredOutput form;
  };
  static constexpr size_t kMostKept = 32;
  StructuredCompiler compiler();

  const Tokenizer& tokenizer_;
  std::mutex mutex_;
  std::optional<StructuredCompiler> compiler_;  // made by the first request that needs it
  std::list<Kept> kept_;                        // the latest first
};

}  // namespace vl3::serve
