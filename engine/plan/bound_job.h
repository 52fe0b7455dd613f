// A job with everything bound, before its nodes are laid out: what planner.cpp hands to
// plan_layout.cpp. Indexes count BoundJob::streams and JobSpec::sinks.
#pragma once

#include <deque>
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

// A join of two streams, over the columns of the left one and then those of the right one.
struct BoundJoin {
  std::vector<Expr> left_keys;   // over the left stream
  std::vector<Expr> right_keys;  // over the right stream, of the same types
  std::optional<Expr> left_filter;
  std::optional<Expr> right_filter;
  std::optional<Expr> condition;  // over both: what is left of ON
  Micros lower{0};                // see JoinNode
  Micros upper{0};
  bool latest_only = false;
  bool keeps_left = false;
  bool keeps_right = false;
  bool time_is_right = false;
};

// Columns of a table beside those of a stream.
struct BoundLookup {
  int lookup = -1;         // of JobSpec::lookups
  std::vector<Expr> keys;  // over the stream, of the types of the table's key columns, in order
  bool keeps_unmatched = false;
};

// Of the rows of a stream: each key has a watermark of its own (event_time.per_key of its source).
struct StreamClock {
  std::string source;
  std::vector<GroupingColumn> key;  // its columns of the stream
  Micros max_delay{0};              // KeyClock::max_delay of what groups the rows
  Micros offline_for{0};
  // They come out of windows of the keys: the stream's watermark is behind the fleet's by
  // offline_for.
  bool is_grouped = false;
};

// A window whose windows close by the clock of their key.
struct BoundClock {
  std::vector<int> keys;  // indexes into BoundQuery::keys
  Micros max_delay{0};
  Micros offline_for{0};
};

struct BoundStream {
  enum class Kind {
    kSource,
    kQuery,       // reads one stream
    kUnion,       // UNION ALL of several
    kJoin,        // of two
    kLookup,      // of one with a table
    kPivot,       // of one
    kWindowRows,  // the rows of one, with the window that each is in
    // Of one: its rows with those that follow them, and what resample() makes of these. Queries
    // once they are bound.
    kNeighbours,
    kResample,
  };
  Kind kind = Kind::kSource;
  const StreamSpec* spec = nullptr;  // of a part of a query: one of BoundJob::parts
  bool is_part = false;
  bool has_parts = false;
  std::vector<int> inputs;               // streams
  std::vector<int64_t> input_offsets;    // of their names in the SQL
  int panes_of = -1;                     // the stream whose panes it takes; -1: none
  std::optional<Syntax> select;          // kQuery
  FromClause from;                       // kQuery; of the others `table`: what they were read from
  std::vector<PlacedName> column_names;  // in place of those of its SELECT
  bool names_columns = true;             // see FromClause
  bool bound = false;
  bool used = false;  // by a sink or an alert, if only through other streams

  BoundQuery query;         // kQuery, over all columns of the input
  BoundJoin join;           // kJoin
  BoundLookup lookup;       // kLookup
  std::vector<Expr> exprs;  // kPivot, kWindowRows: its columns, over the input
  // What of ON is asked once a row has its columns: by who reads this stream.
  std::optional<Expr> rest;

  Schema schema;
  // How a query over it names its columns, of joins; else by the name that FROM gives it.
  std::vector<RelationScope> relations;
  std::vector<int> star;  // of joins: what * stands for
  int event_time = -1;    // column of the schema
  int window_end = -1;    // column of the schema
  int window_start = -1;  // column of the schema, where every window is window_size long
  Micros window_size{0};
  bool windowed = false;  // rows come out of a window
  // Rows have no identity but all of their columns: they come out of an OVER or a join.
  bool known_by_row = false;
  // In how many ways rows of what the same reader or task runs come here: more than one only below
  // UNION ALL.
  int64_t ways = 1;
  std::optional<StreamClock> clock;        // of its rows
  std::optional<BoundClock> window_clock;  // of its window
  Micros waits{0};                         // its window, for keys that are not offline yet
  std::vector<GroupingColumn> grouping;
  std::vector<int> window_columns;  // the window's columns in GROUP BY that are selected

  // What says when its rows are; -1: nothing does. Of a window it is the end.
  int time_column() const { return windowed ? window_end : event_time; }
  int input() const { return inputs.empty() ? -1 : inputs.front(); }
  // Of a query or a part of one.
  const PlacedText& sql() const { return std::get<QueryStreamSpec>(spec->kind).sql; }
};

// The last moment of the window that a row stands for: in the window that a later one would put its
// readings in.
Expr LastMomentBefore(Expr window_end);
// The moment that a row of the stream, which has a time, stands for.
Expr TimeOf(const BoundStream& stream);
// The select item that is a column of what the query reads as it is; -1: none.
int Selected(const BoundQuery& query, int column);

struct BoundAlerts {
  int stream = -1;
  std::vector<AlertRule> rules;  // over the stream's schema
};

struct BoundSink {
  int sink = -1;
  int stream = -1;  // -1: all alerts
};

struct BoundJob {
  // Those of the job file, in its order, then what their queries have as parts.
  std::vector<BoundStream> streams;
  std::deque<StreamSpec> parts;
  std::vector<int> order;  // of streams: inputs first
  std::vector<BoundAlerts> alerts;
  std::vector<BoundSink> sinks;
};

// Lays out the nodes of a job without mistakes.
JobPlan LayOutPlan(const JobSpec& job, const BoundJob& bound);

}  // namespace millrace
