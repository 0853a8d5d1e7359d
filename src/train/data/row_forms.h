#pragma once
// Turns of a row, in whichever form, as messages.

#include <string>

#include "train/data/row_keys.h"

namespace vl3 {

// Messages {"role", "content"} with the row's "system" as the first; what else a message has stays in it, for
// the chat template. Throws kFormat where the row has no turns or has them twice, and for a turn of another
// form.
Json messages_of(RowKeys& row);

// What the row has under "tools": a list, or the JSON text of one; null where there are none.
Json tools_of(RowKeys& row);

}  // namespace vl3
