// Models by name through the C interface, over a hub in this process.

#include "hub/hub_fixture.h"
#include "vl3/vl3.h"

namespace vl3 {
namespace {

std::string taken(char* string) {
  const std::string text = string != nullptr ? string : "";
  vl3_string_free(string);
  return text;
}

class CModels : public hub::HubTest {
 protected:
  struct Resolved {
    vl3_status status;
    std::string folder, error;
  };
  Resolved resolve(const char* name, const std::string& options, vl3_event_fn on_event = nullptr,
                   void* user = nullptr) {
    char *folder = nullptr, *error = nullptr;
    const vl3_status status = vl3_resolve_model(name, options.c_str(), on_event, user, &folder, &error);
    return {status, taken(folder), taken(error)};
  }
  std::string options(const std::string& more = "") const {
    return R"({"endpoint": ")" + hub_.url() + R"(", "cache_dir": ")" + (folder_ / "cache").string() + "\"" +
           more + "}";
  }
};

TEST_F(CModels, AFolderIsItselfAndANameItsSnapshot) {
  const std::string here = folder_.path().string();
  EXPECT_EQ(resolve(here.c_str(), "{}").folder, here);
  struct Told {
    int calls = 0;
    int64_t done = 0, total = 0;
  } told;
  const vl3_event_fn tell = [](const vl3_event* event, void* user) {
    auto& seen = *static_cast<Told*>(user);
    EXPECT_EQ(event->kind, VL3_EVENT_PROGRESS);
    EXPECT_STREQ(event->stage, "download");
    ++seen.calls;
    seen.done = event->done;
    seen.total = event->total;
    return 0;
  };
  const Resolved got =
      resolve("org/model", options(R"(, "exclude": ["tok*"], "parallel_files": 2)"), tell, &told);
  EXPECT_EQ(got.status, VL3_OK) << got.error;
  EXPECT_EQ(test::read_text(got.folder + "/model.safetensors"), weights_);
  EXPECT_FALSE(std::filesystem::exists(got.folder + "/tokenizer.json"));
  EXPECT_GT(told.calls, 0);
  EXPECT_EQ(told.done, told.total);
  EXPECT_EQ(told.total, static_cast<int64_t>(weights_.size() + config_.size()));
}

TEST_F(CModels, SaysWhatIsWrong) {
  Resolved got = resolve("org/none", options());
  EXPECT_EQ(got.status, VL3_NOT_FOUND);
  EXPECT_EQ(got.folder, "");
  EXPECT_NE(got.error.find("org/none"), std::string::npos);
  got = resolve("org/model", options(R"(, "local_files_only": true)"));
  EXPECT_EQ(got.status, VL3_NOT_FOUND);
  got = resolve("org/model", R"({"revison": "x"})");
  EXPECT_EQ(got.status, VL3_INVALID_ARGUMENT);
  EXPECT_NE(got.error.find("revision"), std::string::npos) << got.error;
  EXPECT_EQ(resolve("org/model", R"({"include": "*.json"})").status, VL3_FORMAT);
  EXPECT_EQ(resolve(nullptr, "").status, VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_resolve_model("x", nullptr, nullptr, nullptr, nullptr, nullptr), VL3_INVALID_ARGUMENT);
}

TEST_F(CModels, ACallbackThatSaysSoEndsIt) {
  const vl3_event_fn stop = [](const vl3_event*, void*) { return 1; };
  EXPECT_EQ(resolve("org/model", options(), stop).status, VL3_CANCELLED);
  EXPECT_EQ(resolve("org/model", options()).status, VL3_OK);
}

}  // namespace
}  // namespace vl3
