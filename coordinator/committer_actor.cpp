#include "coordinator/checkpoint_committer.h"
#include "coordinator/coordinator_actor.h"

namespace millrace {

caf::actor SpawnCommitter(caf::actor_system& system, CheckpointCommitter* committer) {
  return system.spawn<caf::detached>([committer](caf::event_based_actor* self) -> caf::behavior {
    return {
        [self, committer](const CommitManifest& commit) {
          const auto figures = committer->Commit(*commit.manifest);
          ManifestCommitted answer{Epoch(commit.manifest->epoch()), 0, 0, nullptr};
          if (figures.ok()) {
            answer.bytes = figures->bytes;
            answer.uploaded_bytes = figures->uploaded_bytes;
          } else {
            answer.failure = std::make_shared<Status>(WithContext(figures.status(), "checkpoint"));
          }
          self->send(caf::actor_cast<caf::actor>(self->current_sender()), std::move(answer));
        },
        [self, committer](const WriteSavepoint& write) {
          const Status status = committer->WriteSavepoint(*write.manifest);
          self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                     SavepointWritten{status.ok() ? nullptr : std::make_shared<Status>(status)});
        },
        [self, committer](const CheckLeadership& check) {
          const Status status = committer->CheckLeadership();
          self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                     LeadershipChecked{check.shard,
                                       status.ok() ? nullptr : std::make_shared<Status>(status)});
        },
        [self](Stop) { self->quit(); },
    };
  });
}

}  // namespace millrace
