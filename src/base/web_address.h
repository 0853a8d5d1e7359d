#pragma once
// Addresses of the web as text: told from paths, and shown to people.

#include <string>
#include <string_view>

namespace vl3 {

// Begins with http:// or https://, in any case.
bool is_web_address(std::string_view text) noexcept;

// What may stand in messages and logs of an address of any scheme: scheme, host, port and path. A user, a
// query and a fragment may hold keys and are left out; characters that are not printed are "?", and what is
// longer than 200 bytes ends with "…".
std::string shown_address(std::string_view address);

}  // namespace vl3
