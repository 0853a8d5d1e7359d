// Which authorities are trusted: what the environment names, the first place that is there.

#include "download/certificates.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "support/support.h"

namespace vl3::download {
namespace {

Authorities named(const std::map<std::string, std::string>& environment) {
  return named_authorities([&](const char* name) -> const char* {
    const auto at = environment.find(name);
    return at == environment.end() ? nullptr : at->second.c_str();
  });
}

TEST(Certificates, TheEnvironmentNamesAFileBeforeAFolder) {
  EXPECT_EQ(named({{"SSL_CERT_FILE", "/a.pem"}, {"SSL_CERT_DIR", "/certs"}}).file, "/a.pem");
  EXPECT_EQ(named({{"SSL_CERT_FILE", "/a.pem"}, {"SSL_CERT_DIR", "/certs"}}).folder, "");
  EXPECT_EQ(named({{"SSL_CERT_DIR", "/certs"}}).folder, "/certs");
  EXPECT_EQ(named({{"SSL_CERT_DIR", "/certs"}}).file, "");
  EXPECT_EQ(named({{"SSL_CERT_FILE", ""}, {"SSL_CERT_DIR", "/certs"}}).folder, "/certs");
  EXPECT_EQ(named({}).file, "");
  EXPECT_EQ(named({}).folder, "");
}

TEST(Certificates, TheFirstPlaceThatIsThere) {
  const test::TemporaryFolder folder;
  const std::string here = folder / "authorities.pem";
  std::ofstream(here) << "authorities";
  const char* const files[] = {"/no/such/bundle.pem", here.c_str(), "/etc/passwd"};
  EXPECT_EQ(first_readable(files).file, here);
  std::filesystem::remove(here);
  EXPECT_EQ(first_readable(std::span(files, 2)).file, "");
}

}  // namespace
}  // namespace vl3::download
