// Rows as Parquet files in Hive's layout: `<path>/date=2022-06-13/site=a/<job>-...-<n>.parquet`.
//
// `date` is the UTC date of the time column, unless the rows have a column of that name; other
// partition columns are left out of the files, as Hive does. Values are percent-escaped; null and
// empty text are `__HIVE_DEFAULT_PARTITION__`. Files are snappy-compressed and keep the Arrow
// schema with each field's unit.
//
// Bounds: a row group has at most 64 Ki rows or 8 MiB; all open files together hold at most 32 MiB
// not yet written; at most 100 partitions are open, beyond which the least recently written one is
// closed. A file is closed at roll_bytes, and by Write or Flush once it is roll_interval old.
// After a failure the sink stays failed: rows that were in open files are gone.
#pragma once

#include <memory>

#include "engine/connectors/files/output_folder.h"
#include "engine/connectors/sink.h"
#include "engine/model/job.h"

namespace millrace {

// time_column: of `schema`, or -1. User error "bad_partition" where a column of partition_by is
// neither in `schema` nor `date`, stands twice, leaves no column for the files, or `date` has no
// time column to come from.
Result<std::unique_ptr<SinkWriter>> MakeParquetSink(const ParquetSinkSpec& spec,
                                                    const Schema& schema, int time_column,
                                                    FileSinkOptions options);

}  // namespace millrace
