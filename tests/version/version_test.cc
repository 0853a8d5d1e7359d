#include "vl3/version.h"

#include <gtest/gtest.h>

#include <string>

#include "vl3/image.h"

namespace vl3 {
namespace {

TEST(Version, LibraryAndHeadersAgree) {
  EXPECT_EQ(version(), std::string(VL3_VERSION_STRING));
  EXPECT_EQ(version(), std::to_string(VL3_VERSION_MAJOR) + "." + std::to_string(VL3_VERSION_MINOR) + "." +
                           std::to_string(VL3_VERSION_PATCH));
}

TEST(Version, EveryFeatureIsTold) {
  std::string names, pictures;
  for (const Feature& feature : features()) {
    names += feature.name + " ";
    EXPECT_FALSE(feature.value.empty()) << feature.name;
    if (feature.name == "pictures") pictures = feature.value;
  }
  EXPECT_EQ(names, "kernels clips pictures libraries compiler ");
  for (const PictureLibrary& row : picture_libraries())
    EXPECT_NE(pictures.find(row.formats), std::string::npos) << "built with it or not";
}

}  // namespace
}  // namespace vl3
