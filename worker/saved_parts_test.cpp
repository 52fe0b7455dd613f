#include "worker/saved_parts.h"

#include <gmock/gmock.h>

#include "engine/base/status_testing.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SavedPart Part(int32_t first, int32_t last, int64_t bytes, int32_t held = 0) {
  SavedPart part;
  part.groups = {KeyGroupSet::Range(first, last), held == 0 ? last - first : held};
  part.table_bytes = bytes;
  return part;
}

std::vector<std::string> GroupsOf(const std::vector<SavedPart>& parts) {
  std::vector<std::string> groups;
  for (const SavedPart& part : parts) groups.push_back(part.groups.own.ToString());
  return groups;
}

TEST(ChooseTaken, LinksWhatIsLarge) {
  const TakenParts taken =
      ChooseTaken({Part(0, 10, 500), Part(10, 20, 99), Part(20, 30, 100), Part(30, 40, 1)}, 100);
  EXPECT_THAT(GroupsOf(taken.linked), ElementsAre("0-9", "20-29"));
  EXPECT_THAT(GroupsOf(taken.copied), ElementsAre("10-19", "30-39"));
}

TEST(ChooseTaken, CountsWhatIsTakenOverOnly) {
  const TakenParts taken = ChooseTaken({Part(0, 10, 390, 40), Part(10, 20, 400, 40)}, 100);
  EXPECT_THAT(GroupsOf(taken.linked), ElementsAre("10-19"));
  EXPECT_THAT(GroupsOf(taken.copied), ElementsAre("0-9"));
}

TEST(ChooseTaken, LinksAsManyAsThereMayBe) {
  std::vector<SavedPart> parts;
  for (int32_t i = 0; i < int32_t(kPartsMax); ++i) parts.push_back(Part(i, i + 1, 1000 + i));
  EXPECT_EQ(ChooseTaken(parts, 100).linked.size(), kPartsMax);
  EXPECT_THAT(ChooseTaken(parts, 100).copied, IsEmpty());
  // One more: the two smallest become one.
  parts.push_back(Part(100, 101, 1000));
  const TakenParts taken = ChooseTaken(parts, 100);
  EXPECT_EQ(taken.linked.size(), kPartsMax - 1);
  EXPECT_THAT(GroupsOf(taken.copied), ElementsAre("0-0", "100-100"));
  // A small one takes a place, too.
  parts.pop_back();
  parts[7].table_bytes = 1;
  EXPECT_EQ(ChooseTaken(parts, 100).linked.size(), kPartsMax - 1);
  parts.push_back(Part(100, 101, 1000));
  EXPECT_THAT(GroupsOf(ChooseTaken(parts, 100).copied), ElementsAre("7-7", "100-100"));
}

// What there is of the files' own words is tested with the files, in task_states_test.cpp.
TEST(FindSavedParts, RefusesStateWithHoles) {
  proto::TaskState task;
  task.set_operator_id("metrics");
  task.set_index(1);
  task.set_parallelism(2);
  task.add_files()->set_local_name("CURRENT");
  const auto found = FindSavedParts({&task}, KeyGroupSet::Range(240, 480), nullptr, "/unused");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(CodeOf(found.status()), "state_damaged");
  EXPECT_THAT(found.status().message(), ::testing::HasSubstr("360-479"));
  const auto inside =
      FindSavedParts({&task}, KeyGroupSet::Range(480, 720), nullptr, "/unused").ValueOrDie();
  EXPECT_THAT(GroupsOf(inside), ElementsAre("480-719"));
  EXPECT_EQ(inside[0].groups.held, 360);
}

}  // namespace
}  // namespace millrace
