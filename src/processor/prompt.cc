#include "processor/prompt.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr int64_t kNoLabel = -100;

// Replaces both kinds of placeholders in text, from where the counters stand.
std::string replaced(const std::string& text, const Placeholders& p, size_t& image, size_t& video) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t i = text.find(p.image_token, at), v = text.find(p.video_token, at);
    if (i == std::string::npos && v == std::string::npos) return result + text.substr(at);
    const bool is_video = v < i;
    const size_t found = is_video ? v : i;
    result.append(text, at, found - at);
    const auto& list = is_video ? p.videos : p.images;
    size_t& next = is_video ? video : image;
    if (next < list.size()) result += list[next];
    ++next;  // one too many is counted, and reported by the caller
    at = found + (is_video ? p.video_token : p.image_token).size();
  }
  return result;
}

// As Python's format(t, ".1f"): the exact value, rounded, halves to even.
std::string one_decimal(double value) {
  std::array<char, 400> text{};  // the largest double has 309 digits
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 1);
  return {text.data(), end.ptr};
}

}  // namespace

std::string clip_text(const std::vector<double>& timestamps, const std::vector<int64_t>& kept,
                      const std::string& video_token) {
  std::string text;
  for (size_t i = 0; i < timestamps.size(); ++i) {
    if (i > 0) text += ",";
    text += "Time " + one_decimal(timestamps[i]) + "s:";
    for (int64_t n = 0; n < kept[i]; ++n) text += video_token;
  }
  return text;
}

namespace {

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

}  // namespace

ExpandedPrompt expand_prompt(const Tokenizer& tokenizer, const std::vector<ChatTemplate::Piece>& pieces,
                             const Placeholders& placeholders, bool messages_too,
                             const std::vector<TextRange>& answers) {
  ExpandedPrompt prompt;
  size_t image = 0, video = 0;
  const std::vector<CutPiece> all = cut(pieces, answers);
  for (size_t begin = 0; begin < all.size();) {  // a stretch inside or outside of an answer
    size_t end = begin;
    std::deque<std::string> texts;  // addresses stay
    std::vector<TextSpan> spans;
    std::string joined;
    for (; end < all.size() && all[end].answer == all[begin].answer; ++end) {
      const ChatTemplate::Piece& piece = all[end].piece;
      if (messages_too) {
        joined += piece.text;
        continue;
      }
      texts.push_back(piece.from_message ? piece.text : replaced(piece.text, placeholders, image, video));
      spans.push_back({texts.back(), !piece.from_message});
    }
    if (messages_too) {
      texts.push_back(replaced(joined, placeholders, image, video));
      spans.push_back({texts.back(), true});
    }
    for (const std::string& text : texts) prompt.text += text;
    const std::vector<int32_t> ids = tokenizer.encode(spans);
    prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
    for (const int32_t id : ids) prompt.labels.push_back(all[begin].answer ? id : kNoLabel);
    begin = end;
  }
  require(image == placeholders.images.size() && video == placeholders.videos.size(),
          ErrorCode::kInvalidArgument,
          "[processor] the prompt has {} picture and {} clip placeholders for {} pictures and {} clips",
          image, video, placeholders.images.size(), placeholders.videos.size());
  return prompt;
}

}  // namespace vl3
