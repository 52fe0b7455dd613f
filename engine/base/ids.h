// Strong ids: an epoch cannot be passed where a partition is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace millrace {

template <typename Tag, typename Value>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Value value) : value_(value) {}
  constexpr Value value() const { return value_; }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;

 private:
  Value value_{};
};

// Position of a node in a JobPlan's list.
using NodeId = Id<struct NodeIdTag, int32_t>;
// Index of a task among the tasks of one node; of a reader among the readers of one source.
using TaskIndex = Id<struct TaskIndexTag, int32_t>;
// Counts checkpoints of a job, from 1.
using Epoch = Id<struct EpochTag, int64_t>;
// 0 .. kKeyGroupCount - 1.
using KeyGroup = Id<struct KeyGroupTag, int32_t>;

// Fixed for the life of a job; highly divisible; parallelism is never more.
inline constexpr int32_t kKeyGroupCount = 720;

constexpr KeyGroup KeyGroupOf(uint64_t key_hash) {
  return KeyGroup(int32_t(key_hash % uint64_t(kKeyGroupCount)));
}

// The task that owns `group` when a node has `parallelism` tasks: contiguous ranges of groups.
constexpr TaskIndex TaskOf(KeyGroup group, int32_t parallelism) {
  return TaskIndex(int32_t(int64_t(group.value()) * parallelism / kKeyGroupCount));
}

// The group that holds the keys of partition `partition` of a topic of so many, where keys are
// placed by partition. Those of up to kKeyGroupCount partitions are apart, and a node of no more
// tasks than partitions has some for each task.
constexpr KeyGroup GroupOfPartition(int32_t partition, int32_t partitions) {
  const int64_t spread = int64_t(partition) * kKeyGroupCount;
  const int64_t up = partitions <= kKeyGroupCount ? partitions - 1 : 0;
  return KeyGroup(int32_t((spread + up) / partitions));
}

// One partition of a topic, or one file of a bounded source (topic = path, partition = 0).
struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace millrace

template <typename Tag, typename Value>
struct std::hash<millrace::Id<Tag, Value>> {
  size_t operator()(millrace::Id<Tag, Value> id) const { return std::hash<Value>()(id.value()); }
};
