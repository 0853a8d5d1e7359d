#pragma once
// One function for every kind of scene.

#include "scenes/random.h"
#include "scenes/scenes.h"

namespace vl3::scenes {

Scene make_shapes(const Options& options, Random& random);
Scene make_words(const Options& options, Random& random);
Scene make_chart(const Options& options, Random& random);
Scene make_table(const Options& options, Random& random);
Scene make_document(const Options& options, Random& random);
Scene make_clip(const Options& options, Random& random);
Scene make_text(const Options& options, Random& random);

}  // namespace vl3::scenes
