#include "engine/checkpoint/outbox_ledger.h"

#include <algorithm>

namespace millrace {

OutboxLedger::OutboxLedger(int32_t shards, const std::vector<proto::ShardState>& restored,
                           Epoch restored_epoch)
    : shards_(size_t(shards)), restored_(restored_epoch), committed_(restored_epoch) {
  for (const proto::ShardState& state : restored) {
    Shard& shard = shards_.at(size_t(state.shard()));
    shard.next_row = state.next_row();
    shard.segments.assign(state.segments().begin(), state.segments().end());
    shard.published_epoch = state.published_epoch();
    shard.published_row = state.published_row();
    for (const proto::FileSinkState& file : state.files()) {
      FileSink& sink = shard.files[file.sink()];
      sink.open.assign(file.open().begin(), file.open().end());
      for (const proto::FileRoll& roll : file.rolls()) sink.rolls.push_back({roll, true});
    }
  }
  if (recovered_left()) completed_.push_back(restored_);
}

void OutboxLedger::Add(const proto::ShardState& sealed, Epoch epoch) {
  Shard& shard = shards_.at(size_t(sealed.shard()));
  shard.next_row = std::max(shard.next_row, sealed.next_row());
  for (const proto::Segment& segment : sealed.segments()) shard.segments.push_back(segment);
  for (const proto::FileSinkState& file : sealed.files()) {
    FileSink& sink = shard.files[file.sink()];
    for (const proto::Segment& segment : file.open()) sink.open.push_back(segment);
    if (!file.rolls().empty()) RollSink(&sink, epoch);
  }
}

void OutboxLedger::RollSink(FileSink* sink, Epoch epoch) {
  if (sink->open.empty()) return;
  Roll roll;
  roll.roll.set_epoch(epoch.value());
  for (const proto::Segment& segment : sink->open) *roll.roll.add_segments() = segment;
  sink->open.clear();
  sink->rolls.push_back(std::move(roll));
}

void OutboxLedger::RollAll(Epoch epoch) {
  for (Shard& shard : shards_) {
    for (auto& [name, sink] : shard.files) RollSink(&sink, epoch);
  }
}

Released OutboxLedger::Commit(Epoch epoch) {
  Released released;
  bool waits = false;
  for (size_t index = 0; index < shards_.size(); ++index) {
    Shard& shard = shards_[index];
    ReleasedSegments segments{int32_t(index), epoch, {}};
    for (const proto::Segment& segment : shard.segments) {
      if (Epoch(segment.epoch()) > committed_) segments.segments.push_back(segment);
    }
    waits = waits || !segments.segments.empty();
    released.shards.push_back(std::move(segments));
    for (auto& [name, sink] : shard.files) {
      for (Roll& roll : sink.rolls) {
        if (roll.committed) continue;
        roll.committed = true;
        waits = true;
        released.rolls.push_back({int32_t(index), name, roll.roll});
      }
    }
  }
  committed_ = epoch;
  std::erase_if(completed_, [&](Epoch done) { return done.value() < OldestUnpublished(); });
  if (waits) completed_.push_back(epoch);
  return released;
}

Released OutboxLedger::Recovered() const {
  Released released;
  for (size_t index = 0; index < shards_.size(); ++index) {
    const Shard& shard = shards_[index];
    released.shards.push_back({int32_t(index), restored_, shard.segments});
    for (const auto& [name, sink] : shard.files) {
      for (const Roll& roll : sink.rolls)
        released.rolls.push_back({int32_t(index), name, roll.roll});
    }
  }
  return released;
}

bool OutboxLedger::OnPublished(int32_t index, Epoch epoch, int64_t next_row) {
  Shard& shard = shards_.at(size_t(index));
  if (epoch.value() < shard.published_epoch || next_row < shard.published_row) return false;
  shard.published_epoch = epoch.value();
  shard.published_row = next_row;
  std::erase_if(shard.segments, [&](const proto::Segment& segment) {
    return segment.first_row() + segment.rows() <= next_row;
  });
  return true;
}

bool OutboxLedger::OnRollWritten(int32_t index, const std::string& sink, Epoch epoch) {
  Shard& shard = shards_.at(size_t(index));
  const auto found = shard.files.find(sink);
  if (found == shard.files.end()) return false;
  return std::erase_if(found->second.rolls, [&](const Roll& roll) {
           return roll.committed && roll.roll.epoch() == epoch.value();
         }) > 0;
}

std::vector<proto::ShardState> OutboxLedger::Snapshot() const {
  std::vector<proto::ShardState> states;
  for (size_t index = 0; index < shards_.size(); ++index) {
    const Shard& shard = shards_[index];
    proto::ShardState state;
    state.set_shard(int32_t(index));
    state.set_next_row(shard.next_row);
    state.set_published_epoch(shard.published_epoch);
    state.set_published_row(shard.published_row);
    for (const proto::Segment& segment : shard.segments) *state.add_segments() = segment;
    for (const auto& [name, sink] : shard.files) {
      if (sink.open.empty() && sink.rolls.empty()) continue;
      proto::FileSinkState* const file = state.add_files();
      file->set_sink(name);
      for (const proto::Segment& segment : sink.open) *file->add_open() = segment;
      for (const Roll& roll : sink.rolls) *file->add_rolls() = roll.roll;
    }
    states.push_back(std::move(state));
  }
  return states;
}

namespace {

bool HasCommitted(const std::vector<proto::Segment>& segments, Epoch up_to) {
  return std::ranges::any_of(
      segments, [&](const proto::Segment& segment) { return Epoch(segment.epoch()) <= up_to; });
}

}  // namespace

int64_t OutboxLedger::OldestUnpublished() const {
  int64_t oldest = INT64_MAX;
  for (const Shard& shard : shards_) {
    for (const proto::Segment& segment : shard.segments) oldest = std::min(oldest, segment.epoch());
    for (const auto& [name, sink] : shard.files) {
      for (const Roll& roll : sink.rolls) oldest = std::min(oldest, roll.roll.epoch());
    }
  }
  return oldest;
}

int64_t OutboxLedger::unpublished_epochs() const {
  const int64_t oldest = OldestUnpublished();
  return std::ranges::count_if(completed_, [&](Epoch epoch) { return epoch.value() >= oldest; });
}

int64_t OutboxLedger::unpublished_bytes() const {
  int64_t bytes = 0;
  for (const Shard& shard : shards_) {
    for (const proto::Segment& segment : shard.segments) bytes += segment.file().bytes();
    for (const auto& [name, sink] : shard.files) {
      for (const Roll& roll : sink.rolls) {
        for (const proto::Segment& segment : roll.roll.segments()) bytes += segment.file().bytes();
      }
    }
  }
  return bytes;
}

bool OutboxLedger::recovered_left() const {
  return std::ranges::any_of(shards_, [&](const Shard& shard) {
    if (HasCommitted(shard.segments, restored_)) return true;
    return std::ranges::any_of(shard.files, [&](const auto& entry) {
      return std::ranges::any_of(entry.second.rolls, [&](const Roll& roll) {
        return Epoch(roll.roll.epoch()) <= restored_;
      });
    });
  });
}

bool OutboxLedger::all_published() const {
  return std::ranges::none_of(shards_, [&](const Shard& shard) {
    if (HasCommitted(shard.segments, committed_)) return true;
    return std::ranges::any_of(shard.files, [](const auto& entry) {
      return std::ranges::any_of(entry.second.rolls, &Roll::committed);
    });
  });
}

bool OutboxLedger::empty() const {
  return std::ranges::all_of(shards_, [](const Shard& shard) {
    return shard.segments.empty() && std::ranges::all_of(shard.files, [](const auto& entry) {
             return entry.second.open.empty() && entry.second.rolls.empty();
           });
  });
}

}  // namespace millrace
