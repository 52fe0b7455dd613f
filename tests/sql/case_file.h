// A file of SQL cases (tests/sql/cases/*.test): one job's streams and input, then queries over
// them, each with the rows or the error that it gives. tests/sql/README.md describes the format.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/base/status.h"

namespace millrace::test {

using Lines = std::vector<std::string>;

struct SqlCase {
  int line = 0;      // of the file, where it begins
  std::string name;  // the stream's; "q<line>" where the file gives none
  std::string sql;
  bool helper = false;  // a stream that later queries read; nothing is expected of it
  bool fails = false;   // `error` is expected, else `rows` and `letters`
  std::string error;    // "message; hint" a line
  Lines rows;           // cells between " | "
  Lines letters;        // "reason | message"
};

struct SqlInput {
  std::string stream;
  std::vector<Lines> partitions;
  bool fixed = false;  // else there is one partition, which may be dealt out to several
};

struct SqlFile {
  std::string streams;                       // YAML, as it stands below spec.streams
  std::string lookups;                       // YAML, as it stands below spec.lookups; may be empty
  std::map<std::string, Lines> lookup_rows;  // JSON, by lookup
  std::vector<SqlInput> inputs;
  std::vector<SqlCase> cases;
};

// Fails with file and line where the file is not in the format.
Result<SqlFile> ReadSqlFile(const std::string& path);

}  // namespace millrace::test
