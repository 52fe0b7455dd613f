#include "engine/plan/stream_clock.h"

#include <algorithm>
#include <utility>

namespace millrace {
namespace {

void TellDelay(const SqlText& sql, const BoundStream& stream, const StreamClock& clock,
               const std::string& why, const std::string& otherwise) {
  std::string hint = "say accept_delay: true";
  if (!otherwise.empty()) hint = otherwise + ", or " + hint;
  sql.Error(stream.input_offsets.front(),
            "what follows waits offline_for, " + FormatDuration(clock.offline_for) +
                ": each key of '" + clock.source + "' has a watermark of its own, and " + why,
            hint);
}

// Rows pass as they come.
void DescribeClock(const BoundStream& input, BoundStream* stream) {
  stream->clock = input.clock;
  for (GroupingColumn& column : stream->clock->key) {
    column.column = Selected(stream->query, column.column);
  }
  // Unfolded, several are of one time.
  if (stream->query.unnest.has_value()) {
    stream->clock->max_delay = std::max(stream->clock->max_delay, Micros(0));
  }
}

}  // namespace

bool CheckFleetClock(const SqlText& sql, const std::string& what, const std::string& goes,
                     const BoundJob& bound, const BoundStream& stream) {
  const auto& spec = std::get<QueryStreamSpec>(stream.spec->kind);
  for (size_t i = 0; i < stream.inputs.size(); ++i) {
    const std::optional<StreamClock>& clock = bound.streams[size_t(stream.inputs[i])].clock;
    if (!clock.has_value()) continue;
    if (!clock->is_grouped) {
      sql.Error(stream.input_offsets[i],
                what + " does not go with event_time.per_key of '" + clock->source + "'",
                "write it over windows by the key, with accept_delay: true");
      return false;
    }
    if (spec.accept_delay.has_value()) continue;
    TellDelay(sql, stream, *clock, what + " " + goes + " the fleet's", "");
    return false;
  }
  return true;
}

bool BindSourceClock(const SourceStreamSpec& spec, const PlanMistakes& mistakes,
                     BoundStream* stream) {
  if (!spec.event_time.has_value() || !spec.event_time->per_key.has_value()) return true;
  const PerKeySpec& per_key = *spec.event_time->per_key;
  StreamClock clock;
  clock.source = stream->spec->name;
  clock.max_delay = spec.event_time->max_delay;
  clock.offline_for = per_key.offline_for;
  for (const PlacedText& name : per_key.key) {
    clock.key.push_back({name.text, stream->schema.IndexOf(name.text)});
    if (clock.key.back().column >= 0) continue;
    mistakes.Error(name.place, "unknown column '" + name.text + "'",
                   SuggestName(name.text, stream->schema.Names()));
    return false;
  }
  stream->clock = std::move(clock);
  return true;
}

bool BindClock(const SqlText& sql, const PlanMistakes& mistakes, const BoundJob& bound,
               BoundStream* stream) {
  const BoundStream& input = bound.streams[size_t(stream->input())];
  const auto& spec = std::get<QueryStreamSpec>(stream->spec->kind);
  const bool is_over = !stream->query.over.calls.empty();
  // What is delayed may be a part.
  if (spec.accept_delay.has_value() && !stream->is_part && !stream->has_parts &&
      (!input.clock.has_value() || (!stream->from.windowed && !is_over))) {
    mistakes.Error(
        *spec.accept_delay,
        input.clock.has_value()
            ? "accept_delay needs a window or OVER in this query"
            : "nothing is delayed here: no watermark a key is above '" + stream->spec->name + "'");
    return false;
  }
  if (!input.clock.has_value()) return true;
  if (!stream->from.windowed) {
    if (is_over) return CheckFleetClock(sql, "OVER", "puts rows in order by", bound, *stream);
    DescribeClock(input, stream);
    return true;
  }
  const StreamClock& clock = *input.clock;
  std::vector<int> keys;
  std::string missing;
  for (const GroupingColumn& column : clock.key) {
    const auto is_it = [&](const BoundKey& key) {
      return column.column >= 0 && key.expr.kind == Expr::Kind::kColumn &&
             key.expr.column == column.column;
    };
    const auto found = std::ranges::find_if(stream->query.keys, is_it);
    keys.push_back(int(found - stream->query.keys.begin()));
    if (found == stream->query.keys.end()) missing += (missing.empty() ? "" : ", ") + column.name;
  }
  if (!missing.empty()) {
    if (spec.accept_delay.has_value()) {
      if (!clock.is_grouped) stream->waits = clock.offline_for;
      return true;
    }
    TellDelay(sql, *stream, clock, "it is grouped without " + missing, "group by " + missing);
    return false;
  }
  if (spec.accept_delay.has_value() && !stream->is_part && !stream->has_parts) {
    mistakes.Error(*spec.accept_delay, "nothing is delayed here: '" + stream->spec->name +
                                           "' is grouped by the key of '" + clock.source + "'");
    return false;
  }
  if (stream->query.top.has_value()) {
    sql.Error(stream->input_offsets.front(),
              "ORDER BY and LIMIT do not go with windows that close a key at a time",
              "take the first rows in a stream over this one, with accept_delay: true");
    return false;
  }
  if (spec.changes_every.has_value()) {
    mistakes.Error(spec.changes_every->place,
                   "emit does not go with windows that close a key at a time (per_key of '" +
                       clock.source + "')");
    return false;
  }
  stream->window_clock = {keys, clock.max_delay, clock.is_grouped ? Micros(0) : clock.offline_for};
  stream->clock = clock;
  stream->clock->is_grouped = true;
  for (size_t i = 0; i < keys.size(); ++i) {
    stream->clock->key[i].column = Selected(stream->query, 2 + keys[i]);
  }
  // A row is at the last microsecond of its window. Where the key is all that is grouped by, the
  // next one is of a later window.
  stream->clock->max_delay = Micros(keys.size() == stream->query.keys.size() ? -1 : 0);
  return true;
}

}  // namespace millrace
