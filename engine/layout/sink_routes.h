// Which way the rows of each sink go: at once, as records of a topic, or as files. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/model/job.h"
#include "engine/plan/plan.h"

namespace millrace {

enum class SinkRoute {
  kDirect,   // written at once: the console, alerts with delivery: at_least_once
  kRecords,  // Kafka, exactly once: through every shard
  kFiles,    // through one shard
};

// The sink index of dead letters.
inline constexpr int32_t kDeadLetterSink = -2;

SinkRoute RouteOf(const SinkSpec& sink);

struct SinkRoutes {
  struct Sink {
    SinkRoute route = SinkRoute::kDirect;
    std::string id;     // stable across edits of the job
    int32_t shard = 0;  // of files
  };
  std::map<int32_t, Sink> sinks;     // by sink index
  std::optional<Sink> letter_files;  // none: dead letters are records
  bool has_records() const;
};

SinkRoutes RoutesOf(const JobSpec& job, const JobPlan& plan);

// For metrics and people: "sink.0".
std::string SinkName(int32_t sink);
// A sink's stable id: "minutes>parquet:lake/minutes".
std::string SinkId(const SinkSpec& sink);
// Where dead letters go that go to files, and the id of that sink.
FilesSinkSpec LetterFilesOf(const JobSpec& job);
std::string LetterFilesId(const JobSpec& job);
// Whether anything of the job goes to Kafka exactly once.
bool WritesRecords(const JobSpec& job);
// The part of a sink's file names that says whose they are; two sinks never share a folder.
std::string SinkFileName(const SinkSpec& sink);

}  // namespace millrace
