#include "engine/checkpoint/register_decision.h"

#include <algorithm>

namespace millrace {

Status CheckDescent(const Lineage& lineage, const std::string& where,
                    const std::string& generation) {
  if (generation == lineage.generation || lineage.accept_foreign) return Status::OK();
  if (std::ranges::find(lineage.ancestors, generation) != lineage.ancestors.end()) {
    return Status::OK();
  }
  return UserError(
      "generation_is_foreign",
      where + " of job '" + lineage.job + "' was last written by generation " +
          generation.substr(0, 8) + ", which this start (generation " +
          lineage.generation.substr(0, 8) +
          ") does not descend from: its checkpoints were removed or are elsewhere (--state-dir), "
          "or "
          "another job has the same name. To write on regardless, start with --new-generation: "
          "rows that the other generation wrote stay, and what is read again is written again");
}

Result<int64_t> DecideRegister(const Lineage& lineage, const ShardKnowledge& known,
                               const std::optional<proto::Register>& found) {
  const std::string shard = "shard " + std::to_string(known.shard);
  // Rows of a generation are counted from 0; epochs without rows leave no register.
  const bool confirmed = known.confirmed_row > 0;
  if (!found.has_value()) {
    if (!confirmed) return known.confirmed_row;
    return ExternalError(
        "register_missing",
        "the register of " + shard + " is gone from topic millrace.progress, although epoch " +
            std::to_string(known.confirmed_epoch.value()) +
            " was published: what has been published since cannot be told. Restore the topic, or "
            "start with --new-generation and accept that rows may repeat",
        Retry::kNo);
  }
  if (found->generation() == lineage.generation) {
    if (found->next_row() < known.confirmed_row) {
      return ExternalError("register_went_back",
                           "the register of " + shard + " says row " +
                               std::to_string(found->next_row()) + ", but row " +
                               std::to_string(known.confirmed_row) +
                               " was confirmed: topic millrace.progress has lost records",
                           Retry::kNo);
    }
    if (found->next_row() > known.sealed_row || Epoch(found->epoch()) > known.sealed_epoch) {
      return ExternalError("published_beyond",
                           shard + " has published up to epoch " + std::to_string(found->epoch()) +
                               ", row " + std::to_string(found->next_row()) +
                               "; the checkpoint of epoch " +
                               std::to_string(known.sealed_epoch.value()) + " ends at row " +
                               std::to_string(known.sealed_row),
                           Retry::kNo);
    }
    return found->next_row();
  }
  // A generation's rows are counted from its own start: an ancestor's register says nothing of
  // them.
  ARROW_RETURN_NOT_OK(CheckDescent(lineage, "output of " + shard, found->generation()));
  if (!confirmed) return known.confirmed_row;
  // Another's register stands over ours: it wrote after us.
  return ExternalError("register_went_back",
                       "the register of " + shard + " is of generation " +
                           found->generation().substr(0, 8) +
                           " although this one has published after it",
                       Retry::kNo);
}

}  // namespace millrace
