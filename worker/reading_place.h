// Where in its input a reader or a task was when it failed, for people.
#pragma once

#include <string>

#include "engine/base/status.h"
#include "engine/model/rows.h"

namespace millrace {

// "sensors/3 offset 1234", of a record that holds several readings "..., reading 2"; of several
// rows "sensors/3 offsets 1200 to 1399". Empty where no row is of a record.
std::string PlaceOf(const Origins& origins);
std::string PlaceOf(const TopicPartition& partition, int64_t offset, int32_t index);

// `failure` with the place before its message. No place: as it is.
Status AtPlace(const Status& failure, const std::string& place);

}  // namespace millrace
