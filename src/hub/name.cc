#include "hub/name.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr size_t kMaxPart = 96, kMaxRevision = 255;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

template <class... Args>
[[noreturn]] void refuse(std::string_view text, fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorCode::kInvalidArgument, "[hub] \"{}\" is no name of a model (org/name): {}", hub::printable(text),
       fmt::format(format, std::forward<Args>(args)...));
}

void check_part(std::string_view text, std::string_view part) {
  if (part.empty()) refuse(text, "a part of it is empty");
  if (part.size() > kMaxPart) refuse(text, "a part has {} characters, more than {}", part.size(), kMaxPart);
  for (const char c : part)
    if (!is_word(c) && c != '-' && c != '.')
      refuse(text, "'{}' is no character of a name", hub::printable(std::string_view(&c, 1)));
  if (!is_word(part.front()) || !is_word(part.back())) refuse(text, "a part begins or ends with - or .");
}

void check_revision(std::string_view text, std::string_view revision) {
  if (revision.empty()) refuse(text, "its revision, behind the @, is empty");
  if (revision.size() > kMaxRevision)
    refuse(text, "its revision has {} characters, more than {}", revision.size(), kMaxRevision);
  // It becomes a path below refs/. What git allows in the name of a branch is a little less than this.
  if (revision.front() == '/' || revision.back() == '/') refuse(text, "its revision begins or ends with /");
  if (revision.front() == '.' || revision.find("..") != std::string_view::npos ||
      revision.find("//") != std::string_view::npos || revision.find("/.") != std::string_view::npos)
    refuse(text, "its revision has an empty part, .. or one that begins with .");
  for (const char c : revision)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '\\' || c == '?' || c == '*' || c == '[' ||
        c == '^' || c == ':')
      refuse(text, "'{}' is no character of a revision", hub::printable(std::string_view(&c, 1)));
}

// What a page of a hub is about, "https://huggingface.co/org/name/tree/v1?x" → "org/name@v1": people copy
// addresses.
std::string name_in_address(std::string_view address) {
  address.remove_prefix(address.find("://") + 3);
  address = address.substr(0, address.find_first_of("?#"));
  std::vector<std::string_view> parts;
  for (size_t at = address.find('/'); at != std::string_view::npos;) {
    const size_t end = address.find('/', at + 1);
    const std::string_view part =
        address.substr(at + 1, end == std::string_view::npos ? std::string_view::npos : end - at - 1);
    if (!part.empty()) parts.push_back(part);
    at = end;
  }
  if (parts.size() < 2) return {};
  const bool has_revision =
      parts.size() > 3 && (parts[2] == "tree" || parts[2] == "blob" || parts[2] == "resolve");
  return fmt::format("{}/{}{}{}", parts[0], parts[1], has_revision ? "@" : "", has_revision ? parts[3] : "");
}

}  // namespace

HubName parse_hub_name(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("hf://")) rest.remove_prefix(5);
  if (rest.find("://") != std::string_view::npos) {
    const std::string meant = name_in_address(rest);
    refuse(text, "it is an address{}{}", meant.empty() ? "" : "; what it is about is named ",
           hub::printable(meant));
  }
  HubName name;
  const size_t at = rest.find('@');
  const std::string_view repository = rest.substr(0, at);
  if (at != std::string_view::npos) {
    name.revision = rest.substr(at + 1);
    check_revision(text, name.revision);
  }
  if (repository.ends_with('/')) refuse(text, "it ends with /");
  if (std::count(repository.begin(), repository.end(), '/') > 1) refuse(text, "it has more than one /");
  const size_t slash = repository.find('/');
  if (slash != std::string_view::npos) check_part(text, repository.substr(0, slash));
  check_part(text, slash == std::string_view::npos ? repository : repository.substr(slash + 1));
  if (repository.find("--") != std::string_view::npos || repository.find("..") != std::string_view::npos)
    refuse(text, "it has -- or .. in it");
  if (repository.ends_with(".git")) refuse(text, "it ends with .git");
  name.repository = repository;
  return name;
}

HubError::HubError(HubFailure failure, const std::string& message)
    : Error(
          [failure] {
            switch (failure) {
              case HubFailure::kRepository:
              case HubFailure::kRevision:
              case HubFailure::kFile:
              case HubFailure::kNotCached:
                return ErrorCode::kNotFound;
              case HubFailure::kBadAnswer:
              case HubFailure::kWrongBytes:
                return ErrorCode::kFormat;
              default:
                return ErrorCode::kIo;
            }
          }(),
          message),
      failure_(failure) {}

namespace hub {

bool looks_like_path(const std::string& text) {
  if (text.starts_with("hf://")) return false;
  if (text.empty() || text.front() == '/' || text.front() == '.' || text.front() == '~' ||
      text.back() == '/' || text.find('\\') != std::string::npos)
    return true;
  const std::string name = text.substr(0, text.find('@'));
  if (std::count(name.begin(), name.end(), '/') > 1) return true;
  for (const char* ending : {".safetensors", ".json", ".gguf", ".bin", ".pt", ".pth"})
    if (name.ends_with(ending)) return true;
  const size_t slash = name.find('/');
  std::error_code ignored;
  return slash != std::string::npos && std::filesystem::is_directory(name.substr(0, slash), ignored);
}

std::string folder_of(const std::string& repository) {
  const size_t slash = repository.find('/');
  if (slash == std::string::npos) return fmt::format("models--{}", repository);
  return fmt::format("models--{}--{}", repository.substr(0, slash), repository.substr(slash + 1));
}

std::string repository_of(std::string_view folder) {
  constexpr std::string_view kModels = "models--";
  if (!folder.starts_with(kModels)) return {};
  const std::string_view name = folder.substr(kModels.size());
  const size_t dashes = name.find("--");
  if (dashes == std::string_view::npos) return std::string(name);
  return fmt::format("{}/{}", name.substr(0, dashes), name.substr(dashes + 2));
}

bool is_commit(std::string_view text) noexcept {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string printable(std::string_view text) {
  constexpr size_t kShown = 80;
  std::string shown(text.substr(0, kShown));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return text.size() > kShown ? shown.append("…") : shown;
}

}  // namespace hub
}  // namespace vl3
