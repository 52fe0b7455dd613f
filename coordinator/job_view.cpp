#include "coordinator/job_view.h"

#include <algorithm>

#include "engine/base/diagnostics.h"

namespace millrace {
namespace {

// A watermark that is so far behind the clock holds windows back noticeably.
constexpr Micros kBehind = std::chrono::minutes(1);
constexpr MonotonicTime kBlockedShown = std::chrono::seconds(3);
constexpr MonotonicTime kCheckpointOverdue = std::chrono::seconds(30);
constexpr int64_t kDeadShare = 100;  // one in so many is worth a line

double SecondsOf(MonotonicTime time) { return std::chrono::duration<double>(time).count(); }
double SecondsOf(Micros time) { return std::chrono::duration<double>(time).count(); }

bool IsKnown(EventTime watermark) {
  return watermark != kEventTimeMin && watermark != kEventTimeMax;
}

// Without fractions: "1h3m".
std::string Rounded(Micros duration) {
  return FormatDuration(std::chrono::duration_cast<std::chrono::seconds>(duration));
}

std::string NameOf(const TopicPartition& partition) {
  return partition.topic + "/" + std::to_string(partition.partition);
}

std::string DesireName(proto::JobDesire desire) {
  switch (desire) {
    case proto::JOB_PAUSED:
      return "paused";
    case proto::JOB_CANCELED:
      return "canceled";
    default:
      return "running";
  }
}

// Of all workers, by name.
std::map<std::string, proto::StreamLoad> StreamsOf(const JobView& view) {
  std::map<std::string, proto::StreamLoad> streams;
  for (const auto& [worker, load] : view.loads) {
    for (const proto::StreamLoad& part : load.streams()) {
      const auto [found, added] = streams.try_emplace(part.name(), part);
      if (added) continue;
      proto::StreamLoad& sum = found->second;
      sum.set_records_in(sum.records_in() + part.records_in());
      sum.set_filtered(sum.filtered() + part.filtered());
      sum.set_late(sum.late() + part.late());
      sum.set_dead_letters(sum.dead_letters() + part.dead_letters());
      sum.set_windows_fired(sum.windows_fired() + part.windows_fired());
      sum.set_watermark(std::max(sum.watermark(), part.watermark()));
      sum.set_keys_behind(sum.keys_behind() + part.keys_behind());
      sum.set_keys_offline(sum.keys_offline() + part.keys_offline());
      if (!part.furthest_behind().empty()) {
        sum.set_furthest_behind(sum.furthest_behind() +
                                (sum.furthest_behind().empty() ? "" : ", ") +
                                part.furthest_behind());
      }
      if (part.lag_records() >= 0) {
        sum.set_lag_records(std::max<int64_t>(sum.lag_records(), 0) + part.lag_records());
      }
    }
  }
  return streams;
}

std::map<std::string, int64_t> RowsOutOf(const JobView& view) {
  std::map<std::string, int64_t> rows;
  for (const auto& [worker, load] : view.loads) {
    for (const proto::SinkLoad& sink : load.sinks()) rows[sink.name()] += sink.records_out();
  }
  return rows;
}

int64_t LagOf(const JobView& view) {
  int64_t lag = -1;
  for (const auto& [worker, load] : view.loads) {
    if (load.lag_records() >= 0) lag = std::max<int64_t>(lag, 0) + load.lag_records();
  }
  return lag;
}

void SetWatermark(EventTime watermark, std::string* text) {
  if (watermark == kEventTimeMax) {
    *text = "ended";
  } else if (watermark != kEventTimeMin) {
    *text = FormatTimestamp(watermark);
  }
}

void FindPhase(const JobView& view, std::vector<std::string>* findings) {
  const std::string phase(JobPhaseName(view.phase));
  switch (view.phase) {
    case JobPhase::kRunning:
    case JobPhase::kFinished:
      return;
    case JobPhase::kPaused:
      findings->push_back("it is paused: `millrace resume " + view.record.name() +
                          "` goes on from its last checkpoint");
      return;
    case JobPhase::kCanceled:
      findings->push_back("it is canceled: `millrace resume " + view.record.name() +
                          "` goes on from its last checkpoint");
      return;
    case JobPhase::kFailed:
      findings->push_back("it has failed and is not tried again: " + view.why +
                          "; mend the cause, then `millrace resume " + view.record.name() +
                          "`, or apply a corrected file");
      return;
    default:
      findings->push_back("it is " + phase + " since " +
                          Rounded(Micros(std::chrono::duration_cast<Micros>(view.in_phase))) +
                          (view.why.empty() ? "" : ": " + view.why));
  }
}

void FindBlocked(const JobView& view, std::vector<std::string>* findings) {
  const auto since = Rounded(std::chrono::duration_cast<Micros>(view.blocked_for));
  if (view.blocked != Blocked::kNo && view.blocked_for >= kBlockedShown) {
    switch (view.blocked) {
      case Blocked::kPending:
        findings->push_back("a checkpoint takes longer than the interval, since " + since +
                            ": rows come with the checkpoint, so later");
        break;
      case Blocked::kEpochs:
      case Blocked::kOutbox:
        findings->push_back("readers pause since " + since + ": " +
                            std::to_string(view.unpublished_epochs) + " checkpoints' output (" +
                            std::to_string(view.unpublished_bytes) +
                            " bytes) waits to be published: see the sinks' warnings");
        break;
      default:
        findings->push_back("output of before the restart is being published, since " + since);
    }
  }
  const MonotonicTime overdue = std::max(kCheckpointOverdue, view.checkpoint_interval * 10);
  const MonotonicTime waited = view.since_checkpoint.value_or(view.in_phase);
  if (view.blocked == Blocked::kNo && waited > overdue) {
    findings->push_back("no checkpoint is complete since " +
                        Rounded(std::chrono::duration_cast<Micros>(waited)) +
                        ", and rows are published with checkpoints");
  }
}

void FindWatermarks(const JobView& view, const std::map<std::string, proto::StreamLoad>& streams,
                    std::vector<std::string>* findings) {
  for (const JobView::Source& source : view.sources) {
    const SourceProgress& progress = source.progress;
    const auto load = streams.find(source.stream);
    const int64_t read = load == streams.end() ? 0 : load->second.records_in();
    if (progress.partitions == 0) {
      findings->push_back("source '" + source.stream + "' has no partition: is its topic there?");
    } else if (progress.watermark == kEventTimeMin && read == 0) {
      findings->push_back("source '" + source.stream +
                          "' has read nothing: its topics are empty, or it starts at their ends");
    } else if (progress.watermark == kEventTimeMin && progress.holder.has_value()) {
      findings->push_back("source '" + source.stream + "' has no watermark yet: partition " +
                          NameOf(*progress.holder) +
                          " has had no reading; it holds windows back until it has, or is idle");
    } else if (progress.holder.has_value() && progress.holds_by > kBehind) {
      findings->push_back("partition " + NameOf(*progress.holder) + " holds the watermark of '" +
                          source.stream + "': its readings are " + Rounded(progress.holds_by) +
                          " behind the next partition's, and windows wait for it");
    }
  }
  for (const auto& [name, stream] : streams) {
    if (stream.keys_behind() == 0) continue;
    findings->push_back(
        std::to_string(stream.keys_behind()) + " keys of '" + name +
        "' are behind the fleet, and their windows wait for them: " + stream.furthest_behind());
  }
}

void FindReadings(const std::map<std::string, proto::StreamLoad>& streams,
                  std::vector<std::string>* findings) {
  for (const auto& [name, stream] : streams) {
    if (stream.dead_letters() == 0 || stream.dead_letters() < stream.records_in() / kDeadShare) {
      continue;
    }
    findings->push_back(std::to_string(stream.dead_letters()) + " of " +
                        std::to_string(stream.records_in()) + " rows of '" + name +
                        "' ended as dead letters (" + std::to_string(stream.late()) +
                        " came too late): each says why");
  }
}

}  // namespace

std::string TargetOf(const SinkSpec& sink) {
  struct Name {
    std::string operator()(const KafkaSinkSpec& kafka) const {
      return "kafka topic " + kafka.topic;
    }
    std::string operator()(const ParquetSinkSpec& parquet) const {
      return "parquet files in " + parquet.path;
    }
    std::string operator()(const FilesSinkSpec& files) const { return "files in " + files.path; }
    std::string operator()(const ConsoleSinkSpec&) const { return "console"; }
  };
  return std::visit(Name(), sink.target);
}

std::vector<std::string> FindingsOf(const JobView& view) {
  std::vector<std::string> findings;
  FindPhase(view, &findings);
  if (view.phase == JobPhase::kRunning) {
    const auto streams = StreamsOf(view);
    FindBlocked(view, &findings);
    FindWatermarks(view, streams, &findings);
    FindReadings(streams, &findings);
    for (const auto& [who, warning] : view.last_warnings) {
      findings.push_back(who + " warns: " + warning);
    }
  }
  if (view.phase != JobPhase::kFailed && !view.last_failure.empty()) {
    findings.push_back("it was started again " + std::to_string(view.restarts) +
                       " times; the last failure: " + view.last_failure);
  }
  return findings;
}

proto::JobStatus StatusOf(const JobView& view) {
  proto::JobStatus status;
  status.set_name(view.record.name());
  status.set_state(std::string(JobPhaseName(view.phase)));
  status.set_desired(DesireName(view.record.desire()));
  status.set_why(view.why);
  status.set_parallelism(int32_t(view.slots.size()));
  status.set_wanted_parallelism(view.record.parallelism());
  status.set_lag_records(LagOf(view));
  status.set_checkpoints(view.checkpoints);
  status.set_last_epoch(view.last_epoch);
  status.set_attempt(view.attempt);
  status.set_restarts(view.restarts);
  status.set_last_failure(view.last_failure);
  status.mutable_slot_workers()->Assign(view.slots.begin(), view.slots.end());
  status.set_created(view.record.created());
  status.set_version(view.record.version());
  status.set_seconds_in_state(SecondsOf(view.in_phase));
  double delay = -1;
  for (const JobView::Source& source : view.sources) {
    if (!IsKnown(source.progress.watermark)) continue;
    delay = std::max(delay, std::max(0.0, SecondsOf(view.wall - source.progress.watermark)));
  }
  status.set_watermark_delay_seconds(delay);
  status.set_seconds_since_checkpoint(
      view.since_checkpoint.has_value() ? SecondsOf(*view.since_checkpoint) : -1);
  status.set_unpublished_epochs(view.unpublished_epochs);
  for (const auto& [worker, load] : view.loads) {
    status.set_state_bytes(status.state_bytes() + load.state_bytes());
  }
  const auto streams = StreamsOf(view);
  for (const JobView::Source& source : view.sources) {
    if (const auto found = streams.find(source.stream); found != streams.end()) {
      status.set_records_in(status.records_in() + found->second.records_in());
    }
  }
  for (const auto& [sink, rows] : RowsOutOf(view))
    status.set_records_out(status.records_out() + rows);
  const Micros age = view.wall.time_since_epoch() - Micros(view.record.created());
  status.set_age(Rounded(std::max(age, Micros(0))));
  status.set_rescaling(view.record.has_rescale());
  status.mutable_notes()->Assign(view.notes.begin(), view.notes.end());
  if (!view.record.rescale_failure().empty()) status.add_notes(view.record.rescale_failure());
  return status;
}

proto::JobDescription DescriptionOf(const JobView& view) {
  proto::JobDescription description;
  *description.mutable_status() = StatusOf(view);
  for (std::string& finding : FindingsOf(view)) *description.add_findings() = std::move(finding);
  const auto streams = StreamsOf(view);
  for (const JobView::Source& source : view.sources) {
    proto::SourceStatus& status = *description.add_sources();
    const SourceProgress& progress = source.progress;
    status.set_stream(source.stream);
    SetWatermark(progress.watermark, status.mutable_watermark());
    status.set_watermark_delay_seconds(
        IsKnown(progress.watermark) ? SecondsOf(view.wall - progress.watermark) : -1);
    const auto load = streams.find(source.stream);
    status.set_lag_records(load == streams.end() ? -1 : load->second.lag_records());
    status.set_partitions(progress.partitions);
    if (progress.holder.has_value()) {
      status.set_held_by(NameOf(*progress.holder));
      status.set_held_for_seconds(SecondsOf(progress.holds_by));
    }
    for (const TopicPartition& idle : progress.idle) status.add_idle_partitions(NameOf(idle));
  }
  for (const auto& [name, load] : streams) {
    proto::StreamStatus& status = *description.add_streams();
    status.set_name(name);
    status.set_records_in(load.records_in());
    status.set_filtered(load.filtered());
    status.set_late(load.late());
    status.set_dead_letters(load.dead_letters());
    status.set_windows_fired(load.windows_fired());
    SetWatermark(EventTime(Micros(load.watermark())), status.mutable_watermark());
    status.set_keys_behind(load.keys_behind());
    status.set_keys_offline(load.keys_offline());
    status.set_furthest_behind(load.furthest_behind());
  }
  const auto rows = RowsOutOf(view);
  for (const auto& [name, target] : view.sinks) {
    proto::SinkStatus& status = *description.add_sinks();
    status.set_name(name);
    status.set_target(target);
    if (const auto found = rows.find(name); found != rows.end()) {
      status.set_records_out(found->second);
    }
    const auto latency = view.longest_latencies.find(name);
    status.set_latency_seconds(
        latency == view.longest_latencies.end() ? -1 : SecondsOf(Micros(latency->second)));
    if (const auto warning = view.last_warnings.find(name); warning != view.last_warnings.end()) {
      status.set_last_warning(warning->second);
    }
  }
  description.set_file_name(view.record.file_name());
  description.set_file(view.record.file());
  return description;
}

proto::LogLine LineOf(const JobLog::Entry& entry) {
  proto::LogLine line;
  line.set_sequence(entry.sequence);
  line.set_time(FormatTimestamp(entry.value.wall));
  line.set_level(entry.value.is_warning ? "warn" : "info");
  line.set_where(entry.value.where);
  line.set_message(entry.value.message);
  return line;
}

}  // namespace millrace
