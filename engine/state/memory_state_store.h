// A StateStore in memory, for tests and simulation: writes are applied at once, and `done` of
// Checkpoint is called before Checkpoint returns.
//
// A simulation keeps a checkpoint as a value: Serialise() gives the whole state as bytes, which
// depend on the entries alone, and Restore() takes them back. Checkpoint into a folder writes these
// bytes as its one file; into the folder "" it touches no disk and gives no files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/state/state_store.h"

namespace millrace {

class MemoryStateStore final : public StateStore {
 public:
  static constexpr std::string_view kFileName = "entries";

  MemoryStateStore() = default;
  // From what Checkpoint wrote into `folder`. "state_open_failed", "state_damaged".
  static Result<std::unique_ptr<MemoryStateStore>> Open(const std::string& folder);

  Status Write(StateBatch batch) override;
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override;
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override;
  StateStoreStats stats() const override;

  std::string Serialise() const;
  // Replaces everything. "state_damaged", and then nothing has changed.
  Status Restore(std::string_view bytes);

  size_t size() const { return entries_->size(); }

  // From now on Write and Checkpoint fail with it; OK: they work again.
  void FailWith(Status status) { failure_ = std::move(status); }

 private:
  using Entries = std::map<std::string, std::string, std::less<>>;
  class Iterator;

  // Iterators share the map; a write while one lives goes to a copy.
  Entries* Own();

  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
  Status failure_;
};

}  // namespace millrace
