#pragma once
// Which routes there are: what is asked for, who answers, and what must be there before. The table also gives
// 404, 405 with Allow, and /openapi.json.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "http/message.h"
#include "http/server.h"

namespace vl3::serve {

// One request on its way to its handler.
struct Call {
  http::Request request;
  std::shared_ptr<http::Exchange> exchange;
  // Whose it is: a name made of the key by hashing, "" where no keys are asked for. What is kept between
  // requests, and turns in the queue, go by it; it says nothing of the key.
  std::string client;
  std::string id;  // what stood for {id}, percent-decoded
};

struct Route {
  std::string method;  // "GET", which answers HEAD as well, "POST", …
  std::string path;    // exact, or with {id} as its last part, which takes the whole rest
  // Called on the server's thread: must not block. What it throws is answered as to_api_error says.
  std::function<void(Call)> handler;
  std::string summary;  // a sentence, of /openapi.json
  bool needs_key = true;
  bool reads_body = false;  // JSON; other types are refused with 415
  // What /openapi.json says besides, e.g. {"requestBody": …, "responses": …}; null: nothing.
  Json openapi = nullptr;
  bool listed = true;  // in /openapi.json
};

class Routes {
 public:
  struct Match {
    const Route* route = nullptr;  // null: none of this method and path
    std::string id;
    std::vector<std::string> allowed;  // methods of this path; empty: there is no such path
  };

  // Throws kInvalidArgument for a route that is there already.
  void add(Route route);
  // path as it was sent: nothing but {id} is decoded, so that there is one spelling of every route.
  Match find(std::string_view method, std::string_view path) const;
  // The document of OpenAPI 3.1.
  Json openapi(std::string_view version) const;
  const std::vector<std::unique_ptr<Route>>& all() const noexcept { return routes_; }

 private:
  std::vector<std::unique_ptr<Route>> routes_;  // by pointer: matches keep theirs when more are added
};

// "a%2Fb" → "a/b"; none where a % is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace vl3::serve
