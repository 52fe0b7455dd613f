// A job with everything bound, before its nodes are laid out: what planner.cpp hands to
// plan_layout.cpp. Indexes count JobSpec::streams and JobSpec::sinks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/plan/query_binder.h"

namespace millrace {

// A GROUP BY key of the window that a stream's rows come from.
struct GroupingColumn {
  std::string name;
  int column = -1;  // of the stream; -1: not selected
};

struct BoundStream {
  const StreamSpec* spec = nullptr;
  int input = -1;     // the stream in FROM; -1 for a source
  int panes_of = -1;  // the stream whose panes it takes; -1: none
  FromClause from;
  BoundQuery query;  // over all columns of the input
  bool bound = false;
  bool used = false;  // by a sink or an alert, if only through other streams

  Schema schema;
  int event_time = -1;    // column of the schema
  int window_end = -1;    // column of the schema
  bool windowed = false;  // rows come out of a window
  bool over = false;      // or else out of an OVER, if only through other streams
  std::vector<GroupingColumn> grouping;
  std::vector<int> window_columns;  // the window's columns in GROUP BY that are selected
};

struct BoundAlerts {
  int stream = -1;
  std::vector<AlertRule> rules;  // over the stream's schema
};

struct BoundSink {
  int sink = -1;
  int stream = -1;  // -1: all alerts
};

struct BoundJob {
  std::vector<BoundStream> streams;
  std::vector<int> order;  // of streams: inputs first
  std::vector<BoundAlerts> alerts;
  std::vector<BoundSink> sinks;
};

// Lays out the nodes of a job without mistakes.
JobPlan LayOutPlan(const JobSpec& job, const BoundJob& bound);

}  // namespace millrace
