// What compactions leave out of a store that holds entries of other key groups. Internal to
// engine/state.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <memory>

#include "engine/state/key_group_set.h"

namespace millrace {

std::shared_ptr<rocksdb::CompactionFilterFactory> DropOtherGroups(KeyGroupSet own);

}  // namespace millrace
