#pragma once
// Options of vl3_resolve_model, from their JSON.

#include <string_view>

#include "vl3/hub.h"

namespace vl3::capi {

// Those of the header; an empty text gives the defaults. Throws kFormat for bad JSON and values of a wrong
// type, kInvalidArgument for unknown keys.
HubOptions parse_hub_options(std::string_view text);

}  // namespace vl3::capi
