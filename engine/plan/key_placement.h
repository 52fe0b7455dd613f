// Where topics are keyed by what a query groups by (kafka.keyed_by). Pure.
#pragma once

#include "engine/plan/plan.h"

namespace millrace {

// Gives a placement to each keyed node that has, among its keys, a column that all of its rows have
// from sources keyed by it in the same way. Not to those that go by window or by the clock of some
// of their keys: their state is gathered otherwise.
void PlaceKeys(JobPlan* plan);

}  // namespace millrace
