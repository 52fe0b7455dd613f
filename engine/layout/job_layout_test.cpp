// Layouts worked out by hand.
#include "engine/layout/job_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/plan/plan_test_job.h"

namespace millrace {
namespace {

// Readings in a tumbling window; windows into files, readings to the console, alerts to Kafka.
struct Case {
  TestJob job;
  JobPlan plan;
  NodeId source;
  NodeId window;

  Case() {
    job.Readings();
    job.Query("minutes",
              "SELECT window_start, window_end, device_id, count(*) AS records "
              "FROM tumble(readings, size => INTERVAL '1 minute') "
              "GROUP BY window_start, window_end, device_id");
    job.Alert("Hot", "readings", "temperature > 98");
    job.Sink("minutes").Sink("readings").Sink("");
    FilesSinkSpec files;
    files.path = "minutes";
    job.spec().sinks.at(0).target = files;
    job.spec().sinks.at(2).target = KafkaSinkSpec{"alerts", {}};
    plan = job.Plan();
    EXPECT_FALSE(job.diagnostics().has_errors()) << job.diagnostics().Render();
    for (const PlanNode& node : plan.nodes) {
      if (std::holds_alternative<SourceNode>(node.kind)) source = node.id;
      if (IsKeyed(node)) window = node.id;
    }
  }
  JobLayout LayOut(int32_t readers, int32_t parallelism) const {
    return millrace::LayOut(const_cast<TestJob&>(job).spec(), plan,
                            {{{source, readers}}, parallelism});
  }
};

std::vector<std::string> Names(const JobLayout& layout) {
  std::vector<std::string> names;
  for (const ActorPlan& actor : layout.actors) names.push_back(actor.name);
  return names;
}

TEST(JobLayout, ParticipantsComeFirstAndPublishersLast) {
  Case c;
  c.job.spec().sink_shards = 2;
  const JobLayout layout = c.LayOut(3, 2);
  const std::vector<std::string> expected = {"readings.reader.0",
                                             "readings.reader.1",
                                             "readings.reader.2",
                                             "minutes.0",
                                             "minutes.1",
                                             "sink.1",
                                             "outbox.1",
                                             "outbox.0",
                                             "publisher.0",
                                             "publisher.1",
                                             "sink.0",
                                             "dead_letters"};
  std::vector<std::string> names = Names(layout);
  // The task's name is its node's, which the planner gives.
  names[3] = "minutes.0";
  names[4] = "minutes.1";
  EXPECT_EQ(names, expected);
  EXPECT_EQ(layout.participants, 8);
  EXPECT_EQ(layout.ReadersOf(c.source), (std::vector{Address(0), Address(1), Address(2)}));
}

TEST(JobLayout, EveryReaderHasAChannelToEveryTask) {
  Case c;
  const JobLayout layout = c.LayOut(3, 2);
  for (int32_t task = 3; task < 5; ++task) {
    std::vector<int32_t> senders;
    for (const auto& input : layout.at(Address(task)).inputs) {
      senders.push_back(input.sender.value());
      const ChannelPlan& channel = layout.at(input.sender).outputs.at(size_t(input.output));
      EXPECT_EQ(channel.receiver, Address(task));
      EXPECT_EQ(channel.node, c.window);
      EXPECT_EQ(channel.task, TaskIndex(task - 3));
      EXPECT_TRUE(channel.sinks.empty());
    }
    EXPECT_EQ(senders, (std::vector{0, 1, 2}));
  }
}

// Both ends of a channel give it the indexes that it has at the other.
TEST(JobLayout, ChannelsMatchAtBothEnds) {
  Case c;
  for (const int32_t shards : {1, 2, 4}) {
    c.job.spec().sink_shards = shards;
    const JobLayout layout = c.LayOut(5, 3);
    size_t channels = 0;
    size_t inputs = 0;
    for (int32_t i = 0; i < int32_t(layout.actors.size()); ++i) {
      const ActorPlan& actor = layout.at(Address(i));
      inputs += actor.inputs.size();
      for (size_t output = 0; output < actor.outputs.size(); ++output, ++channels) {
        const ChannelPlan& channel = actor.outputs[output];
        const ActorPlan::Input& input =
            layout.at(channel.receiver).inputs.at(size_t(channel.input));
        EXPECT_EQ(input.sender, Address(i));
        EXPECT_EQ(input.output, int32_t(output));
      }
    }
    EXPECT_EQ(channels, inputs);
  }
}

TEST(JobLayout, RowsOfAFileSinkGoToItsShardAndDeadLettersToTheFirst) {
  Case c;
  const JobLayout layout = c.LayOut(2, 2);
  const int32_t shard = layout.routes.sinks.at(0).shard;
  std::map<int32_t, std::vector<std::pair<int32_t, std::vector<int32_t>>>> by_shard;
  for (int32_t i = 0; i < layout.participants; ++i) {
    for (const ChannelPlan& channel : layout.at(Address(i)).outputs) {
      if (channel.sinks.empty()) continue;
      const ActorPlan& receiver = layout.at(channel.receiver);
      if (receiver.kind != ActorKind::kOutbox) continue;
      by_shard[receiver.shard].emplace_back(i, channel.sinks);
    }
  }
  for (const auto& [of, senders] : by_shard) {
    for (const auto& [sender, sinks] : senders) {
      for (const int32_t sink : sinks) {
        // The records of a sender go to one shard.
        const int32_t expected = sink == 0 ? shard : sink == kDeadLetterSink ? 0 : sender % 4;
        EXPECT_EQ(of, expected) << sink;
      }
    }
  }
  // Each participant but the outbox that takes them has a way for dead letters.
  size_t ways = 0;
  for (const auto& [sender, sinks] : by_shard.at(0)) {
    ways += size_t(std::ranges::count(sinks, kDeadLetterSink));
  }
  EXPECT_EQ(ways, size_t(layout.participants - 1));
}

TEST(JobLayout, PublishersStandWithTheOutboxOfTheirShard) {
  Case c;
  c.job.spec().sink_shards = 2;
  const JobLayout layout = c.LayOut(2, 1);
  std::map<int32_t, std::set<std::string>> names;
  for (int32_t i = 0; i < layout.participants; ++i) {
    if (layout.at(Address(i)).kind != ActorKind::kOutbox) continue;
    for (const Address publisher : layout.PublishersOf(Address(i))) {
      names[layout.at(Address(i)).shard].insert(layout.at(publisher).name);
    }
  }
  std::map<int32_t, std::set<std::string>> expected = {{0, {"publisher.0", "dead_letters"}},
                                                       {1, {"publisher.1"}}};
  expected[layout.routes.sinks.at(0).shard].insert("sink.0");
  EXPECT_EQ(names, expected);
}

}  // namespace
}  // namespace millrace
