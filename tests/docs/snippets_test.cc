// C++ in the documents compiles.

#include <fmt/format.h>

#include <cstdlib>

#include "documents.h"

namespace vl3 {
namespace {

// Statements get the public headers and a function around them; "whole" blocks are files of their own.
std::string source_of(const test::Block& block) {
  if (block.info.find("whole") != std::string::npos) return block.text;
  std::string source = "#include <cstdio>\n";
  for (const auto& header : std::filesystem::directory_iterator(test::project() / "include/vl3"))
    if (header.path().filename() != "vl3.h")
      source += "#include \"vl3/" + header.path().filename().string() + "\"\n";
  return source + "void snippet() {\n" + block.text + "}\n";
}

TEST(Snippets, Compile) {
  const test::TemporaryFolder folder;
  int compiled = 0;
  for (const std::string& name : test::documents()) {
    if (name.starts_with("docs/history/")) continue;
    for (const test::Block& block : test::fenced_blocks(test::read_text(test::project() / name))) {
      if (!block.info.starts_with("cpp")) continue;
      EXPECT_NE(block.info.find("compiles"), std::string::npos)
          << name << ':' << block.line << ": say \"cpp compiles\" or \"cpp compiles whole\"";
      test::write_text(folder / "snippet.cc", source_of(block));
      const std::string command =
          fmt::format("{} -std=c++20 -fsyntax-only -I{} -I{} {} >{} 2>&1", VL3_COMPILER,
                      (test::project() / "include").string(), (test::project() / "src").string(),
                      (folder / "snippet.cc").string(), (folder / "log").string());
      EXPECT_EQ(std::system(command.c_str()), 0) << name << ':' << block.line << " does not compile:\n"
                                                 << test::read_text(folder / "log");
      ++compiled;
    }
  }
  EXPECT_GE(compiled, 2);
}

}  // namespace
}  // namespace vl3
