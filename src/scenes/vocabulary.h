#pragma once
// What scenes are about, and which combinations are held out of training.

#include <array>
#include <string>
#include <vector>

#include "scenes/random.h"
#include "scenes/scenes.h"

namespace vl3::scenes {

enum class Shape { kCircle, kSquare, kTriangle, kStar, kCross, kRing };

struct Colour {
  const char* name;
  double r, g, b;  // 0 to 1
};

inline constexpr int kColours = 8, kShapes = 6, kPlaces = 9;
const std::array<Colour, kColours>& colours();
const char* name_of(Shape shape);
// Cells of a 3 x 3 grid, row by row: "top left", "top", …, "bottom right".
const char* place_name(int cell);

bool held_out(int colour, Shape shape);       // one in eight
bool held_out_place(Shape shape, int place);  // one in nine
bool held_out(const std::string& word);       // about one in ten, by its letters

// A word of random letters that the split may use.
std::string random_word(Random& random, Split split, int letters);
std::string random_digits(Random& random, int digits);

}  // namespace vl3::scenes
