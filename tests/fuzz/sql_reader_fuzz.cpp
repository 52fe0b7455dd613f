// SQL from anywhere: a query, or (behind a byte 1) an alert's condition, is bound and planned or
// refused, and what was planned over the source is computed over rows with edge values.
#include <arrow/api.h>

#include <cmath>
#include <limits>

#include "engine/operators/project.h"
#include "engine/operators/unnest.h"
#include "engine/plan/plan_test_job.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> ArrayOf(Type type, const std::vector<std::optional<Value>>& values) {
  const auto made = arrow::MakeBuilder(ArrowType(type)).ValueOrDie();
  auto& builder = static_cast<Builder&>(*made);
  for (const auto& value : values) {
    const Status status = value ? builder.Append(*value) : builder.AppendNull();
    if (!status.ok()) fuzz::Fail(status.ToString());
  }
  return builder.Finish().ValueOrDie();
}

// Of the columns of TestJob::Readings that the plan uses.
Rows EdgeRows(const Schema& schema) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (const Field& field : schema.fields) {
    switch (field.type) {
      case Type::kText:
        columns.push_back(ArrayOf<arrow::StringBuilder, std::string>(
            field.type, {"", "-21.5", std::nullopt, "z\xc3\xbcrich 2022-01-01 %_\\"}));
        break;
      case Type::kTimestamp:
        columns.push_back(ArrayOf<arrow::TimestampBuilder, int64_t>(
            field.type, {0, INT64_MAX, INT64_MIN, 1'654'733'331'000'001}));
        break;
      case Type::kDouble:
        columns.push_back(
            ArrayOf<arrow::DoubleBuilder, double>(field.type, {-0.5, kNaN, -kInfinity, 1e300}));
        break;
      case Type::kBigint:
        columns.push_back(ArrayOf<arrow::Int64Builder, int64_t>(
            field.type, {0, INT64_MIN, INT64_MAX, std::nullopt}));
        break;
      case Type::kInteger:
        columns.push_back(ArrayOf<arrow::Int32Builder, int32_t>(
            field.type, {-1, INT32_MIN, INT32_MAX, std::nullopt}));
        break;
      default:
        columns.push_back(
            ArrayOf<arrow::BooleanBuilder, bool>(field.type, {true, false, std::nullopt, true}));
    }
  }
  Rows rows;
  rows.batch = arrow::RecordBatch::Make(schema.ToArrow(), 4, columns);
  auto origins = std::make_shared<Origins>();
  origins->offsets = {0, 1, 2, 3};
  rows.origins = std::move(origins);
  return rows;
}

void Unfold(const ProjectNode& node, const Schema& input, const Schema& output) {
  auto made = UnnestOperator::Make(node, input, output);
  if (!made.ok()) fuzz::Fail("planned, but not to be computed: " + made.status().ToString());
  Status status = (*made)->Begin(EdgeRows(input), {});
  while (status.ok()) {
    const auto piece = (*made)->Next();
    status = piece.status();
    if (!status.ok() || !piece->has_value()) break;
    status = (*piece)->rows.batch->ValidateFull();
  }
  if (!status.ok()) fuzz::Fail("a row failed its batch: " + status.ToString());
}

// What stands directly over the source.
void Compute(const JobPlan& plan) {
  for (const PlanNode& node : plan.nodes) {
    const auto* project = std::get_if<ProjectNode>(&node.kind);
    if (project == nullptr) continue;
    const PlanNode& input = plan.node(node.input());
    if (!std::holds_alternative<SourceNode>(input.kind)) continue;
    if (project->unnest.has_value()) {
      Unfold(*project, input.output, node.output);
      continue;
    }
    auto made = ProjectOperator::Make(*project, input.output, node.output);
    if (!made.ok()) fuzz::Fail("planned, but not to be computed: " + made.status().ToString());
    const auto projected = (*made)->Apply(EdgeRows(input.output));
    if (!projected.ok()) fuzz::Fail("a row failed its batch: " + projected.status().ToString());
    const Status valid = projected->rows.batch->ValidateFull();
    if (!valid.ok()) fuzz::Fail("a batch that is none: " + valid.ToString());
  }
}

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (const std::string& path : ListSources("tests/sql/cases", ".test")) {
    const std::string text = ReadSource(path);
    for (const char* mark : {"== query", "== stream "}) {
      for (std::string& sql : Sections(text, mark, {"== "})) seeds.push_back(std::move(sql));
    }
  }
  for (const char* sql : {
           "SELECT *, temperature * 2 AS twice FROM readings WHERE ok AND level > 1",
           "SELECT window_start, device_id, avg(temperature) FILTER (WHERE ok) AS a FROM "
           "hop(readings, size => INTERVAL '5 minutes', slide => INTERVAL '1 minute') GROUP BY "
           "window_start, window_end, device_id HAVING count(*) > 1",
           "SELECT CASE WHEN level IN (1, 2) THEN substring(device_id FROM 'a(.*)') ELSE "
           "upper(device_id) END AS c FROM readings r WHERE r.humidity BETWEEN 1 AND 2",
           "SELECT extract(epoch FROM observed_at) AS e, date_trunc('hour', observed_at) AS h, "
           "observed_at + INTERVAL '1 day' AS d, CAST(level AS text) AS t FROM readings",
           "\x01temperature > 80 AND device_id ~ '^a+$'",
       }) {
    seeds.emplace_back(sql);
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  const std::string_view text = fuzz::View(data, size);
  TestJob job;
  job.Readings();
  if (!text.empty() && text.front() == '\x01') {
    job.Alert("a", "readings", std::string(text.substr(1))).Sink("");
  } else {
    job.Query("q", std::string(text)).Sink("q");
  }
  const JobPlan plan = job.Plan();
  if (job.diagnostics().has_errors()) {
    if (!plan.nodes.empty()) fuzz::Fail("a plan in spite of errors");
    if (job.diagnostics().Render().empty()) fuzz::Fail("an error without a text");
    return 0;
  }
  if (FormatPlan(plan).empty()) fuzz::Fail("a plan without a text");
  Compute(plan);
  return 0;
}
