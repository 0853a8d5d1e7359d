#pragma once
// The blobs that repositories of one cache share: blobs/<2 digits>/<Xet hash> below the cache's root, made by
// huggingface_hub. A repository's blob is a link there then, and a list beside the content, <hash>.refs, says
// which do. What is not as it should be is left alone.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "hub/cache.h"

namespace vl3::hub {

// Makes the blob a link to a shared one where there is one with the right bytes. False where there is none,
// and where anything about the store is not as expected.
bool link_shared_blob(const Settings& settings, const RepositoryCache& cache, const FileEntry& entry,
                      const std::function<bool()>& cancelled);

// The shared content that a repository's blob is a link to; none where it is a file of its own.
std::optional<std::filesystem::path> shared_target(const std::filesystem::path& root,
                                                   const std::filesystem::path& blob);

// Removes a shared content that no blob is a link to any more, as its list says. The bytes that are gained; 0
// where others use it, or where that cannot be told.
int64_t sweep_shared_blob(const std::filesystem::path& root, const std::filesystem::path& content);

}  // namespace vl3::hub
