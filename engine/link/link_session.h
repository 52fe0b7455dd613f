// One side of a session between two nodes: frames exactly once and in order, over connections that
// come and go. Pure: time and what has happened are arguments. docs/cluster-protocol.md explains
// it.
//
// Invariants: a frame is kept until the other side has acknowledged it; what is delivered is a
// prefix of what the other side has sent; once a session is lost (`lost()` fails), nothing is
// delivered and it never goes on again. Every call that takes the time looks first whether the
// session has expired, so that a process that was stopped and wakes learns of that before it
// believes anything that waited for it in a socket.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "engine/base/time.h"
#include "engine/link/link_frame.h"

namespace millrace {

struct LinkSessionLimits {
  // A session is lost when the other side is not known to have heard of this one for so long.
  MonotonicTime session_timeout = std::chrono::milliseconds(2500);
  // A connection on which nothing has come for so long is closed and made again.
  MonotonicTime silence_max = std::chrono::milliseconds(1200);
  MonotonicTime ping_interval = std::chrono::milliseconds(300);
  // Of frames that are not acknowledged, with 64 bytes more for each.
  int64_t unacknowledged_bytes_max = 256 << 20;
};

// What a frame counts of unacknowledged_bytes_max.
inline int64_t LinkFrameCost(const arrow::Buffer& frame) { return frame.size() + 64; }

class LinkSession {
 public:
  LinkSession(const LinkSessionLimits& limits, MonotonicTime now);

  // ---- what is above ----
  // The next frame to be sent. Without effect on a lost session. A frame that is too much loses the
  // session: "peer_too_slow".
  void Push(LinkBytes frame);
  // Gives the session up; the first reason stays.
  void Lose(Status why);
  // OK while the session lives. Codes: "session_timeout", "peer_too_slow", "protocol_error",
  // "closed_by_peer", "peer_stopped", and what Lose was given.
  const Status& lost() const { return lost_; }

  // ---- connections ----
  // A connection is there; `peer_received` is the last frame that the other side has by its word.
  // `confirmed`: a time at which the other side is known to have heard of this one, if any.
  // What the other side cannot know loses the session: "protocol_error".
  void Attach(uint64_t peer_received, std::optional<MonotonicTime> confirmed, MonotonicTime now);
  void Detach();
  bool attached() const { return attached_; }

  // Bytes have come on the connection. `inside_frame`: within a large frame, where the other side
  // cannot say that it hears.
  void OnBytes(bool inside_frame, MonotonicTime now);
  // What a frame of the connection is. kDeliver: its payload is the next frame for what is above.
  enum class Incoming { kDeliver, kDuplicate, kControl, kLost };
  Incoming OnFrame(const LinkFrame& frame, MonotonicTime now);

  // What to write next: frames of about `bytes_max` (at least one), a ping before them where one is
  // due. Nothing without a connection.
  std::vector<LinkOutput> TakeOutput(size_t bytes_max, MonotonicTime now);
  bool has_output() const { return attached_ && (ping_due_ || next_ < kept_.size()); }

  // Time passes: call it a few times in each ping_interval. kDead: the connection is to be closed.
  enum class Due { kNothing, kDead, kLost };
  Due OnTime(MonotonicTime now);

  // ---- figures ----
  uint64_t received() const { return received_; }
  int64_t kept_bytes() const { return kept_bytes_; }
  int64_t resent_frames() const { return resent_frames_; }
  int64_t duplicate_frames() const { return duplicate_frames_; }

 private:
  bool Expired(MonotonicTime now);
  void Acknowledge(uint64_t up_to);
  Incoming OnData(const LinkFrame& frame);
  void OnPing(const LinkFrame& frame, MonotonicTime now);
  void OnClose(const LinkFrame& frame);

  const LinkSessionLimits limits_;
  Status lost_;
  bool attached_ = false;

  // What is sent. kept_[i] has the number acknowledged_ + 1 + i.
  std::deque<LinkBytes> kept_;
  int64_t kept_bytes_ = 0;
  uint64_t acknowledged_ = 0;
  size_t next_ = 0;           // of kept_, to be written to this connection
  uint64_t written_max_ = 0;  // the last that was ever written
  int64_t resent_frames_ = 0;

  // What comes.
  uint64_t received_ = 0;
  int64_t unconfirmed_bytes_ = 0;  // received, and not acknowledged by anything written
  int64_t duplicate_frames_ = 0;

  // Who hears whom.
  MonotonicTime heard_{0};      // something came on this connection
  MonotonicTime confirmed_{0};  // the other side heard of this one
  MonotonicTime last_ping_{0};
  bool ping_due_ = false;
};

}  // namespace millrace
