#pragma once
// What files begin like.

#include <span>
#include <string>

namespace vl3::media {

// The first bytes, for a message: in hexadecimal, and as text where they are some.
std::string first_bytes(std::span<const uint8_t> bytes);

}  // namespace vl3::media
