#include "coordinator/slot_moves.h"

#include <algorithm>
#include <map>
#include <optional>
#include <queue>

namespace millrace {
namespace {

using Job = SlotBoard::Job;
using Slot = SlotBoard::Slot;
using Target = SlotBoard::Target;

// Beyond what rounding makes of two equal prices, as a part of them: no slot goes to and fro.
constexpr double kRounding = 1e-12;
// A move that gains so much of what the best may gain is not worth looking for a better one.
constexpr double kNearlyBest = 0.9;
// Slots that went home may make room for other moves.
constexpr int kReturnsMax = 4;

struct Piece {
  Job* job = nullptr;
  Slot* slot = nullptr;
};

void PlaceHomeless(SlotBoard* board) {
  std::vector<Piece> homeless;
  for (Job& job : board->jobs()) {
    for (Slot& slot : job.slots) {
      if (!job.fixed && slot.worker == SlotBoard::kNowhere) homeless.push_back({&job, &slot});
    }
  }
  std::ranges::stable_sort(homeless, std::greater<>(),
                           [](const Piece& piece) { return piece.slot->load; });
  for (const Piece& piece : homeless) {
    const Target target = board->CheapestOf(board->Candidates(*piece.job), *piece.slot);
    board->Put(piece.job, piece.slot, target.worker);
  }
}

// ---- moves --------------------------------------------------------------------------------------

struct Move {
  double gain = 0;
  size_t job = 0;
  size_t slot = 0;
  int32_t to = SlotBoard::kNowhere;
  int32_t kept = 0;  // key groups that leave their home
};

bool IsBetter(const Move& a, const Move& b) {
  if (a.gain != b.gain) return a.gain > b.gain;
  if (a.kept != b.kept) return a.kept < b.kept;
  return a.job < b.job;
}

class Mover {
 public:
  Mover(SlotBoard* board, double tolerance) : board_(board), tolerance_(tolerance) {}

  // A move mostly makes others gain less, so the best one that was known of each job is looked at
  // again only when its turn comes. Where one gains more than was known, the next round finds it.
  void MoveWhatPays() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (size_t job = 0; job < board_->jobs().size(); ++job) {
        if (const auto move = BestOf(job)) known_.push(*move);
      }
      while (!known_.empty()) {
        const size_t job = known_.top().job;
        known_.pop();
        const std::optional<Move> move = BestOf(job);
        if (!move.has_value()) continue;
        if (!known_.empty() && move->gain < kNearlyBest * known_.top().gain) {
          known_.push(*move);
          continue;
        }
        Make(*move);
        moved = true;
        known_.push(*move);  // its next one gains less, mostly
      }
    }
  }

 private:
  struct Worse {
    bool operator()(const Move& a, const Move& b) const { return IsBetter(b, a); }
  };

  std::optional<Move> BestOf(size_t number) {
    const Job& job = board_->jobs()[number];
    std::optional<Move> best;
    if (job.fixed) return best;
    const std::vector<SlotBoard::Candidate> candidates = board_->Candidates(job);
    const Slot* last = nullptr;
    Target target;
    for (const size_t i : job.by_load) {
      const Slot& slot = job.slots[i];
      if (last == nullptr || !slot.WeighsLike(*last)) {
        target = board_->CheapestOf(candidates, slot);
      }
      last = &slot;
      const double relief = board_->Relief(job, slot);
      Move move{relief - target.price, number, i, target.worker, slot.IsAway() ? -1 : slot.kept};
      if (move.gain <= LeastGain(job, slot, relief)) continue;
      if (!best.has_value() || IsBetter(move, *best)) best = move;
    }
    board_->CountLooks(job.slots.size());
    return best;
  }

  double LeastGain(const Job& job, const Slot& slot, double relief) const {
    const double rounding = relief * kRounding;
    if (slot.IsAway()) return rounding;
    return rounding + (moved_ ? tolerance_ / 2 : tolerance_) * board_->MeanPrice(job, slot);
  }

  void Make(const Move& move) {
    Job& job = board_->jobs()[move.job];
    Slot& slot = job.slots[move.slot];
    moved_ |= !slot.IsAway();
    board_->Take(&job, &slot);
    board_->Put(&job, &slot, move.to);
  }

  SlotBoard* const board_;
  const double tolerance_;
  bool moved_ = false;                                         // a slot has left its home
  std::priority_queue<Move, std::vector<Move>, Worse> known_;  // at most one a job
};

// ---- less moves ---------------------------------------------------------------------------------

// What the cost falls by.
double MoveTo(SlotBoard* board, const Piece& piece, int32_t to) {
  const double before = board->Relief(*piece.job, *piece.slot);
  board->Take(piece.job, piece.slot);
  board->Put(piece.job, piece.slot, to);
  return before - board->Relief(*piece.job, *piece.slot);
}

// Where that costs nothing: alone, or for one of those who are away there.
bool SendHome(SlotBoard* board, Piece* piece, std::vector<Piece>* away_there) {
  const int32_t from = piece->slot->worker;
  const int32_t home = piece->slot->home;
  const double gain = MoveTo(board, *piece, home);
  if (gain >= 0) return true;
  for (Piece& other : *away_there) {
    if (gain + MoveTo(board, other, from) >= 0) {
      *piece = other;
      other = away_there->back();
      away_there->pop_back();
      return true;
    }
    MoveTo(board, other, home);
  }
  board->CountLooks(away_there->size());
  MoveTo(board, *piece, from);
  return false;
}

// Undoes moves that others have made needless: the best single moves are not always the fewest.
bool SendHome(SlotBoard* board) {
  std::vector<std::vector<Piece>> away(size_t(board->workers()));  // by where they are
  for (Job& job : board->jobs()) {
    for (Slot& slot : job.slots) {
      if (!job.fixed && slot.IsAway()) away[size_t(slot.worker)].push_back({&job, &slot});
    }
  }
  bool any = false;
  for (std::vector<Piece>& here : away) {
    for (Piece& piece : here) {
      const int32_t home = piece.slot->home;
      if (home == SlotBoard::kNowhere || !piece.slot->IsAway()) continue;
      any |= SendHome(board, &piece, &away[size_t(home)]);
    }
  }
  return any;
}

// Homeless slots of a job that weigh the same change places, so that neighbours share a worker: at
// another parallelism, more key groups then stay.
void PutHomelessInOrder(SlotBoard* board) {
  for (Job& job : board->jobs()) {
    std::map<std::pair<int64_t, int64_t>, std::vector<Slot*>> alike;  // by load and part
    for (Slot& slot : job.slots) {
      if (job.fixed || slot.home != SlotBoard::kNowhere) continue;
      alike[{slot.load, slot.part}].push_back(&slot);
    }
    for (const auto& [weight, slots] : alike) {
      std::vector<int32_t> workers;
      workers.reserve(slots.size());
      for (const Slot* slot : slots) workers.push_back(slot->worker);
      std::ranges::sort(workers);
      for (size_t i = 0; i < slots.size(); ++i) slots[i]->worker = workers[i];
    }
  }
}

}  // namespace

void SettleSlots(SlotBoard* board, double tolerance) {
  PlaceHomeless(board);
  Mover mover(board, tolerance);
  mover.MoveWhatPays();
  for (int round = 0; round < kReturnsMax && SendHome(board); ++round) mover.MoveWhatPays();
  PutHomelessInOrder(board);
}

}  // namespace millrace
