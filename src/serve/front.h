#pragma once
// What stands between HTTP and the routes: who may ask, what a request must look like, whose it is; and what
// is told of each afterwards.

#include <atomic>
#include <optional>
#include <string>

#include "http/server.h"
#include "serve/host_rules.h"
#include "serve/key_ring.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/routes.h"

namespace vl3::serve {

// All it is given outlives it. Its functions are those that a Server calls, on its thread. Until open() was
// called, while the model is loaded, every request is refused with 503.
class Front {
 public:
  Front(const KeyRing& keys, const HostRules& hosts, Log& log, bool log_requests = true);
  void open(const Routes& routes, Metrics& metrics);

  // In this order: the name of the host (but for health, which is asked by whatever watches), the page that
  // asks, the key, the route, its method, the type of the body.
  std::optional<http::Reply> admit(const http::Head& head) const;
  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange) const;
  void served(const http::Served& served) const;

  // From now on whatever wants a key is refused with 503.
  void drain() noexcept { draining_ = true; }
  bool draining() const noexcept { return draining_; }

 private:
  std::optional<std::string> client_of(const http::Head& head) const;
  const KeyRing& keys_;
  const HostRules& hosts_;
  Log& log_;
  const bool log_requests_;
  const Routes* routes_ = nullptr;  // these two are set before open_ is
  Metrics* metrics_ = nullptr;
  std::atomic<bool> open_{false};
  std::atomic<bool> draining_{false};
};

// Fields of every reply: what browsers are not to do with it.
http::Fields careful_fields();

// /health, /v1/health, /version, /openapi.json and /metrics. routes, front and metrics must outlive the
// routes; before: called before metrics are told, to bring gauges up to date.
struct OwnRoutes {
  std::string version, commit;
  std::function<void()> update_gauges;  // called before metrics are told
  std::function<size_t()> connections;
};
void add_own_routes(Routes& routes, const Front& front, Metrics& metrics, OwnRoutes own);

}  // namespace vl3::serve
