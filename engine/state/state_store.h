// Where operators keep what must survive: ordered bytes under ordered keys, one store a task.
// Keys are [key group][window end][key] within an operator; the store adds the operator.
//
// An operator seals what it holds at a barrier and writes it here; a store that keeps it on disk
// takes the place of MemoryStateStore without the operators' knowing (docs/decisions.md, "State
// behind an interface"). Bytes: docs/state-format.md.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/ids.h"
#include "engine/base/status.h"

namespace millrace {

class StateWriter {
 public:
  virtual ~StateWriter() = default;
  virtual Status Put(std::string_view key, std::string_view value) = 0;
  virtual Status Delete(std::string_view key) = 0;
};

class StateReader {
 public:
  virtual ~StateReader() = default;
  // Every entry with first <= key < last, in order of their bytes, until `visit` fails (its status
  // is returned). "" as last: to the end. `visit` must not write to the store.
  virtual Status Scan(
      std::string_view first, std::string_view last,
      const std::function<Status(std::string_view key, std::string_view value)>& visit) = 0;
};

// Not thread-safe: owned by one task.
class StateStore : public StateWriter, public StateReader {
 public:
  // What was written up to here is the state at the end of `epoch`.
  virtual Status Commit(Epoch epoch) = 0;
};

class MemoryStateStore final : public StateStore {
 public:
  Status Put(std::string_view key, std::string_view value) override;
  Status Delete(std::string_view key) override;
  Status Scan(std::string_view first, std::string_view last,
              const std::function<Status(std::string_view, std::string_view)>& visit) override;
  Status Commit(Epoch epoch) override;

  Epoch committed() const { return committed_; }
  size_t size() const { return entries_.size(); }

 private:
  std::map<std::string, std::string, std::less<>> entries_;
  Epoch committed_;
};

}  // namespace millrace
