#include "engine/checkpoint/position_metadata.h"

#include <charconv>

namespace millrace {
namespace {

constexpr std::string_view kVersion = "millrace/1";

template <typename Number>
bool Take(std::string_view* text, Number* value) {
  if (!text->starts_with(' ')) return false;
  text->remove_prefix(1);
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *value);
  if (error != std::errc()) return false;
  text->remove_prefix(size_t(end - text->data()));
  return true;
}

std::string Number(EventTime time) { return std::to_string(time.time_since_epoch().count()); }

}  // namespace

std::string EncodePositionMetadata(const PositionMetadata& metadata) {
  return std::string(kVersion) + " " + Number(metadata.watermark) + " " + Number(metadata.horizon) +
         " " + std::to_string(metadata.published_before) + " " + Number(metadata.floor) + " " +
         std::to_string(metadata.last_offset) + " " + std::to_string(metadata.last_hash);
}

std::optional<PositionMetadata> DecodePositionMetadata(std::string_view text) {
  if (!text.starts_with(kVersion)) return std::nullopt;
  text.remove_prefix(kVersion.size());
  PositionMetadata metadata;
  int64_t watermark = 0, horizon = 0, floor = 0;
  if (!Take(&text, &watermark) || !Take(&text, &horizon) ||
      !Take(&text, &metadata.published_before) || !Take(&text, &floor) ||
      !Take(&text, &metadata.last_offset) || !Take(&text, &metadata.last_hash) || !text.empty()) {
    return std::nullopt;
  }
  metadata.watermark = EventTime(Micros(watermark));
  metadata.horizon = EventTime(Micros(horizon));
  metadata.floor = EventTime(Micros(floor));
  return metadata;
}

}  // namespace millrace
