#include "scenes/vocabulary.h"

namespace vl3::scenes {

const std::array<Colour, kColours>& colours() {
  static const std::array<Colour, kColours> all = {{{"red", 0.86, 0.12, 0.12},
                                                    {"green", 0.10, 0.62, 0.20},
                                                    {"blue", 0.12, 0.28, 0.88},
                                                    {"yellow", 0.95, 0.84, 0.10},
                                                    {"purple", 0.52, 0.14, 0.70},
                                                    {"orange", 0.96, 0.52, 0.06},
                                                    {"black", 0.08, 0.08, 0.08},
                                                    {"pink", 0.98, 0.52, 0.74}}};
  return all;
}

const char* name_of(Shape shape) {
  constexpr const char* kNames[] = {"circle", "square", "triangle", "star", "cross", "ring"};
  return kNames[static_cast<size_t>(shape)];
}

const char* place_name(int cell) {
  constexpr const char* kNames[] = {"top left", "top",         "top right", "left",        "middle",
                                    "right",    "bottom left", "bottom",    "bottom right"};
  return kNames[cell];
}

bool held_out(int colour, Shape shape) { return (colour * 5 + static_cast<int>(shape) * 3) % 8 == 1; }

bool held_out_place(Shape shape, int place) { return (place + 2 * static_cast<int>(shape)) % 9 == 4; }

bool held_out(const std::string& word) {
  uint64_t hash = 7;
  for (const char c : word) hash = splitmix64(hash ^ static_cast<unsigned char>(c));
  return hash % 10 == 3;
}

std::string random_word(Random& random, Split split, int letters) {
  while (true) {
    std::string word;
    for (int i = 0; i < letters; ++i) word += static_cast<char>('A' + random.below(26));
    if (held_out(word) == (split == Split::kHeldout)) return word;
  }
}

std::string random_digits(Random& random, int digits) {
  std::string text;
  for (int i = 0; i < digits; ++i) text += static_cast<char>('0' + random.below(10));
  return text;
}

}  // namespace vl3::scenes
