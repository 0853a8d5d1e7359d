#pragma once
// Every setting of generation once: name, type, range, help, and how it is read and written. Its default is
// the member's initial value. The settings parser, the command line and docs/generation.md all go by this
// table.

#include <span>
#include <string_view>

#include "generate/setting_values.h"

namespace vl3 {

struct SettingRow {
  const char* name;
  const char* type;
  SettingRange range;
  const char* help;
  void (*read)(GenerationConfig&, const Json&, const SettingReader&);
  Json (*write)(const GenerationConfig&);
};
std::span<const SettingRow> setting_rows();

// Settings of the reference that have no row. Neutral: the value with which it does nothing there either, as
// JSON text; any other value cannot be honoured. An empty text: whatever it says, the output is the same
// here.
struct ForeignSetting {
  const char* name;
  const char* neutral;
};
std::span<const ForeignSetting> foreign_settings();

}  // namespace vl3
