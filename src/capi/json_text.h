#pragma once
// The JSON of the C interface: options of an engine in, answers out.

#include <optional>
#include <string>
#include <string_view>

#include "vl3/context.h"
#include "vl3/engine.h"
#include "vl3/media_fetch.h"

namespace vl3::capi {

struct OpenOptions {
  EngineOptions engine;
  ContextOptions context;
  std::optional<MediaFetchOptions> fetch;  // none: addresses are refused
};

// Options as vl3_engine_open has them; an empty text gives the defaults. Throws kFormat for bad JSON and
// values of a wrong type, kInvalidArgument for unknown keys and values out of their range.
OpenOptions parse_open_options(std::string_view text);

// As vl3_request_result has it.
std::string answers_text(const Answers& answers);

// One line, whatever bytes are in it.
std::string text_of(const Json& json);

}  // namespace vl3::capi
