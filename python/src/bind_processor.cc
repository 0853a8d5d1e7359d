#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "bindings.h"
#include "gil.h"
#include "processor/prompt.h"
#include "runtime.h"
#include "tensors.h"
#include "text/media_tokens.h"
#include "values.h"
#include "vl3/error.h"
#include "vl3/media_fetch.h"
#include "vl3/processor.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
namespace {

void bind_tokenizer(nb::module_& module) {
  nb::class_<Tokenizer>(module, "Tokenizer", "Text to ids and back, as the checkpoint has it.")
      .def_static("open", &Tokenizer::from_pretrained, "folder"_a, nb::call_guard<WithoutGil>())
      .def(
          "encode",
          [](const Tokenizer& self, const nb::str& given, bool parse_special) {
            const std::string text = text_from_python(given, "text");
            const WithoutGil release;
            return self.encode(text, parse_special);
          },
          "text"_a, "parse_special"_a = true)
      .def(
          "decode",
          [](const Tokenizer& self, const std::vector<int64_t>& ids, bool skip_special) {
            const WithoutGil release;
            return self.decode(ids, skip_special);
          },
          "ids"_a, "skip_special"_a = false)
      .def(
          "token_to_id",
          [](const Tokenizer& self, const std::string& token) { return self.token_to_id(token); }, "token"_a)
      .def("id_to_token", &Tokenizer::id_to_token, "id"_a)
      .def("is_special", &Tokenizer::is_special, "id"_a)
      .def("is_added", &Tokenizer::is_added, "id"_a)
      .def_prop_ro("vocab_size", &Tokenizer::vocab_size)
      .def_prop_ro("bos_id", &Tokenizer::bos_id)
      .def_prop_ro("eos_id", &Tokenizer::eos_id)
      .def_prop_ro("pad_id", &Tokenizer::pad_id);
  nb::class_<StreamDecoder>(module, "StreamDecoder", "Ids to text as they come, never half a character.")
      .def(nb::init<Tokenizer, bool>(), "tokenizer"_a, "skip_special"_a)
      .def("push", &StreamDecoder::push, "id"_a)
      .def("finish", &StreamDecoder::finish);
}

// A conversation as the template writes it, ended as the call says.
std::vector<ChatTemplate::Piece> pieces_of(const ChatTemplate& self, nb::handle messages,
                                           bool add_generation_prompt, bool continue_final_message,
                                           nb::handle variables) {
  const Json given = json_from_python(messages, "messages");
  const Json extra = json_from_python(variables, "template");
  const WithoutGil release;
  return continue_final_message ? self.render_continued(given, extra)
                                : self.render_pieces(given, add_generation_prompt, extra);
}

void bind_template(nb::module_& module) {
  nb::class_<ChatTemplate>(module, "ChatTemplate", "Messages to a prompt.")
      .def_static(
          "open", [](const std::filesystem::path& folder) { return ChatTemplate::from_pretrained(folder); },
          "folder"_a)
      .def(
          "with_source",
          [](const ChatTemplate& self, std::string source) { return self.with_source(std::move(source)); },
          "source"_a)
      .def_prop_ro("source", &ChatTemplate::source)
      .def(
          "render",
          [](const ChatTemplate& self, nb::handle messages, bool add_generation_prompt,
             bool continue_final_message, nb::handle variables) {
            std::string prompt;
            for (const ChatTemplate::Piece& piece :
                 pieces_of(self, messages, add_generation_prompt, continue_final_message, variables))
              prompt += piece.text;
            return prompt;
          },
          "messages"_a, "add_generation_prompt"_a, "continue_final_message"_a, "variables"_a.none())
      .def(
          "encode",
          [](const ChatTemplate& self, const Tokenizer& tokenizer, nb::handle messages,
             bool add_generation_prompt, bool continue_final_message, nb::handle variables,
             bool parse_special) {
            const std::vector<ChatTemplate::Piece> pieces =
                pieces_of(self, messages, add_generation_prompt, continue_final_message, variables);
            std::vector<TextSpan> spans;
            for (const ChatTemplate::Piece& piece : pieces)
              spans.push_back({piece.text, parse_special || !piece.from_message});
            const WithoutGil release;
            return tokenizer.encode(spans);
          },
          "tokenizer"_a, "messages"_a, "add_generation_prompt"_a, "continue_final_message"_a,
          "variables"_a.none(), "parse_special"_a, "Ids; parse_special: also in what messages say.");
}

// What process() makes, until Python asks for its parts.
struct Processed {
  ProcessorOutput output;
};

// The same bytes, which are 0 and 1, as booleans.
Tensor as_bool(const Tensor& mask) {
  if (!mask.defined()) return mask;
  return {mask.storage(), mask.byte_offset(), mask.shape(), DType::kBool};
}

void put(Dict& to, const char* name, const Tensor& tensor) {
  if (tensor.defined()) to[name] = to_python(tensor);
}

Dict tensors_of(const ImageFeatures& images, const VideoFeatures& videos) {
  Dict tensors;
  put(tensors, "pixel_values", images.pixel_values);
  put(tensors, "image_grid_thw", images.image_grid_thw);
  put(tensors, "image_merge_sizes", images.image_merge_sizes);
  put(tensors, "pixel_values_videos", videos.pixel_values_videos);
  put(tensors, "video_grid_thw", videos.video_grid_thw);
  put(tensors, "video_merge_sizes", videos.video_merge_sizes);
  put(tensors, "video_compression_mask", as_bool(videos.video_compression_mask));
  return tensors;
}

Json options_of(const PixelOptions& options) {
  return {{"do_resize", options.do_resize},
          {"resample", options.resample},
          {"do_rescale", options.do_rescale},
          {"rescale_factor", options.rescale_factor},
          {"do_normalize", options.do_normalize},
          {"image_mean", options.image_mean},
          {"image_std", options.image_std},
          {"do_convert_rgb", options.do_convert_rgb},
          {"patch_size", options.patch_size},
          {"temporal_patch_size", options.temporal_patch_size},
          {"merge_size", options.merge_size},
          {"size", {{"shortest_edge", options.shortest_edge}, {"longest_edge", options.longest_edge}}}};
}

Json options_of(const VideoOptions& options) {
  Json json = options_of(static_cast<const PixelOptions&>(options));
  json["fps"] = options.fps ? Json(*options.fps) : Json();
  json["num_frames"] = options.num_frames ? Json(*options.num_frames) : Json();
  json["min_frames"] = options.min_frames;
  json["max_frames"] = options.max_frames;
  json["do_sample_frames"] = options.do_sample_frames;
  json["use_token_compression"] = options.use_token_compression;
  return json;
}

template <class Options>
Options merged(Options options, nb::handle json, const char* origin) {
  const Json settings = json_from_python(json, origin);
  const std::vector<std::string> unknown = options.merge(settings, origin);
  if (!unknown.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "[" + std::string(origin) + "] \"" + unknown[0] + "\" is not an option");
  }
  return options;
}

Image decoded(const MediaSource& source, const MediaLimits& limits) {
  switch (source.kind()) {
    case MediaSource::Kind::kFile:
      return read_image(source.path(), limits, false);
    case MediaSource::Kind::kBytes:
      return decode_image(source.data(), limits, source.name(), false);
    case MediaSource::Kind::kOpenFile:
      return read_image("/proc/self/fd/" + std::to_string(source.descriptor()), limits, false);
    case MediaSource::Kind::kFrames:
      if (source.pictures().size() != 1) {
        throw Error(ErrorCode::kInvalidArgument, "[" + source.name() + "] has " +
                                                     std::to_string(source.pictures().size()) +
                                                     " frames: a picture has one");
      }
      return source.pictures()[0];
  }
  throw Error(ErrorCode::kInternal, "[" + source.name() + "] is of no kind that is known");
}

Dict preprocess_images(Runtime& runtime, nb::handle options, const std::vector<MediaSource>& pictures,
                       bool pil) {
  const PixelOptions settings = merged(PixelOptions(), options, "image_processor");
  const ImageProcessor processor(settings, pil ? ResizeBackend::kPil : ResizeBackend::kTorchvision);
  const ImageFeatures made = runtime.call([&](Context& context) {
    std::vector<Image> images;
    for (const MediaSource& source : pictures) {
      context.check_cancelled();
      images.push_back(decoded(source, MediaLimits()));
    }
    return processor.preprocess(context.threads(), images);
  });
  return tensors_of(made, {});
}

nb::typed<nb::tuple, Dict, List> preprocess_videos(Runtime& runtime, nb::handle options,
                                                   const std::vector<std::vector<MediaSource>>& clips) {
  const VideoProcessor processor(merged(VideoOptions(), options, "video_processor"));
  const VideoFeatures made = runtime.call([&](Context& context) {
    OpenMedia opened;
    std::vector<OpenClip> readers;
    std::vector<ClipInput> inputs;
    for (const std::vector<MediaSource>& sources : clips) {
      readers.push_back(opened.take(sources, MediaLimits(), processor.options()));
      inputs.push_back({sources[0].name(), readers.back().reader.get(), processor.options()});
    }
    ProcessHooks hooks;
    hooks.cancelled = [&] { return context.cancelled(); };
    return processor.preprocess(context.threads(), inputs, hooks);
  });
  return nb::borrow<nb::typed<nb::tuple, Dict, List>>(
      nb::make_tuple(tensors_of({}, made), list_of(to_json(made.clips))));
}

void bind_media(nb::module_& module) {
  module.def("preprocess_images", &preprocess_images, "runtime"_a, "options"_a, "pictures"_a, "pil"_a);
  module.def("preprocess_videos", &preprocess_videos, "runtime"_a, "options"_a, "clips"_a);
  module.def(
      "image_options",
      [](nb::handle options) {
        return dict_of(options_of(merged(PixelOptions(), options, "image_processor")));
      },
      "options"_a);
  module.def(
      "video_options",
      [](nb::handle options) {
        return dict_of(options_of(merged(VideoOptions(), options, "video_processor")));
      },
      "options"_a);
  module.def(
      "read_image_options",
      [](const std::filesystem::path& folder) {
        return dict_of(options_of(ImageProcessorFast::from_pretrained(folder).options()));
      },
      "folder"_a);
  module.def(
      "read_video_options",
      [](const std::filesystem::path& folder) {
        return dict_of(options_of(VideoProcessor::from_pretrained(folder).options()));
      },
      "folder"_a);
  module.def(
      "number_of_image_patches",
      [](nb::handle options, int64_t height, int64_t width) {
        return ImageProcessor(merged(PixelOptions(), options, "image_processor"))
            .get_number_of_image_patches(height, width);
      },
      "options"_a, "height"_a, "width"_a);
  module.def(
      "number_of_video_patches",
      [](nb::handle options, int64_t frames, int64_t height, int64_t width) {
        return VideoProcessor(merged(VideoOptions(), options, "video_processor"))
            .get_num_of_video_patches(frames, height, width);
      },
      "options"_a, "num_frames"_a, "height"_a, "width"_a);
}

Processed process(const Processor& self, Runtime& runtime, nb::handle request_json,
                  const std::map<std::string, MediaSource>& media,
                  const std::vector<std::string>& allow_addresses, bool pil) {
  ProcessorRequest request = self.parse_request(json_from_python(request_json, "request"), "request");
  request.media = media;
  if (pil) request.backend = ResizeBackend::kPil;
  return runtime.call([&](Context& context) {
    ProcessHooks hooks;
    hooks.cancelled = [&] { return context.cancelled(); };
    MediaFetchOptions from_the_web;
    from_the_web.allow_addresses = allow_addresses;
    const MediaFetcher fetcher(std::move(from_the_web));
    open_addresses(request, [&](const std::string& address, bool video) {
      return fetcher.fetch(address, video, false, hooks.cancelled);
    });
    return Processed{self.process(context.threads(), request, MediaLimits(), hooks)};
  });
}

// A prompt that is text already: every placeholder becomes as many ids as its picture or clip has tokens.
std::vector<int64_t> expand(const Processor& self, const std::string& text,
                            const std::pair<std::string, std::string>& tokens,
                            const std::vector<int64_t>& picture_tokens, nb::handle clips_json,
                            const std::vector<bool>& is_video) {
  Placeholders placeholders{
      {tokens.first, tokens.second}, self.image_token_id(), self.video_token_id(), {}, {}, is_video};
  for (const int64_t count : picture_tokens) placeholders.images.push_back({{"", count}});
  for (const Json& clip : json_from_python(clips_json, "clips")) {
    placeholders.videos.push_back(clip_runs(clip.at("timestamps").get<std::vector<double>>(),
                                            clip.at("kept").get<std::vector<int64_t>>()));
  }
  PromptOptions options;
  options.messages_too = true;
  const WithoutGil release;
  return expand_prompt(self.tokenizer(), {{text, false}}, placeholders, options).ids;
}

// Rows of ids in a rectangle of so many columns at least, and which of them are none of padding: [B, T] i64.
nb::typed<nb::tuple, nb::any, nb::any> padded(const std::vector<std::vector<int64_t>>& rows, int64_t pad_id,
                                              bool left, int64_t columns) {
  for (const std::vector<int64_t>& row : rows) columns = std::max(columns, static_cast<int64_t>(row.size()));
  const Shape shape = {static_cast<int64_t>(rows.size()), columns};
  Tensor ids =
      Tensor::from<int64_t>(shape, std::vector<int64_t>(rows.size() * static_cast<size_t>(columns), pad_id));
  Tensor mask = Tensor::zeros(shape, DType::kI64);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto length = static_cast<int64_t>(rows[i].size());
    const int64_t place = static_cast<int64_t>(i) * columns + (left ? columns - length : 0);
    std::copy(rows[i].begin(), rows[i].end(), ids.mutable_data<int64_t>() + place);
    std::fill_n(mask.mutable_data<int64_t>() + place, length, int64_t{1});
  }
  return nb::borrow<nb::typed<nb::tuple, nb::any, nb::any>>(nb::make_tuple(to_python(ids), to_python(mask)));
}

}  // namespace

void bind_processor(nb::module_& module) {
  bind_tokenizer(module);
  bind_template(module);
  bind_media(module);
  nb::class_<Processed>(module, "Processed", "Conversations as ids, and their pictures and clips as patches.")
      .def_prop_ro("ids", [](const Processed& self) { return self.output.ids; })
      .def_prop_ro("tensors",
                   [](const Processed& self) { return tensors_of(self.output.images, self.output.videos); })
      .def_prop_ro("clips", [](const Processed& self) { return list_of(to_json(self.output.videos.clips)); });
  nb::class_<Processor>(module, "Processor", "Conversations with pictures and clips to ids and patches.")
      .def_static("open", &Processor::from_pretrained, "folder"_a, nb::call_guard<WithoutGil>())
      .def_prop_ro("tokenizer", [](const Processor& self) { return self.tokenizer(); })
      .def_prop_ro("image_token_id", &Processor::image_token_id)
      .def_prop_ro("video_token_id", &Processor::video_token_id)
      .def_prop_ro(
          "image_options",
          [](const Processor& self) { return dict_of(options_of(self.image_processor().options())); })
      .def_prop_ro(
          "video_options",
          [](const Processor& self) { return dict_of(options_of(self.video_processor().options())); })
      .def_prop_ro("chat_template", [](const Processor& self) { return self.chat_template(); })
      .def("with_chat_template", &Processor::with_chat_template, "source"_a)
      .def("process", &process, "runtime"_a, "request"_a, "media"_a, "allow_addresses"_a, "pil"_a)
      .def("expand", &expand, "text"_a, "tokens"_a, "picture_tokens"_a, "clips"_a, "is_video"_a);
  module.def("padded", &padded, "rows"_a, "pad_id"_a, "left"_a, "columns"_a = 0);
  module.def(
      "media_tokens",
      [](const std::filesystem::path& folder, const Tokenizer& tokenizer) {
        const MediaTokens tokens = find_media_tokens(folder, tokenizer);
        return std::pair(tokens.image, tokens.video);
      },
      "folder"_a, "tokenizer"_a);
}

}  // namespace vl3::python
