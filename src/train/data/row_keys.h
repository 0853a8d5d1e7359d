#pragma once
// Which keys of a row were read: none may go unseen.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/says_nothing.h"

namespace vl3 {

class RowKeys {
 public:
  RowKeys(const Json& row, const std::string& origin) : view_(row, origin) {}

  const JsonView& view() const { return view_; }
  const std::string& origin() const { return view_.origin(); }
  // The value of key, which now counts as read; null where it is absent or says nothing.
  const Json* take(std::string_view key);
  // Throws kFormat, naming the first key that was not read, says something and is not among `metadata`.
  // known: what it might have been meant to be.
  void require_all_read(const std::vector<std::string_view>& metadata,
                        const std::vector<std::string_view>& known) const;

 private:
  JsonView view_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace vl3
