#include "engine/endpoints/kafka_output.h"

namespace millrace {
namespace {

constexpr auto kPrepareTimeout = std::chrono::seconds(10);
constexpr auto kReadTimeout = std::chrono::seconds(30);
constexpr auto kCommitTimeout = std::chrono::seconds(20);

class KafkaOutput final : public PublisherOutput {
 public:
  KafkaOutput(KafkaOutputOptions options, std::unique_ptr<KafkaTransactions> transactions)
      : options_(std::move(options)), transactions_(std::move(transactions)) {}

  Status Initialise() override {
    // A register topic that is made anew here has no register: where something was published, that
    // stops the job (DecideRegister).
    ARROW_RETURN_NOT_OK(
        EnsureRegisterTopic(options_.layers, options_.log, kPrepareTimeout).status());
    return transactions_->Initialise(options_.topics, kPrepareTimeout);
  }

  Result<std::optional<proto::Register>> ReadRegister() override {
    ARROW_ASSIGN_OR_RAISE(const Registers registers,
                          ReadRegisters(options_.job, options_.layers, options_.log, std::nullopt,
                                        kReadTimeout, options_.stop));
    const auto found = registers.shards.find(options_.shard);
    if (found == registers.shards.end()) return std::optional<proto::Register>();
    return std::optional<proto::Register>(found->second);
  }

  TransactionResult Begin() override { return transactions_->Begin(); }
  TransactionResult Produce(const OutboxRecord& record) override {
    return transactions_->Produce(record);
  }
  TransactionResult Commit(const proto::Register& state) override {
    return transactions_->Commit(state, kCommitTimeout);
  }

 private:
  const KafkaOutputOptions options_;
  std::unique_ptr<KafkaTransactions> transactions_;
};

}  // namespace

Result<std::unique_ptr<PublisherOutput>> MakeKafkaOutput(KafkaOutputOptions options) {
  KafkaTransactionsOptions transactions;
  transactions.job = options.job;
  transactions.shard = options.shard;
  transactions.layers = options.layers;
  transactions.log = options.log;
  transactions.stop = options.stop;
  ARROW_ASSIGN_OR_RAISE(auto made, KafkaTransactions::Make(std::move(transactions)));
  return std::make_unique<KafkaOutput>(std::move(options), std::move(made));
}

}  // namespace millrace
