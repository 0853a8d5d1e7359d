// The report of inspect() for people.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

// 1959993584 → "1.96 B"; what a person compares with a model's name.
std::string short_count(double count) {
  for (const auto& [scale, unit] : {std::pair{1e9, " B"}, std::pair{1e6, " M"}, std::pair{1e3, " k"}}) {
    if (count >= scale) return fmt::format("{:.2f}{}", count / scale, unit);
  }
  return fmt::format("{}", count);
}

std::string short_bytes(double bytes) {
  for (const auto& [scale, unit] :
       {std::pair{1073741824.0, "GiB"}, std::pair{1048576.0, "MiB"}, std::pair{1024.0, "KiB"}}) {
    if (bytes >= scale) return fmt::format("{:.2f} {}", bytes / scale, unit);
  }
  return fmt::format("{} bytes", bytes);
}

std::string plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

void add_line(std::string& text, std::string_view name, const std::string& value) {
  text += fmt::format("{:<17}{}\n", name, value);
}

std::string fields(const Json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, plain(value));
  }
  return text;
}

std::string sum(const Json& sum) {
  return fmt::format("{} parameters ({}) in {} tensors, {}, {:.4g} bits each",
                     sum["parameters"].get<int64_t>(), short_count(sum["parameters"].get<double>()),
                     sum["tensors"].get<int64_t>(), short_bytes(sum["bytes"].get<double>()),
                     sum["bits_per_parameter"].get<double>());
}

void add_tensors(const Json& tensors, std::string& text) {
  text += "tensors\n";
  for (const Json& tensor : tensors) {
    text += fmt::format("  {:<5}{:<24} {}\n", plain(tensor["dtype"]), tensor["shape"].dump(),
                        plain(tensor["name"]));
  }
}

void add_files(const Json& report, std::string& text) {
  text += "files\n";
  for (const Json& file : report["files"]) {
    text += fmt::format("  {:<10} {}\n", short_bytes(file["bytes"].get<double>()), plain(file["name"]));
  }
  if (report["missing_files"].empty()) return;
  text += "missing files\n";
  for (const Json& file : report["missing_files"]) {
    text += fmt::format("  {} ({})\n", plain(file["file"]), plain(file["purpose"]));
  }
}

}  // namespace

std::string inspect_text(const Json& report) {
  std::string text;
  add_line(text, "path", plain(report["path"]));
  if (report.contains("layout")) {
    add_line(text, "layout", plain(report["layout"]));
    add_line(text, "context", report["context_length"].dump() + " tokens");
    add_line(text, "tokens", fields(report["tokens"]));
    add_line(text, "text", fields(report["text"]));
    add_line(text, "vision", fields(report["vision"]));
    add_line(text, "head",
             report["tie_word_embeddings"].get<bool>() ? "tied to the embeddings" : "of its own");
  }
  if (report.contains("metadata")) add_line(text, "metadata", fields(report["metadata"]));
  if (report.contains("total")) {
    add_line(text, "all weights", sum(report["total"]));
    for (const auto& [part, values] : report["parts"].items()) add_line(text, "  " + part, sum(values));
    for (const auto& [dtype, values] : report["dtypes"].items()) add_line(text, "  " + dtype, sum(values));
  }
  if (report.contains("tensors")) add_tensors(report["tensors"], text);
  if (report.contains("files")) add_files(report, text);
  if (!report["problems"].empty()) {
    text += "problems\n";
    for (const Json& problem : report["problems"]) text += "  " + plain(problem) + "\n";
  }
  return text;
}

}  // namespace vl3
