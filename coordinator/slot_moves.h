// Puts the slots of a board where they cost little, and moves few of them for that. Pure.
#pragma once

#include "coordinator/slot_board.h"

namespace millrace {

// Each slot of a job that is not fixed and has no home goes where it costs least, heavy ones first.
// Then slots move one by one, the move that gains most first, until none is worth it; each lowers
// the board's cost, so there is an end. Only jobs that are not fixed have slots moved.
//
// A slot leaves its home only where that gains more than `tolerance` times what a slot like it
// costs where all is in the mean (SlotBoard::MeanPrice); half of that once some slot has: what is
// put right is put right beyond the point where it began, so that a small change does not begin it
// again.
void SettleSlots(SlotBoard* board, double tolerance);

}  // namespace millrace
