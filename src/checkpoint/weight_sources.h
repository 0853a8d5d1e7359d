#pragma once
// Where the weights of a checkpoint are.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/packed_config.h"
#include "vl3/safetensors.h"

namespace vl3 {

struct PackedWeight;

// A weight: which file, under which name, and what it is there. Where it is packed, info tells name, dtype
// and shape of what comes out.
struct Source {
  size_t file = 0;
  TensorInfo info;
  std::shared_ptr<const PackedWeight> packed;
};
using Sources = std::map<std::string, Source, std::less<>>;  // by canonical name

struct PackedWeight {
  PackedFormat format;
  Sources parts;             // by role: "qweight", "qzeros", "scales", "g_idx"; of bitsandbytes see there
  int64_t block = 0;         // bitsandbytes: weights that share a scale, and scales that share one
  int64_t nested_block = 0;  // 0: they do not
  float nested_offset = 0;
};

// What is wrong with the tensors of a checkpoint, collected so that one error tells all of it.
class Problems {
 public:
  void add(const std::string& kind, const std::string& what) { by_kind_[kind].push_back(what); }
  bool empty() const { return by_kind_.empty(); }
  std::string text() const;

 private:
  std::map<std::string, std::vector<std::string>> by_kind_;
};

// Puts one packed source in place of the tensors that make up a weight; tensors of no such weight stay. What
// does not fit together is told to problems.
void gather_packed(const PackedFormat& format, const std::vector<SafetensorsFile>& files, Sources& sources,
                   Problems& problems);

// The weight, dense, in memory of its own, in the dtype and shape of the source's info. Products of a scale
// and a number of few bits are rounded once to that dtype, as the programs that wrote them do. Throws kFormat
// for a group index outside of the groups.
Tensor unpacked(const Source& source, const std::vector<SafetensorsFile>& files);

// Of bitsandbytes: the same two.
void gather_blocks(const std::vector<SafetensorsFile>& files, Sources& sources, Problems& problems);
Tensor unpacked_blocks(const Source& source, const std::vector<SafetensorsFile>& files);

}  // namespace vl3
