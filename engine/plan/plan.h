// The plan of a job: nodes in topological order. A source has no input, a union has several, every
// other node has one. Pure data.
//
// A reader runs its source node and the row-wise nodes (project, alert, sink) that hang from it
// without a keyed node between. Each keyed node (window aggregate, over, join) has tasks of its
// own, which run it and the row-wise nodes below it. What hangs from a union is run by everyone who
// has rows for it. The edge into a keyed node is an exchange by hash of the keys: everything that
// may fail on a reading (filters, keys, arguments) is computed by a project node above it, where
// the original bytes of the reading are still at hand.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/model/job.h"
#include "engine/model/types.h"
#include "engine/plan/expression.h"

namespace millrace {

// Reads a stream. Output: the columns that the job uses, in the source's order, and the event time
// column (if any) among them.
struct SourceNode {
  SourceStreamSpec spec;
  std::vector<int> used_columns;  // indexes into spec.columns, in output order
};

// Each row of the input once for every item of a JSON array, with the item as one more column.
struct Unnest {
  std::optional<Expr> filter;  // over the input: what it is not true for is left out unread
  Expr array;                  // over the input, json
  Field element;               // json, or text
  std::string ordinality;      // name of the column that counts items from 1, bigint; empty: none
  bool keeps_empty = false;    // a row without items stays once, with nulls (LEFT JOIN)
};

// What follows the unfolding reads: the input's columns, then the element, then the ordinality.
Schema UnnestedSchema(const Unnest& unnest, const Schema& input);

// Rows for which `filter` is true (all without one), with `columns` computed from the input; from
// UnnestedSchema where the input's rows are unfolded first.
struct ProjectNode {
  std::optional<Expr> filter;
  std::vector<Expr> columns;  // one a field of the output schema
  std::optional<Unnest> unnest = {};
};

// The rows of all its inputs, which have the same columns.
struct UnionNode {};

// Each row with columns of the row of a table that has its keys, by the version that is there when
// the row passes. Output: the input's columns, then `columns` of the table.
struct LookupNode {
  std::string lookup;        // of JobSpec::lookups
  std::vector<Expr> keys;    // over the input, of the types of the table's key columns, in order
  std::optional<Expr> time;  // over the input: the time for which the table's row is to be valid
  std::vector<int> columns;  // of LookupSpec::columns
  bool keeps_unmatched = false;  // LEFT JOIN: a row without one stays, with nulls
};

// Each key has a watermark of its own (event_time.per_key): the largest time of its rows less
// `max_delay`. What a keyed node keeps of a key closes by it, or by the fleet's, which is the
// input's watermark, less `offline_for`.
struct KeyClock {
  std::vector<int> keys;  // columns of the input, some or all of the node's keys: whose clock it is
  int passes = -1;        // boolean column: false for rows that only move the clock; -1: all count
  // Below 0 where a row says that no other of its time follows.
  Micros max_delay{0};
  Micros offline_for{0};
  friend bool operator==(const KeyClock&, const KeyClock&) = default;
};

enum class AggregateFunction {
  kCount,  // rows, or non-null arguments
  kSum,
  kAvg,
  kMin,
  kMax,
  kStddevSamp,
  kStddevPop,
  kVarSamp,
  kVarPop,
  kRange,
  kPercentileCont,    // exact; also median (fraction 0.5)
  kPercentileDisc,    // exact
  kApproxPercentile,  // within 1 %
  kMode,
  kApproxCountDistinct,
  kBoolAnd,
  kBoolOr,
  kFirst,  // the argument where `second` is least
  kLast,   // where it is greatest
  kCorr,   // of pairs (argument, second), PostgreSQL's (y, x), as are those that follow
  kCovarPop,
  kCovarSamp,
  kRegrSlope,
  kRegrIntercept,
  kRegrR2,
  kRegrCount,
  kRegrAvgX,
  kRegrAvgY,
  kRegrSxx,
  kRegrSyy,
  kRegrSxy,
  kTimeWeightedAvg,  // over `second`, the event time, as are those that follow
  kIncrease,
  kRate,
  kStringAgg,  // ordered by `second`; by the values alone where there is none
  kArrayAgg,
};

struct AggregateSpec {
  AggregateFunction function = AggregateFunction::kCount;
  int argument = -1;        // column of the input; -1: count(*)
  int second = -1;          // column of the input, by function; -1: none
  int filter = -1;          // boolean column of the input; -1: none
  bool distinct = false;    // count, sum, avg, kStringAgg, kArrayAgg
  bool descending = false;  // kStringAgg, kArrayAgg: the order
  double fraction = 0;      // percentiles
  std::string separator;    // kStringAgg
  Type argument_type = Type::kNull;
  Type second_type = Type::kNull;
  Type result = Type::kNull;

  friend bool operator==(const AggregateSpec&, const AggregateSpec&) = default;
};

// Whether what it needs to remember has a fixed size, so that panes may be handed on.
bool HasFixedState(const AggregateSpec& aggregate);

// Which of two rows comes first.
struct SortKey {
  int column = -1;  // of the input
  bool descending = false;
  bool nulls_first = false;
  friend bool operator==(const SortKey&, const SortKey&) = default;
};

// The first `limit` rows in `order`; what is equal in it is in the order of all columns.
struct TopRows {
  std::vector<SortKey> order;
  int64_t limit = 0;
};

// Of every batch the rows that may be among the first of their window: output is as the input.
struct LimitNode {
  TopRows top;
};

// Groups rows by window and keys. A row at event time t belongs to every window
// [start, start + size) with start = k * slide + offset that holds t; where there is a gap, to the
// session of its key: rows each less than the gap after the one before, [first, last + gap). Rows
// with a null event time do not reach it (the reader refuses them). Fires a window when the
// watermark reaches its end.
// Output: window_start, window_end (timestamps), the keys, the aggregates.
struct WindowAggregateNode {
  Micros size{0};
  Micros slide{0};  // = size for tumble; the step for cumulate
  // gcd(size, slide): what is aggregated once and shared by windows. A reading is late when its
  // pane has ended: a session's are a microsecond.
  Micros pane{0};
  Micros gap{0};  // of sessions, which have no size and no slide; else 0
  // Windows [start, start + slide), [start, start + 2 * slide), ... up to size, for every start
  // that is a multiple of size, moved by the offset.
  bool cumulates = false;
  Micros offset{0};
  // Readings may come this long after a window's end: a window is final then, and gone. Rows below
  // the window, and its watermark, come so much later.
  Micros allowed_lateness{0};
  // Whether a sink takes rows of windows that are not final: those at the window's end, with what
  // corrects them, and running ones.
  bool gives_changes = false;
  Micros changes_every{0};  // of running rows, wall time; 0: none
  // A window node over the same rows with the same keys and aggregates, and panes that these are
  // put together from: it gives each pane when it has ended; what was late for it comes as rows.
  NodeId panes_of{-1};
  bool gives_panes = false;  // another node's panes_of is this one
  int event_time = -1;       // column of the input
  std::vector<int> keys;     // columns of the input, each boolean, integer, bigint, double, text or
                             // timestamp; may be empty
  std::vector<AggregateSpec> aggregates;
  // Gives out of each window only these, in their order; columns are those of the output.
  std::optional<TopRows> top;
  std::optional<KeyClock> clock = {};

  bool is_session() const { return gap > Micros(0); }
};

enum class OverFunction {
  kRowNumber,
  kRank,
  kDenseRank,
  kLag,
  kLead,
  kFirstValue,
  kLastValue,
  kNthValue,
  kLastValueIgnoreNulls,
  kAggregate,
  // Of rows in a row that have one value, nulls left out: how many up to the current one, and the
  // event time of the first of them.
  kUnchangedRows,
  kUnchangedSince,
  kIsLast,  // whether the row is the last of its frame
};

// Whether it looks at the rows of a frame; else at the partition.
constexpr bool LooksAtFrame(OverFunction function) {
  return (function >= OverFunction::kFirstValue && function <= OverFunction::kAggregate) ||
         function == OverFunction::kIsLast;
}

// Which rows of a partition are looked at: from one to another, counted from the current one.
struct OverFrame {
  bool is_range = true;    // by event time, rows of one time together; else by rows
  bool from_first = true;  // UNBOUNDED PRECEDING; else from
  int64_t first = 0;       //   so many rows, or microseconds, after the current one (before: < 0)
  int64_t last = 0;        // up to; never before `first`
  friend bool operator==(const OverFrame&, const OverFrame&) = default;
};

// A function over the rows of a partition. Columns are those of the node's input.
struct OverCall {
  OverFunction function = OverFunction::kRowNumber;
  OverFrame frame;          // of those that look at one
  AggregateSpec aggregate;  // kAggregate
  int argument = -1;        // of the others that have one
  int otherwise = -1;       // kLag, kLead: what stands for a row that is not there; -1: null
  int64_t rows = 0;         // kLag, kLead: how far; kNthValue: which, from 1
  Type result = Type::kBigint;
};

// Puts the rows of each partition (of equal keys) in the order of event time, rows of one time in
// the order of all columns, once the watermark is beyond them, and computes functions over them.
// Rows with a null event time do not reach it. Output: `carried` of its input, then the calls.
struct OverNode {
  int event_time = -1;       // column of the input
  std::vector<int> keys;     // columns of the input, as a window's; may be empty
  std::vector<int> carried;  // columns of the input
  std::vector<OverCall> calls;

  // Whether rows wait for others that follow them.
  bool looks_ahead() const;
};

// Pairs of rows of two sides that have equal keys and lie near each other in event time. Its input
// is a union of both sides, whose rows have null in the columns of the other side.
// A pair is (left, right) with lower <= right's time - left's time <= upper; a key with a null in
// it is in no pair. Rows with a null event time do not reach it. Output: the columns of `left`,
// then those of `right`.
struct JoinNode {
  int is_right = -1;       // boolean column of the input: which side a row is of
  int event_time = -1;     // column of the input
  std::vector<int> keys;   // columns of the input, as a window's; may be empty
  std::vector<int> left;   // columns of the input
  std::vector<int> right;  // columns of the input
  Micros lower{0};
  Micros upper{0};
  // Of a left row's pairs only the one whose right row is the latest; of those of one time the last
  // in the order of all columns.
  bool latest_only = false;
  bool keeps_left = false;   // rows that are in no pair stay, with nulls for the other side
  bool keeps_right = false;  // not with latest_only
  // Whether the event time of its output is the right rows'.
  bool time_is_right = false;

  // By how much the event time of what comes out may be behind the watermark that brought it.
  Micros delay() const { return std::max(Micros(0), time_is_right ? -lower : upper); }
};

// Text with {{ column }} places: literals.size() == columns.size() + 1.
struct Template {
  std::vector<std::string> literals;
  std::vector<int> columns;  // of the alert's input
};

struct AlertRule {
  std::string alert;
  Expr condition;  // boolean over the alert node's input; one alert a row where it is true
  std::vector<std::pair<std::string, Template>> labels;
  std::vector<std::pair<std::string, Template>> annotations;
};

// Output: AlertSchema(), one row for every (row, rule) whose condition is true.
struct AlertNode {
  std::vector<AlertRule> rules;
  std::vector<int> keys;  // columns of the input that identify what the alert is about
  int time_column = -1;   // window_end or the event time; -1: none
  bool windowed = false;  // the id comes from key and window end, else from topic-partition-offset
  bool of_row = false;    // or, of rows that come out of an OVER, from all columns
};

struct SinkNode {
  SinkSpec spec;
  int sink_index = 0;     // position in JobSpec::sinks: nodes of one index share a publisher
  std::vector<int> keys;  // columns that form the Kafka record key; may be empty (no key)
  int time_column = -1;   // Kafka record timestamp and `date` partitions; -1: none
  bool takes_changes() const { return spec.rows == SinkRows::kChanges; }
};

// Of a keyed node: keys live in the group of the partition that holds their records, so that rows
// of a topic that is keyed so stay where they are read. The partition follows from the key alone: a
// row that was in another one is exchanged, and counts where it belongs.
struct KeyPlacement {
  int column = -1;  // of the input, text, among the keys
  Partitioner partitioner = Partitioner::kMurmur2;
  int32_t partitions = 0;
};

struct PlanNode {
  NodeId id;
  std::string name;    // stable: the stream's name and the node's role, "metrics.window"
  std::string stream;  // the stream of the job file that it belongs to
  std::vector<NodeId> inputs;
  Schema output;  // a sink's is its input's
  std::variant<SourceNode, ProjectNode, UnionNode, LookupNode, LimitNode, WindowAggregateNode,
               OverNode, JoinNode, AlertNode, SinkNode>
      kind;
  // The column of `output` that is its event time, or -1. For rows below a window: window_end.
  int event_time = -1;
  // The column of `output` that says which window the row is of (window_end), or -1.
  int window_end = -1;
  std::optional<KeyPlacement> placement = {};  // by hash of the keys without one

  // Of nodes that have one input; -1 for a source.
  NodeId input() const { return inputs.empty() ? NodeId(-1) : inputs.front(); }
};

// What goes for every keyed node: how rows reach it, and which of them are late.
struct KeyedInput {
  std::vector<int> keys;  // columns of the input
  int event_time = -1;    // column of the input
  // A row is late when the pane that holds it, and what is allowed after, is behind the watermark.
  Micros pane{1};
  Micros offset{0};
  Micros allowed_lateness{0};
  // With it the node itself finds rows late, and rows go to its tasks by the clock's keys.
  std::optional<KeyClock> clock = {};
};

// Whether it has tasks of its own, to which rows go by key.
bool IsKeyed(const PlanNode& node);
// Of a keyed node.
KeyedInput KeyedInputOf(const PlanNode& node);

struct JobPlan {
  std::string job;
  std::vector<PlanNode> nodes;

  const PlanNode& node(NodeId id) const { return nodes[size_t(id.value())]; }
  std::vector<NodeId> Children(NodeId id) const;
  // The window nodes that take the panes of `id`.
  std::vector<NodeId> TakersOfPanes(NodeId id) const;
  // The nearest ancestors-or-self that are sources or keyed nodes: who runs this node.
  std::vector<NodeId> OwnersOf(NodeId id) const;
  // A source that a node descends from, and by how much the node's watermark is behind it: what the
  // windows and joins on the way allow, of several ways that which is most behind.
  struct Upstream {
    NodeId source;
    Micros delay{0};
  };
  std::vector<Upstream> UpstreamsOf(NodeId id) const;
  // Whether a node above it holds rows back for others that follow, and with them its watermark:
  // it may be behind its source's by any time.
  bool WaitsForRowsAhead(NodeId id) const;
};

// id, alert, stream (text), key, labels, annotations (JSON objects), event_time (timestamp).
const Schema& AlertSchema();

// What reaches a keyed node: the filter and the columns of the node above it, as SQL. Rows that
// were counted under another one do not mix with those that follow.
std::string FormatKeyedInput(const JobPlan& plan, const PlanNode& node);

// What an explanation shows: operators, keys, where data is exchanged, columns read.
std::string FormatPlan(const JobPlan& plan);

}  // namespace millrace
