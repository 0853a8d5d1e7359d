// The C interface: exceptions become statuses, strings of C become those of C++. What the functions mean is
// told in the header.

#include "vl3/vl3.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>

#include "base/json_once.h"
#include "capi/hub_options.h"
#include "capi/json_text.h"
#include "capi/session.h"
#include "vl3/hub.h"

struct vl3_engine {
  std::shared_ptr<vl3::capi::Session> session;
};

struct vl3_request {
  std::shared_ptr<vl3::capi::Request> request;
  std::weak_ptr<vl3::capi::Session> session;
};

namespace {

using vl3::Error;
using vl3::ErrorCode;
using vl3::Json;
using vl3::require;
using vl3::capi::Event;

vl3_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return VL3_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return VL3_NOT_FOUND;
    case ErrorCode::kIo:
      return VL3_IO;
    case ErrorCode::kFormat:
      return VL3_FORMAT;
    case ErrorCode::kUnsupported:
      return VL3_UNSUPPORTED;
    case ErrorCode::kLimitExceeded:
      return VL3_LIMIT_EXCEEDED;
    case ErrorCode::kOutOfMemory:
      return VL3_OUT_OF_MEMORY;
    case ErrorCode::kCancelled:
      return VL3_CANCELLED;
    case ErrorCode::kInternal:
      return VL3_INTERNAL;
  }
  return VL3_INTERNAL;
}

// Null where there is no memory.
char* copy_of(const char* text, size_t bytes) noexcept {
  char* copy = static_cast<char*>(std::malloc(bytes + 1));
  if (copy == nullptr) return nullptr;
  std::memcpy(copy, text, bytes);
  copy[bytes] = '\0';
  return copy;
}

void give(char** to, const std::string& text) {
  *to = copy_of(text.data(), text.size());
  if (*to == nullptr) throw std::bad_alloc();
}

vl3_status failed(vl3_status status, const char* words, char** error) noexcept {
  if (error != nullptr) *error = copy_of(words, std::strlen(words));
  return status;
}

// Runs what a function of the interface does; nothing that it throws comes out.
template <class Work>
vl3_status guarded(char** error, const Work& work) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    return work();
  } catch (const Error& e) {
    return failed(status_of(e.code()), e.what(), error);
  } catch (const std::bad_alloc&) {
    return failed(VL3_OUT_OF_MEMORY, "out of memory", error);
  } catch (const std::exception& e) {
    return failed(VL3_INTERNAL, e.what(), error);
  } catch (...) {
    return failed(VL3_INTERNAL, "an exception of an unknown type", error);
  }
}

void need(const void* argument, const char* name) {
  require(argument != nullptr, ErrorCode::kInvalidArgument, "[vl3] {} is NULL", name);
}

int32_t finish_of(const vl3::StreamEvent& event) {
  if (!event.finish_reason) return VL3_FINISH_NONE;
  switch (*event.finish_reason) {
    case vl3::FinishReason::kStop:
      return VL3_FINISH_STOP;
    case vl3::FinishReason::kLength:
      return VL3_FINISH_LENGTH;
    case vl3::FinishReason::kCancelled:
      return VL3_FINISH_CANCELLED;
  }
  return VL3_FINISH_STOP;
}

vl3_event as_c(const Event& event) {
  vl3_event told = {};
  told.size = sizeof told;
  told.kind = event.token ? VL3_EVENT_TOKEN : VL3_EVENT_PROGRESS;
  told.finish = finish_of(event.of_token);
  told.conversation = event.of_token.prompt;
  told.sequence = event.of_token.sequence;
  told.index = event.of_token.index;
  told.token = event.of_token.token;
  told.text = event.text.c_str();
  told.text_bytes = event.text.size();
  told.logprob = event.logprob;
  told.stage = event.token ? nullptr : event.stage.c_str();
  told.done = event.done;
  told.total = event.total;
  return told;
}

void cancel(vl3_request& request) {
  request.request->ask_to_cancel();
  if (const auto session = request.session.lock()) session->cancel(*request.request);
}

// True at the end.
bool poll(vl3_request& request, int64_t timeout_ms, vl3_event_fn on_event, void* user) {
  // Longer waits than the clock can count are waits without an end.
  constexpr int64_t kLongest_ms = int64_t{1000} * 3600 * 24 * 365;
  const std::chrono::milliseconds timeout(timeout_ms > kLongest_ms ? -1 : timeout_ms);
  return request.request->poll(timeout, [&](const Event& event) {
    const vl3_event told = as_c(event);
    if (on_event == nullptr || on_event(&told, user) == 0) return true;
    cancel(request);
    return false;
  });
}

vl3::LogSink log_sink(vl3_log_fn log, void* user) {
  if (log == nullptr) return {};
  return [log, user](vl3::LogLevel level, std::string_view message) {
    log(static_cast<int32_t>(level), std::string(message).c_str(), user);
  };
}

}  // namespace

const char* vl3_version(void) { return VL3_VERSION_STRING; }

int32_t vl3_abi_version(void) { return VL3_ABI_VERSION; }

const char* vl3_status_name(vl3_status status) {
  switch (status) {
    case VL3_PENDING:
      return "pending";
    case VL3_OK:
      return "ok";
    default:
      for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
        if (status_of(static_cast<ErrorCode>(code)) == status)
          return vl3::to_string(static_cast<ErrorCode>(code));
      }
      return "unknown";
  }
}

void vl3_string_free(char* string) { std::free(string); }

vl3_status vl3_describe_library(char** json, char** error) {
  return guarded(error, [&] {
    need(json, "json");
    *json = nullptr;
    Json features = Json::object();
    for (const vl3::Feature& feature : vl3::features()) features[feature.name] = feature.value;
    give(json, vl3::capi::text_of(
                   {{"version", vl3::version()}, {"commit", vl3::commit()}, {"features", features}}));
    return VL3_OK;
  });
}

vl3_status vl3_engine_open(const char* folder, const char* options, vl3_log_fn log, void* log_user,
                           vl3_engine** engine, char** error) {
  return guarded(error, [&] {
    need(engine, "engine");
    *engine = nullptr;
    need(folder, "folder");
    vl3::capi::OpenOptions parsed = vl3::capi::parse_open_options(options != nullptr ? options : "");
    parsed.context.log = log_sink(log, log_user);
    *engine = new vl3_engine{std::make_shared<vl3::capi::Session>(folder, std::move(parsed))};
    return VL3_OK;
  });
}

vl3_status vl3_resolve_model(const char* name_or_folder, const char* options, vl3_event_fn on_event,
                             void* user, char** folder, char** error) {
  return guarded(error, [&] {
    need(folder, "folder");
    *folder = nullptr;
    need(name_or_folder, "name_or_folder");
    vl3::HubOptions asked = vl3::capi::parse_hub_options(options != nullptr ? options : "");
    std::atomic<bool> stopped = false;
    asked.cancelled = [&] { return stopped.load(); };
    if (on_event != nullptr)
      asked.progress = [&](const vl3::HubProgress& now) {
        vl3_event event{};
        event.size = sizeof event;
        event.kind = VL3_EVENT_PROGRESS;
        event.stage = "download";
        event.done = now.bytes;
        event.total = now.total;
        if (on_event(&event, user) != 0) stopped = true;
      };
    give(folder, vl3::resolve_model(name_or_folder, asked).string());
    return VL3_OK;
  });
}

vl3_status vl3_engine_describe(vl3_engine* engine, char** json, char** error) {
  return guarded(error, [&] {
    need(json, "json");
    *json = nullptr;
    need(engine, "engine");
    give(json, vl3::capi::text_of(engine->session->describe()));
    return VL3_OK;
  });
}

void vl3_engine_free(vl3_engine* engine) { delete engine; }

vl3_status vl3_submit(vl3_engine* engine, const char* request, vl3_request** handle, char** error) {
  return guarded(error, [&] {
    need(handle, "handle");
    *handle = nullptr;
    need(engine, "engine");
    need(request, "request");
    auto made = std::make_unique<vl3_request>();
    made->session = engine->session;
    made->request = engine->session->submit(vl3::parse_json_once(request, "request"));
    *handle = made.release();
    return VL3_OK;
  });
}

vl3_status vl3_request_poll(vl3_request* request, int64_t timeout_ms, vl3_event_fn on_event, void* user,
                            char** error) {
  return guarded(error, [&]() -> vl3_status {
    need(request, "request");
    return poll(*request, timeout_ms, on_event, user) ? VL3_OK : VL3_PENDING;
  });
}

vl3_status vl3_request_run(vl3_request* request, vl3_event_fn on_event, void* user, char** error) {
  return guarded(error, [&] {
    need(request, "request");
    while (!poll(*request, -1, on_event, user)) {
    }
    return VL3_OK;
  });
}

void vl3_request_cancel(vl3_request* request) {
  if (request != nullptr) guarded(nullptr, [&] { return cancel(*request), VL3_OK; });
}

vl3_status vl3_request_result(vl3_request* request, char** json, char** error) {
  return guarded(error, [&]() -> vl3_status {
    need(json, "json");
    *json = nullptr;
    need(request, "request");
    const auto result = request->request->result();
    if (!result) return VL3_PENDING;
    give(json, *result);
    return VL3_OK;
  });
}

void vl3_request_free(vl3_request* request) {
  vl3_request_cancel(request);
  delete request;
}

vl3_status vl3_answer(vl3_engine* engine, const char* request, vl3_event_fn on_event, void* user, char** json,
                      char** error) {
  vl3_request* handle = nullptr;
  vl3_status status = guarded(error, [&] {
    need(json, "json");
    *json = nullptr;
    return VL3_OK;
  });
  if (status == VL3_OK) status = vl3_submit(engine, request, &handle, error);
  if (status != VL3_OK) return status;
  status = vl3_request_run(handle, on_event, user, error);
  if (status == VL3_OK) status = vl3_request_result(handle, json, error);
  vl3_request_free(handle);
  return status;
}
