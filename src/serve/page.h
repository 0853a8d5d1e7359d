#pragma once
// The page: files that the program carries, open to all since they hold nothing secret.

#include <string>
#include <string_view>
#include <vector>

#include "serve/routes.h"

namespace vl3::serve {

struct PageFile {
  std::string path;  // "index.html", "icons/one.svg"
  std::string_view bytes;
};

// Those of web/dist when this was built; none where that folder was empty.
std::vector<PageFile> embedded_page();

// A route for each, index.html also as "/". Their types go by their names' endings; they are kept by ETag,
// and come compressed to who takes gzip and where that is smaller. Without an index.html "/" says in a
// sentence that the program was built without its page.
void add_page(Routes& routes, const std::vector<PageFile>& files);

}  // namespace vl3::serve
