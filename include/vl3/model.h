#pragma once
// The network: pixels and ids in, hidden states and logits out. Names and meaning follow the reference's
// classes VideoLlama3VisionModel, VideoLlama3Model and VideoLlama3ForConditionalGeneration
// (docs/reference_names.md maps them).
//
// Shapes: B sequences of T columns (padded), P patches, V visual tokens after merging, K of them kept, H the
// language model's width, D the vision encoder's.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/config.h"
#include "vl3/context.h"
#include "vl3/export.h"
#include "vl3/generation.h"
#include "vl3/tensor.h"

namespace vl3 {

class KeyValueFactors;
struct ModelWeights;

// What a caller wants to see on the way. stage is called with the reference's names of intermediate results
// ("vision.layer3", "text.norm", …) and the packed value, rows only of real tokens.
struct Probe {
  std::function<void(const std::string& name, const Tensor& value)> stage;
  // How far the long stages are: "encode" counts patches, "prefill" tokens.
  std::function<void(std::string_view stage, int64_t done, int64_t total)> progress;
  bool attentions =
      false;  // also the attention weights, one call a layer and sequence: "text.attention3.0" [Hq, Tq, Tk]
};

// The keys and values of the sequences of a batch, for calls that go on where earlier ones ended (the
// reference's past_key_values). ForConditionalGeneration::new_past makes them. One thread at a time.
class VL3_API PastKeyValues {
 public:
  PastKeyValues();  // of no sequence
  ~PastKeyValues();
  PastKeyValues(PastKeyValues&& other) noexcept;
  PastKeyValues& operator=(PastKeyValues&& other) noexcept;

  size_t size() const noexcept;           // sequences
  int64_t length(size_t sequence) const;  // tokens held
  // Of the batches so far, padding counted: where the sequence's next token stands, as in the reference.
  int64_t columns(size_t sequence) const;
  PastKeyValues fork() const;      // the same tokens; memory is shared until one side grows
  void truncate(int64_t columns);  // longer sequences forget what comes after; throws below 0

 private:
  friend struct ModelParts;
  struct Caches;
  std::unique_ptr<Caches> caches_;
};

// Inputs of one forward pass. Undefined tensors are absent. Integer tensors are i64, masks u8 or bool, pixels
// f32.
struct ForwardInput {
  // B sequences of their own lengths; or input_ids. Results are as of rows that are padded on the right.
  std::vector<std::vector<int64_t>> ids;
  Tensor input_ids;      // [B, T]; or inputs_embeds
  Tensor inputs_embeds;  // [B, T, H] f32, with visual rows already in place
  Tensor
      attention_mask;   // [B, T], 1 for real tokens; absent: all are. With a cache: for the new columns only
  Tensor position_ids;  // [B, T]; absent: the column, counted on from the cache's columns

  Tensor pixel_values;       // [P, C·p·p]
  Tensor image_grid_thw;     // [pictures, 3]
  Tensor image_merge_sizes;  // [pictures]
  Tensor pixel_values_videos;
  Tensor video_grid_thw, video_merge_sizes;
  Tensor video_compression_mask;  // [V], 1 for kept tokens; absent: all are kept
  // Saves encoding, may change the answer: a frame of which only one token is kept takes that token from the
  // frame before it.
  bool reuse_static_frames = false;
  Tensor image_features;  // [V, H] f32: projected features computed earlier, instead of pixel_values
  Tensor video_features;  // [K, H] f32: likewise, kept rows only

  Tensor labels;            // [B, T], -100 where nothing is to be predicted; makes the loss
  double loss_divisor = 0;  // of the sum over labels; 0: their number, for the mean

  PastKeyValues* past = nullptr;  // of as many sequences as the batch, grown by this call
  int64_t logits_to_keep = 0;     // last columns that get logits; 0: all of them
  const Probe* probe = nullptr;
};

struct ForwardOutput {
  Tensor last_hidden_state;    // [B, T, H] after the final norm; rows of padding are zero
  Tensor logits;               // [B, T or logits_to_keep, vocabulary]; rows of padding are zero
  Tensor loss;                 // [1], mean over the labels that count; undefined without labels
  Tensor image_hidden_states;  // [V, H]
  Tensor video_hidden_states;  // [K, H]
};

// The any-resolution vision encoder alone.
class VL3_API VisionModel {
 public:
  static VisionModel from_pretrained(const std::filesystem::path& folder);

  const VisionConfig& config() const noexcept { return config_->vision; }
  // pixel_values [P, C·p·p] f32 in merge-block order, grid_thw [n, 3], merge_sizes [n] → [V, D].
  // Throws kInvalidArgument when patches and grids disagree or a merge size does not divide its grid.
  Tensor forward(Context& context, const Tensor& pixel_values, const Tensor& grid_thw,
                 const Tensor& merge_sizes, const Probe* probe = nullptr) const;

 private:
  friend class Model;
  VisionModel(std::shared_ptr<const Config> config, std::shared_ptr<const ModelWeights> weights);
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const ModelWeights> weights_;
};

// Vision encoder, projector and language model, without the head.
class VL3_API Model {
 public:
  static Model from_pretrained(const std::filesystem::path& folder);

  const Config& config() const noexcept { return *config_; }
  VisionModel vision_model() const { return {config_, weights_}; }
  // Encoded and projected rows [V, H], or [K, H] with a mask [V] of the rows to keep. reuse_static_frames: as
  // in ForwardInput.
  Tensor get_image_features(Context& context, const Tensor& pixel_values, const Tensor& grid_thw,
                            const Tensor& merge_sizes, const Tensor& keep = {}, const Probe* probe = nullptr,
                            bool reuse_static_frames = false) const;
  // Fills last_hidden_state and the visual hidden states.
  ForwardOutput forward(Context& context, const ForwardInput& input) const;

 private:
  friend class ForConditionalGeneration;
  friend struct ModelParts;
  Model(Config config, std::shared_ptr<const ModelWeights> weights);
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const ModelWeights> weights_;
};

// The whole model with its head.
class VL3_API ForConditionalGeneration {
 public:
  // Opens a checkpoint folder of either layout; weights stay mapped in their stored type. adapter: a folder
  // as vl3/adapter.h has it, computed beside the weights; empty: none.
  static ForConditionalGeneration from_pretrained(const std::filesystem::path& folder,
                                                  const std::filesystem::path& adapter = {});

  const Config& config() const noexcept { return model_.config(); }
  const Model& model() const noexcept { return model_; }

  // Throws kInvalidArgument when the counts of placeholders and features disagree, and for shapes that do.
  ForwardOutput forward(Context& context, const ForwardInput& input) const;

  // How a cache keeps keys and values: as the context asks, else f32 for f32 weights and Compute::kF32, else
  // f16. context: null asks for nothing.
  CacheType cache_type(const Context* context) const;
  PastKeyValues new_past(const Context& context, int64_t sequences) const;  // of that type, empty
  DType weights_dtype() const;   // of the language model's products; its first layer stands for the rest
  int64_t weight_bytes() const;  // of all tensors, an adapter's too, a shared head counted once

  // Answers for every sequence of the batch, each as if it were alone. Of input: ids or embeddings, the mask,
  // pictures and clips; position_ids are refused (kUnsupported) where they aren't 0, 1, … over the tokens
  // that the mask leaves. Results are in the order of the batch, num_return_sequences of them for each.
  std::vector<GenerationResult> generate(Context& context, const ForwardInput& input,
                                         const GenerationConfig& settings,
                                         const GenerationHooks& hooks = {}) const;

 private:
  friend struct ModelParts;
  ForConditionalGeneration(Config config, std::shared_ptr<const ModelWeights> weights);
  Model model_;
  std::shared_ptr<KeyValueFactors> factors_;  // of int8 caches
};

}  // namespace vl3
