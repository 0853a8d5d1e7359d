// Pictures of writing: words, numbers, documents of a few lines.

#include <fmt/format.h>

#include <algorithm>

#include "scenes/kinds.h"
#include "scenes/questions.h"
#include "scenes/things.h"

namespace vl3::scenes {
namespace {

// A colour that is easy to read on something light: any but yellow.
int ink(Random& random) {
  const int colour = random.below(kColours - 1);
  return colour >= 3 ? colour + 1 : colour;
}

struct Hand {
  double height = 0, thickness = 0, slant = 0;
};
Hand hand(Random& random, double height) {
  const double thickness = height * random.uniform(0.11, 0.17);
  return {height, thickness, random.uniform(-0.08, 0.22)};
}

}  // namespace

Scene make_words(const Options& options, Random& random) {
  const bool number = options.split != Split::kHeldout && random.chance(0.25);
  const int length = options.split == Split::kHeldout || random.chance(0.6) ? 3 : random.between(2, 5);
  const std::string text =
      number ? random_digits(random, random.between(1, 3)) : random_word(random, options.split, length);
  const int width = random_side(random, options), height = random_side(random, options);
  const double widest = 0.9 * width / Canvas::text_width(text, 1.0) - 1;
  const double tall = std::max(12.0, std::min({random.uniform(14, 34), widest, 0.8 * height}));
  const Hand h = hand(random, tall);
  const double room_x = std::max(0.0, width - Canvas::text_width(text, tall) - 8);
  const double x = 4 + random.uniform(0, 1) * room_x,
               y = 4 + random.uniform(0, std::max(1.0, height - tall - 8));
  const int colour = ink(random);
  Canvas canvas(width, height, random_sheet(random));
  canvas.text(text, x, y, h.height, h.thickness, h.slant, shade(random, colour));

  Questions questions(random);
  const std::string task = number ? "digits" : text.size() == 3 ? "word" : "other_word";
  questions.ask(
      task.c_str(),
      number ? std::vector<std::string>{"what number is shown?", "which number is it?", "read the number."}
             : std::vector<std::string>{"what does it say?", "what is written?", "read the word."},
      text);
  const char* name = colours()[static_cast<size_t>(colour)].name;
  questions.ask("text_colour", {"what colour is the writing?", "in which colour is it written?"}, name);
  questions.ask_mentions("caption", {"describe the picture.", "what do you see?", "what is in the picture?"},
                         fmt::format("the {} {} in {}.", number ? "number" : "word", text, name),
                         {text, name});
  Scene scene;
  scene.kind = Kind::kWords;
  scene.frames.push_back(canvas.image(random, random.chance(0.2) ? random.between(1, 4) : 0));
  scene.turns = questions.choose(options);
  return scene;
}

Scene make_document(const Options& options, Random& random) {
  const int lines = random.between(2, 4);
  std::vector<std::string> text;
  while (static_cast<int>(text.size()) < lines) {
    std::string line = random.chance(0.3) ? random_digits(random, random.between(1, 3))
                                          : random_word(random, Split::kTrain, 3);
    if (std::find(text.begin(), text.end(), line) == text.end()) text.push_back(std::move(line));
  }
  const int width = random_side(random, options), height = random_side(random, options);
  const double pitch = (height - 6.0) / lines;
  const double tall = std::min({0.68 * pitch, 0.85 * width / Canvas::text_width("AAA", 1.0), 24.0});
  const Hand h = hand(random, tall);
  Canvas canvas(width, height, random_sheet(random));
  const Paint paint = shade(random, random.chance(0.7) ? 6 : ink(random));
  const double left = random.uniform(5, std::max(5.5, width - Canvas::text_width("AAA", tall) - 6));
  Questions questions(random);
  std::string all;
  for (int i = 0; i < lines; ++i) {
    const std::string& line = text[static_cast<size_t>(i)];
    canvas.text(line, left, 4 + pitch * i + 0.12 * pitch, h.height, h.thickness, h.slant, paint);
    all += (i > 0 ? ", " : "") + line;
    questions.about({i});
    questions.ask("document_line",
                  {fmt::format("what is on line {}?", i + 1), fmt::format("read line {}.", i + 1),
                   fmt::format("what does line {} say?", i + 1)},
                  line);
    questions.ask("find_line",
                  {fmt::format("on which line is {}?", line), fmt::format("which line says {}?", line)},
                  std::to_string(i + 1));
  }
  questions.about({});
  questions.ask("line_count", {"how many lines are there?", "count the lines."}, std::to_string(lines));
  questions.ask_mentions("document", {"read the document.", "what is written?", "describe the picture."},
                         all + ".", text);
  Scene scene;
  scene.kind = Kind::kDocument;
  scene.frames.push_back(canvas.image(random, 0));
  scene.turns = questions.choose(options);
  return scene;
}

}  // namespace vl3::scenes
