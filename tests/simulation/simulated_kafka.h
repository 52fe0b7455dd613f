// A Kafka as the publishers of shards see it: transactional producers that fence each other by
// their id, commits whose fate is not known and that may be decided later, topics and registers.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/outbox/publisher_output.h"
#include "tests/simulation/simulated_storage.h"
#include "tests/simulation/world.h"

namespace millrace::simulation {

class Kafka {
 public:
  Kafka(World* world, const LogState* log) : world_(world), log_(log) {}

  struct Record {
    std::string topic;
    std::string value;
    std::string generation;
    int64_t epoch = 0;
  };
  struct Transaction {
    int64_t producer = 0;  // its number among the shard's: the epoch of its transactional id
    std::vector<Record> records;
    proto::Register state;
  };

  // A new producer of `shard`: its number.
  int64_t Initialise(int32_t shard, Site* site);
  // What init_transactions does: every older producer is fenced, prepared commits are completed.
  void Fence(int32_t shard);
  bool Fenced(int32_t shard, int64_t producer) const;
  // The commit's request arrives; false: fenced.
  bool Arrive(int32_t shard, const Transaction& transaction);
  // A commit that may arrive later; `prepared`: it has arrived and will be completed.
  void Doubt(int32_t shard, Transaction transaction, bool prepared);
  // One of the commits in doubt is decided.
  void DecideOne(Random* random);
  bool in_doubt() const;

  std::optional<proto::Register> ReadRegister(int32_t shard) const;
  std::map<int32_t, proto::Register> Registers() const;
  // Values of every topic, in the order of their commits.
  const std::map<std::string, std::vector<std::string>>& topics() const { return topics_; }

 private:
  struct InDoubt {
    Transaction transaction;
    bool prepared = false;
  };
  struct Shard {
    int64_t producer = 0;
    int64_t term = 0;  // of the process that made it
    std::optional<proto::Register> state;
    std::list<InDoubt> in_doubt;
    std::map<std::string, int64_t> rows;  // by generation
  };
  void Apply(int32_t shard, const Transaction& transaction);
  void CheckFence(int32_t shard, Site* site);

  World* world_;
  const LogState* log_;
  std::map<int32_t, Shard> shards_;
  std::map<std::string, std::vector<std::string>> topics_;
};

// `confirmed`: what the process knows to be published, whatever the register says.
struct OutputOptions {
  int32_t shard = 0;
  std::string generation;
  proto::Register confirmed;
};
std::unique_ptr<PublisherOutput> MakeOutput(OutputOptions options, Site* site, Kafka* kafka);

}  // namespace millrace::simulation
