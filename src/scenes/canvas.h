#pragma once
// Drawing, by cairo: shapes, lines of text in strokes, bars; and the pixels as an Image.

#include <memory>
#include <string>

#include "scenes/vocabulary.h"

struct _cairo;
struct _cairo_surface;

namespace vl3::scenes {

struct Paint {
  double r = 0, g = 0, b = 0;
};
// A shade of the colour, never near another one.
Paint shade(Random& random, int colour);

// What a picture is drawn on: something light with a darker edge. Without an edge nothing on an even ground
// would tell an encoder of relative positions where in the picture a patch lies.
struct Sheet {
  Paint ground, edge;
  int edge_width = 0;  // pixels
};
Sheet random_sheet(Random& random);

class Canvas {
 public:
  Canvas(int width, int height, const Sheet& sheet);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }

  // Centre and radius in pixels; the shape fills the circle of that radius.
  void shape(Shape shape, double x, double y, double radius, Paint paint);
  void rectangle(double x, double y, double width, double height, Paint paint);
  void line(double x0, double y0, double x1, double y1, double thickness, Paint paint);
  // Capitals, digits and spaces, from the top left corner on. slant: of the upper end, in heights.
  void text(const std::string& text, double x, double y, double height, double thickness, double slant,
            Paint paint);
  static double text_width(const std::string& text, double height);
  // Every channel of every pixel moves by up to amount levels.
  Image image(Random& random, int noise) const;

 private:
  int width_, height_;
  _cairo_surface* surface_;
  _cairo* cairo_;
};

}  // namespace vl3::scenes
