// What videollama3.LLM (python/videollama3/llm.py) stands on.
#include <fmt/format.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "bind_lending.h"
#include "bindings.h"
#include "desk.h"
#include "gil.h"
#include "job_values.h"
#include "off_gil.h"
#include "runtime.h"
#include "values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
namespace {

using CountDict = nb::typed<nb::dict, nb::str, int64_t>;
using EventList =
    nb::typed<nb::list, nb::typed<nb::tuple, int64_t, int64_t, int64_t, nb::str, nb::object, nb::object>>;
using TextList = nb::typed<nb::list, nb::str>;

// A desk as Python holds it, with what it has lent. Everything here is called with the interpreter's lock.
class Llm {
 public:
  explicit Llm(DeskOptions options) {
    const WithoutGil release;
    desk_ = Desk::open(std::move(options));
  }
  // Threads end without the lock: one of them may wait for it, to log.
  ~Llm() {
    {
      const WithoutGil release;
      desk_.reset();
    }
    loans_->settle();
  }
  Llm(const Llm&) = delete;
  Llm& operator=(const Llm&) = delete;

  Desk& desk() const noexcept { return *desk_; }
  const std::shared_ptr<Desk>& shared_desk() const noexcept { return desk_; }
  Loans& loans() const noexcept { return *loans_; }

  // Until a job of the mailbox has news, or so long: while signals are handled.
  void wait(Mailbox& box, double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
      const double left = std::chrono::duration<double>(end - std::chrono::steady_clock::now()).count();
      const double slice = std::clamp(left, 0.0, std::chrono::duration<double>(kSignalPeriod).count());
      bool came = box.wait(std::chrono::milliseconds(0));
      if (!came) {
        const WithoutGil release;
        came = box.wait(std::chrono::milliseconds(static_cast<int64_t>(slice * 1000) + 1));
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (came || left <= 0) break;
    }
    loans_->settle();
  }

  // Ends everything: whoever waits finds that its jobs have ended. A fork's child has none of these threads.
  void close() {
    if (desk_->forked()) return;
    {
      const WithoutGil release;
      desk_->close();
    }
    loans_->settle();
  }

 private:
  std::shared_ptr<Desk> desk_;
  std::shared_ptr<Loans> loans_ = std::make_shared<Loans>();
};

// A request under way as Python holds it: let go before its end, it is cancelled.
class JobHandle {
 public:
  JobHandle(std::shared_ptr<Desk> desk, std::shared_ptr<Job> job)
      : desk_(std::move(desk)), job_(std::move(job)) {}
  ~JobHandle() {
    const std::shared_ptr<Desk> desk = desk_.lock();
    if (desk != nullptr && !desk->forked() && !job_->ended()) desk->cancel(*job_);
  }
  JobHandle(const JobHandle&) = delete;
  JobHandle& operator=(const JobHandle&) = delete;
  Job& job() const noexcept { return *job_; }

 private:
  std::weak_ptr<Desk> desk_;  // whose last owner is no job: it waits for threads
  std::shared_ptr<Job> job_;
};

std::unique_ptr<JobHandle> handle_of(Llm& llm, std::shared_ptr<Job> job) {
  return std::make_unique<JobHandle>(llm.shared_desk(), std::move(job));
}

Ask ask_of(nb::handle request, nb::handle structured, std::map<std::string, MediaSource> media,
           std::optional<std::vector<int64_t>> prompt) {
  Ask ask;
  ask.request = json_from_python(request, "request");
  if (!structured.is_none()) ask.structured = json_from_python(structured, "structured");
  ask.media = std::move(media);
  ask.prompt = std::move(prompt);
  return ask;
}

DeskOptions options_of(const std::filesystem::path& folder, const nb::dict& given) {
  DeskOptions options;
  options.model = folder;
  options.context.log = python_log();
  const Json json = json_from_python(given, "options");
  for (const auto& [key, value] : json.items()) set_option(options, key, value);
  return options;
}

void bind_parts(nb::module_& module) {
  nb::class_<Mailbox>(module, "Mailbox", "Numbers of jobs that have news.")
      .def(nb::init<>())
      .def("take", &Mailbox::take)
      .def("fileno", &Mailbox::descriptor, "Readable while something is there: for a loop of asyncio.")
      .def("release", &Mailbox::release_descriptor, "Closes what fileno() has opened.");
  nb::class_<JobHandle>(module, "Job", "A request under way; let go before its end, it is cancelled.")
      .def_prop_ro("number", [](const JobHandle& self) { return self.job().number(); })
      .def_prop_ro("ended", [](const JobHandle& self) { return self.job().ended(); })
      .def(
          "events",
          [](JobHandle& self) { return nb::borrow<EventList>(to_python(self.job().take_events())); },
          "Tokens since the last call: (sequence, index, token, text, logprob, finish_reason).");
}

void bind_requests(nb::class_<Llm>& llm) {
  llm.def(
         "answer",
         [](Llm& self, Dict request, nb::object structured, std::map<std::string, MediaSource> media,
            std::optional<std::vector<int64_t>> prompt, std::shared_ptr<Mailbox> box, bool events,
            std::string client, int priority, std::optional<double> deadline_s, std::string cache_salt,
            int64_t adapter, bool cut_to_context, std::optional<std::string> text) {
           Ask ask = ask_of(request, structured, std::move(media), std::move(prompt));
           ask.events = events;
           ask.client = std::move(client);
           ask.priority = priority;
           ask.deadline_s = deadline_s;
           ask.cache_salt = std::move(cache_salt);
           ask.adapter = adapter;
           ask.cut_to_context = cut_to_context;
           ask.text = std::move(text);
           return handle_of(self, self.desk().answer(std::move(ask), std::move(box)));
         },
         "request"_a, "structured"_a.none(), "media"_a, "prompt"_a.none(), "box"_a, nb::kw_only(),
         "events"_a = false, "client"_a = "", "priority"_a = 0, "deadline_s"_a = nb::none(),
         "cache_salt"_a = "", "adapter"_a = -1, "cut_to_context"_a = false, "text"_a = nb::none())
      .def(
          "plan",
          [](Llm& self, Dict request, std::map<std::string, MediaSource> media, bool estimate,
             std::shared_ptr<Mailbox> box) {
            return handle_of(self, self.desk().plan(ask_of(request, nb::none(), std::move(media), {}),
                                                    estimate, std::move(box)));
          },
          "request"_a, "media"_a, "estimate"_a, "box"_a)
      .def(
          "embed",
          [](Llm& self, Dict request, std::map<std::string, MediaSource> media,
             std::optional<std::vector<int64_t>> prompt, bool media_alone, bool per_frame,
             std::shared_ptr<Mailbox> box, std::optional<std::string> text) {
            Ask ask = ask_of(request, nb::none(), std::move(media), std::move(prompt));
            ask.text = std::move(text);
            return handle_of(self, self.desk().embed(std::move(ask), media_alone, per_frame, std::move(box)));
          },
          "request"_a, "media"_a, "prompt"_a.none(), "media_alone"_a, "per_frame"_a, "box"_a, nb::kw_only(),
          "text"_a = nb::none())
      .def("wait", &Llm::wait, "box"_a, "seconds"_a,
           "Until a job of the mailbox has news; signals are handled meanwhile.")
      .def(
          "cancel", [](Llm& self, JobHandle& job) { self.desk().cancel(job.job()); }, "job"_a,
          "Within a step of the model; one that has ended stays as it is.")
      .def(
          "status",
          [](Llm& self, const JobHandle& job) -> std::optional<Dict> {
            const auto status = self.desk().status(job.job());
            if (!status) return std::nullopt;
            return nb::borrow<Dict>(to_python(*status));
          },
          "job"_a)
      .def(
          "result",
          [](Llm& self, JobHandle& handle) -> Dict {
            self.loans().settle();
            Job& job = handle.job();
            return nb::borrow<Dict>(
                to_python(job.take_outcome(), job.copies, self.desk().engine().processor().tokenizer()));
          },
          "job"_a, "Of a job that has ended, once: a dict; or raises what made it fail.");
}

}  // namespace

void bind_llm(nb::module_& module) {
  bind_parts(module);
  nb::class_<Llm> llm(module, "Llm", "A model that many ask at once.");
  llm.def(
         "__init__",
         [](Llm* self, const std::filesystem::path& folder, const Dict& options) {
           new (self) Llm(options_of(folder, options));
         },
         "folder"_a, "options"_a)
      .def("close", &Llm::close)
      .def("check_open", [](const Llm& self) { self.desk().check_open(); })
      .def_prop_ro("closed", [](const Llm& self) { return self.desk().closed(); })
      .def(
          "stats",
          [](const Llm& self) -> CountDict { return nb::borrow<CountDict>(to_python(self.desk().stats())); },
          "Counters of the scheduler.")
      .def("cache_stats",
           [](const Llm& self) -> CountDict {
             return nb::borrow<CountDict>(to_python(self.desk().engine().cache_stats()));
           })
      .def_prop_ro("default_settings",
                   [](const Llm& self) { return dict_of(self.desk().engine().default_settings().to_json()); })
      .def_prop_ro("config",
                   [](const Llm& self) {
                     const Config& config = self.desk().engine().model().config();
                     return dict_of(config.to_json(config.layout));
                   })
      .def_prop_ro("weights_dtype",
                   [](const Llm& self) {
                     return std::string(to_string(self.desk().engine().model().weights_dtype()));
                   })
      .def_prop_ro(
          "max_frames",
          [](const Llm& self) {
            return self.desk().engine().processor().video_processor().options().max_frames;
          },
          "Of a clip, unless a request says otherwise.")
      .def_prop_ro("tokenizer", [](const Llm& self) { return self.desk().engine().processor().tokenizer(); })
      .def_prop_ro(
          "media_tokens",
          [](const Llm& self) {
            const MediaTokens& tokens = self.desk().engine().processor().media_tokens();
            return std::pair(tokens.image, tokens.video);
          },
          "What prompts have in the place of a picture and of a clip.");
  bind_lending(llm);
  bind_requests(llm);
  module.def("generation_settings", [] {
    TextList names;
    for (const SettingInfo& setting : generation_settings()) names.append(nb::str(setting.name.c_str()));
    return names;
  });
}

}  // namespace vl3::python
