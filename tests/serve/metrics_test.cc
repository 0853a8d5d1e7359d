#include "serve/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace vl3::serve {
namespace {

TEST(Metrics, HistogramsCountUpToTheirBounds) {
  Histogram histogram({1, 2, 5});
  for (const double value : {0.5, 1.0, 1.5, 5.0, 7.0}) histogram.observe(value);
  histogram.observe(std::nan(""));
  EXPECT_EQ(histogram.counts(), (std::vector<uint64_t>{3, 1, 1, 1}));
  EXPECT_DOUBLE_EQ(histogram.sum(), 15.0);
}

TEST(Metrics, TheTextIsThatOfPrometheus) {
  Metrics metrics("a\"b\\c\nd", 2000);
  metrics.prompt_tokens.add(7);
  metrics.kv_cache_usage_perc.set(0.25);
  metrics.request_success.length.add();
  metrics.time_to_first_token_seconds.observe(0.03);
  metrics.count_http("/v1/models", 200);
  metrics.count_http("/v1/models", 204);
  const std::string text = metrics.text();
  const std::string model = "{model_name=\"a\\\"b\\\\c\\nd\"";
  for (const std::string& line :
       {"videollama3:prompt_tokens_total" + model + "} 7",
        "videollama3:kv_cache_usage_perc" + model + "} 0.25",
        "videollama3:request_success_total" + model + ",finished_reason=\"length\"} 1",
        "videollama3:time_to_first_token_seconds_bucket" + model + ",le=\"0.02\"} 0",
        "videollama3:time_to_first_token_seconds_bucket" + model + ",le=\"0.04\"} 1",
        "videollama3:time_to_first_token_seconds_bucket" + model + ",le=\"+Inf\"} 1",
        "videollama3:time_to_first_token_seconds_count" + model + "} 1",
        "videollama3:request_prompt_tokens_bucket" + model + ",le=\"2000\"} 0",
        "videollama3:http_requests_total" + model + ",route=\"/v1/models\",status=\"2xx\"} 2"})
    EXPECT_NE(text.find(line + "\n"), std::string::npos) << line;
  EXPECT_TRUE(text.ends_with("\n"));
  // Every sample belongs to the family before it, which has a help and a type.
  std::istringstream lines(text);
  std::string family, helped;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) helped = line.substr(7, line.find(' ', 7) - 7);
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_EQ(helped, family);
    } else if (!line.starts_with("#")) {
      EXPECT_TRUE(line.starts_with(family)) << line;
    }
  }
}

}  // namespace
}  // namespace vl3::serve
