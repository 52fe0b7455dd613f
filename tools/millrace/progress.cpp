#include "tools/millrace/progress.h"

#include <unistd.h>

#include <cstdio>

namespace millrace {

Progress::Progress(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO) != 0) {}

void Progress::Show(const JobAccount& account, MonotonicTime elapsed) {
  if (!wanted_) return;
  int64_t read = 0;
  int64_t windows = 0;
  for (const auto& [name, stream] : account.streams()) {
    if (stream->bytes_in > 0) read += stream->rows_in;
    windows += stream->windows_fired;
  }
  const double seconds = std::chrono::duration<double>(elapsed).count();
  std::fprintf(stderr, "\r\033[K%lld readings, %.0f/s, %lld windows", (long long)read,
               double(read) / seconds, (long long)windows);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

}  // namespace millrace
