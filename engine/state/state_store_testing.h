// For tests of and over any StateStore.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/status_testing.h"
#include "engine/state/state_store.h"

namespace millrace {

using StateEntries = std::vector<std::pair<std::string, std::string>>;

inline StateEntries ReadRest(StateIterator* iterator) {
  StateEntries entries;
  for (; iterator->Valid(); iterator->Next()) {
    entries.emplace_back(iterator->key(), iterator->value());
  }
  EXPECT_TRUE(iterator->status().ok()) << iterator->status();
  return entries;
}

inline StateEntries ReadEntries(StateStore* store, std::string_view first = "",
                                std::string_view last = "") {
  const Result<std::unique_ptr<StateIterator>> iterator = store->Scan(first, last);
  EXPECT_TRUE(iterator.ok()) << iterator.status();
  return iterator.ok() ? ReadRest(iterator->get()) : StateEntries();
}

// Waits until it is done.
inline Result<StateCheckpoint> TakeCheckpoint(StateStore* store, Epoch epoch,
                                              const std::string& folder) {
  std::promise<Result<StateCheckpoint>> done;
  store->Checkpoint(epoch, folder,
                    [&](Result<StateCheckpoint> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

inline Status PutEntries(StateStore* store, const StateEntries& entries) {
  StateBatch batch;
  for (const auto& [key, value] : entries) batch.Put(key, value);
  return store->Write(std::move(batch));
}

}  // namespace millrace
