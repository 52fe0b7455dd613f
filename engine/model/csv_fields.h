// spec.streams.NAME.csv of a job file: how CSV is written.
#pragma once

#include "engine/model/job_fields.h"

namespace millrace {

CsvSpec ReadCsv(const JobFileContext& context, const YamlEntry& entry);

// Tells columns that are read from no field. Without `fields` a Kafka source is given its columns'.
void SettleCsvFields(const JobFileContext& context, SourcePlace place, SourceStreamSpec* source);

}  // namespace millrace
