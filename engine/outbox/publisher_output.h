// What the publisher of a sink shard needs of the system that it publishes to: transactions, and a
// register in each that says what has been published. Kafka's is engine/endpoints/kafka_output.h.
// docs/exactly-once.md, "Publishing to Kafka".
#pragma once

#include <optional>

#include "engine/base/status.h"
#include "engine/outbox/segment.h"
#include "proto/checkpoint.pb.h"

namespace millrace {

enum class TransactionOutcome {
  kCommitted,  // of Begin and Produce: done
  kAborted,    // nothing of the transaction is in the topics, nor will be
  kUnknown,    // the register must tell: a new producer, then read it
  kFenced,     // another producer has this shard: whoever is told this asks before it goes on
};

struct TransactionResult {
  TransactionOutcome outcome = TransactionOutcome::kAborted;
  Status status;  // why, where it is not kCommitted; Retry::kNo ends the job
};

// Calls block and belong to one thread. Where Begin, Produce or Commit ends otherwise than
// kCommitted, no transaction is open.
class PublisherOutput {
 public:
  virtual ~PublisherOutput() = default;
  // A new producer that fences every other of the shard and settles what it left.
  virtual Status Initialise() = 0;
  // The shard's; none where it has no register.
  virtual Result<std::optional<proto::Register>> ReadRegister() = 0;
  virtual TransactionResult Begin() = 0;
  // The views need not outlive the call.
  virtual TransactionResult Produce(const OutboxRecord& record) = 0;
  // Adds the register and commits.
  virtual TransactionResult Commit(const proto::Register& state) = 0;
};

}  // namespace millrace
