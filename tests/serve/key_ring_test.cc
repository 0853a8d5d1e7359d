#include "serve/key_ring.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/support.h"
#include "vl3/error.h"

namespace vl3::serve {
namespace {

std::string message_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(KeyRing, FilesHaveAKeyALine) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "keys", "# people\n\n sk-one \t\r\nsk-two\n#sk-three\nsk-four");
  EXPECT_EQ(read_keys(folder / "keys"), (std::vector<std::string>{"sk-one", "sk-two", "sk-four"}));
}

TEST(KeyRing, FilesThatAreNoneAreToldByLineWithoutTheirKeys) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "empty", "# none\n");
  EXPECT_NE(message_of([&] { read_keys(folder / "empty"); }).find("has no key"), std::string::npos);
  test::write_text(folder / "spaces", "sk-one\nsecret key\n");
  const std::string message = message_of([&] { read_keys(folder / "spaces"); });
  EXPECT_NE(message.find("line 2"), std::string::npos) << message;
  EXPECT_EQ(message.find("secret"), std::string::npos);
  EXPECT_THROW(read_keys(folder / "absent"), Error);
  KeyRing ring;
  EXPECT_THROW(ring.set({"sk-one", ""}), Error);
  EXPECT_THROW(ring.set({"sch\xc3\xb6n"}), Error);
}

TEST(KeyRing, OthersAreSeenToRead) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "keys", "sk");
  std::filesystem::permissions(folder / "keys", std::filesystem::perms(0644));
  EXPECT_TRUE(others_can_read(folder / "keys"));
  std::filesystem::permissions(folder / "keys", std::filesystem::perms(0600));
  EXPECT_FALSE(others_can_read(folder / "keys"));
}

TEST(KeyRing, KnowsItsKeysAlone) {
  KeyRing ring;
  EXPECT_FALSE(ring.wanted());
  EXPECT_FALSE(ring.client_of(""));
  ring.set({"sk-one", "sk-two"});
  EXPECT_TRUE(ring.wanted());
  ASSERT_TRUE(ring.client_of("sk-one"));
  EXPECT_NE(*ring.client_of("sk-one"), *ring.client_of("sk-two"));
  for (const char* key : {"", "sk", "sk-on", "sk-onee", "SK-ONE"}) EXPECT_FALSE(ring.client_of(key)) << key;
  KeyRing other;
  other.set({"sk-one"});
  EXPECT_NE(*ring.client_of("sk-one"), *other.client_of("sk-one")) << "names can be guessed from keys";
  ring.set({});
  EXPECT_FALSE(ring.wanted());
}

}  // namespace
}  // namespace vl3::serve
