#pragma once
// Pictures → patches, several at a time: while one thread decodes a picture, others resize what is there of
// it, or decode the next.

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "vl3/image_processor.h"

namespace vl3 {

struct PictureInput {
  std::string name;
  Size size;
  const Image* picture;  // that is there already, and outlives the input; otherwise:
  std::function<void(Image*, const RowsReady&)> decode = nullptr;  // asked for once, by any thread
  int64_t shortest_edge = 0, longest_edge = 0;  // areas of this picture alone; 0: those of the options
};

PictureInput picture_input(const Image& picture);
// The bytes of a file, whose header is read now, and the rest when its turn comes; bytes and limits outlive
// the input. Throws what probe_image does, and later what decode_image does.
PictureInput picture_input(std::span<const std::byte> bytes, const MediaLimits& limits,
                           std::string_view name);
// The same of a file, which is not held in memory meanwhile.
PictureInput picture_input(const std::filesystem::path& path, const MediaLimits& limits);

// ImageProcessor::preprocess of such pictures. As many are decoded at a time as there are threads, fewer
// where they are large. The first error ends it. cancelled, where given, is asked before each is decoded.
ImageFeatures process_pictures(ThreadPool& threads, const PixelOptions& options, ResizeBackend backend,
                               const std::vector<PictureInput>& inputs,
                               const std::function<bool()>& cancelled = nullptr);

}  // namespace vl3
