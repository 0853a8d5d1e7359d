#pragma once
// The project's documents.

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "support/support.h"

namespace vl3::test {

inline std::filesystem::path project() { return data_path("../..").lexically_normal(); }

// All *.md, as paths from the project's root, but for those of builds, test data and packages.
inline std::vector<std::string> documents() {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  for (auto at = fs::recursive_directory_iterator(project()); at != fs::recursive_directory_iterator();
       ++at) {
    const std::string name = at->path().filename().string();
    if (at->is_directory() &&
        (name.starts_with('.') || name.starts_with("build") || name == "data" || name == "node_modules"))
      at.disable_recursion_pending();
    else if (at->path().extension() == ".md")
      names.push_back(at->path().lexically_relative(project()).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct Block {
  std::string info, text;  // behind the opening fence; the lines inside
  int line = 0;            // of the fence, from 1
};

inline std::string trimmed(const std::string& line) {
  const size_t begin = line.find_first_not_of(' ');
  return begin == std::string::npos ? "" : line.substr(begin);
}

// The blocks of a document between lines of ```.
inline std::vector<Block> fenced_blocks(const std::string& document) {
  std::vector<Block> blocks;
  std::istringstream lines(document);
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string plain = trimmed(line);
    if (plain.starts_with("```")) {
      if (!inside) blocks.push_back({plain.substr(3), "", number});
      inside = !inside;
    } else if (inside) {
      blocks.back().text += line + '\n';
    }
  }
  return blocks;
}

// The document without its fenced blocks.
inline std::string prose_of(const std::string& document) {
  std::string prose;
  std::istringstream lines(document);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const bool fence = trimmed(line).starts_with("```");
    if (!fence && !inside) prose += line + '\n';
    inside = inside != fence;
  }
  return prose;
}

}  // namespace vl3::test
