// Who uses a simulated fleet: asks for this and that, and remembers what was promised. What was
// promised must be in every catalog that is written from then on.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/fleet/fleet_coordinator.h"

namespace millrace::simulation {

class FleetOperator final : public CatalogWitness {
 public:
  FleetOperator(FleetSurroundings* fleet, std::vector<std::string> jobs);

  // Anything, of who leads.
  void AskAny(FleetCoordinator* coordinator);
  void Apply(FleetCoordinator* coordinator, const std::string& job);
  void SetDesire(FleetCoordinator* coordinator, const std::string& job, proto::JobDesire desire);
  void Rescale(FleetCoordinator* coordinator, const std::string& job, int32_t parallelism);

  // CatalogWitness
  void OnCatalog(const proto::Catalog& catalog, const std::string& by) override;
  // Of what was promised.
  std::optional<std::string> Forgotten(const proto::Catalog& catalog) const;

 private:
  void Remove(FleetCoordinator* coordinator, const std::string& job);
  void ApplyFile(FleetCoordinator* coordinator, const std::string& job, const std::string& file);
  // After a wish for a job was answered.
  void Note(const FleetCoordinator& coordinator, const std::string& job, const Status& status);

  FleetSurroundings* const fleet_;
  const std::vector<std::string> jobs_;
  std::map<std::string, proto::JobRecord> promised_;
  std::set<int64_t> removed_;  // by when they were created
  std::string asking_;         // about this job, now
  int files_ = 0;
  int64_t wall_ = 0;
};

}  // namespace millrace::simulation
