#pragma once
// The API of a server: the routes that need the model. docs/api.md is the reference of them.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "serve/routes.h"
#include "serve/service.h"

namespace vl3::serve {

// Thread-safe but for the destructor, before which the server has to have stopped.
class Api {
 public:
  // Context and engine belong to this meanwhile; they, intake and metrics outlive it.
  Api(ApiOptions options, Context& context, const Engine& engine, MediaIntake& intake, Metrics& metrics);
  ~Api();  // cuts off what is under way
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Chat, completions, responses, embeddings, models, tokenize and detokenize.
  void add_to(Routes& routes);
  // A request as if it had come over HTTP: what `batch` does. id: for the log. False: there is no such POST
  // route.
  bool post(const std::string& path, std::string body, const std::string& client, const std::string& id,
            std::shared_ptr<http::Exchange> exchange);

  void drain() noexcept { service_.draining = true; }      // new requests are refused with 503
  void cut_off() { service_.cut_off(); }                   // answers 503 to all that are under way
  int64_t open() const noexcept { return service_.open; }  // requests that have no answer yet
  void update_gauges() { service_.update_gauges(); }       // of the metrics
  Service& service() noexcept { return service_; }

 private:
  void keep_alive();

  Service service_;
  Routes own_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread keeper_;
};

// {"object": "list", "data": […]} of the model and its adapters; one of them by its name.
Json models_json(const Service& service);
Json model_json(const Service& service, const std::string& name);

}  // namespace vl3::serve
