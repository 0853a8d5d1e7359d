#pragma once
// Which authorities a server's certificate may come from, where the library of transfers does not know: a
// build that is carried from one distribution to another (a wheel) has no place of its own.

#include <curl/curl.h>

#include <functional>
#include <span>
#include <string>

namespace vl3::download {

// One file of authorities, or a folder of them with hashed names; at most one is set.
struct Authorities {
  std::string file;
  std::string folder;
};

// What the environment names, SSL_CERT_FILE before SSL_CERT_DIR, whether it is there or not: a wrong name
// must fail, not be passed over. `variable` gives the value of a variable or null.
Authorities named_authorities(const std::function<const char*(const char*)>& variable);

// The first of `files` that can be read.
Authorities first_readable(std::span<const char* const> files);

// Tells `easy`: what the environment names, else what the library was built to take where that is there, else
// the first of the places that distributions have. Leaves it alone where nothing is found: then https fails,
// and the words of the error say why.
void trust_authorities(CURL* easy);

}  // namespace vl3::download
