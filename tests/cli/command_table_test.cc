// Commands within commands, values of every kind, and characters that mean something to shells and manuals.

#include "cli/command_table.h"

#include <gtest/gtest.h>

#include "cli/completions.h"
#include "cli/man_page.h"

namespace vl3::cli {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class CommandTableTest : public ::testing::Test {
 protected:
  CommandTableTest() {
    app.set_version_flag("--version", "1", "the version");
    cache = app.add_subcommand("cache", "what is kept; 'all' of it");
    CLI::App* remove = cache->add_subcommand("rm", "removes models: [some]");
    remove->add_option("name", names, "org/name")->required();
    remove->add_option("-f,--from-file", text, R"(a back\slash, "quotes" and …)")->type_name("FILE");
    remove->add_option("--into", text, "a folder")->type_name("FOLDER");
    remove->add_option("--how", text, "how")->check(CLI::IsMember({"fast", "well"}))->capture_default_str();
    remove->add_option("--parts", names, "parts")->delimiter(',')->check(CLI::IsMember({"a", "b"}));
    remove->add_flag("--dry-run,!--no-dry-run", flag, "only say");
    remove->add_option("--secret", text, "nobody sees it")->group("");
    app.add_subcommand("hidden", "nobody sees it")->group("");
    finish_help(*remove, {{"cache rm org/name", "it's gone"}});
    finish_help(*cache);
    finish_help(app);
    table = command_table(app);
  }

  CLI::App app{"the program"};
  CLI::App* cache = nullptr;
  std::string text = "well";
  std::vector<std::string> names;
  bool flag = false;
  CommandEntry table;
};

TEST_F(CommandTableTest, HoldsWhatTheHelpShows) {
  const auto all = all_commands(table);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0]->name(), "videollama3");
  EXPECT_EQ(all[1]->name(), "videollama3 cache");
  EXPECT_EQ(all[2]->name(), "videollama3 cache rm");
  const std::vector<OptionEntry>& options = all[2]->options;
  ASSERT_EQ(options.size(), 7U);
  EXPECT_TRUE(options[0].positional && options[0].required && options[0].many);
  EXPECT_EQ(options[0].names, (std::vector<std::string>{"NAME"}));
  EXPECT_EQ(options[0].kind, ValueKind::kText);  // a name is no file
  EXPECT_EQ(options[1].names, (std::vector<std::string>{"-f", "--from-file"}));
  EXPECT_EQ(options[1].kind, ValueKind::kFile);
  EXPECT_EQ(options[2].kind, ValueKind::kFolder);
  EXPECT_EQ(options[3].choices, (std::vector<std::string>{"fast", "well"}));
  EXPECT_EQ(options[3].help, "how (default: well)");
  EXPECT_EQ(options[4].delimiter, ',');
  EXPECT_EQ(options[5].kind, ValueKind::kNone);
  EXPECT_EQ(options[6].names, (std::vector<std::string>{"-h", "--help"}));
}

TEST_F(CommandTableTest, HelpOfACommandListsItsOwn) {
  const std::string help = cache->help();
  EXPECT_TRUE(has(help, "Usage: videollama3 cache COMMAND …\n")) << help;
  EXPECT_TRUE(has(help, "\nCommands:\n  rm ")) << help;
  EXPECT_TRUE(has(help, "\nvideollama3 cache COMMAND --help tells more")) << help;
  const std::string inner = cache->get_subcommand("rm")->help();
  EXPECT_EQ(inner.rfind("videollama3 cache rm: removes models", 0), 0U) << inner;
  EXPECT_TRUE(has(inner, "Usage: videollama3 cache rm [OPTIONS] NAME...\n")) << inner;
}

TEST_F(CommandTableTest, ManPages) {
  const auto all = all_commands(table);
  EXPECT_EQ(man_file_name(*all[0]), "videollama3.1");
  EXPECT_EQ(man_file_name(*all[2]), "videollama3-cache-rm.1");
  const std::string page = man_page(*all[2], table, "1.2.3", "2026-01-02");
  EXPECT_TRUE(has(page, ".TH VIDEOLLAMA3\\-CACHE\\-RM 1 2026-01-02 \"videollama3 1.2.3\"")) << page;
  EXPECT_TRUE(has(page, "\\fB\\-f\\fR, \\fB\\-\\-from\\-file\\fR \\fIFILE\\fR\n")) << page;
  EXPECT_TRUE(has(page, "a back\\eslash, \\(dqquotes\\(dq and \\[u2026]\n")) << page;
  EXPECT_TRUE(has(page, "\\fB\\-\\-how\\fR \\fBfast|well\\fR\n")) << page;
  EXPECT_TRUE(has(page, ".SH SEE ALSO\n.BR videollama3\\-cache (1)\n")) << page;
  EXPECT_FALSE(has(page, "secret"));
  EXPECT_TRUE(has(man_page(*all[1], table, "1", "2026-01-02"), ".BR videollama3\\-cache\\-rm (1)\n"));
}

TEST_F(CommandTableTest, CompletionsOfInnerCommands) {
  const std::string bash = bash_completions(table), zsh = zsh_completions(table),
                    fish = fish_completions(table);
  EXPECT_TRUE(has(bash, "    'cache')\n      commands='rm'\n")) << bash;
  EXPECT_TRUE(has(bash, "    'cache rm')\n      commands=''\n")) << bash;
  EXPECT_TRUE(has(bash, "'cache rm -f'|'cache rm --from-file') kind=file ;;\n")) << bash;
  EXPECT_TRUE(has(bash, "'cache rm --parts') kind=list words='a b' ;;\n")) << bash;
  EXPECT_TRUE(has(zsh, "'rm:removes models: [some]'")) << zsh;
  EXPECT_TRUE(has(zsh, "'cache:what is kept; '\\''all'\\'' of it'")) << zsh;
  EXPECT_TRUE(has(zsh, "_videollama3_cache_rm() {\n")) << zsh;
  EXPECT_TRUE(has(zsh, R"('--from-file=[a back\\slash, "quotes" and …]:FILE:_files')")) << zsh;
  EXPECT_TRUE(has(fish, "set -g __videollama3_commands 'cache' 'cache rm'\n")) << fish;
  EXPECT_TRUE(has(fish, "-n '__videollama3_at cache rm' -l how -x -a 'fast well' -d")) << fish;
  for (const std::string& script : {bash, zsh, fish})
    EXPECT_FALSE(has(script, "secret") || has(script, "hidden"));
}

}  // namespace
}  // namespace vl3::cli
