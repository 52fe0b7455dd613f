#include "engine/checkpoint/recovery_plan.h"

#include <algorithm>
#include <set>

namespace millrace {
namespace {

std::string Short(const std::string& generation) { return generation.substr(0, 8); }

// What was published after `candidate`, for people; empty: nothing.
std::vector<std::string> PublishedBeyond(const proto::Manifest& candidate,
                                         const RecoveryFacts& facts) {
  std::vector<std::string> beyond;
  for (const proto::ShardState& shard : candidate.shards()) {
    const auto found = facts.registers.find(shard.shard());
    if (found == facts.registers.end()) continue;
    const proto::Register& state = found->second;
    if (state.generation() != candidate.generation()) continue;
    if (state.next_row() <= shard.next_row() && state.epoch() <= candidate.epoch()) continue;
    beyond.push_back("shard " + std::to_string(shard.shard()) + " up to epoch " +
                     std::to_string(state.epoch()));
  }
  for (const auto& [sink, state] : facts.file_registers) {
    if (state.generation() != candidate.generation()) continue;
    if (state.epoch() <= candidate.epoch()) continue;
    beyond.push_back("sink " + sink + " up to epoch " + std::to_string(state.epoch()));
  }
  return beyond;
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

RecoveryPlan Restore(const proto::Manifest& manifest, Epoch last) {
  RecoveryPlan plan;
  plan.kind = manifest.finished() ? RecoveryPlan::Kind::kFinished : RecoveryPlan::Kind::kRestore;
  plan.manifest = manifest;
  plan.generation = manifest.generation();
  plan.ancestors.assign(manifest.ancestors().begin(), manifest.ancestors().end());
  plan.last_epoch = last;
  return plan;
}

// The outbox of a checkpoint as a new generation begins with it: its rows are counted from 0, and
// none of them counts as published.
void Renumber(proto::ShardState* shard) {
  const int64_t base =
      shard->segments().empty() ? shard->next_row() : shard->segments(0).first_row();
  for (proto::Segment& segment : *shard->mutable_segments()) {
    segment.set_first_row(segment.first_row() - base);
  }
  shard->set_next_row(shard->next_row() - base);
  shard->set_published_row(0);
  shard->set_published_epoch(0);
}

// A new generation that grows from `manifest`.
RecoveryPlan Branch(const proto::Manifest& manifest, const RecoveryFacts& facts,
                    const RecoveryWish& wish, Epoch last) {
  RecoveryPlan plan = Restore(manifest, std::max(last, Epoch(manifest.epoch())));
  plan.kind = RecoveryPlan::Kind::kRestore;
  plan.manifest.set_finished(false);
  for (proto::ShardState& shard : *plan.manifest.mutable_shards()) Renumber(&shard);
  // Without an outbox nothing ties it to its number of shards.
  const auto empty = [](const proto::ShardState& shard) {
    return shard.segments().empty() && shard.files().empty();
  };
  if (std::ranges::all_of(plan.manifest.shards(), empty)) plan.manifest.clear_shards();
  plan.ancestors.insert(plan.ancestors.begin(), plan.generation);
  plan.generation = wish.minted;
  // Generations of the log descend from each other or were accepted by an earlier start.
  for (const FoundCheckpoint& found : facts.checkpoints) {
    if (std::ranges::find(plan.ancestors, found.generation) == plan.ancestors.end()) {
      plan.ancestors.push_back(found.generation);
    }
  }
  return plan;
}

Status Unrestorable(const RecoveryFacts& facts, const FoundCheckpoint* candidate) {
  std::string message = "the checkpoint of epoch " +
                        std::to_string(facts.checkpoints.front().epoch.value()) +
                        " is damaged: " + facts.checkpoints.front().damage.message();
  if (candidate == nullptr) {
    return ExternalError("checkpoint_damaged",
                         message +
                             "; no older one is whole. Start from a savepoint "
                             "(--from-savepoint), or anew (--new-generation)",
                         Retry::kNo);
  }
  message += "; the newest whole one is of epoch " + std::to_string(candidate->epoch.value()) +
             ", but output was published beyond it: " +
             Join(PublishedBeyond(*candidate->manifest, facts)) +
             ". To go on from it and accept that these rows repeat: millrace restore --from " +
             std::to_string(candidate->epoch.value()) + " --accept-duplicates";
  return ExternalError("checkpoint_damaged", message, Retry::kNo);
}

Status Foreign(const std::string& job, const std::string& who, const proto::Register& state) {
  return UserError("generation_is_foreign",
                   "job '" + job + "' has no checkpoint here, but " + who +
                       " of a job of this name published up to epoch " +
                       std::to_string(state.epoch()) + " (generation " + Short(state.generation()) +
                       "): its checkpoints were removed or are elsewhere (--state-dir). To begin "
                       "anew, with rows of before written again, start with --new-generation");
}

std::vector<std::string> KnownGenerations(const RecoveryFacts& facts) {
  std::set<std::string> known;
  for (const FoundCheckpoint& found : facts.checkpoints) known.insert(found.generation);
  for (const auto& [shard, state] : facts.registers) known.insert(state.generation());
  for (const auto& [sink, state] : facts.file_registers) known.insert(state.generation());
  return {known.begin(), known.end()};
}

Result<RecoveryPlan> Fresh(const RecoveryFacts& facts, const RecoveryWish& wish, Epoch last) {
  RecoveryPlan plan;
  plan.generation = wish.minted;
  plan.last_epoch = last;
  plan.accept_foreign = wish.new_generation;
  if (wish.new_generation) {
    // What was accepted once stays so: a shard that publishes nothing keeps the old register.
    plan.ancestors = KnownGenerations(facts);
    return plan;
  }
  for (const auto& [shard, state] : facts.registers) {
    return Foreign(facts.job, "shard " + std::to_string(shard), state);
  }
  for (const auto& [sink, state] : facts.file_registers) {
    return Foreign(facts.job, "sink " + sink, state);
  }
  return plan;
}

}  // namespace

Result<RecoveryPlan> PlanRecovery(const RecoveryFacts& facts, const RecoveryWish& wish) {
  Epoch last;
  for (const FoundCheckpoint& found : facts.checkpoints) last = std::max(last, found.epoch);
  for (const auto& [shard, state] : facts.registers) last = std::max(last, Epoch(state.epoch()));
  for (const auto& [sink, state] : facts.file_registers) {
    last = std::max(last, Epoch(state.epoch()));
  }
  if (wish.savepoint.has_value()) return Branch(*wish.savepoint, facts, wish, last);
  if (wish.new_generation || facts.checkpoints.empty()) return Fresh(facts, wish, last);
  if (wish.from.has_value()) {
    const auto found = std::ranges::find(facts.checkpoints, *wish.from, &FoundCheckpoint::epoch);
    if (found == facts.checkpoints.end()) {
      return UserError("checkpoint_missing",
                       "there is no checkpoint of epoch " + std::to_string(wish.from->value()));
    }
    ARROW_RETURN_NOT_OK(found->damage);
    RecoveryPlan plan = Branch(*found->manifest, facts, wish, last);
    plan.notes.push_back("rows published after epoch " + std::to_string(wish.from->value()) +
                         " will repeat");
    return plan;
  }
  if (facts.checkpoints.front().damage.ok()) {
    return Restore(*facts.checkpoints.front().manifest, last);
  }
  const ErrorDetail* const detail = ErrorDetail::Of(facts.checkpoints.front().damage);
  if (detail != nullptr && detail->code() == "format_too_new") {
    return facts.checkpoints.front().damage;
  }
  // An older generation's checkpoints are no fallback: what this one published is not in them.
  const std::string& generation = facts.checkpoints.front().generation;
  const auto whole = std::ranges::find_if(facts.checkpoints, [&](const FoundCheckpoint& found) {
    return found.damage.ok() && found.generation == generation;
  });
  if (whole == facts.checkpoints.end()) return Unrestorable(facts, nullptr);
  if (!PublishedBeyond(*whole->manifest, facts).empty()) return Unrestorable(facts, &*whole);
  RecoveryPlan plan = Restore(*whole->manifest, last);
  plan.notes.push_back("the checkpoint of epoch " +
                       std::to_string(facts.checkpoints.front().epoch.value()) + " is damaged (" +
                       facts.checkpoints.front().damage.message() +
                       "); nothing was published beyond epoch " +
                       std::to_string(whole->epoch.value()) + ", so it goes on from there");
  return plan;
}

}  // namespace millrace
