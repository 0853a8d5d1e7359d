#include "download/certificates.h"

#include <unistd.h>

#include <cstdlib>

namespace vl3::download {
namespace {

constexpr const char* kFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 6 and later
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, CentOS
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/ssl/cert.pem",                                  // Alpine without the package, BSD
};

bool readable(const char* path) { return path != nullptr && *path != '\0' && ::access(path, R_OK) == 0; }

// Where the library itself looks, as it was built.
bool knows_a_place(CURL* easy) {
  const char *file = nullptr, *folder = nullptr;
#if LIBCURL_VERSION_NUM >= 0x075400
  curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
  curl_easy_getinfo(easy, CURLINFO_CAPATH, &folder);
#endif
  return readable(file) || readable(folder);
}

}  // namespace

Authorities named_authorities(const std::function<const char*(const char*)>& variable) {
  for (const bool is_file : {true, false}) {
    const char* value = variable(is_file ? "SSL_CERT_FILE" : "SSL_CERT_DIR");
    if (value == nullptr || *value == '\0') continue;
    return is_file ? Authorities{value, {}} : Authorities{{}, value};
  }
  return {};
}

Authorities first_readable(std::span<const char* const> files) {
  for (const char* file : files)
    if (readable(file)) return {file, {}};
  return {};
}

void trust_authorities(CURL* easy) {
  Authorities found = named_authorities([](const char* name) { return std::getenv(name); });
  const bool named = !found.file.empty() || !found.folder.empty();
  if (!named && !knows_a_place(easy)) found = first_readable(kFiles);
  if (!found.file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, found.file.c_str());
  // The one that is named counts alone: not the other one that the library knows.
  if (named && !found.file.empty()) curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  if (!found.folder.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAPATH, found.folder.c_str());
    curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  }
}

}  // namespace vl3::download
