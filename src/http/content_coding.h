#pragma once
// What a body may be compressed with on its way: RFC 9110, section 8.4.1.

#include <string>
#include <string_view>

#include "http/message.h"

namespace vl3::http {

// Whether the client takes gzip: Accept-Encoding names it, or *, with a weight above 0.
bool accepts_gzip(const Fields& fields);

// As a file of gzip, the smallest that the library makes. Throws std::bad_alloc.
std::string gzip(std::string_view bytes);

}  // namespace vl3::http
