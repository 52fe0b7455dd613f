// Reads spec.streams.NAME of a job file: sources with their columns and event time, and queries.
#pragma once

#include <optional>

#include "engine/model/job_fields.h"

namespace millrace {

inline constexpr Micros kLongestDuration = std::chrono::days(365);

// Nothing where the entry is no stream at all (told).
std::optional<StreamSpec> ReadStream(const JobFileContext& context, const YamlEntry& entry);

// What rows are read for: a stream, or a table that streams are joined with.
enum class SourceUse { kStream, kTable };
// Of a map with `kafka` or `files` (`input`): that, `format`, `csv` and `columns`.
void ReadSourceInput(const JobFileContext& context, const MapFields& fields, const YamlEntry& input,
                     SourceUse use, SourceStreamSpec* spec);

// A path on this machine, with its secrets put in; "s3://..." and the like are refused.
std::optional<std::string> ReadLocalPath(const JobFileContext& context, const YamlNode& node);

}  // namespace millrace
