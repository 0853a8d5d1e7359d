#pragma once
// Names of models, and what is none.

#include <string>
#include <string_view>

#include "vl3/hub.h"

namespace vl3::hub {

// Whether a text that is no file and no folder can only be meant as one: it begins with / . or ~, ends with a
// slash, has a backslash or two slashes before its revision, ends like a file of a checkpoint, or lies in a
// folder that is here.
bool looks_like_path(const std::string& text);

// "models--org--name": the folder of a repository in the cache.
std::string folder_of(const std::string& repository);
// The way back; "" for other folders.
std::string repository_of(std::string_view folder);

// Whether it is a whole commit: 40 hexadecimal digits in lower case.
bool is_commit(std::string_view text) noexcept;

// A text as a line of a message may show it: control characters as ?, cut after 80 bytes. What others wrote
// goes through it.
std::string printable(std::string_view text);

}  // namespace vl3::hub
