// Byte order marks, data: URLs, files in memory, and names that nobody knows.

#include "base/text_file.h"

#include <fstream>
#include <functional>
#include <string>

#include "base/data_url.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_once.h"
#include "base/near_names.h"
#include "base/sha256.h"
#include "support/support.h"

namespace vl3 {
namespace {

using namespace std::string_literals;

std::string message_of(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(TextFile, TheMarkOfUtf8IsDropped) {
  EXPECT_EQ(without_bom("\xef\xbb\xbf{}", "a"), "{}");
  EXPECT_EQ(without_bom("{}", "a"), "{}");
  EXPECT_EQ(without_bom("", "a"), "");
  EXPECT_EQ(without_bom("\xef\xbb\xbf", "a"), "");
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.txt", "\xef\xbb\xbfé\n");
  EXPECT_EQ(read_text(folder / "a.txt", 100), "é\n");
  EXPECT_EQ(parse_json("\xef\xbb\xbf{\"a\": 1}", "a")["a"], 1);
}

TEST(TextFile, AKeyThatComesTwiceIsRefusedWhereItIsAskedFor) {
  const char* nested = R"({"a": [{"b": 1, "c": {"b": 2}}, {"b": 3}], "b": 4})";
  EXPECT_EQ(parse_json_once(nested, "a"), parse_json(nested, "a"));
  EXPECT_EQ(parse_json(R"({"b": 1, "b": 2})", "a")["b"], 2);
  for (const char* text : {R"({"b": 1, "b": 2})", "\xef\xbb\xbf[{\"a\": {\"b\": 1, \"c\": [], \"b\": 1}}]"})
    EXPECT_NE(message_of([&] { parse_json_once(text, "origin"); }, ErrorCode::kFormat)
                  .find("[origin] has the key \"b\" twice"),
              std::string::npos)
        << text;
  message_of([&] { parse_json_once(R"({"b": )", "origin"); }, ErrorCode::kFormat);
}

TEST(TextFile, WiderEncodingsAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"\xff\xfe{\0}\0"s, "UTF-16"}, {"\xfe\xff\0{\0}"s, "UTF-16"},      {"{\0}\0"s, "UTF-16"},
      {"\0{\0}"s, "UTF-16"},         {"\xff\xfe\0\0{\0\0\0"s, "UTF-32"}, {"\0\0\xfe\xff\0\0\0{"s, "UTF-32"},
      {"{\0\0\0}\0\0\0"s, "UTF-32"}, {"\0\0\0{\0\0\0}"s, "UTF-32"},
  };
  for (const auto& [text, encoding] : cases) {
    const std::string said = message_of([&, text = text] { parse_json(text, "a.json"); }, ErrorCode::kFormat);
    EXPECT_NE(said.find("a.json"), std::string::npos) << said;
    EXPECT_NE(said.find(encoding), std::string::npos) << said;
  }
}

TEST(DataUrl, BytesOfBothKinds) {
  const auto one = [](const std::string& url) {
    const DataUrl data = parse_data_url(url, 1000, 10, "[x]");
    EXPECT_EQ(data.parts.size(), 1U);
    return data.media_type + "|" + data.parts[0];
  };
  EXPECT_EQ(one("data:image/png;base64,aGVsbG8="), "image/png|hello");
  EXPECT_EQ(one("DATA:Image/PNG;name=a.png;BASE64,aGVs\r\n bG8"), "image/png|hello");
  EXPECT_EQ(one("data:image/png;base64,aGVsbG8%3D"), "image/png|hello");
  EXPECT_EQ(one("data:;base64,-_-_"), "text/plain|\xfb\xff\xbf");
  EXPECT_EQ(one("data:;base64,+/+/"), "text/plain|\xfb\xff\xbf");
  EXPECT_EQ(one("data:,a%20b%2"), "text/plain|a b%2");
  EXPECT_EQ(one("data:image/gif,%47%49F89a,;"), "image/gif|GIF89a,;");
  const DataUrl frames = parse_data_url("data:video/jpeg;base64,YQ==,YmI=,Y2Nj", 6, 3, "[x]");
  EXPECT_EQ(frames.parts, (std::vector<std::string>{"a", "bb", "ccc"}));
}

TEST(DataUrl, BrokenOnesAreNamed) {
  const auto format = [](const std::string& url, const char* told) {
    const std::string said = message_of([&] { parse_data_url(url, 1000, 10, "[x.y]"); }, ErrorCode::kFormat);
    EXPECT_TRUE(said.starts_with("[x.y]") && said.find(told) != std::string::npos) << url << ": " << said;
  };
  format("data:image/png;base64", "comma");
  format("data:image/png;base64,", "without data");
  format("data:image/png,", "without data");
  format("data:image/png;base64,aGVs*bG8=", "character 4");
  format("data:image/png;base64,aG=VsbG8=", "character 3");
  format("data:image/png;base64,aGVsb", "cut off");
  format("data:video/jpeg;base64,YQ==,,YQ==", "without data");
  const auto limit = [](const std::string& url, const char* told) {
    const std::string said =
        message_of([&] { parse_data_url(url, 4, 2, "[x.y]"); }, ErrorCode::kLimitExceeded);
    EXPECT_TRUE(said.starts_with("[x.y]") && said.find(told) != std::string::npos) << url << ": " << said;
  };
  limit("data:;base64,aGVsbG8=", "max_file_bytes, 4");
  limit("data:,hello", "max_file_bytes, 4");
  limit("data:video/jpeg;base64,YWE=,YWE=,YWE=", "max_frames, 2");
  limit("data:video/jpeg;base64,YWFh,YWFh", "max_file_bytes");
  limit("data:;base64," + std::string(100000, 'a'), "max_file_bytes");
}

TEST(Sha256, EqualsTheStandardsExamples) {
  const auto hash_of = [](std::string_view text) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(text)));
    return hash.hex();
  };
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, TextsDoNotRunIntoEachOther) {
  const auto hash_of = [](std::initializer_list<std::string_view> texts) {
    Sha256 hash;
    for (const std::string_view text : texts) hash.add_text(text);
    return hash.hex();
  };
  EXPECT_NE(hash_of({"ab", "c"}), hash_of({"a", "bc"}));
  EXPECT_NE(hash_of({"abc"}), hash_of({"abc", ""}));
  EXPECT_EQ(hash_of({"ab", "c"}), hash_of({"ab", "c"}));
}

TEST(NearNames, WhatWasMeant) {
  const std::vector<std::string_view> known = {"fps", "num_frames", "start_time", "temperature"};
  EXPECT_EQ(did_you_mean("nframes", known), "; did you mean \"num_frames\"?");
  EXPECT_EQ(did_you_mean("temprature", known), "; did you mean \"temperature\"?");
  EXPECT_EQ(did_you_mean("video_start", known), "; did you mean \"start_time\"?");
  EXPECT_EQ(did_you_mean("max_tokens", known), "");
  EXPECT_EQ(did_you_mean("colour", known), "");
  EXPECT_EQ(did_you_mean(std::string(1 << 20, 'f'), known), "");
  EXPECT_EQ(our_name_of("max_completion_tokens"), "max_new_tokens");
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

}  // namespace
}  // namespace vl3
