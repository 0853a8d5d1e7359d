// Folders as language models are published: a template that joins strings, and no tokens for pictures and
// clips.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "support/support.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJoinsStrings =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor "
    "%}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fs::path tiny() { return test::data_path("../../models/tiny"); }

// The small model's folder without its weights, with another template.
void copy_with_template(const fs::path& folder, const char* text) {
  for (const auto& entry : fs::directory_iterator(tiny())) {
    if (entry.path().extension() == ".json") fs::copy_file(entry.path(), folder / entry.path().filename());
  }
  fs::remove(folder / "chat_template.json");
  test::write_text(folder / "chat_template.jinja", text);
}

Json conversation() {
  const std::string picture = test::data_path("../../examples/media/shapes.png").string(),
                    clip = test::data_path("../../examples/media/moving.mp4").string();
  const Json text = {{"type", "text"}, {"text", "What is this? <|image_pad|>"}};
  return Json::array(
      {{{"role", "system"}, {"content", "Be short."}},
       {{"role", "user"}, {"content", Json::array({{{"type", "image"}, {"image", picture}}, text})}},
       {{"role", "assistant"}, {"content", Json::array({{{"type", "text"}, {"text", "A square."}}})}},
       {{"role", "user"},
        {"content", Json::array({{{"type", "video"}, {"video", clip}, {"max_frames", 3}}, text})}}});
}

std::vector<std::vector<int64_t>> ids_of(const fs::path& folder) {
  const Processor processor = Processor::from_pretrained(folder);
  ThreadPool threads(2);
  ProcessorRequest request = processor.request_for(conversation());
  request.add_generation_prompt = true;
  return processor.process(threads, request).ids;
}

TEST(TextTemplates, GiveTheIdsOfTemplatesThatTakeParts) {
  const test::TemporaryFolder folder;
  copy_with_template(folder.path(), kJoinsStrings);
  const auto ids = ids_of(folder.path());
  EXPECT_EQ(ids, ids_of(tiny()));
  EXPECT_GT(ids[0].size(), 40u);
  // A file of the folder means the folder.
  EXPECT_EQ(ids_of(folder / "config.json"), ids);
}

TEST(TextTemplates, OtherAddedTokensStandForPicturesWhereTheConfigurationSaysSo) {
  const test::TemporaryFolder folder;
  copy_with_template(folder.path(), kJoinsStrings);
  const auto ids = ids_of(folder.path());
  const Json config = Json::parse(test::read_text(folder / "config.json"));
  ASSERT_TRUE(config.contains("image_token_id"));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    std::string text = test::read_text(folder / name);
    for (const auto& [from, to] :
         {std::pair{"<|image_pad|>", "<empty_output>"}, std::pair{"<|video_pad|>", "<script>"}}) {
      for (size_t at = text.find(from); at != std::string::npos; at = text.find(from))
        text.replace(at, std::string(from).size(), to);
    }
    test::write_text(folder / name, text);
  }
  // Only the words "<|image_pad|>" of the question are text now as before.
  EXPECT_EQ(ids_of(folder.path()), ids);
  EXPECT_EQ(Processor::from_pretrained(folder.path()).image_token_id(), config["image_token_id"]);
}

}  // namespace
}  // namespace vl3
