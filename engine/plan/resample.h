// resample() in FROM: rows of a stream at times of a grid. It is two queries: each row with the one
// that follows it, by OVER; and the times between the two, unfolded.
#pragma once

#include <string>

#include "engine/plan/from_clause.h"

namespace millrace {

// False, with an error, where a column is not there or cannot be resampled. `time`: the column of
// `input` that is its event time.
bool CheckResampled(const SqlText& sql, const TableRef& resample, const Schema& input, int time);

// The keys, the time, the values, the time of the next row within the largest gap (null: there is
// none), where `is_linear` its values, and whether the row is the first of its time.
std::string NeighboursSql(const TableRef& resample, const std::string& time);

// The keys, the time on the grid, the values. `rows`: the columns of NeighboursSql.
std::string ResampleSql(const TableRef& resample, const Schema& rows);

}  // namespace millrace
