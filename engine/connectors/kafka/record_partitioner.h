// Which partition a producer gives a record, by its key.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/model/job.h"

namespace millrace {

// Among `partitions` (at least 1). librdkafka's own functions.
int32_t PartitionOf(Partitioner partitioner, std::string_view key, int32_t partitions);

}  // namespace millrace
