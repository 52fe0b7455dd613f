#include "engine/link/link_session.h"

#include <algorithm>
#include <string>

namespace millrace {
namespace {

// Received bytes after which an acknowledgement does not wait for the next ping.
constexpr int64_t kAcknowledgeBytes = 1 << 20;

Status ProtocolError(const std::string& what) {
  return ExternalError("protocol_error", what, Retry::kYes);
}

std::string Milliseconds(MonotonicTime time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
         " ms";
}

}  // namespace

LinkSession::LinkSession(const LinkSessionLimits& limits, MonotonicTime now)
    : limits_(limits), heard_(now), confirmed_(now) {}

void LinkSession::Push(LinkBytes frame) {
  if (!lost_.ok()) return;
  const int64_t cost = LinkFrameCost(*frame);
  if (kept_bytes_ + cost > limits_.unacknowledged_bytes_max) {
    Lose(ExternalError("peer_too_slow",
                       "more than " + std::to_string(limits_.unacknowledged_bytes_max) +
                           " bytes wait for the peer's acknowledgement",
                       Retry::kYes));
    return;
  }
  kept_bytes_ += cost;
  kept_.push_back(std::move(frame));
}

void LinkSession::Lose(Status why) {
  if (!lost_.ok()) return;
  lost_ = std::move(why);
  attached_ = false;
  kept_.clear();
  kept_bytes_ = 0;
  next_ = 0;
}

void LinkSession::Attach(uint64_t peer_received, std::optional<MonotonicTime> confirmed,
                         MonotonicTime now) {
  if (Expired(now)) return;
  if (peer_received < acknowledged_ || peer_received > written_max_) {
    Lose(ProtocolError("the peer says that it has " + std::to_string(peer_received) +
                       " frames; sent: " + std::to_string(written_max_) +
                       ", acknowledged: " + std::to_string(acknowledged_)));
    return;
  }
  attached_ = true;
  Acknowledge(peer_received);
  next_ = 0;
  heard_ = now;
  if (confirmed) confirmed_ = std::max(confirmed_, *confirmed);
  ping_due_ = true;
}

void LinkSession::Detach() { attached_ = false; }

bool LinkSession::Expired(MonotonicTime now) {
  if (lost_.ok() && now - confirmed_ > limits_.session_timeout) {
    Lose(ExternalError("session_timeout",
                       "nothing was heard of the peer for " + Milliseconds(now - confirmed_),
                       Retry::kYes));
  }
  return !lost_.ok();
}

void LinkSession::Acknowledge(uint64_t up_to) {
  if (up_to > written_max_) {
    Lose(ProtocolError("the peer acknowledges frame " + std::to_string(up_to) +
                       "; sent: " + std::to_string(written_max_)));
    return;
  }
  while (acknowledged_ < up_to) {
    kept_bytes_ -= LinkFrameCost(*kept_.front());
    kept_.pop_front();
    ++acknowledged_;
    if (next_ > 0) --next_;
  }
}

void LinkSession::OnBytes(bool inside_frame, MonotonicTime now) {
  if (Expired(now)) return;
  heard_ = now;
  if (inside_frame) confirmed_ = now;
}

LinkSession::Incoming LinkSession::OnFrame(const LinkFrame& frame, MonotonicTime now) {
  if (Expired(now)) return Incoming::kLost;
  Acknowledge(frame.header.acknowledged);
  if (!lost_.ok()) return Incoming::kLost;
  switch (frame.header.type) {
    case LinkFrameType::kData:
      return OnData(frame);
    case LinkFrameType::kPing:
      OnPing(frame, now);
      return Incoming::kControl;
    case LinkFrameType::kClose:
      OnClose(frame);
      return Incoming::kLost;
  }
  return Incoming::kControl;
}

LinkSession::Incoming LinkSession::OnData(const LinkFrame& frame) {
  const uint64_t sequence = frame.header.sequence;
  if (sequence <= received_) {
    ++duplicate_frames_;
    return Incoming::kDuplicate;
  }
  if (sequence != received_ + 1) {
    Lose(ProtocolError("the peer sent frame " + std::to_string(sequence) + " after frame " +
                       std::to_string(received_)));
    return Incoming::kLost;
  }
  received_ = sequence;
  unconfirmed_bytes_ += LinkFrameCost(*frame.payload);
  if (unconfirmed_bytes_ >= kAcknowledgeBytes) ping_due_ = true;
  return Incoming::kDeliver;
}

void LinkSession::OnPing(const LinkFrame& frame, MonotonicTime now) {
  const uint8_t* const bytes = frame.payload->data();
  const uint32_t heard_ago_ms = uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 |
                                uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
  confirmed_ = std::max(confirmed_, now - std::chrono::milliseconds(heard_ago_ms));
}

void LinkSession::OnClose(const LinkFrame& frame) {
  const std::string text = frame.payload->ToString();
  const size_t end = text.find('\n');
  const std::string code = text.substr(0, end);
  const std::string message = end == std::string::npos ? "" : text.substr(end + 1);
  if (code == "peer_stopped") {
    Lose(ExternalError("peer_stopped", "the peer stops", Retry::kYes));
  } else {
    Lose(ExternalError("closed_by_peer", "the peer ended the session: " + message, Retry::kYes));
  }
}

std::vector<LinkOutput> LinkSession::TakeOutput(size_t bytes_max, MonotonicTime now) {
  std::vector<LinkOutput> output;
  if (Expired(now) || !attached_) return output;
  if (ping_due_ || now - last_ping_ >= limits_.ping_interval) {
    const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(now - heard_).count();
    output.push_back(MakeLinkPing(received_, uint32_t(std::clamp<int64_t>(ago, 0, 1 << 30))));
    ping_due_ = false;
    last_ping_ = now;
    unconfirmed_bytes_ = 0;
  }
  size_t bytes = 0;
  while (next_ < kept_.size() && bytes < bytes_max) {
    const uint64_t sequence = acknowledged_ + 1 + next_;
    output.push_back(MakeLinkOutput(
        {.type = LinkFrameType::kData, .sequence = sequence, .acknowledged = received_},
        kept_[next_]));
    bytes += output.back().bytes();
    if (sequence <= written_max_) ++resent_frames_;
    written_max_ = std::max(written_max_, sequence);
    unconfirmed_bytes_ = 0;
    ++next_;
  }
  return output;
}

LinkSession::Due LinkSession::OnTime(MonotonicTime now) {
  if (Expired(now)) return Due::kLost;
  if (!attached_) return Due::kNothing;
  if (now - heard_ > limits_.silence_max) return Due::kDead;
  if (now - last_ping_ >= limits_.ping_interval) ping_due_ = true;
  return Due::kNothing;
}

}  // namespace millrace
