#pragma once
// Files: read whole, mapped, or written so that a half-written one is never seen.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vl3 {

// The bytes of a file. Throws kNotFound, kIo (with the system's words), or kLimitExceeded above max_bytes.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes);

// The bytes of a file from first to last, a mebibyte at a time, of which nothing stays in memory. Throws
// kNotFound or kIo.
void read_in_pieces(const std::filesystem::path& path,
                    const std::function<void(std::span<const std::byte>)>& piece);

// A symbolic link that was checked out as text (git does so where links are off) holds nothing but the
// relative path of a file of its own name. Follows such stubs, at most eight; any other path comes back as it
// is.
std::filesystem::path resolve_link_stub(const std::filesystem::path& path);

// A whole file in memory, read only, by mapping. Lives as long as somebody holds it.
class MappedFile {
 public:
  static std::shared_ptr<MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, size_t size);
  std::filesystem::path path_;
  const std::byte* data_;
  size_t size_;
};

// What a new file may be used for by whom, 0666 without the bits of the umask. That is read where the system
// tells it: umask(2) tells it only by setting it, and other threads make files meanwhile. Where the system
// does not, new files are their owner's.
unsigned new_file_mode();

// Writes path whole or not at all: into a temporary file beside it, synced and renamed by commit(). Without
// commit() the temporary file is removed. Every write is checked: a full disk throws kIo and names the file.
class AtomicFile {
 public:
  // folder: for the temporary file, on the same file system; empty: beside it.
  explicit AtomicFile(std::filesystem::path path, const std::filesystem::path& folder = {});
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace vl3
