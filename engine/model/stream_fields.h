// Reads spec.streams.NAME of a job file: sources with their columns and event time, and queries.
#pragma once

#include <optional>

#include "engine/model/job_fields.h"

namespace millrace {

// Nothing where the entry is no stream at all (told).
std::optional<StreamSpec> ReadStream(const JobFileContext& context, const YamlEntry& entry);

// A path on this machine, with its secrets put in; "s3://..." and the like are refused.
std::optional<std::string> ReadLocalPath(const JobFileContext& context, const YamlNode& node);

}  // namespace millrace
