#pragma once
// Schemas that a value has to satisfy at once, as one schema.

#include <string>

#include "grammar/budget.h"
#include "vl3/json.h"

namespace vl3::grammar {

// Levels of schemas within each other, and of references on the way.
inline constexpr int kMaxSchemaDepth = 128;

// What a $ref of the schema root points to. Throws kInvalidArgument where there is nothing, kUnsupported for
// a reference to another document.
const Json& resolve_ref(const Json& root, const Json& ref, const std::string& path);

// Whether a schema has any keyword that restricts values.
bool asserts(const Json& schema);
// The schema without one keyword.
Json without(const Json& schema, const char* keyword);

// A schema that means a and b; false where nothing can be both. Throws kUnsupported, naming the keyword, for
// what cannot be written as one.
class SchemaMerge {
 public:
  SchemaMerge(const Json& root, Budget& budget) : root_(root), budget_(budget) {}
  Json operator()(const Json& a, const Json& b, const std::string& path, int depth = 0);

 private:
  Json flat(const Json& schema, const std::string& path, int depth);
  void merge_keyword(Json& out, const std::string& key, const Json& a, const Json& b, const std::string& path,
                     int depth);
  void merge_branches(Json& out, const Json& a, const Json& b, const std::string& path, int depth);
  void merge_objects(Json& out, const Json& a, const Json& b, const std::string& path);
  void merge_arrays(Json& out, const Json& a, const Json& b);
  const Json& root_;
  Budget& budget_;
};

}  // namespace vl3::grammar
