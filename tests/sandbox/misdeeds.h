#pragma once
// What a decoder does that was taken over, or met a file that breaks it: by the name of what it is asked to
// decode.

#include <string>

namespace vl3::sandbox {

void do_misdeed(const std::string& name);

}  // namespace vl3::sandbox
