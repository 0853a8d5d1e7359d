#pragma once
// A hub on this machine for tests: models in memory, a port as the hub and one as the place where large files
// are, and what shall go wrong. It answers as https://huggingface.co does: small files by a redirect within
// the hub, large ones by a signed address elsewhere.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/web_host.h"

namespace vl3::hub {

std::string sha256_of(const std::string& bytes);
std::string git_id_of(const std::string& bytes);

// What one request was.
struct Asked {
  std::string host, method, target, token, range, if_range;  // host: "hub" or "cdn"
};

// What to do with the next requests that it fits, in place of the answer or to it.
struct Fault {
  std::string host = "cdn", method = "GET", part;  // part: of the target
  int skip = 0, times = 1;
  long status = 0;           // answers with it
  std::string fields;        // more lines of the head
  std::string body;          // of that answer
  int64_t cut_after = -1;    // bytes of the body, then the connection ends
  int64_t stall_after = -1;  // bytes of the body, then nothing more comes
  int64_t bytes_per_s = 0;   // of the body
  bool corrupt = false;      // one byte of the body is another
  int longer = 0;            // the body has more bytes than the file (or, below 0, fewer)
  bool no_ranges = false;
  std::string etag;         // in place of the file's, where the bytes are
  std::string linked_etag;  // in place of the file's, where the hub tells of it
  int64_t linked_size = 0;  // added to the size that the hub tells
  std::string location;     // redirects there
};

class TestHub {
 public:
  TestHub();
  ~TestHub();

  // Files by path. The commit is the hash of all of them; files of 1000 bytes and more are large.
  void put(const std::string& repository, std::map<std::string, std::string> files,
           const std::string& revision = "main");
  std::string commit(const std::string& repository, const std::string& revision = "main") const;
  // Who may read it: "private", "gated" or "disabled", and for which token.
  void close(const std::string& repository, const std::string& how, const std::string& token = "");
  void add(const Fault& fault);
  void page_size(size_t entries) { page_ = entries; }
  // What the list of files says in place of what it should; "" for no change.
  void list_with(const std::string& json) { listed_ = json; }
  // Addresses given out before are no longer good.
  void expire() { ++signature_; }

  std::string url() const { return hub_->url(""); }
  std::string cdn_url() const { return cdn_->url(""); }
  std::vector<Asked> asked() const;
  size_t count(const std::string& host, const std::string& part) const;
  void forget();

 private:
  struct File {
    std::string bytes, git_id, sha256;
    bool large = false;
  };
  struct Snapshot {
    std::string commit;
    std::map<std::string, File> files;
  };
  using Say = test::WebHost::Say;
  void answer(const std::string& host, const std::string& head, const Say& say);
  Fault take_fault(const Asked& asked);
  void serve_api(const Asked& asked, const std::string& rest, const Say& say);
  void serve_tree(const Snapshot& snapshot, const std::string& target, const Say& say) const;
  void serve_file(const Asked& asked, const Fault& fault, const Say& say);
  void serve_bytes(const Asked& asked, const std::string& etag, const std::string& bytes, const Fault& fault,
                   const Say& say) const;
  // "" where the request may go on; else the answer.
  std::string refused(const Asked& asked, const std::string& repository, bool file) const;
  const Snapshot* find(const std::string& repository, const std::string& revision) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, Snapshot>> models_;
  std::map<std::string, std::pair<std::string, std::string>> closed_;  // how, for which token
  std::vector<Fault> faults_;
  std::vector<Asked> asked_;
  std::string listed_;
  size_t page_ = 1000;
  std::atomic<int> signature_ = 1;
  std::unique_ptr<test::WebHost> hub_, cdn_;
};

}  // namespace vl3::hub
