// videollama3 pull and cache: models of a hub, and the cache that they are kept in.

#include <fmt/format.h>

#include "base/check.h"
#include "base/size_words.h"
#include "cli.h"
#include "hub_models.h"

namespace vl3::cli {
namespace {

struct CacheOptions {
  std::vector<std::string> names;
  std::string folder;
  bool json = false;

  HubOptions hub(HubTerminal& terminal) const {
    HubOptions options = terminal.options();
    options.cache_dir = folder;
    return options;
  }
};

void add_folder_to(CLI::App& command, std::string& folder) {
  command
      .add_option("--cache-dir", folder,
                  "the cache (default: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub)")
      ->type_name("FOLDER");
}

void list_cache(const CacheOptions& options) {
  HubTerminal terminal;
  const std::vector<CachedModel> models = cached_models(options.hub(terminal));
  if (options.json) {
    Json list = Json::array();
    for (const CachedModel& model : models) {
      Json one = {{"model", model.repository}, {"commit", model.commit}, {"revisions", model.revisions},
                  {"files", model.files},      {"bytes", model.bytes},   {"folder", model.folder.string()}};
      one["missing"] = model.listing_known ? Json(model.missing) : Json(nullptr);
      list.push_back(std::move(one));
    }
    return print_json(list);
  }
  for (const CachedModel& model : models)
    fmt::print("{:<40} {:>10} {:>3} files  {:.12}  {}{}\n", model.repository,
               size_words(static_cast<double>(model.bytes)), model.files, model.commit,
               fmt::join(model.revisions, ","),
               model.missing > 0 ? fmt::format("  {} missing", model.missing) : "");
  finish_stdout();
}

void verify_cache(const CacheOptions& options) {
  HubTerminal terminal;
  CacheCheck check;
  if (options.names.empty()) check = verify_cached(std::nullopt, options.hub(terminal));
  for (const std::string& name : options.names) {
    CacheCheck one = verify_cached(parse_hub_name(name), options.hub(terminal));
    check.files += one.files;
    check.bytes += one.bytes;
    check.faults.insert(check.faults.end(), one.faults.begin(), one.faults.end());
    check.missing.insert(check.missing.end(), one.missing.begin(), one.missing.end());
  }
  const auto listed = [](const std::vector<CacheFault>& files) {
    Json list = Json::array();
    for (const CacheFault& file : files)
      list.push_back(
          {{"model", file.repository}, {"commit", file.commit}, {"file", file.file}, {"what", file.what}});
    return list;
  };
  if (options.json)
    print_json({{"files", check.files},
                {"bytes", check.bytes},
                {"faults", listed(check.faults)},
                {"missing", listed(check.missing)}});
  for (const auto* files : {&check.faults, &check.missing})
    for (const CacheFault& file : *files)
      fmt::print(stderr, "{}@{} {} {}\n", file.repository, file.commit, file.file, file.what);
  if (!check.missing.empty())
    fmt::print(stderr, "{} files are missing: `videollama3 pull` fetches them\n", check.missing.size());
  require(check.faults.empty(), ErrorCode::kFormat,
          "[cache] {} files are wrong, and {} were read: remove the model with `videollama3 cache rm`, and "
          "pull it again",
          check.faults.size(), check.files);
  fmt::print(stderr, "{} files, {}: all as their hashes say\n", check.files,
             size_words(static_cast<double>(check.bytes)));
}

void remove_from_cache(const CacheOptions& options) {
  HubTerminal terminal;
  for (const std::string& name : options.names) {
    const int64_t bytes = remove_cached(parse_hub_name(name), options.hub(terminal));
    if (options.json) print_json({{"removed", name}, {"bytes", bytes}});
    fmt::print(stderr, "{}: removed, {} gained\n", name, size_words(static_cast<double>(bytes)));
  }
}

}  // namespace

void add_pull(CLI::App& app) {
  struct Options {
    std::string name, revision, folder;
    std::vector<std::string> include, exclude;
    bool local = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pull", "a model of a hub into the cache; prints its folder");
  command->add_option("name", options->name, "org/name, also with @revision")->required();
  command->add_option("--revision", options->revision, "branch, tag or commit (default: main)")
      ->type_name("NAME");
  command
      ->add_option("--include", options->include,
                   "files to fetch, as a shell's pattern (default: what a model needs to run)")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  command->add_option("--exclude", options->exclude, "files to leave out")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  add_folder_to(*command, options->folder);
  command->add_flag("--local-files-only", options->local, "asks no hub: what is in the cache, or an error");
  finish_help(*command, {{"pull lkhl/VideoLLaMA3-2B-Image-HF", ""},
                         {"pull org/name@v1.0 --exclude '*.safetensors'", "without its weights"}});
  command->callback([options] {
    HubName name = parse_hub_name(options->name);
    require(name.revision.empty() || options->revision.empty(), ErrorCode::kInvalidArgument,
            "[--revision] \"{}\" stands beside the revision of \"{}\": give one", options->revision,
            options->name);
    HubTerminal terminal;
    HubOptions asked = terminal.options();
    asked.revision = options->revision;
    asked.include = options->include;
    asked.exclude = options->exclude;
    asked.cache_dir = options->folder;
    asked.local_files_only = options->local;
    const std::string folder = pull_model(name, asked).string();
    fmt::print("{}\n", folder);
    finish_stdout();
  });
}

void add_cache(CLI::App& app) {
  auto options = std::make_shared<CacheOptions>();
  CLI::App* command = app.add_subcommand("cache", "the models of hubs that are kept here");
  command->require_subcommand(1);
  CLI::App* list = command->add_subcommand("ls", "names, sizes, commits, revisions");
  CLI::App* verify = command->add_subcommand("verify", "reads every file and compares its hash");
  CLI::App* remove = command->add_subcommand("rm", "removes models, or a revision of one");
  verify->add_option("name", options->names, "org/name, also with @revision (default: all)");
  remove->add_option("name", options->names, "org/name for all of it, org/name@revision for one")->required();
  add_folder_to(*command, options->folder);
  command->add_flag("--json", options->json, "JSON instead of text");
  for (CLI::App* one : {list, verify, remove}) one->fallthrough();  // these stand behind them, too
  finish_help(*list, {{"cache ls", ""}});
  finish_help(*verify, {{"cache verify", "all"}, {"cache verify org/name", ""}});
  finish_help(*remove, {{"cache rm org/name@v1.0", ""}});
  finish_help(*command, {{"cache ls", ""}, {"cache verify", ""}, {"cache rm org/name", ""}});
  list->callback([options] { list_cache(*options); });
  verify->callback([options] { verify_cache(*options); });
  remove->callback([options] { remove_from_cache(*options); });
}

}  // namespace vl3::cli
