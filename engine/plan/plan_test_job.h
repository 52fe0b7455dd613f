// Jobs for tests of the planner, built without a job file. A query's SQL stands at line 10 times
// its number (the first query: line 10), column 1, so that places are easy to tell.
#pragma once

#include <string>

#include "engine/model/job.h"
#include "engine/plan/plan.h"
#include "engine/plan/planner.h"

namespace millrace {

class TestJob {
 public:
  TestJob() { job_.name = "test"; }
  explicit TestJob(JobSpec job) : job_(std::move(job)) {}

  // The source `readings`: device_id text, observed_at timestamp (event time), temperature and
  // humidity double, fire_alarm bigint, level integer, ok boolean.
  TestJob& Readings() {
    SourceStreamSpec source;
    KafkaSourceSpec kafka;
    kafka.topics = {"sensors"};
    source.input = kafka;
    const auto add = [&](const char* name, Type type, const char* unit) {
      SourceColumn column;
      column.field.name = name;
      column.field.type = type;
      column.field.unit = unit;
      column.from = name;
      source.columns.push_back(column);
    };
    add("device_id", Type::kText, "");
    add("observed_at", Type::kTimestamp, "");
    add("temperature", Type::kDouble, "Cel");
    add("humidity", Type::kDouble, "%");
    add("fire_alarm", Type::kBigint, "");
    add("level", Type::kInteger, "");
    add("ok", Type::kBoolean, "");
    EventTimeSpec event_time;
    event_time.column = "observed_at";
    event_time.max_delay = std::chrono::minutes(10);
    source.event_time = event_time;
    return Stream("readings", source);
  }

  TestJob& Stream(const std::string& name, SourceStreamSpec source) {
    StreamSpec stream;
    stream.name = name;
    stream.place = {1 + int(job_.streams.size()), 5};
    stream.kind = std::move(source);
    job_.streams.push_back(std::move(stream));
    return *this;
  }

  TestJob& Lookup(LookupSpec lookup) {
    lookup.place = {1, 50 + int(job_.lookups.size())};
    job_.lookups.push_back(std::move(lookup));
    return *this;
  }

  TestJob& Query(const std::string& name, const std::string& sql) {
    StreamSpec stream;
    stream.name = name;
    stream.place = {1 + int(job_.streams.size()), 5};
    stream.kind = QueryStreamSpec{PlacedText{sql, {10 * ++queries_, 1}}};
    job_.streams.push_back(std::move(stream));
    return *this;
  }

  // Its expr stands at line 100 times its number, its stream one line above.
  TestJob& Alert(const std::string& alert, const std::string& stream, const std::string& expr) {
    AlertSpec spec;
    const int line = 100 * (1 + int(job_.alerts.size()));
    spec.alert = alert;
    spec.place = {line - 2, 1};
    spec.stream = {stream, {line - 1, 1}};
    spec.expr = {expr, {line, 1}};
    job_.alerts.push_back(std::move(spec));
    return *this;
  }

  // A console sink; "" takes all alerts. At line 1000 plus its number.
  TestJob& Sink(const std::string& stream) {
    SinkSpec sink;
    sink.place = {1000 + int(job_.sinks.size()), 1};
    if (stream.empty()) {
      sink.all_alerts = true;
    } else {
      sink.stream = PlacedText{stream, sink.place};
    }
    sink.target = ConsoleSinkSpec{};
    job_.sinks.push_back(std::move(sink));
    return *this;
  }

  JobSpec& spec() { return job_; }

  JobPlan Plan() {
    diagnostics_ = Diagnostics("job.yaml", "");
    return PlanJob(job_, &diagnostics_);
  }
  const Diagnostics& diagnostics() const { return diagnostics_; }

  // All errors and warnings, one a line: "10:8 message; hint".
  std::string Messages() {
    Plan();
    std::string text;
    for (const Diagnostic& item : diagnostics_.items()) {
      text += std::to_string(item.place.line) + ":" + std::to_string(item.place.column) +
              (item.severity == Severity::kWarning ? " warning: " : " ") + item.message +
              (item.hint.empty() ? "" : "; " + item.hint) + "\n";
    }
    return text;
  }

 private:
  JobSpec job_;
  int queries_ = 0;
  Diagnostics diagnostics_{"job.yaml", ""};
};

inline const PlanNode& NodeNamed(const JobPlan& plan, const std::string& name) {
  static const PlanNode none;
  for (const PlanNode& node : plan.nodes) {
    if (node.name == name) return node;
  }
  return none;
}

}  // namespace millrace
