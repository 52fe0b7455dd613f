#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "engine/env/signals.h"
#include "tools/millrace/cluster/cluster_commands.h"
#include "tools/millrace/cluster/command_output.h"
#include "tools/millrace/cluster/connection_flags.h"
#include "tools/millrace/cluster/terminal_text.h"
#include "tools/millrace/cluster/top_screen.h"

namespace millrace {
namespace {

constexpr auto kRefreshEvery = std::chrono::milliseconds(1000);
constexpr const char* kHome = "\033[H";
constexpr const char* kClearLine = "\033[K";
constexpr const char* kClearBelow = "\033[J";

Status Look(ApiClient* api, ClusterSight* sight) {
  ARROW_RETURN_NOT_OK(api->Get("/cluster", &sight->cluster));
  ARROW_RETURN_NOT_OK(api->Get("/jobs", &sight->jobs));
  return api->Get("/workers", &sight->workers);
}

// The terminal's other screen, so that what was there before comes back.
class OtherScreen {
 public:
  OtherScreen() { (void)WriteOutput("\033[?1049h\033[?25l"); }
  ~OtherScreen() { (void)WriteOutput("\033[?25h\033[?1049l"); }
  OtherScreen(const OtherScreen&) = delete;
  OtherScreen& operator=(const OtherScreen&) = delete;

  Status Show(const std::string& text) const {
    winsize size{};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const size_t columns = size.ws_col > 0 ? size.ws_col : 80;
    const size_t lines = size.ws_row > 0 ? size.ws_row : 24;
    std::string drawn = kHome;
    for (const char c : CutToScreen(text, columns, lines)) {
      if (c == '\n') drawn += std::string(kClearLine) + "\r";
      drawn += c;
    }
    return WriteOutput(drawn + kClearLine + kClearBelow);
  }
};

Status Top(const ConnectionOptions& options) {
  ARROW_ASSIGN_OR_RAISE(ClusterConnection cluster, ClusterConnection::Open(options));
  ApiClient* const api = cluster.api();
  ClusterSight sight;
  JobRates rates;
  if (isatty(STDOUT_FILENO) == 0) {
    ARROW_RETURN_NOT_OK(Look(api, &sight));
    return WriteOutput(FormatTop(sight, rates));
  }
  ARROW_RETURN_NOT_OK(Look(api, &sight));
  const sigset_t signals = BlockSignals();  // to leave the screen as it was
  const OtherScreen screen;
  std::string trouble;
  while (true) {
    if (trouble.empty()) rates.Update(sight.jobs, api->clock().Monotonic());
    ARROW_RETURN_NOT_OK(screen.Show(trouble + FormatTop(sight, rates)));
    if (TakeSignal(signals, kRefreshEvery)) return Status::OK();
    const Status status = Look(api, &sight);
    if (!status.ok() && !IsPassing(status)) return status;
    trouble = status.ok() ? "" : EscapeLine(status.message()) + "\n\n";
  }
}

}  // namespace

void AddTopCommand(CLI::App* app, int* exit_code) {
  CLI::App* const command = app->add_subcommand(
      "top", "Jobs and workers of a cluster, again each second; once where output is no terminal");
  const auto options = std::make_shared<ConnectionOptions>();
  options->timeout = "3s";  // Ctrl-C waits for a request's end
  AddConnectionFlags(command, options.get());
  command->callback([options, exit_code] { *exit_code = Conclude(Top(*options)); });
}

}  // namespace millrace
