// Bar charts and small tables.

#include <fmt/format.h>

#include <algorithm>

#include "scenes/kinds.h"
#include "scenes/questions.h"
#include "scenes/things.h"

namespace vl3::scenes {
namespace {

struct Bar {
  int colour = 0, value = 0;
  const char* name() const { return colours()[static_cast<size_t>(colour)].name; }
};

std::vector<Bar> random_bars(Random& random) {
  std::vector<int> order(kColours), values(9);
  for (int i = 0; i < kColours; ++i) order[static_cast<size_t>(i)] = i;
  for (int i = 0; i < 9; ++i) values[static_cast<size_t>(i)] = i + 1;
  random.shuffle(order);
  random.shuffle(values);  // no two bars of one height
  std::vector<Bar> bars(static_cast<size_t>(random.between(2, 5)));
  for (size_t i = 0; i < bars.size(); ++i) bars[i] = {order[i], values[i]};
  return bars;
}

Image draw_bars(Random& random, const Options& options, const std::vector<Bar>& bars) {
  const int width = random_side(random, options), height = random_side(random, options);
  Canvas canvas(width, height, random_sheet(random));
  const double left = 8, right = width - 4, floor = height - 8, unit = (floor - 6) / 9.0;
  const Paint axis{0.25, 0.25, 0.25}, grid{0.66, 0.66, 0.66};
  for (int v = 1; v <= 9; ++v)  // every third line is darker, so that heights can be told
    canvas.line(left, floor - v * unit, right, floor - v * unit, v % 3 == 0 ? 1.2 : 0.5,
                v % 3 == 0 ? axis : grid);
  const double step = (right - left) / static_cast<double>(bars.size());
  for (size_t i = 0; i < bars.size(); ++i) {
    const double x = left + step * (static_cast<double>(i) + 0.16), tall = bars[i].value * unit;
    canvas.rectangle(x, floor - tall, 0.68 * step, tall, shade(random, bars[i].colour));
  }
  canvas.line(left, 4, left, floor, 1.5, axis);
  canvas.line(left, floor, right, floor, 1.5, axis);
  return canvas.image(random, 0);
}

}  // namespace

Scene make_chart(const Options& options, Random& random) {
  const std::vector<Bar> bars = random_bars(random);
  Scene scene;
  scene.kind = Kind::kChart;
  scene.frames.push_back(draw_bars(random, options, bars));
  const auto by_value = [](const Bar& a, const Bar& b) { return a.value < b.value; };
  const Bar& low = *std::min_element(bars.begin(), bars.end(), by_value);
  const Bar& high = *std::max_element(bars.begin(), bars.end(), by_value);
  Questions questions(random);
  questions.ask("tallest_bar",
                {"which bar is tallest?", "which bar is the highest?", "what colour is the tallest bar?"},
                high.name());
  questions.ask("shortest_bar",
                {"which bar is shortest?", "which bar is the lowest?", "what colour is the shortest bar?"},
                low.name());
  const Bar& bar = random.pick(bars);
  questions.ask("bar_value",
                {fmt::format("how high is the {} bar?", bar.name()),
                 fmt::format("what is the value of the {} bar?", bar.name())},
                std::to_string(bar.value));
  questions.ask("bar_count", {"how many bars are there?", "count the bars."}, std::to_string(bars.size()));
  std::string caption = fmt::format("a chart of {} bars:", bars.size());
  std::vector<std::string> mentions;
  for (const Bar& b : bars) {
    mentions.push_back(fmt::format("{} {}", b.name(), b.value));
    caption += (mentions.size() > 1 ? ", " : " ") + mentions.back();
  }
  questions.ask_mentions("chart", {"describe the chart.", "describe the picture.", "what do you see?"},
                         caption + ".", mentions);
  scene.turns = questions.choose(options);
  return scene;
}

Scene make_table(const Options& options, Random& random) {
  const int rows = random.between(2, 3), columns = random.between(2, 3);
  const int width = random_side(random, options), height = random_side(random, options);
  const double w = (width - 4.0) / (columns + 1), h = (height - 4.0) / (rows + 1);
  const double tall = std::min({0.6 * h, 0.8 * w, 20.0}), thickness = 0.14 * tall;
  Canvas canvas(width, height, random_sheet(random));
  const Paint rule{0.35, 0.35, 0.35}, head = shade(random, random.chance(0.5) ? 2 : 6), body{0.1, 0.1, 0.1};
  const auto put = [&](char c, int row, int column, Paint paint) {
    const std::string text(1, c);
    canvas.text(text, 2 + w * (column + 0.5) - Canvas::text_width(text, tall) / 2,
                2 + h * (row + 0.5) - tall / 2, tall, thickness, 0, paint);
  };
  for (int r = 0; r <= rows + 1; ++r) canvas.line(2, 2 + h * r, width - 2, 2 + h * r, 1, rule);
  for (int c = 0; c <= columns + 1; ++c) canvas.line(2 + w * c, 2, 2 + w * c, height - 2, 1, rule);
  for (int r = 0; r < rows; ++r) put(static_cast<char>('A' + r), r + 1, 0, head);
  for (int c = 0; c < columns; ++c) put(static_cast<char>('X' + c), 0, c + 1, head);
  Questions questions(random);
  std::string caption = "a table.";
  std::vector<std::string> mentions;
  for (int r = 0; r < rows; ++r) {
    std::string line = fmt::format("row {}:", static_cast<char>('A' + r));
    for (int c = 0; c < columns; ++c) {
      const char value = static_cast<char>('0' + random.below(10));
      put(value, r + 1, c + 1, body);
      line += fmt::format(" {}", value);
      questions.ask("table_cell",
                    {fmt::format("what is in row {:c} column {:c}?", 'A' + r, 'X' + c),
                     fmt::format("which number is in row {:c} column {:c}?", 'A' + r, 'X' + c)},
                    std::string(1, value));
    }
    mentions.push_back(line);
    questions.ask("table_row",
                  {fmt::format("read row {:c}.", 'A' + r), fmt::format("what is in row {:c}?", 'A' + r)},
                  line.substr(line.find(':') + 2));
    caption += " " + line + ".";
  }
  questions.ask("table_size", {"how many rows are there?", "count the rows."}, std::to_string(rows));
  questions.ask_mentions("table", {"read the table.", "describe the picture.", "what do you see?"}, caption,
                         mentions);
  Scene scene;
  scene.kind = Kind::kTable;
  scene.frames.push_back(canvas.image(random, 0));
  scene.turns = questions.choose(options);
  return scene;
}

}  // namespace vl3::scenes
