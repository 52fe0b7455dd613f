#include "engine/plan/shared_expressions.h"

#include <gtest/gtest.h>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

// "shared; shared | column; column" of a select list over the readings.
std::string Shared(const std::string& list) {
  TestJob job;
  job.Readings().Query("q", "SELECT " + list + " FROM readings").Sink("q");
  const JobPlan plan = job.Plan();
  EXPECT_EQ(job.Messages(), "") << list;
  const PlanNode& node = NodeNamed(plan, "q");
  const Schema& input = plan.node(node.input()).output;
  const SharedExpressions made =
      ShareExpressions(std::get<ProjectNode>(node.kind).columns, int(input.fields.size()));
  Schema known = input;
  std::string text;
  for (const Expr& expr : made.shared) {
    text += (text.empty() ? "" : "; ") + FormatExpr(expr, known);
    Field field;
    field.name = "$" + std::to_string(known.fields.size() - input.fields.size());
    known.fields.push_back(std::move(field));
  }
  text += " |";
  for (const Expr& column : made.columns) text += " " + FormatExpr(column, known) + ";";
  return text;
}

TEST(SharedExpressions, WhatOccursOnceStays) {
  EXPECT_EQ(Shared("temperature, temperature + 1 AS a, temperature + 2 AS b"),
            " | temperature; temperature + 1.0; temperature + 2.0;");
}

TEST(SharedExpressions, TheLargestIsTakenWhole) {
  EXPECT_EQ(Shared("sqrt(temperature + 1) AS a, sqrt(temperature + 1) * 2 AS b"),
            "sqrt(temperature + 1.0) | $0; $0 * 2.0;");
}

TEST(SharedExpressions, WhatIsInsideAndElsewhereComesFirst) {
  EXPECT_EQ(Shared("sqrt(temperature + 1) AS a, -sqrt(temperature + 1) AS b, "
                   "(temperature + 1) * 2 AS c"),
            "temperature + 1.0; sqrt($0) | $1; -$1; $0 * 2.0;");
}

TEST(SharedExpressions, TwiceInOneColumn) {
  EXPECT_EQ(Shared("abs(temperature) * abs(temperature) AS a"), "abs(temperature) | $0 * $0;");
}

TEST(SharedExpressions, BehindGuardsOnlyStays) {
  EXPECT_EQ(Shared("CASE WHEN fire_alarm > 0 THEN 1 / fire_alarm END AS a, "
                   "CASE WHEN fire_alarm < 0 THEN 1 / fire_alarm END AS b"),
            " | CASE WHEN fire_alarm > 0 THEN 1 / fire_alarm ELSE NULL END; "
            "CASE WHEN fire_alarm < 0 THEN 1 / fire_alarm ELSE NULL END;");
}

TEST(SharedExpressions, OnePlaceWithoutAGuardIsEnough) {
  EXPECT_EQ(Shared("CASE WHEN fire_alarm > 0 THEN 1 / fire_alarm END AS a, 1 / fire_alarm AS b"),
            "1 / fire_alarm | CASE WHEN fire_alarm > 0 THEN $0 ELSE NULL END; $0;");
}

TEST(SharedExpressions, TheFirstConditionIsAlwaysComputed) {
  EXPECT_EQ(Shared("CASE WHEN 1 / fire_alarm > 0 THEN 1 END AS a, "
                   "ok AND 1 / fire_alarm > 2 AS b"),
            "1 / fire_alarm | CASE WHEN $0 > 0 THEN 1 ELSE NULL END; ok AND ($0 > 2);");
}

TEST(SharedExpressions, SignedZerosAreTwo) {
  EXPECT_EQ(Shared("temperature + 0e0 AS a, temperature + -0e0 AS b"),
            Shared("temperature + 0e0 AS a, temperature + -0e0 AS b"));
  EXPECT_TRUE(Shared("temperature + 0e0 AS a, temperature + -0e0 AS b").starts_with(" |"));
}

}  // namespace
}  // namespace millrace
