// For tests: stores over a CrashFileSystem.
#pragma once

#include <gtest/gtest.h>
#include <rocksdb/system_clock.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/state/crash_file_system_testing.h"
#include "engine/state/rocks_options.h"
#include "engine/state/state_store_testing.h"

namespace millrace {

// RocksDB waits a second after a background error; a test need not.
class ImpatientClock final : public rocksdb::SystemClockWrapper {
 public:
  ImpatientClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "ImpatientClock"; }
  void SleepForMicroseconds(int) override {}
};

class CrashEnv final : public rocksdb::EnvWrapper {
 public:
  explicit CrashEnv(const std::shared_ptr<CrashFileSystem>& files)
      : EnvWrapper(rocksdb::NewCompositeEnv(files)) {
    file_system_ = files;
    system_clock_ = std::make_shared<ImpatientClock>();
  }
  const char* Name() const override { return "CrashEnv"; }
};

// A disk, and stores on it. Stores go before it.
struct CrashDisk {
  explicit CrashDisk(uint64_t seed = 1, int64_t memory_bytes = 8 << 20)
      : files(std::make_shared<CrashFileSystem>(seed)),
        env(std::make_unique<CrashEnv>(files)),
        memory(StateMemory::Make(memory_bytes)) {}

  Result<std::unique_ptr<StateStore>> Open(const std::string& folder) {
    return OpenRocksStateStore({folder, memory}, env.get());
  }

  // As a restore does: hard links in a folder of the store's own.
  Result<std::unique_ptr<StateStore>> OpenLinked(const std::string& checkpoint,
                                                 const std::string& folder) {
    EXPECT_TRUE(env->CreateDirIfMissing(folder).ok());
    for (const auto& [name, bytes] : files->Contents(checkpoint)) {
      EXPECT_TRUE(env->LinkFile(checkpoint + "/" + name, folder + "/" + name).ok());
    }
    return Open(folder);
  }

  std::shared_ptr<CrashFileSystem> files;
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<StateMemory> memory;
};

}  // namespace millrace
