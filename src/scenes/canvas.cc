#include "scenes/canvas.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "scenes/glyphs.h"

namespace vl3::scenes {
namespace {

constexpr double kPi = std::numbers::pi;

// A closed path through `corners` points around the centre, the first at the top; with an inner radius every
// second one lies on that.
void corners(cairo_t* cairo, double x, double y, int count, double radius, double inner, double turn) {
  const int points = inner > 0 ? 2 * count : count;
  for (int i = 0; i < points; ++i) {
    const double r = inner > 0 && i % 2 == 1 ? inner : radius;
    const double angle = turn - kPi / 2 + 2 * kPi * i / points;
    cairo_line_to(cairo, x + r * std::cos(angle), y + r * std::sin(angle));
  }
  cairo_close_path(cairo);
}

}  // namespace

Paint shade(Random& random, int colour) {
  const Colour& c = colours()[static_cast<size_t>(colour)];
  const double light = random.uniform(-0.06, 0.06);
  const auto moved = [&](double v) { return std::clamp(v + light + random.uniform(-0.03, 0.03), 0.0, 1.0); };
  return {moved(c.r), moved(c.g), moved(c.b)};
}

Sheet random_sheet(Random& random) {
  const double light = random.uniform(0.82, 0.97), darker = random.uniform(0.2, 0.45);
  const auto tinted = [&] { return std::min(1.0, light + random.uniform(-0.04, 0.04)); };
  Sheet sheet;
  sheet.ground = {tinted(), tinted(), tinted()};
  sheet.edge = {sheet.ground.r - darker, sheet.ground.g - darker, sheet.ground.b - darker};
  sheet.edge_width = random.between(2, 3);
  return sheet;
}

Canvas::Canvas(int width, int height, const Sheet& sheet)
    : width_(width),
      height_(height),
      surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)),
      cairo_(cairo_create(surface_)) {
  require(cairo_status(cairo_) == CAIRO_STATUS_SUCCESS, ErrorCode::kOutOfMemory,
          "[scenes] a canvas of {} x {} pixels: {}", width, height,
          cairo_status_to_string(cairo_status(cairo_)));
  const int edge = sheet.edge_width;
  rectangle(0, 0, width, height, sheet.edge);
  rectangle(edge, edge, width - 2 * edge, height - 2 * edge, sheet.ground);
  cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
  cairo_set_line_cap(cairo_, CAIRO_LINE_CAP_ROUND);
}

Canvas::~Canvas() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

void Canvas::shape(Shape shape, double x, double y, double radius, Paint paint) {
  cairo_set_source_rgb(cairo_, paint.r, paint.g, paint.b);
  cairo_new_path(cairo_);
  switch (shape) {
    case Shape::kCircle:
      cairo_arc(cairo_, x, y, radius, 0, 2 * kPi);
      break;
    case Shape::kSquare:
      cairo_rectangle(cairo_, x - 0.8 * radius, y - 0.8 * radius, 1.6 * radius, 1.6 * radius);
      break;
    case Shape::kTriangle:
      corners(cairo_, x, y + 0.15 * radius, 3, 1.1 * radius, 0, 0);
      break;
    case Shape::kStar:
      corners(cairo_, x, y, 5, 1.1 * radius, 0.44 * radius, 0);
      break;
    case Shape::kCross: {
      const double half = 0.3 * radius;
      cairo_rectangle(cairo_, x - radius, y - half, 2 * radius, 2 * half);
      cairo_rectangle(cairo_, x - half, y - radius, 2 * half, 2 * radius);
      break;
    }
    case Shape::kRing:
      cairo_set_line_width(cairo_, 0.42 * radius);
      cairo_arc(cairo_, x, y, 0.79 * radius, 0, 2 * kPi);
      cairo_stroke(cairo_);
      return;
  }
  cairo_fill(cairo_);
}

void Canvas::rectangle(double x, double y, double width, double height, Paint paint) {
  cairo_set_source_rgb(cairo_, paint.r, paint.g, paint.b);
  cairo_new_path(cairo_);
  cairo_rectangle(cairo_, x, y, width, height);
  cairo_fill(cairo_);
}

void Canvas::line(double x0, double y0, double x1, double y1, double thickness, Paint paint) {
  cairo_set_source_rgb(cairo_, paint.r, paint.g, paint.b);
  cairo_set_line_width(cairo_, thickness);
  cairo_new_path(cairo_);
  cairo_move_to(cairo_, x0, y0);
  cairo_line_to(cairo_, x1, y1);
  cairo_stroke(cairo_);
}

double Canvas::text_width(const std::string& text, double height) {
  return height / kGlyphHeight *
         (kGlyphAdvance * static_cast<double>(text.size()) - (kGlyphAdvance - kGlyphWidth));
}

void Canvas::text(const std::string& text, double x, double y, double height, double thickness, double slant,
                  Paint paint) {
  const double unit = height / kGlyphHeight;
  cairo_set_source_rgb(cairo_, paint.r, paint.g, paint.b);
  cairo_set_line_width(cairo_, thickness);
  for (size_t i = 0; i < text.size(); ++i) {
    const char* point = glyph(text[i]);
    const double left = x + unit * kGlyphAdvance * static_cast<double>(i);
    cairo_new_path(cairo_);
    for (bool begins = true; point != nullptr && *point != 0;) {
      if (*point == ' ' || *point == ',') {
        begins = *point == ',';
        ++point;
        continue;
      }
      const double row = point[1] - '0';
      const double px = left + unit * (point[0] - '0' + slant * (kGlyphHeight - row)), py = y + unit * row;
      begins ? cairo_move_to(cairo_, px, py) : cairo_line_to(cairo_, px, py);
      begins = false;
      point += 2;
    }
    cairo_stroke(cairo_);
  }
}

Image Canvas::image(Random& random, int noise) const {
  cairo_surface_flush(surface_);
  Image image;
  image.width = width_;
  image.height = height_;
  image.mode = "RGB";
  image.rgb.resize(static_cast<size_t>(width_) * static_cast<size_t>(height_) * 3);
  const unsigned char* data = cairo_image_surface_get_data(surface_);
  const int stride = cairo_image_surface_get_stride(surface_);
  uint8_t* target = image.rgb.data();
  for (int y = 0; y < height_; ++y) {
    const auto* row = reinterpret_cast<const uint32_t*>(data + y * stride);
    for (int x = 0; x < width_; ++x) {
      const uint64_t bits = noise > 0 ? random.next() : 0;
      for (int c = 0; c < 3; ++c) {
        int value = static_cast<int>(row[x] >> (16 - 8 * c) & 255);
        if (noise > 0)
          value +=
              static_cast<int>((bits >> (16 * c) & 0xffff) * static_cast<uint64_t>(2 * noise + 1) >> 16) -
              noise;
        *target++ = static_cast<uint8_t>(std::clamp(value, 0, 255));
      }
    }
  }
  return image;
}

}  // namespace vl3::scenes
