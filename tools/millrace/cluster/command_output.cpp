#include "tools/millrace/cluster/command_output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

#include "tools/millrace/cluster/api_client.h"
#include "tools/millrace/cluster/terminal_text.h"

namespace millrace {

Status WriteOutput(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return Status::OK();
  const int error = errno;
  if (error == EPIPE) {
    // It was ignored for the sake of connections.
    (void)std::signal(SIGPIPE, SIG_DFL);
    (void)std::raise(SIGPIPE);
  }
  return ExternalError("output_failed",
                       "cannot write to standard output: " + std::generic_category().message(error),
                       Retry::kNo);
}

void Tell(std::string_view text) {
  const std::string line = EscapeLines(text, "") + "\n";
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

int Conclude(const Status& status) {
  if (!status.ok()) Tell("error: " + status.message());
  return ExitCodeOf(status);
}

}  // namespace millrace
