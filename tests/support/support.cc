#include "support/support.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace vl3::test {

namespace fs = std::filesystem;

fs::path data_path(const std::string& name) { return fs::path(VL3_PROJECT_DIR) / "tests" / "data" / name; }

fs::path shared_path(const std::string& name) {
  const char* set = std::getenv("VL3_SHARED");
  const fs::path root = set != nullptr ? fs::path(set) : fs::path(VL3_PROJECT_DIR) / ".." / "shared";
  const fs::path path = root / name;
  return fs::exists(path) ? path.lexically_normal() : fs::path();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "vl3-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace vl3::test
