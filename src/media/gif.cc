// GIF: compositing, and the two ways in: one picture (the first frame), or a clip.
#include <algorithm>
#include <cstring>

#include "media/gif_blocks.h"

namespace vl3 {
namespace media {

std::optional<Palette> GifCanvas::frame_palette(const GifFrame& frame) const {
  const bool local = frame.palette_offset != 0;
  const int colors = local ? frame.palette_colors : gif_.palette_colors;
  if (colors == 0) return std::nullopt;
  const uint8_t* bytes = &source_.bytes[local ? frame.palette_offset : gif_.palette_offset];
  Palette palette{};
  bool plain = true;  // index i is the grey i
  for (int i = 0; i < colors; ++i) {
    palette[static_cast<size_t>(i)] = {bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]};
    plain = plain && bytes[3 * i] == i && bytes[3 * i + 1] == i && bytes[3 * i + 2] == i;
  }
  if (plain) return std::nullopt;
  return palette;
}

void GifCanvas::to_color() {
  const auto count = static_cast<int64_t>(pixels_.size());
  std::vector<uint8_t> rgb(pixels_.size() * 3);
  if (form_ == Form::kIndexed) {
    apply_palette(pixels_.data(), count, palette_, rgb.data());
  } else {
    grey_to_rgb(pixels_.data(), count, rgb.data());
  }
  pixels_ = std::move(rgb);
  form_ = Form::kColor;
}

void GifCanvas::grow(int width, int height, const std::array<uint8_t, 3>& fill) {
  if (width == width_ && height == height_) return;
  check_size(source_, width, height, 3);
  const size_t unit = static_cast<size_t>(channels()), row = static_cast<size_t>(width_) * unit;
  std::vector<uint8_t> larger(static_cast<size_t>(width) * static_cast<size_t>(height) * unit);
  for (size_t i = 0; i < larger.size(); ++i) larger[i] = fill[i % unit];
  for (int y = 0; y < height_; ++y)
    std::memcpy(&larger[static_cast<size_t>(y) * static_cast<size_t>(width) * unit],
                &pixels_[static_cast<size_t>(y) * row], row);
  pixels_ = std::move(larger);
  width_ = width;
  height_ = height;
}

void GifCanvas::paste(const Disposal& disposal) {
  const Rect& rect = disposal.rect;
  const int unit = channels();
  // A canvas grows before a frame is drawn and never shrinks, so the rectangle lies within it.
  for (int y = 0; y < rect.height; ++y)
    std::memcpy(&pixels_[static_cast<size_t>(((rect.y + y) * int64_t{width_} + rect.x) * unit)],
                &disposal.pixels[static_cast<size_t>(int64_t{y} * rect.width * unit)],
                static_cast<size_t>(rect.width) * static_cast<size_t>(unit));
}

void GifCanvas::plan_disposal(const GifFrame& frame, const std::optional<Palette>& palette, bool first) {
  disposal_.reset();
  if (disposal_method_ < 2) return;
  const size_t unit = static_cast<size_t>(channels());
  Disposal plan{{frame.x, frame.y, frame.width, frame.height}, {}};
  plan.pixels.resize(static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height) * unit);
  if (disposal_method_ == 2 || first) {
    if (disposal_method_ != 2 && !frame.transparent) return;
    const std::optional<uint8_t> transparent = transparent_ ? transparent_ : frame.transparent;
    const uint8_t index = disposal_method_ != 2 ? *frame.transparent
                          : transparent         ? *transparent
                                                : gif_.background.value_or(0);
    std::array<uint8_t, 3> fill{index, index, index};
    if (unit == 3 && palette) {
      const int colors = frame.palette_offset != 0 ? frame.palette_colors : gif_.palette_colors;
      fill = (*palette)[index < colors ? index : 0];
    }
    for (size_t i = 0; i < plan.pixels.size(); ++i) plan.pixels[i] = fill[i % unit];
  } else {  // what is there now, black beyond the canvas
    const int width = std::clamp(width_ - frame.x, 0, frame.width);
    for (int y = 0; y < frame.height && frame.y + y < height_ && width > 0; ++y)
      std::memcpy(&plan.pixels[static_cast<size_t>(y) * static_cast<size_t>(frame.width) * unit],
                  &pixels_[static_cast<size_t>((frame.y + y) * int64_t{width_} + frame.x) * unit],
                  static_cast<size_t>(width) * unit);
  }
  disposal_ = std::move(plan);
}

void GifCanvas::draw(size_t frame_number) {
  const GifFrame& frame = gif_.frames[frame_number];
  const bool first = frame_number == 0;
  const int screen_width = first ? gif_.width : width_, screen_height = first ? gif_.height : height_;
  const int width = std::max(frame.x + frame.width, screen_width);
  const int height = std::max(frame.y + frame.height, screen_height);
  check_size(source_, width, height, 4);
  const std::vector<uint8_t> indices = decode_gif_indices(source_, frame, frame_number);
  if (disposal_) paste(*disposal_);
  const std::optional<Palette> palette = frame_palette(frame);
  if (first) {
    form_ = palette ? Form::kIndexed : Form::kGrey;
    if (palette) palette_ = *palette;
  } else if (form_ == Form::kIndexed || indexed_next_) {
    to_color();
    transparent_.reset();
    indexed_next_ = false;
  }
  if (frame.disposal != 0) disposal_method_ = frame.disposal;
  plan_disposal(frame, palette, first);
  if (first) {
    transparent_ = frame.transparent;
    const uint8_t fill = frame.transparent.value_or(0);
    grow(width, height, {fill, fill, fill});
  } else {
    const bool black = form_ != Form::kColor || frame.transparent || !palette;
    grow(width, height, black ? std::array<uint8_t, 3>{} : (*palette)[0]);
    indexed_next_ = form_ == Form::kGrey && palette.has_value();
  }
  const size_t unit = static_cast<size_t>(channels());
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* in = &indices[static_cast<size_t>(int64_t{y} * frame.width)];
    uint8_t* out = &pixels_[static_cast<size_t>((frame.y + y) * int64_t{width_} + frame.x) * unit];
    for (int x = 0; x < frame.width; ++x, out += unit) {
      if (!first && frame.transparent && in[x] == *frame.transparent) continue;
      if (unit == 1) {
        out[0] = in[x];
      } else if (palette) {
        std::memcpy(out, (*palette)[in[x]].data(), 3);
      } else {
        out[0] = out[1] = out[2] = in[x];
      }
    }
  }
}

Image GifCanvas::snapshot() const {
  const char* mode = form_ == Form::kIndexed ? "P" : form_ == Form::kGrey ? "L" : "RGB";
  Image image = new_image(source_, width_, height_, mode);
  const int64_t count = int64_t{width_} * height_;
  if (form_ == Form::kColor) {
    image.rgb = pixels_;
  } else if (form_ == Form::kIndexed) {
    apply_palette(pixels_.data(), count, palette_, image.rgb.data());
  } else {
    grey_to_rgb(pixels_.data(), count, image.rgb.data());
  }
  return image;
}

ImageInfo probe_gif(const Source& source) {
  const GifStructure gif = parse_gif(source, source.limits.max_frames);
  const GifFrame& frame = gif.frames.front();
  ImageInfo info;
  info.width = std::max(gif.width, frame.x + frame.width);
  info.height = std::max(gif.height, frame.y + frame.height);
  info.frames = static_cast<int64_t>(gif.frames.size());
  check_size(source, info.width, info.height, 4);
  // Indexed unless the frame's palette is the plain greys or there is none.
  const int colors = frame.palette_offset != 0 ? frame.palette_colors : gif.palette_colors;
  const uint64_t at = frame.palette_offset != 0 ? frame.palette_offset : gif.palette_offset;
  bool plain = true;
  for (int i = 0; i < 3 * colors; ++i) plain = plain && source.bytes[at + static_cast<uint64_t>(i)] == i / 3;
  info.mode = std::string(plain ? "L" : "P");
  return info;
}

void decode_gif(const Source& source, Image* image) {
  const GifStructure gif = parse_gif(source, 1);
  GifCanvas canvas(source, gif);
  canvas.draw(0);
  *image = canvas.snapshot();
}

}  // namespace media

struct GifReader::State {
  MediaLimits limits;
  std::string name;
  media::Source source;
  media::GifStructure gif;
  std::vector<int64_t> timestamps_ms;
  int64_t width = 0, height = 0;
  std::unique_ptr<media::GifCanvas> canvas;
  size_t frame = 0;

  State(std::span<const std::byte> bytes, const MediaLimits& media_limits, std::string file_name)
      : limits(media_limits),
        name(std::move(file_name)),
        source{{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, limits, name} {}
};

GifReader::GifReader(std::span<const std::byte> bytes, const MediaLimits& limits, std::string name)
    : state_(std::make_unique<State>(bytes, limits, std::move(name))) {
  State& state = *state_;
  ImageFormat format{};
  require(sniff_image(bytes, &format) && format == ImageFormat::kGif, ErrorCode::kFormat, "[{}] is not a GIF",
          state.name);
  require(static_cast<int64_t>(bytes.size()) <= limits.max_file_bytes, ErrorCode::kLimitExceeded,
          "[{}] has {} bytes, above the limit max_file_bytes of {}", state.name, bytes.size(),
          limits.max_file_bytes);
  state.gif = media::parse_gif(state.source, limits.max_frames + 1);
  require(static_cast<int64_t>(state.gif.frames.size()) <= limits.max_frames, ErrorCode::kLimitExceeded,
          "[{}] has more frames than the limit max_frames of {}", state.name, limits.max_frames);
  state.width = state.gif.width;
  state.height = state.gif.height;
  state.timestamps_ms.push_back(0);
  for (const media::GifFrame& frame : state.gif.frames) {
    state.timestamps_ms.push_back(state.timestamps_ms.back() + frame.duration_ms);
    state.width = std::max<int64_t>(state.width, frame.x + frame.width);
    state.height = std::max<int64_t>(state.height, frame.y + frame.height);
  }
  media::check_size(state.source, state.width, state.height, 4);
  const double duration_s = static_cast<double>(state.timestamps_ms.back()) / 1000.0;
  require(duration_s <= limits.max_duration_s, ErrorCode::kLimitExceeded,
          "[{}] lasts {} s, above the limit max_duration_s of {}", state.name, duration_s,
          limits.max_duration_s);
  rewind();
}

GifReader::~GifReader() = default;
GifReader::GifReader(GifReader&&) noexcept = default;
GifReader& GifReader::operator=(GifReader&&) noexcept = default;

int64_t GifReader::height() const noexcept { return state_->height; }
int64_t GifReader::width() const noexcept { return state_->width; }
int64_t GifReader::total_frames() const noexcept { return static_cast<int64_t>(state_->gif.frames.size()); }
const std::vector<int64_t>& GifReader::timestamps_ms() const noexcept { return state_->timestamps_ms; }

bool GifReader::next(Image* image) {
  State& state = *state_;
  if (state.frame >= state.gif.frames.size()) return false;
  state.canvas->draw(state.frame++);
  *image = state.canvas->snapshot();
  return true;
}

void GifReader::rewind() {
  state_->canvas = std::make_unique<media::GifCanvas>(state_->source, state_->gif);
  state_->frame = 0;
}

}  // namespace vl3
