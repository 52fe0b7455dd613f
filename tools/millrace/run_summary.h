// What a run did, for people at its end and for programs as JSON (docs/operations.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/plan/plan.h"
#include "worker/account.h"
#include "worker/run_figures.h"

namespace millrace {

struct RunSummary {
  struct Stream {
    std::string name;
    int64_t rows_in = 0;
    int64_t filtered = 0;
    int64_t counted = 0;
    int64_t open = 0;
    int64_t dead_letters = 0;
    int64_t rows_out = 0;
    int64_t difference = 0;
  };
  bool ok = true;
  std::string error;
  double seconds = 0;
  int64_t readings_in = 0;  // records of all sources
  int64_t windows_out = 0;  // rows of windowed streams
  int64_t lost = 0;
  int64_t empty_records = 0;  // that held no reading
  int64_t checkpoints = 0;
  std::map<std::string, int64_t> alerts_by_severity;
  std::map<std::string, int64_t> alerts_by_name;
  std::map<std::string, int64_t> dead_letters_by_reason;
  std::map<std::string, int64_t> rows_by_sink;
  std::map<std::string, KeyCensus> keys;  // of streams whose keys have a watermark each
  double latency_p50_seconds = 0;
  double checkpoint_stall_p99_seconds = 0;
  double latency_p99_seconds = 0;
  std::vector<Stream> streams;
  bool balanced = true;  // every stream's difference is 0
};

RunSummary Summarize(const JobPlan& plan, const JobAccount& account, const RunFigures& figures,
                     const Status& status, MonotonicTime elapsed);
std::string FormatSummary(const RunSummary& summary, bool colour);
std::string SummaryJson(const RunSummary& summary);
Status WriteSummary(const RunSummary& summary, const std::string& path);

}  // namespace millrace
