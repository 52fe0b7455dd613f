// What turns rows and dead letters into the records of a topic, when they are sealed. Implemented
// by connectors/kafka.
#pragma once

#include <functional>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"
#include "engine/model/dead_letter.h"
#include "engine/model/rows.h"
#include "engine/outbox/segment.h"

namespace millrace {

using VisitRecord = std::function<Status(const OutboxRecord&)>;

// One thread at a time.
class RecordEncoder {
 public:
  virtual ~RecordEncoder() = default;
  // `visit` for each row in order; views are valid during the call. Rows that the topic can never
  // take go to `rejected`. `now`: the wall clock.
  virtual Status Encode(const Rows& rows, EventTime now, std::vector<DeadLetter>* rejected,
                        const VisitRecord& visit) = 0;
  virtual int64_t non_finite_values() const = 0;
};

class DeadLetterEncoder {
 public:
  virtual ~DeadLetterEncoder() = default;
  virtual Status Encode(const DeadLetter& letter, const VisitRecord& visit) = 0;
};

}  // namespace millrace
