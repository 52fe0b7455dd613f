#include "engine/windows/window_geometry.h"

#include <gtest/gtest.h>

#include <set>

namespace millrace {
namespace {

EventTime At(int64_t micros) { return EventTime(Micros(micros)); }

struct Shape {
  int64_t size;
  int64_t slide;
  int64_t pane;
  int64_t offset;
  bool cumulates = false;

  WindowAggregateNode Node() const {
    WindowAggregateNode node;
    node.size = Micros(size);
    node.slide = Micros(slide);
    node.pane = Micros(pane);
    node.offset = Micros(offset);
    node.cumulates = cumulates;
    return node;
  }
};

class WindowGeometryTest : public testing::TestWithParam<Shape> {
 protected:
  WindowGeometry geometry_{GetParam().Node()};
};

// The definition: t is in [start, start + size) for every start = k * slide + offset; where windows
// cumulate, in [start, start + n * slide) for every start = k * size + offset and n up to size.
TEST_P(WindowGeometryTest, AReadingIsInExactlyTheWindowsThatHoldIt) {
  const Shape shape = GetParam();
  for (int64_t time = -130; time <= 130; ++time) {
    std::set<std::pair<int64_t, int64_t>> expected;
    for (int64_t k = -400; k <= 400; ++k) {
      const int64_t start = k * (shape.cumulates ? shape.size : shape.slide) + shape.offset;
      const int64_t least = shape.cumulates ? shape.slide : shape.size;
      for (int64_t end = start + least; end <= start + shape.size; end += shape.slide) {
        if (start <= time && time < end) expected.insert({start, end});
      }
    }
    const int64_t pane = geometry_.PaneOf(time);
    EXPECT_LE(geometry_.PaneStart(pane), time);
    EXPECT_GE(geometry_.PaneLast(pane), time);
    EXPECT_EQ(geometry_.PaneLast(pane) - geometry_.PaneStart(pane) + 1, shape.pane);
    std::set<std::pair<int64_t, int64_t>> found;
    for (int64_t k = geometry_.FirstWindowOf(pane); k <= geometry_.LastWindowOf(pane); ++k) {
      EXPECT_LE(geometry_.FirstPaneOf(k), pane);
      EXPECT_GE(geometry_.LastPaneOf(k), pane);
      found.insert({geometry_.WindowStart(k).time_since_epoch().count(),
                    geometry_.WindowEnd(k).time_since_epoch().count()});
    }
    EXPECT_EQ(found, expected) << time;
  }
}

TEST_P(WindowGeometryTest, TheFirstWindowAfterAWatermarkIsTheFirstThatIsNotDue) {
  for (int64_t time = -130; time <= 130; ++time) {
    const int64_t window = geometry_.FirstWindowAfter(At(time));
    EXPECT_FALSE(geometry_.IsDue(window, At(time)));
    EXPECT_TRUE(geometry_.IsDue(window - 1, At(time)));
    EXPECT_GT(geometry_.WindowEnd(window), At(time));
    EXPECT_LE(geometry_.WindowEnd(window - 1), At(time));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WindowGeometryTest,
                         testing::Values(Shape{60, 10, 10, 0, true}, Shape{60, 20, 20, -7, true},
                                         Shape{30, 30, 30, 4, true}, Shape{50, 10, 10, 0},
                                         Shape{10, 4, 2, 0}, Shape{10, 10, 10, 0},
                                         Shape{10, 10, 10, 3}, Shape{10, 4, 2, -7},
                                         Shape{7, 3, 1, 2}, Shape{4, 10, 2, 1}));

TEST(WindowGeometry, TheLimitsOfEventTimeDoNotWrap) {
  const WindowGeometry geometry(Shape{300, 60, 60, 17}.Node());
  for (const int64_t time : {INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX}) {
    const int64_t pane = geometry.PaneOf(time);
    EXPECT_LE(geometry.PaneStart(pane), time);
    EXPECT_GE(geometry.PaneLast(pane), time);
    EXPECT_EQ(geometry.LastWindowOf(pane) - geometry.FirstWindowOf(pane), 4);
  }
  EXPECT_EQ(geometry.WindowEnd(geometry.LastWindowOf(geometry.PaneOf(INT64_MAX))), kEventTimeMax);
  EXPECT_FALSE(
      geometry.IsDue(geometry.LastWindowOf(geometry.PaneOf(INT64_MAX)), At(INT64_MAX - 1)));
  EXPECT_TRUE(geometry.IsDue(geometry.LastWindowOf(geometry.PaneOf(INT64_MAX)), kEventTimeMax));
}

}  // namespace
}  // namespace millrace
