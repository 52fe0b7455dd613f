// What a process shows of its peers: who was refused, sessions, and what goes between them.
// docs/metrics.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/exchange/exchange.h"
#include "engine/metrics/metrics.h"

namespace millrace {

// Of one thread.
class ExchangeMetrics {
 public:
  // `metrics` outlives it.
  explicit ExchangeMetrics(Metrics* metrics) : metrics_(metrics) {}

  // To be called often: looks twice a second.
  void Update(Exchange* exchange, MonotonicTime now);

  void Show(const LinkCounters& link) const;
  void Show(const ExchangeCounters& exchange) const;

 private:
  // Brings a counter to what has been counted elsewhere, from zero on.
  void Count(const char* name, const char* help, const char* label, std::string_view value,
             int64_t to) const;

  Metrics* const metrics_;
  std::optional<MonotonicTime> updated_;
};

}  // namespace millrace
