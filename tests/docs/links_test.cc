// Links of the documents lead to headings that are there, and the site of the documents shows all of them.
// Needs nothing that builds the site; scripts/docs_site does, and checks what is built.

#include <map>
#include <regex>
#include <set>

#include "documents.h"

namespace vl3 {
namespace {

// A heading's anchor where repositories are shown: letters in lower case, blanks as dashes, and neither
// punctuation nor marks of Markdown. Bytes of characters beyond ASCII stay.
std::string anchor_of(std::string heading) {
  heading = std::regex_replace(heading, std::regex(R"(\[([^\]]*)\]\([^)]*\))"), "$1");  // a link: its words
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) != 0 || c == '-' || c == '_')
      anchor += static_cast<char>(std::tolower(byte));
    else if (c == ' ')
      anchor += '-';
  }
  return anchor;
}

std::set<std::string> anchors_of(const std::string& document) {
  std::set<std::string> anchors;
  std::map<std::string, int> times;
  std::istringstream lines(test::prose_of(document));
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, found, std::regex(R"(#{1,6} +(.*?) *#*)"))) {
      const std::string anchor = anchor_of(found[1]);
      const int before = times[anchor]++;
      anchors.insert(before == 0 ? anchor : anchor + "-" + std::to_string(before));
    }
    const std::regex named(R"re((?:id|name)="([^"]+)")re");
    for (std::sregex_iterator at(line.begin(), line.end(), named); at != std::sregex_iterator(); ++at)
      anchors.insert((*at)[1]);
  }
  return anchors;
}

// What a document links to and shows, without what stands in code.
std::vector<std::string> links_of(const std::string& document) {
  const std::string prose = std::regex_replace(test::prose_of(document), std::regex("`[^`\n]*`"), "`");
  std::vector<std::string> links;
  for (const char* pattern : {R"(\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\))", R"re((?:src|href)="([^"]+)")re",
                              R"((?:^|\n) {0,3}\[[^\]\n]+\]: +(\S+))"}) {
    const std::regex link(pattern);
    for (std::sregex_iterator at(prose.begin(), prose.end(), link); at != std::sregex_iterator(); ++at)
      links.push_back((*at)[1]);
  }
  return links;
}

// What is wrong with a link of the document of this name; "" where nothing is.
std::string fault(const std::string& name, const std::string& link) {
  namespace fs = std::filesystem;
  if (std::regex_search(link, std::regex("^[a-z][a-z0-9+.-]*:"))) return "";
  const size_t hash = std::min(link.find('#'), link.size());
  const fs::path own = test::project() / name;
  const fs::path target = hash == 0 ? own : own.parent_path() / link.substr(0, hash);
  if (!fs::exists(target)) return "there is no such file";
  const std::string inside = target.lexically_normal().lexically_relative(test::project()).string();
  if (inside.starts_with("..")) return "it leads out of the project";
  if (hash == link.size()) return "";
  if (target.extension() != ".md") return "";
  return anchors_of(test::read_text(target)).contains(link.substr(hash + 1)) ? ""
                                                                             : "there is no such heading";
}

TEST(Links, LeadToFilesAndHeadings) {
  int links = 0, anchors = 0;
  for (const std::string& name : test::documents()) {
    for (const std::string& link : links_of(test::read_text(test::project() / name))) {
      EXPECT_EQ(fault(name, link), "") << name << " links to " << link;
      ++links;
      anchors += link.find('#') != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GE(links, 150);
  EXPECT_GE(anchors, 3);
}

TEST(Links, FaultsAreFound) {
  EXPECT_EQ(fault("docs/tools.md", "#chat"), "");
  EXPECT_EQ(fault("docs/training.md", "tools.md#chat"), "");
  EXPECT_EQ(fault("README.md", "https://example.org/nothing"), "");
  EXPECT_EQ(fault("docs/tools.md", "#no-such-part"), "there is no such heading");
  EXPECT_EQ(fault("docs/training.md", "tools.md#Chat"), "there is no such heading");
  EXPECT_EQ(fault("docs/tools.md", "nothing.md"), "there is no such file");
  EXPECT_EQ(fault("docs/tools.md", "../.."), "it leads out of the project");
  EXPECT_EQ(
      links_of("a [b](c.md) ![d](e.png \"f\") <img src=\"g.png\"> `[h](i)`\n[j]: k.md\n```\n[l](m)\n```\n"),
      (std::vector<std::string>{"c.md", "e.png", "g.png", "k.md"}));
  EXPECT_EQ(anchors_of("# A `b-c`: d, e\n## A [link](x.md) again\n# A `b-c`: d, e\n"),
            (std::set<std::string>{"a-b-c-d-e", "a-link-again", "a-b-c-d-e-1"}));
}

// A page that mkdocs.yml does not name could be found by its links alone.
TEST(Links, EveryPageIsInTheSite) {
  const std::string settings = test::read_text(test::project() / "mkdocs.yml");
  const size_t nav = settings.find("\nnav:\n");
  ASSERT_NE(nav, std::string::npos);
  std::set<std::string> named;
  const std::regex page(R"(- (?:[^:\n]+: )?(\S+\.md)(?=\n))");
  for (std::sregex_iterator at(settings.begin() + static_cast<ptrdiff_t>(nav), settings.end(), page);
       at != std::sregex_iterator(); ++at)
    EXPECT_TRUE(named.insert((*at)[1]).second) << (*at)[1] << " is in the site twice";
  for (const std::string& name : test::documents()) {
    if (name.starts_with("docs/")) {
      EXPECT_TRUE(named.contains(name.substr(5))) << name << " is not in mkdocs.yml";
    }
  }
  for (const std::string& name : named) {
    const std::string outside = "project/";
    const std::string file = name == "index.md"          ? "README.md"
                             : name.starts_with(outside) ? name.substr(outside.size())
                                                         : "docs/" + name;
    EXPECT_TRUE(std::filesystem::exists(test::project() / file)) << "mkdocs.yml names " << name;
  }
}

}  // namespace
}  // namespace vl3
