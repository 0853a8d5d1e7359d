// What a hub answers, and what the cache keeps of it: commits, lists of files, fields of replies, names.

#include "vl3/hub.h"

#include <algorithm>

#include "base/ascii.h"
#include "download/reply_fields.h"
#include "download/retry.h"
#include "fuzz.h"
#include "hub/cache.h"
#include "hub/listing.h"
#include "hub/name.h"
#include "hub/selection.h"
#include "hub/settings.h"

namespace {

using namespace vl3;
using namespace vl3::hub;

void check(bool right) {
  if (!right) std::abort();
}

bool is_hash(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Every file of it gets a place below the snapshot's folder, and a blob of a name that is a hash.
void look_at(const Listing& listing) {
  const std::filesystem::path folder = "/cache/snapshots/x";
  for (const auto& [path, entry] : listing) {
    const std::string place = (folder / path).lexically_normal().string();
    check(place == folder.string() + "/" + path);
    check(std::none_of(path.begin(), path.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20; }));
    check(is_hash(entry.etag()) && entry.size >= 0);
    check(entry.xet_hash.empty() || (is_hash(entry.xet_hash) && entry.xet_hash.size() == 64));
    is_needed(path);
  }
  const std::string kept = to_tree_file(listing);
  const auto again = from_tree_file(kept);
  check(again.has_value() && to_tree_file(*again) == kept);
}

void look_at(const download::ReplyHead& head) {
  using namespace download;
  constexpr std::chrono::hours kDay{24};
  if (const auto wait = asked_wait(head)) check(wait->count() >= 0 && *wait <= kDay);
  const auto pause = pause_after(3, std::chrono::milliseconds(250), head);
  check(pause >= std::chrono::seconds(1) && pause <= kDay);
  is_packed(head);
  for (const auto& field : head.fields) {
    const std::string& value = field.second;
    check(entity_tag(value).size() <= value.size());
    check(next_link(value).find('<') == std::string::npos);
    if (const auto range = parse_content_range(value))
      check(range->last >= range->first && (!range->total || *range->total > range->last));
    if (const auto count = byte_count(value)) check(*count <= uint64_t{INT64_MAX});
    // It stays with the hub, encrypted as it is, or it is known that it does not.
    fuzz::read_or_refuse([&] {
      const Url hub("https://hub.example/api/models/x");
      const Url next = hub.follow(next_link(value));
      check(next.encrypted());
      check(next.origin() != hub.origin() || ascii_lower(next.host()) == "hub.example");
    });
  }
}

void look_at_name(std::string_view text) {
  fuzz::read_or_refuse([&] {
    const HubName name = parse_hub_name(text);
    check(repository_of(folder_of(name.repository)) == name.repository);
    check(folder_of(name.repository).find('/') == std::string::npos);
    check(name.revision.empty() || stays_inside(name.revision));
  });
  looks_like_path(std::string(text));
  const std::string shown = printable(text);
  check(std::all_of(shown.begin(), shown.end(), [](char c) { return c != '\n' && c != '\x1b'; }));
  const size_t half = text.find('\n');
  if (half != std::string_view::npos) matches(text.substr(0, half), text.substr(half + 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::read_or_refuse([&] { check(is_commit(commit_of(text, "https://hub/x"))); });
  fuzz::read_or_refuse([&] {
    Listing listing;
    add_page(listing, text, "https://hub/x");
    look_at(listing);
  });
  if (const auto listing = from_tree_file(text)) look_at(*listing);
  download::ReplyHead head{429, {}};
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    head.add_line(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  look_at(head);
  look_at_name(text);
  static const fuzz::Folder folder;
  static const RepositoryCache cache = [] {
    Settings settings;
    settings.cache = folder.path();
    std::filesystem::create_directories(folder.path() / "models--a/refs");
    return RepositoryCache(settings, "a");
  }();
  folder.write("models--a/refs/main", text);
  if (const auto commit = cache.commit_of("main")) check(is_commit(*commit));
  return 0;
}
