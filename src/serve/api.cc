#include "serve/api.h"

#include <limits>
#include <utility>

#include "base/clock.h"
#include "serve/answer_job.h"
#include "serve/chat_request.h"
#include "serve/completion_request.h"
#include "serve/embeddings.h"
#include "serve/responses.h"
#include "serve/strict_json.h"
#include "serve/token_routes.h"

namespace vl3::serve {
namespace {

using MakeSetup = AnswerSetup (*)(Service&, const Json&, const std::string&);
using MakeJson =
    std::function<Json(const Json& body, const std::string& client, const std::function<bool()>& cancelled)>;

http::Reply json_reply(const Json& body) {
  http::Reply reply;
  reply.fields.add("content-type", "application/json");
  reply.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return reply;
}

// A route whose answer is generated.
std::function<void(Call)> answering(Service& service, MakeSetup make, const std::string& prompt) {
  return [&service, make, prompt](Call call) {
    const auto job = std::make_shared<AnswerJob>(service, call.request.id, prompt, call.exchange,
                                                 std::make_unique<OpenPlace>(service), now_s());
    service.watch(job);
    service.parsers.post(call.client, [&service, make, job, client = call.client,
                                       body = std::make_shared<std::string>(std::move(call.request.body))] {
      try {
        Json parsed = parse_strictly(*body);
        body->clear();
        body->shrink_to_fit();
        job->start(make(service, parsed, client));
      } catch (...) {
        job->fail(std::current_exception());
      }
    });
  };
}

// What a worker answers by itself.
struct Computed : UnderWay {
  Computed(std::shared_ptr<http::Exchange> to, std::optional<double> deadline_s)
      : exchange(std::move(to)),
        until_s(now_s() + deadline_s.value_or(std::numeric_limits<double>::infinity())) {}
  void glance() override {
    if (now_s() >= until_s && !gone) cut_off(deadline_exceeded("before it was answered"));
  }
  void cut_off(const ApiError& error) override {
    exchange->send(error_reply(error));  // first: what comes of the work later is not sent any more
    gone = true;
  }

  const std::shared_ptr<http::Exchange> exchange;
  const double until_s;
  std::atomic<bool> gone{false};
};

// A route of such answers. slow: it may download.
std::function<void(Call)> computing(Service& service, MakeJson make, const std::string& prompt, bool slow) {
  return [&service, make = std::move(make), prompt, slow](Call call) {
    const auto place = std::make_shared<OpenPlace>(service);
    const auto computed = std::make_shared<Computed>(call.exchange, service.options.deadline_s);
    call.exchange->when_gone([weak = std::weak_ptr(computed)] {
      if (const auto answered = weak.lock()) answered->gone = true;
    });
    service.watch(computed);
    WorkerPool& pool = slow ? service.fetchers : service.parsers;
    pool.post(
        call.client, [&service, make, prompt, place, computed, id = call.request.id, client = call.client,
                      body = std::make_shared<std::string>(std::move(call.request.body))] {
          const auto gone = [computed] { return computed->gone.load(); };
          try {
            computed->exchange->send(json_reply(make(parse_strictly(*body), client, gone)));
          } catch (...) {
            computed->exchange->send(error_reply(service.refusal(std::current_exception(), id, prompt)));
          }
        });
  };
}

Route post_route(std::string path, std::function<void(Call)> handler, std::string summary) {
  Route route;
  route.method = "POST";
  route.path = std::move(path);
  route.handler = std::move(handler);
  route.summary = std::move(summary);
  route.reads_body = true;
  return route;
}

Route get_route(std::string path, std::function<void(Call)> handler, std::string summary) {
  Route route;
  route.method = "GET";
  route.path = std::move(path);
  route.handler = std::move(handler);
  route.summary = std::move(summary);
  return route;
}

Json entry_of(const Service& service, const std::string& name, const Json& parent) {
  return {{"id", name},
          {"object", "model"},
          {"created", service.created},
          {"owned_by", "videollama3"},
          {"root", parent.is_null() ? Json(name) : parent},
          {"parent", parent},
          {"max_model_len", service.context_tokens()},
          {"architecture",
           {{"input_modalities", {"text", "image", "video"}}, {"output_modalities", Json::array({"text"})}}}};
}

}  // namespace

Json models_json(const Service& service) {
  const ModelNames& models = service.options.models;
  Json data = Json::array();
  for (const std::string& name : models.names) data.push_back(entry_of(service, name, nullptr));
  for (const std::string& adapter : models.adapters)
    data.push_back(entry_of(service, adapter, models.names[0]));
  return {{"object", "list"}, {"data", std::move(data)}};
}

Json model_json(const Service& service, const std::string& name) {
  const auto found = service.options.models.find(name);
  const Json parent = found.adapter < 0 ? Json(nullptr) : Json(service.options.models.names[0]);
  return entry_of(service, found.name, parent);
}

Api::Api(ApiOptions options, Context& context, const Engine& engine, MediaIntake& intake, Metrics& metrics)
    : service_(std::move(options), context, engine, intake, metrics) {
  add_to(own_);
  keeper_ = std::thread([this] { keep_alive(); });
}

Api::~Api() {
  drain();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  keeper_.join();
}

void Api::keep_alive() {
  const auto every =
      std::min<std::chrono::milliseconds>(service_.options.keep_alive / 4, std::chrono::milliseconds(500));
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::max(every, std::chrono::milliseconds(10)), [this] { return stopping_; }))
    service_.glance();
}

void Api::add_to(Routes& routes) {
  Service& service = service_;
  routes.add(
      post_route("/v1/completions", answering(service, completion_setup, "prompt"), "Continues texts."));
  routes.add(post_route("/v1/responses", answering(service, responses_setup, "input"),
                        "Answers a conversation in the form of OpenAI's newer route."));
  routes.add(post_route("/v1/embeddings",
                        computing(
                            service,
                            [&service](const Json& body, const std::string& client, const auto& cancelled) {
                              return embeddings(service, body, client, cancelled);
                            },
                            "input", true),
                        "Gives vectors of texts, pictures, clips and conversations."));
  routes.add(post_route("/v1/chat/completions", answering(service, chat_setup, "messages"),
                        "Answers a conversation with pictures and clips."));
  routes.add(post_route("/v1/chat/completions/input_tokens",
                        computing(
                            service,
                            [&service](const Json& body, const std::string& client, const auto& cancelled) {
                              return input_tokens(service, body, client, cancelled);
                            },
                            "messages", true),
                        "Counts the tokens that a conversation's prompt has."));
  routes.add(post_route("/tokenize",
                        computing(
                            service,
                            [&service](const Json& body, const std::string& client, const auto& cancelled) {
                              return tokenize(service, body, client, cancelled);
                            },
                            "prompt", true),
                        "Gives the ids of a text, or of a conversation's prompt."));
  routes.add(post_route(
      "/detokenize",
      computing(
          service,
          [&service](const Json& body, const std::string&, const auto&) { return detokenize(service, body); },
          "tokens", false),
      "Gives the text of ids."));
  routes.add(get_route(
      "/v1/models", [&service](const Call& call) { call.exchange->send(json_reply(models_json(service))); },
      "Lists the model and its adapters."));
  routes.add(get_route(
      "/v1/models/{id}",
      [&service](const Call& call) { call.exchange->send(json_reply(model_json(service, call.id))); },
      "Tells of one of them."));
}

bool Api::post(const std::string& path, std::string body, const std::string& client, const std::string& id,
               std::shared_ptr<http::Exchange> exchange) {
  const Routes::Match match = own_.find("POST", path);
  if (match.route == nullptr) return false;
  Call call;
  call.request.method = "POST";
  call.request.path = path;
  call.request.id = id;
  call.request.body = std::move(body);
  call.client = client;
  call.exchange = exchange;
  try {
    match.route->handler(std::move(call));
  } catch (...) {
    exchange->send(error_reply(service_.refusal(std::current_exception(), id, "")));
  }
  return true;
}

}  // namespace vl3::serve
