#pragma once
// Texts that a grammar lets through, made at random: what is compiled must lead nowhere dead.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "grammar/matcher.h"

namespace vl3::fuzz {

// Up to so many bytes. at_end(text, random number) is told of every text that has the form; true: enough.
template <class AtEnd>
void walk(const grammar::Grammar& grammar, size_t most, AtEnd at_end) {
  using grammar::Matcher;
  Matcher matcher(grammar);
  int32_t state = matcher.start();
  std::string text;
  for (uint32_t turn = 1; text.size() < most; turn = turn * 1664525 + 1013904223) {
    if (matcher.accepts(state) && (at_end(text, turn) || !matcher.goes_on(state))) return;
    uint32_t byte = turn >> 24, tries = 0;
    while (matcher.step(state, static_cast<uint8_t>(byte)) == Matcher::kDead) {
      if (++tries == 256) std::abort();
      byte = (byte + 1) & 255;
    }
    text += static_cast<char>(byte);
    state = matcher.step(state, static_cast<uint8_t>(byte));
  }
}

}  // namespace vl3::fuzz
