#include "hub/listing.h"

#include <algorithm>

#include "base/json.h"
#include "hub/name.h"
#include "vl3/hub.h"

namespace vl3::hub {
namespace {

constexpr size_t kMaxEntries = 20'000;  // objects are searched from their first key on
constexpr size_t kMaxPath = 1024, kMaxPart = 255;
constexpr int64_t kMaxFileBytes = int64_t{1} << 50;

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

template <class... Args>
[[noreturn]] void refuse(const std::string& origin, fmt::format_string<Args...> format, Args&&... args) {
  throw HubError(HubFailure::kBadAnswer, fmt::format("[{}] the hub's answer is none: {}", origin,
                                                     fmt::format(format, std::forward<Args>(args)...)));
}

Json parsed(std::string_view json, const std::string& origin) {
  try {
    return parse_json(json, origin);
  } catch (const Error&) {  // what it says of a place in the text helps nobody here
    refuse(origin, "it is no JSON, but begins with \"{}\"", printable(json.substr(0, 40)));
  }
}

// A string of an object; "" where it is absent, null or something else.
std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t size_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return -1;
  if (found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(kMaxFileBytes)) return -1;
  const auto size = found->get<int64_t>();
  return size > kMaxFileBytes ? -1 : size;
}

// What is wrong with an entry; "" where nothing is.
std::string fault_of(const std::string& path, const FileEntry& entry) {
  if (!stays_inside(path)) return fmt::format("the path \"{}\" leads out of its folder", printable(path));
  if (entry.size < 0) return fmt::format("\"{}\" has no size", printable(path));
  if (!is_hex(entry.git_id, 40)) return fmt::format("\"{}\" has no git hash", printable(path));
  if (!entry.sha256.empty() && !is_hex(entry.sha256, 64))
    return fmt::format("\"{}\" has a SHA-256 that is none", printable(path));
  return {};
}

}  // namespace

bool stays_inside(std::string_view path) noexcept {
  if (path.empty() || path.size() > kMaxPath || path.find('\\') != std::string_view::npos) return false;
  if (std::any_of(path.begin(), path.end(),
                  [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
    return false;
  for (;;) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPart) return false;
    if (slash == std::string_view::npos) return true;
    path = path.substr(slash + 1);
  }
}

std::string commit_of(std::string_view json, const std::string& origin) {
  const Json answer = parsed(json, origin);
  std::string commit = answer.is_object() ? text_of(answer, "sha") : "";
  if (!is_commit(commit)) refuse(origin, "\"sha\" is no commit");
  return commit;
}

void add_page(Listing& listing, std::string_view json, const std::string& origin) {
  const Json page = parsed(json, origin);
  if (!page.is_array()) refuse(origin, "it is no list");
  for (const Json& item : page) {
    if (!item.is_object()) refuse(origin, "an entry is no object");
    if (text_of(item, "type") != "file") continue;
    const std::string path = text_of(item, "path");
    FileEntry entry{size_of(item, "size"), text_of(item, "oid"), {}, text_of(item, "xetHash")};
    if (const auto lfs = item.find("lfs"); lfs != item.end() && lfs->is_object()) {
      entry.sha256 = text_of(*lfs, "oid");
      entry.size = size_of(*lfs, "size");
      if (entry.sha256.empty()) refuse(origin, "\"{}\" has no SHA-256", printable(path));
    }
    if (!is_hex(entry.xet_hash, 64)) entry.xet_hash.clear();
    const std::string fault = fault_of(path, entry);
    if (!fault.empty()) refuse(origin, "{}", fault);
    listing[path] = std::move(entry);
    if (listing.size() > kMaxEntries) refuse(origin, "it lists more than {} files", kMaxEntries);
  }
}

void check_folders(const Listing& listing, const std::string& origin) {
  for (const auto& [path, entry] : listing) {
    const auto below = listing.lower_bound(path + "/");
    if (below != listing.end() && below->first.starts_with(path + "/"))
      refuse(origin, "\"{}\" is a file and a folder", printable(path));
  }
}

std::string to_tree_file(const Listing& listing) {
  Json files = Json::object();
  for (const auto& [path, entry] : listing) {
    Json file = {{"size", entry.size}, {"blob_id", entry.git_id}};
    if (!entry.sha256.empty()) {
      file["lfs_sha256"] = entry.sha256;
      file["lfs_size"] = entry.size;
    }
    if (!entry.xet_hash.empty()) file["xet_hash"] = entry.xet_hash;
    files[path] = std::move(file);
  }
  return Json{{"format_version", 1}, {"files", std::move(files)}}.dump(1);
}

std::optional<Listing> from_tree_file(std::string_view text) {
  Json file;
  try {
    file = parse_json(text, "trees");
  } catch (const Error&) {
    return {};
  }
  if (!file.is_object() || size_of(file, "format_version") != 1) return {};
  const auto files = file.find("files");
  if (files == file.end() || !files->is_object()) return {};
  Listing listing;
  for (const auto& [path, item] : files->items()) {
    if (!item.is_object()) return {};
    FileEntry entry{size_of(item, "size"), text_of(item, "blob_id"), text_of(item, "lfs_sha256"),
                    text_of(item, "xet_hash")};
    if (!entry.sha256.empty() && size_of(item, "lfs_size") >= 0) entry.size = size_of(item, "lfs_size");
    if (!is_hex(entry.xet_hash, 64)) entry.xet_hash.clear();
    if (!fault_of(path, entry).empty()) return {};
    listing[path] = std::move(entry);
  }
  return listing;
}

}  // namespace vl3::hub
