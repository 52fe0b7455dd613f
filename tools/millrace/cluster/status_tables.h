// Jobs, workers and savepoints as rows of tables. Pure.
#pragma once

#include <string>
#include <vector>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/text_table.h"

namespace millrace {

// NAME STATE DESIRED PAR LAG WM-DELAY LAST-CKPT RESTARTS AGE; wide: more, and why.
std::vector<TableColumn> JobColumns(bool wide);
TableCells JobCells(const proto::JobStatus& job, bool wide);

// NAME STATE SLOTS JOBS BEAT BUILD; wide: addresses, and which jobs.
std::vector<TableColumn> WorkerColumns(bool wide);
TableCells WorkerCells(const proto::WorkerStatus& worker, bool wide);

// NAME STATE EPOCH CREATED GENERATION; wide: why it failed.
std::vector<TableColumn> SavepointColumns(bool wide);
TableCells SavepointCells(const proto::SavepointStatus& savepoint, bool wide);

// "3 worker-0, 1 worker-1": how many slots each has, in the order of names.
std::string SlotsByWorker(const proto::JobStatus& job);
// "4", or "4 of 8" where another parallelism was asked for.
std::string ParallelismText(const proto::JobStatus& job);

}  // namespace millrace
