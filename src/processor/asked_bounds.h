#pragma once
// Bounds that a request asks for and that leave nothing between them. What a checkpoint's files say is not
// looked at: there the reference decides.

#include <optional>
#include <string>

#include "vl3/json.h"

namespace vl3 {

struct Contradiction {
  std::string key;    // the lower bound's
  std::string words;  // both keys with their values
};

// Of options that stand together, each of a type that it may have.
std::optional<Contradiction> contradiction_in(const Json& asked);

// Throws kInvalidArgument, beginning with where, for such a contradiction.
void check_bounds(const Json& asked, const std::string& where);

}  // namespace vl3
