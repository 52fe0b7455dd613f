// Parses the SQL of a job's streams and finds what each reads. Queries in parentheses and in WITH,
// the branches of UNION ALL, joins and pivots become streams of their own, parts of the one whose
// SQL they stand in: "metrics:recent".
#pragma once

#include "engine/base/diagnostics.h"
#include "engine/model/job.h"
#include "engine/plan/bound_job.h"

namespace millrace {

// A stream has at most so many parts.
inline constexpr int kStreamPartsMax = 200;

// Fills `bound->streams` and `bound->order`. Streams whose SQL has a mistake, which is told, are
// left without inputs. `job` outlives `bound`.
void ReadStreams(const JobSpec& job, Diagnostics* diagnostics, BoundJob* bound);

std::optional<int> StreamNamed(const JobSpec& job, const std::string& name);
std::string SuggestStream(const JobSpec& job, const std::string& name);

}  // namespace millrace
