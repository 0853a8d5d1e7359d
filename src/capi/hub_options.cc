#include "capi/hub_options.h"

#include "base/json.h"
#include "capi/option_table.h"

namespace vl3::capi {
namespace {

constexpr int64_t kMostFiles = 16;

using HubOption = Option<HubOptions>;

HubOption text(const char* name, std::string HubOptions::*member) {
  return {name, [member](const JsonView& from, const char* key, HubOptions& options) {
            options.*member = from.string(key, "");
          }};
}

HubOption list(const char* name, std::vector<std::string> HubOptions::*member) {
  return {name, [member](const JsonView& from, const char* key, HubOptions& options) {
            options.*member = texts(from, key);
          }};
}

std::vector<HubOption> options_table() {
  return {text("revision", &HubOptions::revision),
          list("include", &HubOptions::include),
          list("exclude", &HubOptions::exclude),
          {"cache_dir", [](const JsonView& from, const char* name,
                           HubOptions& o) { o.cache_dir = from.string(name, ""); }},
          text("endpoint", &HubOptions::endpoint),
          {"token",
           [](const JsonView& from, const char* name, HubOptions& o) { o.token = from.string(name, ""); }},
          {"local_files_only", [](const JsonView& from, const char* name,
                                  HubOptions& o) { o.local_files_only = from.boolean(name, false); }},
          {"parallel_files", [](const JsonView& from, const char* name, HubOptions& o) {
             o.parallel_files = static_cast<int>(from.integer(name, o.parallel_files, 1, kMostFiles));
           }}};
}

}  // namespace

HubOptions parse_hub_options(std::string_view text) { return parse_options(text, options_table()); }

}  // namespace vl3::capi
