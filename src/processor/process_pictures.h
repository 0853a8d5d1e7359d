#pragma once
// Pictures → patches, several at a time: while one thread decodes a picture, others resize what is there of
// it, or decode the next.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "vl3/image_processor.h"
#include "vl3/open_media.h"

namespace vl3 {

struct PictureInput {
  std::string name;
  Size size;
  const Image* picture;  // that is there already, and outlives the input (or `decode` holds it); otherwise:
  std::function<void(Image*, const RowsReady&)> decode = nullptr;  // asked for once, by any thread
  int64_t shortest_edge = 0, longest_edge = 0;  // areas of this picture alone; 0: those of the options
};

PictureInput picture_input(const Image& picture);
// One whose header was read; the rest comes from its bytes, or from its file where they are not held. Throws
// later what decode_image does.
PictureInput picture_input(const OpenPicture& picture, const MediaLimits& limits);

// ImageProcessor::preprocess of such pictures. As many are decoded at a time as there are threads, fewer
// where they are large. The first error ends it. cancelled, where given, is asked before each is decoded.
ImageFeatures process_pictures(ThreadPool& threads, const PixelOptions& options, ResizeBackend backend,
                               const std::vector<PictureInput>& inputs,
                               const std::function<bool()>& cancelled = nullptr);

}  // namespace vl3
