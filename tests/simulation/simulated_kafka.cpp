#include "tests/simulation/simulated_kafka.h"

namespace millrace::simulation {
namespace {

Status Trouble(const char* what) { return ExternalError("kafka_trouble", what, Retry::kYes); }

class Output final : public PublisherOutput {
 public:
  Output(OutputOptions options, Site* site, Kafka* kafka)
      : options_(std::move(options)), site_(site), kafka_(kafka) {}

  Status Initialise() override {
    producer_.reset();
    if (!site_->Step()) return Died();
    if (Faulty(30)) return Trouble("no producer");
    producer_ = kafka_->Initialise(options_.shard, site_);
    if (!site_->Step()) return Died();
    return Status::OK();
  }

  Result<std::optional<proto::Register>> ReadRegister() override {
    if (!site_->Step()) return Died();
    if (Faulty(30)) return Trouble("no register");
    auto found = kafka_->ReadRegister(options_.shard);
    if (!site_->Step()) return Died();
    const Bug bug = site_->world->bug;
    if (bug == Bug::kSkipRegister && found.has_value()) {
      found = options_.confirmed;
      if (found->next_row() == 0) found.reset();
    }
    if (bug == Bug::kForeignRegister && found.has_value()) {
      found->set_generation(options_.generation);
    }
    return found;
  }

  TransactionResult Begin() override {
    if (!site_->Step()) return {TransactionOutcome::kAborted, Died()};
    open_ = Kafka::Transaction();
    return Check();
  }

  TransactionResult Produce(const OutboxRecord& record) override {
    if (site_->world->random.Chance(100) && !site_->Step()) {
      return {TransactionOutcome::kAborted, Died()};
    }
    // The transaction's time is up.
    if (Faulty(5)) site_->world->now += std::chrono::seconds(3);
    if (Faulty(10)) return {TransactionOutcome::kAborted, Trouble("not produced")};
    Kafka::Record made;
    made.topic = record.topic;
    made.value = record.value;
    for (const auto& [key, value] : record.headers) {
      if (key == "millrace-generation") made.generation = value;
      if (key == "millrace-epoch") made.epoch = std::stoll(std::string(value));
    }
    open_.records.push_back(std::move(made));
    return Check();
  }

  TransactionResult Commit(const proto::Register& state) override {
    if (!site_->Step()) return {TransactionOutcome::kUnknown, Died()};
    if (!producer_.has_value()) return Check();
    open_.producer = *producer_;
    open_.state = state;
    if (Faulty(30)) return {TransactionOutcome::kAborted, Trouble("aborted")};
    if (Faulty(80)) {
      kafka_->Doubt(options_.shard, std::move(open_), site_->world->random.Chance(500));
      if (!site_->Step()) return {TransactionOutcome::kUnknown, Died()};
      return {TransactionOutcome::kUnknown, Trouble("no answer to the commit")};
    }
    if (!kafka_->Arrive(options_.shard, open_)) return Check();
    if (!site_->Step()) return {TransactionOutcome::kUnknown, Died()};
    if (Faulty(30)) return {TransactionOutcome::kUnknown, Trouble("the answer is lost")};
    options_.confirmed = state;
    return {TransactionOutcome::kCommitted, Status::OK()};
  }

 private:
  bool Faulty(int64_t per_thousand) const {
    return site_->world->faults && site_->world->random.Chance(per_thousand);
  }
  TransactionResult Check() const {
    if (!producer_.has_value() || kafka_->Fenced(options_.shard, *producer_)) {
      return {TransactionOutcome::kFenced, Trouble("fenced")};
    }
    return {TransactionOutcome::kCommitted, Status::OK()};
  }

  OutputOptions options_;
  Site* site_;
  Kafka* kafka_;
  std::optional<int64_t> producer_;
  Kafka::Transaction open_;
};

}  // namespace

std::unique_ptr<PublisherOutput> MakeOutput(OutputOptions options, Site* site, Kafka* kafka) {
  return std::make_unique<Output>(std::move(options), site, kafka);
}

// Who fences a producer of a later term must have been seen to lead before that term was claimed.
void Kafka::CheckFence(int32_t shard, Site* site) {
  const auto permit = site->permits.find(shard);
  const bool permitted = permit != site->permits.end();
  if (permitted) site->permits.erase(permit);
  if (!permitted && site->term < shards_[shard].term) {
    world_->Fail(site->name() + " fences its successor's producer of shard " +
                 std::to_string(shard));
  }
}

int64_t Kafka::Initialise(int32_t number, Site* site) {
  CheckFence(number, site);
  Shard& shard = shards_[number];
  shard.term = std::max(shard.term, site->term);
  world_->Trace(site->name() + " makes a producer of shard " + std::to_string(number));
  if (world_->bug != Bug::kNoFence) Fence(number);
  return shard.producer;
}

void Kafka::Fence(int32_t number) {
  Shard& shard = shards_[number];
  ++shard.producer;
  for (auto doubt = shard.in_doubt.begin(); doubt != shard.in_doubt.end();) {
    if (!doubt->prepared) {
      ++doubt;
      continue;
    }
    Apply(number, doubt->transaction);
    doubt = shard.in_doubt.erase(doubt);
  }
}

bool Kafka::Fenced(int32_t shard, int64_t producer) const {
  const auto found = shards_.find(shard);
  return found == shards_.end() || found->second.producer != producer;
}

bool Kafka::Arrive(int32_t shard, const Transaction& transaction) {
  if (Fenced(shard, transaction.producer)) return false;
  Apply(shard, transaction);
  return true;
}

void Kafka::Doubt(int32_t shard, Transaction transaction, bool prepared) {
  if (prepared && Fenced(shard, transaction.producer)) return;
  shards_[shard].in_doubt.push_back({std::move(transaction), prepared});
}

bool Kafka::in_doubt() const {
  for (const auto& [number, shard] : shards_) {
    if (!shard.in_doubt.empty()) return true;
  }
  return false;
}

void Kafka::DecideOne(Random* random) {
  for (auto& [number, shard] : shards_) {
    if (shard.in_doubt.empty() || !random->Chance(500)) continue;
    const InDoubt decided = std::move(shard.in_doubt.front());
    shard.in_doubt.pop_front();
    world_->Trace("a commit of shard " + std::to_string(number) + " is decided");
    if (decided.prepared) {
      Apply(number, decided.transaction);
    } else {
      Arrive(number, decided.transaction);
    }
    return;
  }
}

void Kafka::Apply(int32_t number, const Transaction& transaction) {
  Shard& shard = shards_[number];
  const std::string& generation = transaction.state.generation();
  int64_t& rows = shard.rows[generation];
  for (const Record& record : transaction.records) {
    if (record.generation != generation || record.epoch > log_->CommittedEpoch(generation)) {
      world_->Fail("shard " + std::to_string(number) + " publishes epoch " +
                   std::to_string(record.epoch) + " before it is in the log");
    }
    topics_[record.topic].push_back(record.value);
    ++rows;
  }
  shard.state = transaction.state;
  world_->Trace("shard " + std::to_string(number) + " has " + std::to_string(rows) +
                " rows, register: epoch " + std::to_string(transaction.state.epoch()) + " row " +
                std::to_string(transaction.state.next_row()));
  if (rows != transaction.state.next_row()) {
    world_->Fail("the register of shard " + std::to_string(number) + " says row " +
                 std::to_string(transaction.state.next_row()) + ", but its topics have " +
                 std::to_string(rows));
  }
}

std::optional<proto::Register> Kafka::ReadRegister(int32_t shard) const {
  const auto found = shards_.find(shard);
  return found == shards_.end() ? std::nullopt : found->second.state;
}

std::map<int32_t, proto::Register> Kafka::Registers() const {
  std::map<int32_t, proto::Register> registers;
  for (const auto& [number, shard] : shards_) {
    if (shard.state.has_value()) registers[number] = *shard.state;
  }
  return registers;
}

}  // namespace millrace::simulation
