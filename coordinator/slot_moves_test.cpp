// What slot_board.h promises of a settled board, looked at from the definition of its cost.
#include "coordinator/slot_moves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace millrace {
namespace {

using Slot = SlotBoard::Slot;

struct Shape {
  std::vector<int32_t> offered;
  bool alike = true;  // slots weigh the same
  double tolerance = 0;
};

double CostOf(const SlotBoard& board, const std::vector<int32_t>& offered) {
  double cost = 0;
  for (int32_t worker = 0; worker < board.workers(); ++worker) {
    double load = 0;
    double spread = 0;
    for (const SlotBoard::Job& job : board.jobs()) {
      double parts = 0;
      for (const Slot& slot : job.slots) {
        if (slot.worker != worker) continue;
        load += double(slot.load) / SlotBoard::kLoadUnit;
        parts += double(slot.part) / SlotBoard::kLoadUnit;
      }
      spread += parts * parts;
    }
    cost += (load * load + SlotBoard::kSpread * spread) / offered[size_t(worker)];
  }
  return cost;
}

int32_t DifferenceIn(const std::vector<int32_t>& counts) {
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  return *most - *least;
}

class SlotMovesTest : public testing::TestWithParam<uint32_t> {
 protected:
  int32_t Below(int32_t bound) {
    return std::uniform_int_distribution<int32_t>(0, bound - 1)(chance_);
  }

  Shape RandomShape() {
    Shape shape;
    const bool even = Below(2) == 0;
    const int32_t workers = 1 + Below(8);
    for (int32_t i = 0; i < workers; ++i) shape.offered.push_back(even ? 2 : 1 + Below(6));
    shape.alike = Below(2) == 0;
    shape.tolerance = shape.alike ? 0 : 0.2;
    return shape;
  }

  void Fill(const Shape& shape, SlotBoard* board) {
    const int32_t jobs = 1 + Below(6);
    for (int32_t job = 0; job < jobs; ++job) {
      std::vector<Slot> slots(size_t(1 + Below(20)));
      for (Slot& slot : slots) {
        if (!shape.alike) {
          slot.load = 1 + Below(3 * SlotBoard::kLoadUnit);
          slot.part = 1 + 2 * slot.load;
        }
        if (Below(3) != 0) slot.home = Below(board->workers());
        slot.kept = slot.home == SlotBoard::kNowhere ? 0 : 1 + Below(9);
      }
      board->AddJob(std::move(slots), /*fixed=*/Below(5) == 0);
    }
  }

  std::mt19937 chance_{GetParam()};
};

TEST_P(SlotMovesTest, NoMoveOfOneSlotIsWorthItInTheEnd) {
  const Shape shape = RandomShape();
  SlotBoard board(shape.offered);
  Fill(shape, &board);
  SettleSlots(&board, shape.tolerance);
  const double settled = CostOf(board, shape.offered);
  for (SlotBoard::Job& job : board.jobs()) {
    for (Slot& slot : job.slots) {
      if (job.fixed) {
        EXPECT_EQ(slot.worker, slot.home);
        continue;
      }
      const int32_t at = slot.worker;
      ASSERT_NE(at, SlotBoard::kNowhere);
      const double mean = board.MeanPrice(job, slot) / SlotBoard::kLoadUnit / SlotBoard::kLoadUnit;
      const double worthwhile = slot.IsAway() ? 0 : shape.tolerance * mean;
      for (int32_t to = 0; to < board.workers(); ++to) {
        slot.worker = to;
        EXPECT_LE(settled - CostOf(board, shape.offered), worthwhile + 1e-6);
      }
      slot.worker = at;
    }
  }
}

TEST_P(SlotMovesTest, SlotsThatAreAlikeAreSpreadToWithinOne) {
  Shape shape = RandomShape();
  shape.offered.assign(shape.offered.size(), 3);
  shape.alike = true;
  SlotBoard board(shape.offered);
  Fill(shape, &board);
  for (SlotBoard::Job& job : board.jobs()) job.fixed = false;
  SettleSlots(&board, /*tolerance=*/0);
  std::vector<int32_t> in_all(shape.offered.size());
  for (const SlotBoard::Job& job : board.jobs()) {
    std::vector<int32_t> of_job(shape.offered.size());
    for (const Slot& slot : job.slots) {
      ++of_job[size_t(slot.worker)];
      ++in_all[size_t(slot.worker)];
    }
    EXPECT_LE(DifferenceIn(of_job), 1);
  }
  EXPECT_LE(DifferenceIn(in_all), 1);
}

TEST_P(SlotMovesTest, ASettledBoardStaysAsItIs) {
  const Shape shape = RandomShape();
  SlotBoard board(shape.offered);
  Fill(shape, &board);
  SettleSlots(&board, shape.tolerance);
  SlotBoard again(shape.offered);
  for (SlotBoard::Job job : board.jobs()) {
    for (Slot& slot : job.slots) {
      slot.home = slot.worker;
      slot.kept = 1;
      slot.worker = SlotBoard::kNowhere;
    }
    again.AddJob(job.slots, job.fixed);
  }
  SettleSlots(&again, shape.tolerance);
  for (const SlotBoard::Job& job : again.jobs()) {
    for (const Slot& slot : job.slots) EXPECT_FALSE(slot.IsAway());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SlotMovesTest, testing::Range<uint32_t>(1, 201));

}  // namespace
}  // namespace millrace
