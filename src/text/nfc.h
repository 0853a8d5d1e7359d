#pragma once
// Unicode normalisation form C, as the tokenizer's reference has it (Unicode 9).

#include <string>
#include <string_view>

namespace vl3 {

// NFC of valid UTF-8. Returns text itself where it is in that form already, else storage, which it fills.
// Text without combining or compatibility characters costs a scan of its bytes; a run of n marks O(n log n).
std::string_view to_nfc(std::string_view text, std::string& storage);

}  // namespace vl3
