#include "processor/prompt.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr int64_t kNoLabel = -100;

// As Python's format(t, ".1f"): the exact value, rounded, halves to even.
std::string one_decimal(double value) {
  std::array<char, 400> text{};  // the largest double has 309 digits
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 1);
  return {text.data(), end.ptr};
}

// The pieces cut where answers begin and end; each with whether it is part of one.
struct CutPiece {
  ChatTemplate::Piece piece;
  bool answer = false;
};

std::vector<CutPiece> cut(const std::vector<ChatTemplate::Piece>& pieces,
                          const std::vector<TextRange>& answers) {
  std::vector<CutPiece> result;
  size_t at = 0, next = 0;  // in the text; in answers
  for (const ChatTemplate::Piece& piece : pieces) {
    for (size_t done = 0; done < piece.text.size();) {
      while (next < answers.size() && answers[next].second <= at) ++next;
      const bool inside = next < answers.size() && answers[next].first <= at;
      const size_t border = next == answers.size() ? std::string::npos
                            : inside               ? answers[next].second
                                                   : answers[next].first;
      const size_t count = std::min(piece.text.size() - done, border - at);
      result.push_back({{piece.text.substr(done, count), piece.from_message}, inside});
      done += count;
      at += count;
    }
  }
  return result;
}

// One prompt on its way.
class Expansion {
 public:
  Expansion(const Tokenizer& tokenizer, const Placeholders& placeholders, const PromptOptions& options)
      : tokenizer_(tokenizer), given_(placeholders), options_(options) {}

  // Pieces that are all inside or all outside of an answer.
  void add(std::span<const CutPiece> pieces) {
    std::deque<std::string> texts;  // addresses stay
    std::vector<TextSpan> spans;
    if (options_.messages_too) {
      std::string joined;
      for (const CutPiece& piece : pieces) joined += piece.piece.text;
      texts.push_back(replaced(joined));
      spans.push_back({texts.back(), true});
    } else {
      for (const auto& [piece, answer] : pieces) {
        texts.push_back(piece.from_message ? spelt(piece.text) : replaced(piece.text));
        spans.push_back({texts.back(), !piece.from_message});
      }
    }
    std::vector<size_t> recognised;
    append(tokenizer_.encode(spans, &recognised), recognised, pieces[0].answer);
  }

  ExpandedPrompt finish() {
    require(images_ == given_.images.size() && videos_ == given_.videos.size(), ErrorCode::kInvalidArgument,
            "[processor] the prompt has {} picture and {} clip placeholders for {} pictures and {} clips",
            images_, videos_, given_.images.size(), given_.videos.size());
    return std::move(prompt_);
  }

 private:
  struct Run {
    int64_t id, tokens;
  };

  std::string spelt(const std::string& text) {
    if (options_.with_text) prompt_.text += text;
    return text;
  }

  bool next_is_video() const {
    const size_t next = images_ + videos_;
    return next < given_.is_video.size() && given_.is_video[next];
  }

  // text with one token in place of every run of a placeholder; runs_ are what they stand for.
  std::string replaced(const std::string& text) {
    const std::string &image = given_.tokens.image, &video = given_.tokens.video;
    std::string result;
    for (size_t at = 0; at < text.size();) {
      const size_t i = text.find(image, at), v = text.find(video, at), found = std::min(i, v);
      result += spelt(text.substr(at, found - at));
      if (found == std::string::npos) break;
      const bool is_video = image == video ? next_is_video() : v < i;
      const auto& list = is_video ? given_.videos : given_.images;
      size_t& next = is_video ? videos_ : images_;
      if (next < list.size()) result += place(list[next], is_video);
      ++next;  // one too many is counted, and reported at the end
      at = found + (is_video ? video : image).size();
    }
    return result;
  }

  std::string place(const Replacement& replacement, bool is_video) {
    const std::string& token = is_video ? given_.tokens.video : given_.tokens.image;
    std::string result;
    for (const VisualRun& run : replacement) {
      result += spelt(run.text);
      if (run.tokens == 0) continue;
      result += token;
      runs_.push_back({is_video ? given_.video_id : given_.image_id, run.tokens});
      for (int64_t n = 0; options_.with_text && n < run.tokens; ++n) prompt_.text += token;
    }
    return result;
  }

  // ids of which some places, ascending, are added tokens that were recognised in text of the template.
  void append(const std::vector<int64_t>& ids, const std::vector<size_t>& recognised, bool answer) {
    const auto image = tokenizer_.token_to_id(given_.tokens.image),
               video = tokenizer_.token_to_id(given_.tokens.video);
    size_t run = 0, place = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool added = place < recognised.size() && recognised[place] == i;
      place += added;
      const bool visual = added && (ids[i] == image || ids[i] == video) && run < runs_.size();
      const Run now = visual ? runs_[run++] : Run{ids[i], 1};
      prompt_.ids.insert(prompt_.ids.end(), static_cast<size_t>(now.tokens), now.id);
      prompt_.labels.insert(prompt_.labels.end(), static_cast<size_t>(now.tokens),
                            answer ? now.id : kNoLabel);
    }
    require(run == runs_.size(), ErrorCode::kFormat,
            "[tokenizer] does not recognise \"{}\" and \"{}\" as whole tokens: of {} places in the prompt it "
            "found {}",
            given_.tokens.image, given_.tokens.video, runs_.size(), run);
    runs_.clear();
  }

  const Tokenizer& tokenizer_;
  const Placeholders& given_;
  const PromptOptions& options_;
  size_t images_ = 0, videos_ = 0;  // placeholders seen
  std::vector<Run> runs_;           // of what is tokenised next
  ExpandedPrompt prompt_;
};

}  // namespace

Replacement clip_runs(const std::vector<double>& timestamps, const std::vector<int64_t>& kept) {
  Replacement runs;
  for (size_t i = 0; i < timestamps.size(); ++i)
    runs.push_back({(i > 0 ? ",Time " : "Time ") + one_decimal(timestamps[i]) + "s:", kept[i]});
  return runs;
}

ExpandedPrompt expand_prompt(const Tokenizer& tokenizer, const std::vector<ChatTemplate::Piece>& pieces,
                             const Placeholders& placeholders, const PromptOptions& options) {
  Expansion expansion(tokenizer, placeholders, options);
  const std::vector<CutPiece> all = cut(pieces, options.answers);
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin + 1;
    while (end < all.size() && all[end].answer == all[begin].answer) ++end;
    expansion.add(std::span(all).subspan(begin, end - begin));
    begin = end;
  }
  return expansion.finish();
}

}  // namespace vl3
