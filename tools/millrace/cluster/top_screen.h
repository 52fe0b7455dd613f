// What `top` shows: the cluster in a line, its jobs, its workers. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/base/time.h"
#include "proto/admin.pb.h"

namespace millrace {

struct ClusterSight {
  proto::ClusterStatus cluster;
  proto::JobList jobs;
  proto::WorkerList workers;
};

// Records a second, from one sight to the next.
class JobRates {
 public:
  struct Rate {
    double in = 0;
    double out = 0;
  };
  void Update(const proto::JobList& jobs, MonotonicTime now);
  // None: of a job that has been seen only once in its attempt.
  std::optional<Rate> Of(const std::string& job) const;

 private:
  struct Seen {
    int64_t attempt = 0;
    int64_t in = 0;
    int64_t out = 0;
    MonotonicTime at{0};
    std::optional<Rate> rate;
  };
  std::map<std::string, Seen> seen_;
};

// Jobs that do not run come first, then those that are furthest behind.
std::string FormatTop(const ClusterSight& sight, const JobRates& rates);

// What fits on a screen, without a line break at the end.
std::string CutToScreen(const std::string& text, size_t columns, size_t lines);

}  // namespace millrace
