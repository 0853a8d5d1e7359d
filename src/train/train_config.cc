// The configuration of a training: one table of keys for reading, writing and help.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

constexpr int64_t kMany = int64_t{1} << 40;

[[noreturn]] void wrong(const JsonView& view, std::string_view key, std::string_view wanted) {
  fail(ErrorCode::kFormat, "[{}] \"{}\" is {}; it should be {}", view.origin(), key, shown(view.json()[key]),
       wanted);
}

double number_from(const JsonView& view, std::string_view key, double fallback, double low, double high) {
  const double value = view.number(key, fallback);
  if (!std::isfinite(value) || value < low || value > high)
    wrong(view, key, fmt::format("a number from {} to {}", low, high));
  return value;
}

std::string word(const JsonView& view, std::string_view key, const std::string& fallback,
                 std::initializer_list<std::string_view> allowed) {
  const std::string value = view.string(key, fallback);
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    wrong(view, key, fmt::format("one of {}", fmt::join(allowed, ", ")));
  return value;
}

void refuse_unknown(const JsonView& view, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : view.json().items()) {
    require(std::find(known.begin(), known.end(), key) != known.end(), ErrorCode::kFormat,
            "[{}] does not know the key \"{}\"; it knows {}", view.origin(), key, fmt::join(known, ", "));
  }
}

std::optional<double> rate(const JsonView& view, std::string_view key) {
  if (!view.has(key)) return std::nullopt;
  return number_from(view, key, 0, 0, 1);
}

void read_rates(TrainConfig& c, const JsonView& view) {
  const JsonView rates = view.child("rates");
  refuse_unknown(rates, {"vision_encoder", "projector", "llm"});
  c.rates = {rate(rates, "vision_encoder"), rate(rates, "projector"), rate(rates, "llm")};
}

Json write_rates(const TrainConfig& c) {
  Json json = Json::object();
  if (c.rates.vision_encoder) json["vision_encoder"] = *c.rates.vision_encoder;
  if (c.rates.projector) json["projector"] = *c.rates.projector;
  if (c.rates.llm) json["llm"] = *c.rates.llm;
  return json;
}

void read_data(TrainConfig& c, const JsonView& view) {
  const Json& list = view.json()["data"];
  if (!list.is_array() || list.empty()) wrong(view, "data", "a list of at least one source");
  c.data.clear();
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonView item(list[i], fmt::format("{}.data[{}]", view.origin(), i));
    TrainSource source;
    if (item.has("tensors")) {
      refuse_unknown(item, {"tensors", "prefix"});
      source.tensors = item.string("tensors", "");
      source.prefix = item.string("prefix", "");
    } else {
      refuse_unknown(item, {"rows", "media", "weight"});
      require(item.has("rows"), ErrorCode::kFormat, "[{}] should have \"rows\" or \"tensors\"",
              item.origin());
      source.rows = item.string("rows", "");
      source.media = item.string("media", "");
      source.weight = number_from(item, "weight", 1, 0, 1e6);
    }
    c.data.push_back(std::move(source));
  }
  const bool ready = !c.data[0].tensors.empty();
  for (const TrainSource& source : c.data) {
    if (source.tensors.empty() == ready) wrong(view, "data", "rows or tensors, not both");
  }
}

Json write_data(const TrainConfig& c) {
  Json list = Json::array();
  for (const TrainSource& s : c.data) {
    if (!s.tensors.empty())
      list.push_back({{"tensors", s.tensors.string()}, {"prefix", s.prefix}});
    else
      list.push_back({{"rows", s.rows.string()}, {"media", s.media.string()}, {"weight", s.weight}});
  }
  return list;
}

void read_media(TrainConfig& c, const JsonView& view) {
  const JsonView media = view.child("media");
  refuse_unknown(media, {"image_merge_size", "video_merge_size", "use_token_compression", "fps", "max_frames",
                         "max_visual_tokens", "times", "rotate", "skip_broken_frames", "pictures_rate"});
  TrainMedia& m = c.media;
  if (media.has("image_merge_size")) m.image_merge_size = media.integer("image_merge_size", 1, 1, 16);
  if (media.has("video_merge_size")) m.video_merge_size = media.integer("video_merge_size", 2, 1, 16);
  if (media.has("use_token_compression"))
    m.use_token_compression = media.boolean("use_token_compression", true);
  if (media.has("fps")) m.fps = number_from(media, "fps", 1, 0.01, 1000);
  if (media.has("max_frames")) m.max_frames = media.integer("max_frames", 180, 1, 1 << 20);
  if (media.has("times"))
    m.times = word(media, "times", "", {"timestamps", "frames"}) == "frames" ? ClipTimes::kFrames
                                                                             : ClipTimes::kTimestamps;
  if (media.has("rotate")) m.rotate = word(media, "rotate", "", {"auto", "off"}) == "auto";
  if (media.has("skip_broken_frames")) m.skip_broken_frames = media.boolean("skip_broken_frames", false);
  if (media.has("pictures_rate")) m.pictures_rate = number_from(media, "pictures_rate", 1, 0.01, 1000);
  m.max_visual_tokens = media.integer("max_visual_tokens", m.max_visual_tokens, 16, kMany);
}

Json write_media(const TrainConfig& c) {
  Json json = {{"max_visual_tokens", c.media.max_visual_tokens}};
  if (c.media.image_merge_size) json["image_merge_size"] = *c.media.image_merge_size;
  if (c.media.video_merge_size) json["video_merge_size"] = *c.media.video_merge_size;
  if (c.media.use_token_compression) json["use_token_compression"] = *c.media.use_token_compression;
  if (c.media.fps) json["fps"] = *c.media.fps;
  if (c.media.max_frames) json["max_frames"] = *c.media.max_frames;
  if (c.media.times) json["times"] = *c.media.times == ClipTimes::kFrames ? "frames" : "timestamps";
  if (c.media.rotate) json["rotate"] = *c.media.rotate ? "auto" : "off";
  if (c.media.skip_broken_frames) json["skip_broken_frames"] = *c.media.skip_broken_frames;
  if (c.media.pictures_rate) json["pictures_rate"] = *c.media.pictures_rate;
  return json;
}

void read_lora(TrainConfig& c, const JsonView& view) {
  const JsonView json = view.child("lora");
  refuse_unknown(json, {"rank", "alpha", "dropout", "targets", "adapter"});
  TrainLora lora;
  lora.adapter = json.string("adapter", "");
  for (const char* key : {"rank", "alpha", "targets"}) {
    require(lora.adapter.empty() || !json.has(key), ErrorCode::kFormat,
            "[{}] \"{}\" is what \"adapter\" has; leave it out", json.origin(), key);
  }
  lora.rank = json.integer("rank", lora.rank, 1, 1 << 16);
  lora.alpha = number_from(json, "alpha", lora.alpha, 1e-6, 1e6);
  lora.dropout = number_from(json, "dropout", lora.dropout, 0, 0.99);
  if (json.has("targets")) {
    const Json& list = json.json()["targets"];
    lora.targets.clear();
    for (const Json& target : list.is_array() ? list : Json::array()) {
      if (!target.is_string()) wrong(json, "targets", "a list of names of layers or parts");
      lora.targets.push_back(target.get<std::string>());
    }
    if (lora.targets.empty()) wrong(json, "targets", "a list of at least one name");
  }
  c.lora = lora;
}

Json write_lora(const TrainConfig& c) {
  if (!c.lora) return nullptr;
  if (!c.lora->adapter.empty()) return {{"adapter", c.lora->adapter.string()}, {"dropout", c.lora->dropout}};
  return {{"rank", c.lora->rank},
          {"alpha", c.lora->alpha},
          {"dropout", c.lora->dropout},
          {"targets", c.lora->targets}};
}

void read_betas(TrainConfig& c, const JsonView& view) {
  const Json& list = view.json()["betas"];
  const auto good = [](const Json& b) {
    return b.is_number() && b.get<double>() >= 0 && b.get<double>() < 1;
  };
  if (!list.is_array() || list.size() != 2 || !good(list[0]) || !good(list[1]))
    wrong(view, "betas", "two numbers from 0 to below 1");
  c.betas = {list[0].get<double>(), list[1].get<double>()};
}

void read_fresh(TrainConfig& c, const JsonView& view) {
  const Json& list = view.json()["fresh"];
  c.fresh.clear();
  for (const Json& part : list.is_array() ? list : Json::array({list})) {
    if (part != "vision_encoder" && part != "projector" && part != "llm")
      wrong(view, "fresh", "a list of vision_encoder, projector, llm");
    c.fresh.insert(part.get<std::string>());
  }
}

struct Row {
  TrainKey key;
  void (*read)(TrainConfig&, const JsonView&);
  Json (*write)(const TrainConfig&);
};

const Row kRows[] = {
    {{"model", "folder", "the model to begin with"},
     [](TrainConfig& c, const JsonView& v) { c.model = v.string("model", ""); },
     [](const TrainConfig& c) { return Json(c.model.string()); }},
    {{"output", "folder", "the model to make; checkpoints lie in it"},
     [](TrainConfig& c, const JsonView& v) { c.output = v.string("output", ""); },
     [](const TrainConfig& c) { return Json(c.output.string()); }},
    {{"stage", "text", "a preset for every key that is not given: the stages of the paper"},
     [](TrainConfig& c, const JsonView& v) { c.stage = v.string("stage", ""); },
     [](const TrainConfig& c) { return Json(c.stage); }},
    {{"data", "list", "sources: {\"rows\", \"media\", \"weight\"} or {\"tensors\", \"prefix\"}"},
     read_data,
     write_data},
    {{"media", "object",
      "image_merge_size, video_merge_size, use_token_compression, fps, max_frames, max_visual_tokens, "
      "times, rotate, skip_broken_frames, pictures_rate"},
     read_media,
     write_media},
    {{"rates", "object", "learning rates of vision_encoder, projector and llm; without one a part is frozen"},
     read_rates,
     write_rates},
    {{"lora", "object",
      "train an adapter: rank (64), alpha (16), dropout (0.05), targets ([\"llm\"]), adapter: one to go on "
      "from"},
     read_lora,
     write_lora},
    {{"fresh", "list", "parts that begin with new random weights: vision_encoder, projector, llm"},
     read_fresh,
     [](const TrainConfig& c) { return Json(c.fresh); }},
    {{"weight_decay", "number", "of matrices; norms and biases have none"},
     [](TrainConfig& c, const JsonView& v) { c.weight_decay = number_from(v, "weight_decay", 0, 0, 10); },
     [](const TrainConfig& c) { return Json(c.weight_decay); }},
    {{"betas", "list", "AdamW's two"}, read_betas, [](const TrainConfig& c) { return Json(c.betas); }},
    {{"eps", "number", "AdamW's"},
     [](TrainConfig& c, const JsonView& v) { c.eps = number_from(v, "eps", 1e-8, 0, 1); },
     [](const TrainConfig& c) { return Json(c.eps); }},
    {{"clip_norm", "number", "largest norm of all gradients together; 0: no limit"},
     [](TrainConfig& c, const JsonView& v) { c.clip_norm = number_from(v, "clip_norm", 1, 0, 1e9); },
     [](const TrainConfig& c) { return Json(c.clip_norm); }},
    {{"steps", "integer", "optimizer steps; 0: as many as epochs takes"},
     [](TrainConfig& c, const JsonView& v) { c.steps = v.integer("steps", 0, 0, kMany); },
     [](const TrainConfig& c) { return Json(c.steps); }},
    {{"epochs", "number", "passes over the rows"},
     [](TrainConfig& c, const JsonView& v) { c.epochs = number_from(v, "epochs", 1, 1e-6, 1e6); },
     [](const TrainConfig& c) { return Json(c.epochs); }},
    {{"batch", "integer", "samples of a step; of tensors: files"},
     [](TrainConfig& c, const JsonView& v) { c.batch = v.integer("batch", 1, 1, 1 << 20); },
     [](const TrainConfig& c) { return Json(c.batch); }},
    {{"batch_tokens", "integer", "tokens and patches that go through the network at once"},
     [](TrainConfig& c, const JsonView& v) { c.batch_tokens = v.integer("batch_tokens", 16384, 1, kMany); },
     [](const TrainConfig& c) { return Json(c.batch_tokens); }},
    {{"max_length", "integer", "most tokens of a sample"},
     [](TrainConfig& c, const JsonView& v) { c.max_length = v.integer("max_length", 16384, 2, kMany); },
     [](const TrainConfig& c) { return Json(c.max_length); }},
    {{"schedule", "text", "cosine (down to 0) or constant, after a linear warm-up"},
     [](TrainConfig& c, const JsonView& v) {
       c.schedule = word(v, "schedule", "cosine", {"cosine", "constant"});
     },
     [](const TrainConfig& c) { return Json(c.schedule); }},
    {{"warmup", "integer", "steps of warm-up; -1: as warmup_ratio says"},
     [](TrainConfig& c, const JsonView& v) { c.warmup = v.integer("warmup", -1, -1, kMany); },
     [](const TrainConfig& c) { return Json(c.warmup); }},
    {{"warmup_ratio", "number", "share of the steps that warm up"},
     [](TrainConfig& c, const JsonView& v) { c.warmup_ratio = number_from(v, "warmup_ratio", 0.03, 0, 1); },
     [](const TrainConfig& c) { return Json(c.warmup_ratio); }},
    {{"dtype", "text", "f32, or bf16: weights and products of bf16, sums of f32"},
     [](TrainConfig& c, const JsonView& v) {
       c.dtype = word(v, "dtype", "f32", {"f32", "bf16"});
     },
     [](const TrainConfig& c) { return Json(c.dtype); }},
    {{"masters", "text", "what steps are added to: f32, or with dtype bf16 the weights themselves (bf16)"},
     [](TrainConfig& c, const JsonView& v) {
       c.masters = word(v, "masters", "f32", {"f32", "bf16"});
     },
     [](const TrainConfig& c) { return Json(c.masters); }},
    {{"recompute", "boolean", "layers run again during backward instead of keeping their activations"},
     [](TrainConfig& c, const JsonView& v) { c.recompute = v.boolean("recompute", false); },
     [](const TrainConfig& c) { return Json(c.recompute); }},
    {{"stream", "text",
      "of rows of a stream: decide trains when to speak, original leaves that out as the release does"},
     [](TrainConfig& c, const JsonView& v) {
       c.stream = word(v, "stream", "decide", {"decide", "original"});
     },
     [](const TrainConfig& c) { return Json(c.stream); }},
    {{"seed", "integer", "of the order of rows and of fresh weights"},
     [](TrainConfig& c, const JsonView& v) {
       c.seed = static_cast<uint64_t>(v.integer("seed", 42, 0, INT64_MAX));
     },
     [](const TrainConfig& c) { return Json(c.seed); }},
    {{"save_every", "integer", "steps between checkpoints; 0: only the last"},
     [](TrainConfig& c, const JsonView& v) { c.save_every = v.integer("save_every", 1000, 0, kMany); },
     [](const TrainConfig& c) { return Json(c.save_every); }},
    {{"keep", "integer", "checkpoints that stay"},
     [](TrainConfig& c, const JsonView& v) { c.keep = v.integer("keep", 2, 1, 1 << 20); },
     [](const TrainConfig& c) { return Json(c.keep); }},
    {{"workers", "integer", "threads that read and process media ahead of the step"},
     [](TrainConfig& c, const JsonView& v) { c.workers = v.integer("workers", 1, 1, 1024); },
     [](const TrainConfig& c) { return Json(c.workers); }},
    {{"log", "file", "JSON lines, one a step; without it log.jsonl in output"},
     [](TrainConfig& c, const JsonView& v) { c.log = v.string("log", ""); },
     [](const TrainConfig& c) { return Json(c.log.string()); }},
};

const Row* row_of(std::string_view key) {
  const auto* row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.key.name == key; });
  return row == std::end(kRows) ? nullptr : row;
}

void read(TrainConfig& config, const Json& json, std::string_view origin) {
  const JsonView view(json, std::string(origin));
  for (const auto& [key, value] : json.items()) {
    const Row* row = row_of(key);
    if (row == nullptr) {
      std::vector<std::string_view> names;
      for (const Row& known : kRows) names.emplace_back(known.key.name);
      fail(ErrorCode::kFormat, "[{}] does not know the key \"{}\"; it knows {}", origin, key,
           fmt::join(names, ", "));
    }
    if (view.has(key)) row->read(config, view);
  }
}

}  // namespace

TrainConfig TrainConfig::from_json(const Json& json, std::string_view origin) {
  TrainConfig config;
  const JsonView view(json, std::string(origin));
  if (const std::string stage = view.string("stage", ""); !stage.empty())
    read(config, stage_preset(stage), "stage " + stage);
  read(config, json, origin);
  require(!config.model.empty(), ErrorCode::kFormat, "[{}] \"model\" is missing", origin);
  require(!config.output.empty(), ErrorCode::kFormat, "[{}] \"output\" is missing", origin);
  require(!config.data.empty(), ErrorCode::kFormat, "[{}] \"data\" is missing", origin);
  const TrainRates& r = config.rates;
  require(r.vision_encoder || r.projector || r.llm, ErrorCode::kFormat,
          "[{}] \"rates\" gives no part a rate: nothing would be trained", origin);
  require(config.masters == "f32" || config.dtype == "bf16", ErrorCode::kFormat,
          "[{}] \"masters\" is bf16, which needs \"dtype\" bf16, not {}", origin, config.dtype);
  require(config.steps > 0 || config.data[0].tensors.empty(), ErrorCode::kFormat,
          "[{}] \"steps\" is missing: batches of tensors have no epochs", origin);
  return config;
}

Json TrainConfig::to_json() const {
  Json json = Json::object();
  for (const Row& row : kRows) json[row.key.name] = row.write(*this);
  return json;
}

std::vector<TrainKey> train_keys() {
  std::vector<TrainKey> keys;
  for (const Row& row : kRows) keys.push_back(row.key);
  return keys;
}

}  // namespace vl3
