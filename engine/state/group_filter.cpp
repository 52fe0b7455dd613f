#include "engine/state/group_filter.h"

#include "engine/state/part_groups.h"

namespace millrace {
namespace {

class GroupFilter final : public rocksdb::CompactionFilter {
 public:
  explicit GroupFilter(KeyGroupSet own) : own_(own) {}
  const char* Name() const override { return "GroupFilter"; }
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice&, std::string*,
              bool*) const override {
    return !IsOfGroups(key.ToStringView(), own_);
  }

 private:
  const KeyGroupSet own_;
};

class GroupFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit GroupFilterFactory(KeyGroupSet own) : own_(own) {}
  const char* Name() const override { return "GroupFilterFactory"; }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<GroupFilter>(own_);
  }

 private:
  const KeyGroupSet own_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> DropOtherGroups(KeyGroupSet own) {
  return std::make_shared<GroupFilterFactory>(own);
}

}  // namespace millrace
