#include "processor/content_key.h"

#include <bit>

#include "base/sha256.h"
#include "media/picture_frames.h"
#include "media/source_bytes.h"
#include "media/versions.h"

namespace vl3 {
namespace {

// Of the way from pixels to patches, masks and picked frames: a change of any bit of them makes it another.
constexpr int64_t kProcessingVersion = 1;

void add(Sha256& hash, double value) { hash.add_number(std::bit_cast<int64_t>(value)); }

template <class T>
void add(Sha256& hash, const std::optional<T>& value) {
  hash.add_number(value.has_value() ? 1 : 0);
  if (!value) return;
  if constexpr (std::is_same_v<T, double>)
    add(hash, *value);
  else
    hash.add_number(*value);
}

// By binding: a field that is added and forgotten here does not compile.
void add(Sha256& hash, const PixelOptions& options) {
  const auto& [do_resize, resample, do_rescale, rescale_factor, do_normalize, image_mean, image_std,
               do_convert_rgb, patch_size, temporal_patch_size, merge_size, shortest_edge, longest_edge] =
      options;
  for (const int64_t value :
       {int64_t{do_resize}, resample, int64_t{do_rescale}, int64_t{do_normalize}, int64_t{do_convert_rgb},
        patch_size, temporal_patch_size, merge_size, shortest_edge, longest_edge})
    hash.add_number(value);
  add(hash, rescale_factor);
  for (const double value : image_mean) add(hash, value);
  for (const double value : image_std) add(hash, value);
}

void add(Sha256& hash, const VideoOptions& options) {
  add(hash, static_cast<const PixelOptions&>(options));
  add(hash, options.fps);
  add(hash, options.num_frames);
  add(hash, options.start_time);
  add(hash, options.end_time);
  add(hash, options.pictures_rate);
  for (const int64_t value : {options.min_frames, options.max_frames, int64_t{options.do_sample_frames},
                              int64_t{options.use_token_compression}, int64_t{options.rotate},
                              static_cast<int64_t>(options.times), int64_t{options.skip_broken_frames}})
    hash.add_number(value);
}

void add(Sha256& hash, const MediaLimits& limits) {
  const auto& [max_pixels, max_file_bytes, max_allocation_bytes, max_frames, max_duration_s,
               max_packet_bytes] = limits;
  for (const int64_t value : {max_pixels, max_file_bytes, max_allocation_bytes, max_frames, max_packet_bytes})
    hash.add_number(value);
  add(hash, max_duration_s);
}

// What a part is comes before it, and how long it was behind it: no two lists of parts run into the same.
void add_content(Sha256& hash, const MediaSource& source, const std::shared_ptr<const std::string>& held) {
  hash.add_number(static_cast<int64_t>(source.kind() == MediaSource::Kind::kFrames));
  if (source.kind() == MediaSource::Kind::kFrames) {
    hash.add_number(static_cast<int64_t>(source.pictures().size()));
    for (const Image& frame : source.pictures()) {
      hash.add_number(frame.height);
      hash.add_number(frame.width);
      hash.add(std::as_bytes(frame.pixels()));
    }
    hash.add_number(static_cast<int64_t>(source.times_s().size()));
    for (const double time_s : source.times_s()) add(hash, time_s);
    return;
  }
  int64_t bytes = 0;
  const auto add_piece = [&](std::span<const std::byte> piece) {
    hash.add(piece);
    bytes += static_cast<int64_t>(piece.size());
  };
  if (held)
    add_piece(std::as_bytes(std::span(*held)));
  else
    read_in_pieces(source, add_piece);
  hash.add_number(bytes);
}

}  // namespace

std::string content_key(const MediaItem& item, const std::shared_ptr<const std::string>& held,
                        ResizeBackend backend, const MediaLimits& limits) {
  Sha256 hash;
  hash.add_number(kProcessingVersion);
  hash.add_text(media_versions());
  hash.add_number(item.video ? 1 : 0);
  if (item.video)
    add(hash, item.options);
  else
    add(hash, static_cast<const PixelOptions&>(item.options));
  hash.add_number(static_cast<int64_t>(backend));
  add(hash, limits);
  std::vector<MediaSource> parts;
  bool folder = false;
  std::error_code ignored;
  for (const MediaSource& source : item.sources) {
    folder =
        source.kind() == MediaSource::Kind::kFile && std::filesystem::is_directory(source.path(), ignored);
    if (folder)
      parts = folder_pictures(source.path()).pictures;  // a clip of one folder
    else
      parts.push_back(source);
  }
  hash.add_number(folder ? 1 : 0);
  hash.add_number(static_cast<int64_t>(parts.size()));
  for (const MediaSource& part : parts) add_content(hash, part, held);
  return hash.hex();
}

}  // namespace vl3
