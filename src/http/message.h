#pragma once
// HTTP as the rest of the program sees it: what was asked, and what is answered.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vl3::http {

// Header fields in the order in which they came; names are in lower case.
class Fields {
 public:
  Fields() = default;
  Fields(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}
  // The first field of this name (given in lower case); null where there is none.
  const std::string* find(std::string_view name) const noexcept;
  size_t count(std::string_view name) const noexcept;
  void add(std::string name, std::string value);
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// A request before its body.
struct Head {
  std::string method;  // "GET"
  std::string path;    // as it was sent, without the query; nothing is decoded
  std::string query;   // behind the "?"
  Fields fields;
  std::string peer;        // address of the client, without its port
  bool encrypted = false;  // it came over TLS
  std::string id;          // of the request: the client's X-Request-Id where it is a sane one, else made up
};

struct Request : Head {
  std::string body;
};

struct Reply {
  int status = 200;
  Fields fields;  // beside those that the server writes itself: length, date, connection, request id
  std::string body;
};

}  // namespace vl3::http
