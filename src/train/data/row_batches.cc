#include <algorithm>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "train/data/batches.h"
#include "train/data/samples.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// Bad rows, told of once and kept in a file.
class Quarantine {
 public:
  Quarantine(std::filesystem::path file, const TrainHooks& hooks) : file_(std::move(file)), hooks_(hooks) {}
  void add(const std::string& origin, const std::string& why) {
    const std::lock_guard lock(mutex_);
    rows_[origin] = why;
  }
  // Said once, in the order of the rows' files: what was made of a clip that is not as it should be.
  void tell(const std::string& note) {
    const std::lock_guard lock(mutex_);
    if (told_.insert(note).second && hooks_.note) hooks_.note(note);
  }
  // All of them so far, as JSON lines.
  void write() {
    const std::lock_guard lock(mutex_);
    if (rows_.empty() || rows_.size() == written_) return;
    std::error_code ignored;  // writing tells
    std::filesystem::create_directories(file_.parent_path(), ignored);
    AtomicFile file(file_);
    for (const auto& [origin, why] : rows_) {  // names of files and cut values need not be UTF-8
      const Json line = {{"row", origin}, {"why", why}};
      file.write(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }
    file.commit();
    if (hooks_.note) {
      const auto& [origin, why] = *rows_.begin();
      const bool named = why.find(origin) != std::string::npos;
      hooks_.note(fmt::format("{} rows are left out and listed in {}; one: {}{}", rows_.size(),
                              file_.string(), named ? "" : fmt::format("[{}] ", origin), why));
    }
    written_ = rows_.size();
  }

 private:
  std::filesystem::path file_;
  const TrainHooks hooks_;
  std::mutex mutex_;
  std::map<std::string, std::string> rows_;
  std::set<std::string> told_;
  size_t written_ = 0;
};

class RowBatches : public Batches {
 public:
  RowBatches(const TrainConfig& config, const TrainHooks& hooks)
      : config_(config),
        maker_(Processor::from_pretrained(config.model), config),
        threads_(static_cast<int>(config.workers)),
        quarantine_(config.output / "quarantine.jsonl", hooks) {
    for (const TrainSource& source : config.data) add(source);
    quarantine_.write();
    require(!entries_.empty(), ErrorCode::kFormat, "[train] no row of {}{} can be used: {}",
            config.data[0].rows.string(), config.data.size() > 1 ? " and the others" : "",
            (config.output / "quarantine.jsonl").string());
  }

  int64_t steps_per_epoch() const override {
    const int64_t rows = static_cast<int64_t>(entries_.size());
    return (rows + config_.batch - 1) / config_.batch;
  }

  // A step of which no row can be used has those of the next that has some, at whichever step a run begins.
  StepBatch at(int64_t step) override {
    for (int64_t later = 0; later <= steps_per_epoch(); ++later) {
      StepBatch batch = usable_of(step + later);
      if (batch.samples > 0) return batch;
    }
    fail(ErrorCode::kFormat, "[train] no row of an epoch from step {} on can be used: {}", step + 1,
         (config_.output / "quarantine.jsonl").string());
  }

 private:
  // The rows of a step, without those that turn out to be bad.
  StepBatch usable_of(int64_t step) {
    std::vector<Sample> samples(static_cast<size_t>(config_.batch));
    std::vector<char> good(samples.size());
    threads_.parallel_for(config_.batch, 1, [&](int64_t i, int64_t, int) {
      const int64_t n = step * config_.batch + i;
      const size_t index = row_at(n);
      const TrainRow& row = rows_[index];
      const auto epoch = static_cast<uint32_t>(n / static_cast<int64_t>(entries_.size()));
      ThreadPool alone(1);
      try {
        samples[static_cast<size_t>(i)] =
            maker_.make(alone, row, {config_.seed, epoch, static_cast<uint32_t>(index)});
        good[static_cast<size_t>(i)] = 1;
      } catch (const Error& error) {  // its header was fine, its content is not
        quarantine_.add(row.origin, error.what());
      }
    });
    quarantine_.write();
    for (const Sample& sample : samples) {
      for (const ClipReport& clip : sample.out.videos.clips) {
        for (const std::string& note : clip.notes) quarantine_.tell(note);
      }
    }
    StepBatch batch;
    std::vector<const Sample*> pass;
    int64_t size = 0;
    const auto finish = [&] {
      if (!pass.empty()) batch.passes.push_back(collate(pass));
      pass.clear();
      size = 0;
    };
    for (size_t i = 0; i < samples.size(); ++i) {
      const Sample& sample = samples[i];
      if (good[i] == 0 || sample.targets == 0) continue;
      const int64_t cost = sample.tokens() + sample.patches;
      if (size + cost > config_.batch_tokens) finish();
      pass.push_back(&sample);
      size += cost;
      ++batch.samples;
      batch.tokens += sample.tokens();
      batch.targets += sample.targets;
    }
    finish();
    return batch;
  }

  void add(const TrainSource& source) {
    const std::filesystem::path media = source.media.empty() ? source.rows.parent_path() : source.media;
    std::vector<TrainRow> parsed;
    int64_t bad = 0;
    read_rows(
        source.rows,
        [&](const Json& row, const std::string& origin) { parsed.push_back(parse_row(row, origin, media)); },
        [&](const std::string& origin, const std::string& why) {
          quarantine_.add(origin, why);
          ++bad;
        });
    require(bad > 0 || !parsed.empty(), ErrorCode::kFormat, "[{}] has no rows", source.rows.string());
    for (const TrainRow& row : parsed) maker_.check_model(row);
    std::vector<char> good(parsed.size());
    threads_.parallel_for(static_cast<int64_t>(parsed.size()), 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const TrainRow& row = parsed[static_cast<size_t>(i)];
        try {
          maker_.check(row);
          good[static_cast<size_t>(i)] = 1;
        } catch (const Error& error) {
          quarantine_.add(row.origin, error.what());
        }
      }
    });
    const size_t first = rows_.size();
    for (size_t i = 0; i < parsed.size(); ++i) {
      if (good[i] != 0) rows_.push_back(std::move(parsed[i]));
    }
    const size_t count = rows_.size() - first;
    const auto wanted = static_cast<size_t>(std::llround(source.weight * static_cast<double>(count)));
    for (size_t i = 0; i < wanted; ++i) entries_.push_back(static_cast<uint32_t>(first + i % count));
  }

  // The row behind the n-th sample of all: every epoch has an order of its own.
  size_t row_at(int64_t n) {
    const int64_t size = static_cast<int64_t>(entries_.size()), epoch = n / size;
    const std::lock_guard lock(order_mutex_);
    if (epoch != epoch_) {
      epoch_ = epoch;
      order_ = entries_;
      for (size_t i = order_.size() - 1; i > 0; --i) {
        const double u =
            uniform(config_.seed, 0x6f72646e, static_cast<uint32_t>(epoch), static_cast<uint32_t>(i));
        std::swap(order_[i], order_[static_cast<size_t>(u * static_cast<double>(i + 1))]);
      }
    }
    return order_[static_cast<size_t>(n % size)];
  }

  const TrainConfig config_;
  SampleMaker maker_;
  ThreadPool threads_;
  Quarantine quarantine_;
  std::vector<TrainRow> rows_;
  std::vector<uint32_t> entries_;  // of an epoch: rows, as often as their weights say
  std::mutex order_mutex_;
  int64_t epoch_ = -1;
  std::vector<uint32_t> order_;
};

}  // namespace

std::unique_ptr<Batches> row_batches(const TrainConfig& config, const TrainHooks& hooks) {
  return std::make_unique<RowBatches>(config, hooks);
}

}  // namespace vl3
