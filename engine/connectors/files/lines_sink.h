// Rows, and dead letters, as files of lines: `<path>/<job>-<generation>-<sink>-<n>.jsonl` or `.csv`
// (with a header line in each file).
//
// One file is open at a time; it is closed at roll_bytes, and by Write or Flush once it is
// roll_interval old. At most 256 KiB and the rows of one call are held in memory. After a failure a
// sink stays failed: rows that were in the open file are gone.
#pragma once

#include <memory>

#include "engine/connectors/files/output_folder.h"
#include "engine/connectors/sink.h"
#include "engine/model/job.h"

namespace millrace {

// spec.format: kJson or kCsv.
Result<std::unique_ptr<SinkWriter>> MakeLinesSink(const FilesSinkSpec& spec, const Schema& schema,
                                                  FileSinkOptions options);

// Dead letters as JSON lines, whatever spec.format says:
//   {"reason":"late","message":...,"stream":"readings","topic":...,"partition":0,"offset":17,
//    "key":...,"value":...}
// Topic, partition and offset are there where the letter has a source record. A key or value that
// is not UTF-8 stands in base64 under key_base64, value_base64. Flush writes to the open file, and
// closes it when it is old enough; destruction closes it; a file that was left by a process that
// died is finished by the next start of the same job, so that no letter is lost.
std::unique_ptr<DeadLetterWriter> MakeDeadLetterFiles(const FilesSinkSpec& spec,
                                                      FileSinkOptions options);

}  // namespace millrace
