#pragma once
// Models by the names they have on a hub (https://huggingface.co, or a mirror of it), kept in the cache that
// huggingface_hub keeps: what one of the two downloads, the other finds. docs/hub.md tells it whole.
//
// The environment counts as it does there (HF_HUB_CACHE, HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH,
// HF_HUB_OFFLINE and more), wherever an option says nothing. A token goes to the hub's own address, never to
// where it redirects, and stands in no message.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/error.h"
#include "vl3/export.h"

namespace vl3 {

// "org/name", or "name" for a model that has no organisation, either with "@revision" (a branch, a tag, a
// pull request's "refs/pr/1", or a commit) behind it and with "hf://" before it.
struct HubName {
  std::string repository;
  std::string revision;  // "": none was given, which means "main"
};
// Throws kInvalidArgument, naming the text and what is wrong with it. The letters are those of the hub:
// A-Z a-z 0-9 - _ ., neither "--" nor "..", at most 96 of them in each part.
VL3_API HubName parse_hub_name(std::string_view text);

// What went wrong, for those who treat it differently. The messages say what to do about it.
enum class HubFailure {
  kRepository,   // kNotFound: there is none of this name, or it is private to this token
  kRevision,     // kNotFound: the model has no such branch, tag or commit
  kFile,         // kNotFound: the model has no such file, or none that was asked for
  kGated,        // kIo: its conditions were not accepted by the owner of this token, or there is no token
  kDisabled,     // kIo: the hub closed it
  kToken,        // kIo: the hub does not know the token
  kNotCached,    // kNotFound: offline, and the cache does not have it whole
  kUnreachable,  // kIo: no connection, or no usable answer after all tries
  kBadAnswer,    // kFormat: the hub's answer is none: broken JSON, a path that climbs out of its folder
  kWrongBytes,   // kFormat: a file is not what its hash says
  kNoSpace,      // kIo: of the disk
};
class VL3_API HubError : public Error {
 public:
  HubError(HubFailure failure, const std::string& message);
  HubFailure failure() const noexcept { return failure_; }

 private:
  HubFailure failure_;
};

// How far a download is: of the file that moved last, and of all.
struct HubProgress {
  std::string_view file;
  int64_t file_bytes = 0, file_total = 0;
  int64_t bytes = 0, total = 0;  // of the files that were not there before
  int files = 0, total_files = 0;
};

struct HubOptions {
  std::string revision;  // in place of the name's, where that has none
  // Shell patterns of paths in the repository; * matches "/" too. Without include: what a model needs to run
  // (configurations, tokenizer, chat template, weights as safetensors). Pickled weights (.bin, .pt, .pth,
  // .pkl, .ckpt) are fetched only where a pattern of include ends in that very ending.
  std::vector<std::string> include, exclude;
  std::filesystem::path cache_dir;   // "": of the environment
  std::string endpoint;              // "": of the environment, else https://huggingface.co
  std::optional<std::string> token;  // unset: of the environment or its file; "": none
  bool local_files_only = false;     // also where the environment says offline
  int parallel_files = 4;
  std::function<void(const HubProgress&)> progress;    // one call at a time, from threads of the download
  std::function<bool()> cancelled;                     // asked every 50 ms, by several threads
  std::function<void(const std::string& note)> notes;  // what a person should know: one line each
};

// The folder of the model's snapshot in the cache, complete as to what the options ask for. Downloads what is
// missing: a few files at a time, each verified by its SHA-256 or git hash before it gets its name, resumed
// where an earlier download was cut off, also by a kill. Where the hub cannot be reached, a snapshot that is
// complete in the cache does, with a note. Throws HubError, kInvalidArgument, kIo (files and folders of the
// cache), kCancelled.
VL3_API std::filesystem::path pull_model(const HubName& name, const HubOptions& options = {});

// What to open for a model that a person named: an existing file or folder as it is, always; else the
// snapshot of that name, as pull_model. Where it looks like a path (begins with / . or ~, has two slashes or
// an ending of a file, its first part is a folder here), the hub is not asked: kNotFound, as for a name that
// the hub does not have; the message has both possibilities. "hf://org/name" is always a name.
VL3_API std::filesystem::path resolve_model(const std::string& name_or_folder,
                                            const HubOptions& options = {});

// --- The cache.

struct CachedModel {
  std::string repository, commit;
  std::vector<std::string> revisions;  // names that lead to this commit
  std::filesystem::path folder;        // the snapshot's
  int64_t files = 0;
  int64_t bytes = 0;           // what its files have
  int64_t missing = 0;         // files that a model needs and that the listing has and the snapshot lacks
  bool listing_known = false;  // whether `missing` can be told
};
// Every snapshot of a model in the cache, by name and commit. A cache that does not exist has none.
VL3_API std::vector<CachedModel> cached_models(const HubOptions& options = {});

// One file of a snapshot that is not what it should be.
struct CacheFault {
  std::string repository, commit, file;
  std::string what;  // "is not what its hash says", …
};
struct CacheCheck {
  int64_t files = 0, bytes = 0;  // that were read
  std::vector<CacheFault> faults;
  std::vector<CacheFault> missing;  // what a model needs, the listing has, and nobody has fetched yet
};
// Reads every file of the cached snapshots (of one model, and of one revision of it, where a name is given)
// and compares its hash. Throws HubError kNotCached for a name that the cache does not have.
VL3_API CacheCheck verify_cached(const std::optional<HubName>& name, const HubOptions& options = {});

// Removes the snapshot of a name with a revision, or every snapshot of a name without one, and the files that
// no other snapshot of the model uses. Of a commit that has other names in the cache, too, the given name
// alone. What is gained, in bytes. Throws HubError kNotCached.
VL3_API int64_t remove_cached(const HubName& name, const HubOptions& options = {});

}  // namespace vl3
