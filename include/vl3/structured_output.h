#pragma once
// Answers of a given form: a regular expression, one of several texts, JSON, JSON of a schema. The form is
// kept while tokens are chosen, so a complete answer always has it. docs/structured_output.md describes the
// dialect of expressions, the keywords of schemas and the form in which JSON is written.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
#include "vl3/generation.h"
#include "vl3/json.h"

namespace vl3 {

class Tokenizer;

// What compiling may cost; more is kLimitExceeded.
struct StructuredLimits {
  int64_t max_source_bytes = int64_t{1} << 20;  // of a schema, an expression, or all choices
  int64_t max_states = 400'000;                 // states and edges of automata
  int max_depth = 32;                           // objects and arrays within each other, in an answer
  double max_seconds = 5;                       // of compiling
};

// A compiled form. Cheap to copy (copies share what they learn about tokens), safe to use from many threads.
class VL3_API StructuredOutput {
 public:
  // Sets hooks.allowed. An answer may end, with one of end_tokens, where its text has the form; only they are
  // allowed where nothing can follow, and after the first of them. Special tokens are never allowed
  // otherwise. Throws kInvalidArgument without end_tokens. What was made of an answer's beginning is kept, so
  // a query costs as much as the tokens that are new in it. The hook throws kLimitExceeded where an answer
  // can be read in too many ways at once.
  void install(GenerationHooks& hooks, std::span<const int64_t> end_tokens) const;
  // Whether a whole text has the form, or is the beginning of one that has.
  bool matches(std::string_view text) const;
  bool begins(std::string_view text) const;

 private:
  friend class StructuredCompiler;
  struct Impl;
  explicit StructuredOutput(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// Makes forms for one tokenizer. Immutable, cheap to copy, safe to use from many threads; making one sorts
// the vocabulary (a tenth of a second for 150,000 tokens). All of compiling is work of the calling thread,
// within the limits. Errors: kInvalidArgument for what is malformed or can match nothing, kUnsupported (by
// name and place) for what cannot be honoured, kLimitExceeded. Nothing is dropped in silence.
class VL3_API StructuredCompiler {
 public:
  explicit StructuredCompiler(const Tokenizer& tokenizer, StructuredLimits limits = {});

  StructuredOutput regex(std::string_view expression) const;  // the whole answer has to match
  StructuredOutput choice(std::span<const std::string> texts) const;
  StructuredOutput json_object() const;
  StructuredOutput json_schema(const Json& schema) const;
  // {"regex": …}, {"choice": […]}, {"json": schema, as an object or as text} or {"json_object": true}:
  // exactly one. origin begins the errors that are about these.
  StructuredOutput from_json(const Json& spec, std::string_view origin = "structured") const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vl3
