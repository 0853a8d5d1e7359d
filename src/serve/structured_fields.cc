#include "serve/structured_fields.h"

#include <fmt/format.h>

#include "base/says_nothing.h"
#include "base/sha256.h"
#include "vl3/error.h"
#include "vl3/tokenizer.h"

namespace vl3::serve {
namespace {

class SpecReader {
 public:
  explicit SpecReader(const FieldReader& fields) : fields_(fields) {}

  StructuredSpec read() {
    if (const auto format = fields_.object("response_format")) read_format(*format, true);
    if (const auto text = fields_.object("text")) {
      if (const auto format = text->object("format")) read_format(*format, false);
    }
    if (const auto outputs = fields_.object("structured_outputs")) read_outputs(*outputs);
    for (const auto& [key, kind] : {std::pair("guided_json", "json"),
                                    {"guided_regex", "regex"},
                                    {"guided_choice", "choice"},
                                    {"regex", "regex"},
                                    {"json_schema", "json"}}) {
      if (const Json* value = fields_.find(key)) set(kind, *value, fields_.param_of(key));
    }
    if (fields_.has("guided_grammar"))
      refuse("guided_grammar", "\"guided_grammar\" is not done here.", "unsupported");
    return std::move(found_);
  }

 private:
  void set(const char* kind, const Json& value, const std::string& param) {
    if (!found_.spec.is_null())
      refuse(param, fmt::format("\"{}\" and \"{}\" both say what form the answer has.", found_.param, param));
    found_ = {Json{{kind, value}}, param};
  }

  // The schema stands beside the type, as llama.cpp has it for json_object too, or, where it may be nested,
  // in "json_schema".
  void read_format(const FieldReader& format, bool nested) {
    const auto type = format.text("type");
    if (type == "text") return;
    if (type != "json_object" && type != "json_schema")
      format.wrong("type", "text, json_object or json_schema");
    const Json* schema = format.find("schema");
    const bool empty = schema == nullptr || says_nothing(*schema);
    if (type == "json_object" && empty) return set("json_object", true, format.param());
    if (schema != nullptr) set("json", *schema, format.param_of("schema"));
    if (type == "json_object") return;
    if (const auto inner = nested ? format.object("json_schema") : std::nullopt) {
      const Json* named = inner->find("schema");
      if (named == nullptr) refuse(inner->param_of("schema"), "\"schema\" is missing.", "missing_field");
      set("json", *named, inner->param_of("schema"));
    } else if (schema == nullptr) {
      const char* missing = nested ? "json_schema" : "schema";
      refuse(format.param_of(missing), fmt::format("\"{}\" is missing.", missing), "missing_field");
    }
  }

  void read_outputs(const FieldReader& outputs) {
    bool named = outputs.json().empty();
    for (const char* kind : {"json", "regex", "choice", "json_object"}) {
      const Json* value = outputs.find(kind);
      named = named || outputs.json().contains(kind);
      if (value != nullptr && *value != false) set(kind, *value, outputs.param_of(kind));
    }
    for (const char* kind : {"grammar", "structural_tag"}) {
      if (outputs.has(kind))
        refuse(outputs.param_of(kind), fmt::format("\"{}\" is not done here.", outputs.param_of(kind)),
               "unsupported");
    }
    if (!named)
      refuse(outputs.param(),
             fmt::format("\"{}\" says none of json, regex, choice and json_object.", outputs.param()));
  }

  const FieldReader& fields_;
  StructuredSpec found_;
};

}  // namespace

StructuredSpec read_structured(const FieldReader& fields) { return SpecReader(fields).read(); }

StructuredCompiler StructuredForms::compiler() {
  const std::lock_guard lock(mutex_);
  if (!compiler_) compiler_.emplace(tokenizer_);
  return *compiler_;
}

StructuredOutput StructuredForms::compile(const StructuredSpec& wanted, const std::string& client) {
  Sha256 hash;
  hash.add_text(client);
  hash.add_text(wanted.spec.dump(-1, ' ', false, Json::error_handler_t::replace));
  const std::string key = hash.hex();
  const StructuredCompiler own = compiler();
  {
    const std::lock_guard lock(mutex_);
    for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
      if (kept->key != key) continue;
      kept_.splice(kept_.begin(), kept_, kept);
      return kept->form;
    }
  }
  try {
    StructuredOutput form = own.from_json(wanted.spec, wanted.param);
    const std::lock_guard lock(mutex_);
    kept_.push_front({key, form});
    if (kept_.size() > kMostKept) kept_.pop_back();
    return form;
  } catch (const Error& error) {
    throw ApiError(400, error.code() == ErrorCode::kUnsupported ? "unsupported" : "invalid_structure",
                   error.what(), wanted.param);
  }
}

}  // namespace vl3::serve
