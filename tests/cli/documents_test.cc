// Commands in the documents have options that exist.

#include "docs/documents.h"

#include <map>
#include <regex>
#include <sstream>

#include "program.h"

namespace vl3 {
namespace {

// Lines of documents that run the program: in blocks of code, without what a shell reads as a comment.
std::vector<std::string> commands_in(const std::string& document) {
  std::vector<std::string> commands;
  std::istringstream lines(document);
  bool fence = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string plain = test::trimmed(line);
    if (plain.starts_with("```")) fence = !fence;
    if (!fence && !line.starts_with("    ")) continue;
    const size_t at = plain.find("videollama3 ");
    if (at != 0 && (at == std::string::npos || plain[at - 1] != ' ')) continue;
    if (plain.starts_with("from ") || plain.starts_with("import ")) continue;  // Python
    commands.push_back(std::regex_replace(plain.substr(at), std::regex(R"(\s(#|\|).*$)"), ""));
  }
  return commands;
}

TEST(Documents, OptionsOfCommandsExist) {
  std::map<std::string, std::string> helps;
  const std::string whole = test::run("--help").out;
  int options = 0;
  for (const std::string& name : test::documents()) {
    if (name.starts_with("docs/history/")) continue;
    for (const std::string& command : commands_in(test::read_text(test::project() / name))) {
      std::smatch verb;
      if (!std::regex_search(command, verb, std::regex(R"(^videollama3\s+([a-z]+))"))) continue;
      ASSERT_NE(whole.find("\n  " + verb[1].str() + ' '), std::string::npos) << name << ": " << command;
      std::string& help = helps[verb[1]];
      if (help.empty()) help = test::run(verb[1].str() + " --help").out;
      // Text in quotes is a question, what stands in a JSON object is none of ours.
      const std::string words = std::regex_replace(command, std::regex(R"("[^"]*"|'[^']*')"), "");
      const std::regex option(R"((^|[\s\[|])(--[a-z][a-z0-9-]*))");
      for (std::sregex_iterator at(words.begin(), words.end(), option); at != std::sregex_iterator(); ++at) {
        const std::regex listed((*at)[2].str() + R"((?![a-z0-9-]))");
        EXPECT_TRUE(std::regex_search(help, listed)) << name << ": " << command << ": " << (*at)[2];
        ++options;
      }
    }
  }
  EXPECT_GE(options, 30);
}

}  // namespace
}  // namespace vl3
