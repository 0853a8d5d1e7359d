#pragma once
// One decoder's one job, from the message that says it to the last answer.

#include <functional>
#include <string>

#include "sandbox/confine.h"

namespace vl3::sandbox {

// What it returns is the process's exit status. Never throws.
int do_one_job(int socket, const Filter& filter,
               const std::function<void(const std::string&)>& before_decoding);

}  // namespace vl3::sandbox
