#pragma once
// An alphabet of strokes: every character as lines through points of a grid 5 wide and 7 high.

namespace vl3::scenes {

// Points "xy" with spaces between them, strokes with commas; null for a character that is not there.
const char* glyph(char character) noexcept;
inline constexpr double kGlyphWidth = 4, kGlyphHeight = 6, kGlyphAdvance = 6;

}  // namespace vl3::scenes
