#pragma once
// pull_model with settings that were read already.

#include <filesystem>

#include "hub/settings.h"
#include "vl3/hub.h"

namespace vl3::hub {

// name: as parse_hub_name made it. Throws as pull_model.
std::filesystem::path pull(const Settings& settings, const HubName& name, const HubOptions& options);

}  // namespace vl3::hub
