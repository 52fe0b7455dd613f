#include "tools/millrace/savepoint_requests.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace millrace {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr std::string_view kWanted = ".wanted";
constexpr std::string_view kAnswer = ".answer";

// Aside and renamed, so that nobody reads half of it.
Status WriteWhole(const std::string& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  {
    std::ofstream file(path + ".part", std::ios::trunc | std::ios::binary);
    file << text;
    file.close();
    if (!file) return ExternalError("file_write_failed", "cannot write " + path, Retry::kNo);
  }
  std::filesystem::rename(path + ".part", path, error);
  if (!error) return Status::OK();
  return ExternalError("file_write_failed", "cannot write " + path + ": " + error.message(),
                       Retry::kNo);
}

std::string Path(const std::string& folder, const std::string& name, std::string_view ending) {
  return folder + "/" + name + std::string(ending);
}

}  // namespace

Status AskForSavepoint(const std::string& folder, const std::string& name, const Clock& clock,
                       Micros timeout) {
  const std::string answer = Path(folder, name, kAnswer);
  std::error_code error;
  std::filesystem::remove(answer, error);  // of an earlier question that nobody waited for
  ARROW_RETURN_NOT_OK(WriteWhole(Path(folder, name, kWanted), ""));
  const MonotonicTime until = clock.Monotonic() + timeout;
  while (clock.Monotonic() < until) {
    std::ifstream file(answer, std::ios::binary);
    if (file) {
      std::ostringstream text;
      text << file.rdbuf();
      std::filesystem::remove(answer, error);
      if (text.str() == "ok") return Status::OK();
      return ExternalError("savepoint_failed", text.str(), Retry::kNo);
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  std::filesystem::remove(Path(folder, name, kWanted), error);
  return ExternalError("no_answer", "the job gave no answer in " + FormatDuration(timeout),
                       Retry::kYes);
}

std::vector<std::string> TakeSavepointRequests(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kWanted)) continue;
    if (!std::filesystem::remove(entry.path(), error)) continue;
    names.push_back(name.substr(0, name.size() - kWanted.size()));
  }
  return names;
}

Status AnswerSavepointRequest(const std::string& folder, const std::string& name,
                              const Status& status) {
  return WriteWhole(Path(folder, name, kAnswer), status.ok() ? "ok" : status.message());
}

}  // namespace millrace
