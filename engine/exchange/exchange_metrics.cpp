#include "engine/exchange/exchange_metrics.h"

#include "engine/link/link_refusals.h"

namespace millrace {
namespace {

constexpr auto kUpdateEvery = std::chrono::milliseconds(500);

constexpr const char* kRefused = "millrace_link_refused_total";
constexpr const char* kRefusedHelp =
    "Connections refused, by either side, and sessions ended for what a peer sent";
constexpr const char* kConnections = "millrace_link_connections_total";
constexpr const char* kConnectionsHelp =
    "Connections accepted, dialed, failed before they were open, or closed for silence";
constexpr const char* kSessions = "millrace_link_sessions";
constexpr const char* kSessionsHelp = "Sessions to peers";
constexpr const char* kEvents = "millrace_link_session_events_total";
constexpr const char* kEventsHelp = "Sessions opened, resumed on a new connection, or lost";
constexpr const char* kBytes = "millrace_link_bytes_total";
constexpr const char* kBytesHelp = "Bytes of frames received from and sent to peers";
constexpr const char* kFrames = "millrace_link_frames_total";
constexpr const char* kFramesHelp =
    "Frames received from and sent to peers, resent on a new connection, or received again";
constexpr const char* kMessages = "millrace_exchange_messages_total";
constexpr const char* kMessagesHelp = "Messages of jobs' actors received from and sent to peers";
constexpr const char* kDropped = "millrace_exchange_dropped_messages_total";
constexpr const char* kDroppedHelp =
    "Messages received and not used: of an attempt that is not here, or unreadable";

}  // namespace

void ExchangeMetrics::Update(Exchange* exchange, MonotonicTime now) {
  if (updated_.has_value() && now - *updated_ < kUpdateEvery) return;
  updated_ = now;
  Show(exchange->network().counters());
  Show(exchange->counters());
  exchange->refusals().TellLeftOut(now);
}

// All of them are there from the start, with zero, so that the first event is seen as a rise.
void ExchangeMetrics::Show(const LinkCounters& link) const {
  for (const std::string_view reason : kLinkRefusals) {
    const auto refused = link.refused.find(std::string(reason));
    Count(kRefused, kRefusedHelp, "reason", reason,
          refused == link.refused.end() ? 0 : refused->second);
  }
  Count(kConnections, kConnectionsHelp, "event", "accepted", link.connections_accepted);
  Count(kConnections, kConnectionsHelp, "event", "dialed", link.connections_dialed);
  Count(kConnections, kConnectionsHelp, "event", "failed", link.connections_failed);
  Count(kConnections, kConnectionsHelp, "event", "silent", link.connections_silent);
  metrics_->GaugeChild(kSessions, kSessionsHelp, {})
      .Set(double(link.sessions_opened - link.sessions_lost));
  Count(kEvents, kEventsHelp, "event", "opened", link.sessions_opened);
  Count(kEvents, kEventsHelp, "event", "resumed", link.sessions_resumed);
  Count(kEvents, kEventsHelp, "event", "lost", link.sessions_lost);
  Count(kBytes, kBytesHelp, "direction", "in", link.bytes_in);
  Count(kBytes, kBytesHelp, "direction", "out", link.bytes_out);
  Count(kFrames, kFramesHelp, "event", "in", link.frames_in);
  Count(kFrames, kFramesHelp, "event", "out", link.frames_out);
  Count(kFrames, kFramesHelp, "event", "resent", link.resent_frames);
  Count(kFrames, kFramesHelp, "event", "duplicate", link.duplicate_frames);
}

void ExchangeMetrics::Show(const ExchangeCounters& exchange) const {
  Count(kMessages, kMessagesHelp, "direction", "in", exchange.messages_in);
  Count(kMessages, kMessagesHelp, "direction", "out", exchange.messages_out);
  Count(kDropped, kDroppedHelp, "reason", "attempt_ended", exchange.stale_messages);
  Count(kDropped, kDroppedHelp, "reason", "unreadable", exchange.bad_messages);
}

void ExchangeMetrics::Count(const char* name, const char* help, const char* label,
                            std::string_view value, int64_t to) const {
  prometheus::Counter& counter = metrics_->CounterChild(name, help, {{label, std::string(value)}});
  counter.Increment(double(to) - counter.Value());
}

}  // namespace millrace
