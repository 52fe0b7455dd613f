#include "tools/millrace/job_command.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

namespace millrace {
namespace {

constexpr size_t kJobFileBytesMax = 1 << 20;

Result<std::string> ReadFile(const std::string& file_name) {
  std::ifstream file(file_name, std::ios::binary);
  if (!file) {
    return UserError("unreadable_file",
                     "cannot read '" + file_name + "': " + std::generic_category().message(errno));
  }
  std::string text;
  text.resize(kJobFileBytesMax + 1);
  file.read(text.data(), std::streamsize(text.size()));
  if (file.bad()) return UserError("unreadable_file", "cannot read '" + file_name + "'");
  text.resize(size_t(file.gcount()));
  if (text.size() > kJobFileBytesMax) {
    return UserError("file_too_large", "'" + file_name + "' is larger than 1 MiB: not a job file");
  }
  return text;
}

Result<std::unique_ptr<CheckedJob>> Check(const std::string& file_name, std::string* warnings) {
  ARROW_ASSIGN_OR_RAISE(std::string text, ReadFile(file_name));
  return CheckJobText(file_name, std::move(text), SystemSecrets(), warnings);
}

}  // namespace

std::unique_ptr<CheckedJob> CheckJob(const std::string& file_name) {
  std::string warnings;
  auto job = Check(file_name, &warnings);
  if (!job.ok()) {
    std::cerr << job.status().message();
    if (!job.status().message().ends_with('\n')) std::cerr << "\n";
    return nullptr;
  }
  std::cerr << warnings;
  return std::move(job).ValueOrDie();
}

int RunPlan(const std::string& file_name) {
  const auto job = CheckJob(file_name);
  if (job == nullptr) return kExitError;
  std::cout << FormatPlan(job->plan);
  return kExitOk;
}

void AddLintCommand(CLI::App* app, int* exit_code) {
  CLI::App* const lint =
      app->add_subcommand("lint", "Check a job file; tells every mistake at once");
  const auto file = std::make_shared<std::string>();
  lint->add_option("job", *file, "Job file")->type_name("FILE")->required();
  lint->callback([file, exit_code] {
    const bool right = CheckJob(*file) != nullptr;
    if (right) std::cout << *file << ": OK\n";
    *exit_code = right ? kExitOk : kExitError;
  });
}

}  // namespace millrace
