// videollama3 serve: the API and the page over HTTP.

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <future>
#include <thread>

#include "sandbox/sandboxed_decoder.h"
#include "serve/front.h"
#include "serve/page.h"
#include "serve_options.h"
#include "service_manager.h"
#include "vl3/version.h"

namespace vl3::cli {
namespace {

using serve::Level;

constexpr double kLastWords_s = 2;  // that clients have to take what they are told when they are cut off

// The server on a thread of its own, once the model is loaded or takes its time: then it says so.
class Serving {
 public:
  Serving(const ServeOptions& options, Signals& signals)
      : options_(options),
        signals_(signals),
        log_(STDERR_FILENO, options.log_json),
        sockets_(passed_sockets()),
        hosts_(listens_on(), options.allowed_hosts),
        front_(keys_, hosts_, log_, !options.no_request_log) {
    keys_.set(options.keys());
    warn();
  }

  ~Serving() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }

  // Until a signal ends it, and what was under way has ended or was cut off.
  void run();

 private:
  std::string listens_on() const {
    for (const int socket : sockets_) {
      if (const std::string address = address_of_socket(socket); !serve::is_loopback_address(address))
        return address;
    }
    return sockets_.empty() ? options_.host : "127.0.0.1";
  }
  bool local() const {
    const std::string host = http::bare_host(listens_on());
    return host == "localhost" || serve::is_loopback_address(host);
  }
  std::string url() const;
  void warn();
  void listen();
  Engine load();
  void reload();
  void wait_for_end();
  bool ended_within(double seconds);

  const ServeOptions& options_;
  Signals& signals_;
  serve::Log log_;
  const std::vector<int> sockets_;
  serve::KeyRing keys_;
  const serve::HostRules hosts_;
  serve::Front front_;
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
};

std::string Serving::url() const {
  std::string host = http::bare_host(listens_on());
  if (host == "0.0.0.0" || host == "::") host = "localhost";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return fmt::format("{}://{}:{}", options_.tls_certificate.empty() ? "http" : "https", host,
                     server_->port());
}

void Serving::warn() {
  if (!options_.api_key_file.empty() && serve::others_can_read(options_.api_key_file))
    log_.add(Level::kWarning, "keys", options_.api_key_file + " can be read by every user of this machine");
  if (local()) return;
  if (!keys_.wanted()) {
    log_.add(Level::kWarning, "open_to_all",
             "WARNING: listening on " + listens_on() +
                 " without a key: whoever reaches this machine can use it. Give keys with --api-key-file, or "
                 "listen on 127.0.0.1.");
  } else if (options_.tls_certificate.empty()) {
    log_.add(Level::kWarning, "not_encrypted",
             "keys and answers travel unencrypted; give --tls-cert and --tls-key, unless a proxy does this");
  }
}

void Serving::reload() {
  tell_service_manager("STATUS=reading keys and certificates again");
  try {
    keys_.set(options_.keys());
    server_->reload_certificate();
    log_.add(Level::kInfo, "reloaded", "keys and certificates were read again");
  } catch (const Error& error) {
    log_.add(Level::kError, "reload_failed", fmt::format("what was there stays: {}", error.what()));
  }
}

bool Serving::ended_within(double seconds) {
  std::unique_lock lock(mutex_);
  return end_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ended_; });
}

void Serving::listen() {
  http::ServerOptions http = options_.http();
  http.listening = sockets_;
  http.served = [this](const http::Served& one) { front_.served(one); };
  server_ = std::make_unique<http::Server>(
      std::move(http), [this](const http::Head& head) { return front_.admit(head); },
      [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
        front_.handle(std::move(request), std::move(exchange));
      });
  thread_ = std::thread([this] {
    server_->run();
    const std::scoped_lock lock(mutex_);
    ended_ = true;
    end_.notify_all();
  });
}

// A small model is there before anybody is told to come later; of a large one requests are told that it is
// loaded. What reads gigabytes cannot be interrupted; the process can.
Engine Serving::load() {
  constexpr std::chrono::seconds kQuick(5);
  const auto begin = std::chrono::steady_clock::now();
  std::future<Engine> loading =
      std::async(std::launch::async, [this] { return Engine::open(options_.model, options_.engine()); });
  while (loading.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    const std::optional<int> signal = signals_.wait_for(0.02);
    if (signal && *signal != SIGHUP) _exit(128 + *signal);
    if (!server_ && std::chrono::steady_clock::now() - begin > kQuick) listen();
  }
  return loading.get();
}

void Serving::run() {
  if (options_.no_sandbox)
    log_.add(Level::kWarning, "no_sandbox", "pictures and clips are decoded in this process (--no-sandbox)");
  else
    sandbox::SandboxedDecoder().check();  // before the model is loaded
  const auto context = options_.compute.make_context();
  const Engine engine = load();
  serve::ApiOptions api_options = options_.api(engine);
  const std::string name = api_options.models.names.front();
  api_options.failed = [this](const std::string& id, std::string_view what) {
    log_.add(Level::kError, "failed", what, {{"id", id}});
  };
  serve::Metrics metrics(name, engine.model().config().text.max_position_embeddings);
  serve::MediaIntake intake(options_.media(metrics));
  serve::Routes routes;
  serve::Api api(std::move(api_options), *context, engine, intake, metrics);
  api.add_to(routes);
  serve::add_own_routes(routes, front_, metrics,
                        {version(), commit(),
                         [&] {
                           api.update_gauges();
                           const CacheStats kept = engine.cache_stats();
                           metrics.mm_cache_queries.set(static_cast<double>(kept.asked_pictures));
                           metrics.mm_cache_hits.set(static_cast<double>(kept.pictures));
                         },
                         [this] { return server_->connections(); }});
  serve::add_page(routes, serve::embedded_page());
  front_.open(routes, metrics);
  if (!server_) listen();
  log_.add(Level::kInfo, "listening",
           fmt::format("{} serves {}: the page, and the API under /v1", url(), name));
  tell_service_manager("READY=1\nSTATUS=serving " + name);

  for (int signal = signals_.wait(); signal == SIGHUP; signal = signals_.wait()) reload();
  log_.add(
      Level::kInfo, "stopping",
      fmt::format("no new requests; {} are under way and have {:g} s", api.open(), options_.drain_timeout_s));
  tell_service_manager("STOPPING=1");
  front_.drain();
  api.drain();
  server_->drain();
  wait_for_end();
  if (!ended_within(0)) {
    log_.add(Level::kWarning, "cut_off", fmt::format("{} requests did not end in time", api.open()));
    api.cut_off();
    ended_within(kLastWords_s);
    server_->stop();
  }
  thread_.join();  // the API's routes are not called any more
}

// Another SIGTERM or Ctrl-C ends the waiting.
void Serving::wait_for_end() {
  constexpr double kGlance_s = 0.05;
  for (double waited_s = 0; waited_s < options_.drain_timeout_s && !ended_within(0); waited_s += kGlance_s) {
    const std::optional<int> signal = signals_.wait_for(kGlance_s);
    if (signal && *signal != SIGHUP) return;
  }
}

}  // namespace

void add_serve(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "answer over HTTP: the API that clients speak, and a page");
  options->add_to(*command);
  command->footer(
      "Every option can come from the environment: --max-queue as VIDEOLLAMA3_MAX_QUEUE.\n"
      "docs/serving.md tells of security and deployment, docs/api.md of requests.");
  finish_help(*command,
              {{"serve MODEL", "then open http://127.0.0.1:8080"},
               {"serve MODEL --host 0.0.0.0 --api-key-file keys --tls-cert c.pem --tls-key k.pem", ""}});
  command->callback([options] {
    Signals signals;
    raise_file_limit();
    Serving(*options, signals).run();
  });
}

}  // namespace vl3::cli
