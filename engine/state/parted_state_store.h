// Several stores, each of some of the key groups, as one: what a task that took over parts of other
// tasks has. docs/state-format.md, "Parts".
//
// - Every key group is of one part; entries of it are read and written there and nowhere else.
// - An operator's own entries stand in every part, so that each can be taken over by itself.
// - A range deletion goes to every part.
// - A checkpoint has a folder for each part: p0, p1, and so on.
#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/state/key_group_set.h"
#include "engine/state/state_store.h"

namespace millrace {

struct StorePart {
  KeyGroupSet groups;  // of no other part
  std::unique_ptr<StateStore> store;
};

// "p3": its folder in a checkpoint.
std::string PartName(size_t part);

// Of one part or more. `env`: of the file system that the parts are on; outlives the store.
std::unique_ptr<StateStore> MakePartedStateStore(std::vector<StorePart> parts,
                                                 rocksdb::Env* env = rocksdb::Env::Default());

}  // namespace millrace
