// Which pane a reading is in, and which windows a pane is in. Panes are
// [p * pane + offset, (p + 1) * pane + offset); window k covers panes_per_window panes from
// k * panes_per_slide on. Cumulating windows grow by a pane each: window k covers the panes up to k
// of the size that pane k is in. Indexes are exact for every event time; starts and ends that lie
// beyond the range of EventTime stop at its limits.
#pragma once

#include <cstdint>

#include "engine/base/time.h"
#include "engine/plan/plan.h"

namespace millrace {

struct WindowGeometry {
  using Wide = __int128;

  explicit WindowGeometry(const WindowAggregateNode& node)
      : cumulates(node.cumulates),
        pane_micros(node.pane.count()),
        panes_per_slide(node.slide.count() / node.pane.count()),
        panes_per_window(node.size.count() / node.pane.count()) {
    const int64_t period = (cumulates ? node.size : node.slide).count();
    offset = node.offset.count() % period;
    if (offset < 0) offset += period;
  }

  // The same panes, each as a window of its own.
  WindowGeometry PanesAlone() const {
    WindowGeometry panes = *this;
    panes.cumulates = false;
    panes.panes_per_slide = panes.panes_per_window = 1;
    return panes;
  }

  static constexpr int64_t Clamp(Wide value) {
    if (value > INT64_MAX) return INT64_MAX;
    if (value < INT64_MIN) return INT64_MIN;
    return int64_t(value);
  }
  template <typename Integer>
  static constexpr Integer FloorDivide(Integer value, Integer by) {
    return value / by - (value % by < 0 ? 1 : 0);
  }

  int64_t PaneOf(int64_t time) const {
    // offset < slide, so only times before this could overflow the subtraction.
    if (time >= INT64_MIN / 2) [[likely]] {
      return FloorDivide<int64_t>(time - offset, pane_micros);
    }
    return Clamp(FloorDivide<Wide>(Wide(time) - offset, pane_micros));
  }
  int64_t PaneStart(int64_t pane) const { return Clamp(Wide(pane) * pane_micros + offset); }
  // The last microsecond of the pane: unlike its end, always an event time.
  int64_t PaneLast(int64_t pane) const {
    return Clamp((Wide(pane) + 1) * pane_micros + offset - 1);
  }

  int64_t FirstPaneOf(int64_t window) const {
    if (cumulates) return Clamp(FloorDivide<Wide>(window, panes_per_window) * panes_per_window);
    return Clamp(Wide(window) * panes_per_slide);
  }
  int64_t LastPaneOf(int64_t window) const {
    if (cumulates) return window;
    return Clamp(Wide(window) * panes_per_slide + panes_per_window - 1);
  }
  // The windows that a pane is in are first..last; none where first > last (slide > size).
  int64_t FirstWindowOf(int64_t pane) const {
    if (cumulates) return pane;
    return Clamp(FloorDivide<Wide>(Wide(pane) - panes_per_window, panes_per_slide) + 1);
  }
  int64_t LastWindowOf(int64_t pane) const {
    if (cumulates) {
      return Clamp((FloorDivide<Wide>(pane, panes_per_window) + 1) * panes_per_window - 1);
    }
    return FloorDivide(pane, panes_per_slide);
  }

  EventTime WindowStart(int64_t window) const {
    const Wide first = cumulates ? Wide(FirstPaneOf(window)) : Wide(window) * panes_per_slide;
    return EventTime(Micros(Clamp(first * pane_micros + offset)));
  }
  EventTime WindowEnd(int64_t window) const { return EventTime(Micros(Clamp(WideEnd(window)))); }

  bool IsDue(int64_t window, EventTime watermark) const {
    return watermark == kEventTimeMax || WideEnd(window) <= watermark.time_since_epoch().count();
  }
  // The first window that is not due.
  int64_t FirstWindowAfter(EventTime watermark) const {
    if (watermark == kEventTimeMax) return INT64_MAX;
    const Wide reach =
        Wide(watermark.time_since_epoch().count()) - offset - Wide(PanesToEnd()) * pane_micros;
    return Clamp(FloorDivide<Wide>(reach, Wide(panes_per_slide) * pane_micros) + 1);
  }

  bool cumulates;
  int64_t pane_micros;
  int64_t offset = 0;  // 0 <= offset < slide, or size where windows cumulate
  int64_t panes_per_slide;
  int64_t panes_per_window;

 private:
  // From where window k would begin if none did cumulate.
  int64_t PanesToEnd() const { return cumulates ? 1 : panes_per_window; }
  Wide WideEnd(int64_t window) const {
    return (Wide(window) * panes_per_slide + PanesToEnd()) * pane_micros + offset;
  }
};

}  // namespace millrace
