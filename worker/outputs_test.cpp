#include "worker/outputs.h"

#include <gtest/gtest.h>

#include "engine/wire/actor_system.h"

namespace millrace {
namespace {

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

// One channel, to dead letters, of an actor that is `with`'s while it runs.
void WithOutputs(const std::function<void(Outputs*)>& with) {
  ActorSystem system;
  (*system).spawn([&with](caf::event_based_actor* self) {
    Connect connect;
    Connect::Channel channel;
    channel.receiver = caf::actor_cast<caf::actor>(self);
    channel.sinks = {kDeadLetterSink};
    connect.outputs = {channel};
    Outputs outputs(self, connect);
    with(&outputs);
    self->quit();
  });
}

DeadLetter LetterOf(size_t bytes) {
  DeadLetter letter;
  letter.value = std::string(bytes, 'x');
  return letter;
}

TEST(Outputs, CreditComesBackForWhatIsOnItsWay) {
  WithOutputs([](Outputs* outputs) {
    outputs->ToDeadLetters({LetterOf(size_t(kChannelBytesMax))});
    EXPECT_FALSE(outputs->HasCredit());
    EXPECT_TRUE(outputs->OnCredit({0, 128}).ok());
    EXPECT_FALSE(outputs->HasCredit());
    EXPECT_TRUE(outputs->OnCredit({0, kChannelBytesMax}).ok());
    EXPECT_TRUE(outputs->HasCredit());
  });
}

TEST(Outputs, CreditThatWasNotTakenIsRefused) {
  WithOutputs([](Outputs* outputs) {
    outputs->ToDeadLetters({LetterOf(10)});
    EXPECT_EQ(CodeOf(outputs->OnCredit({1, 1})), "unexpected_credit");
    EXPECT_EQ(CodeOf(outputs->OnCredit({-1, 1})), "unexpected_credit");
    EXPECT_EQ(CodeOf(outputs->OnCredit({0, -1})), "unexpected_credit");
    EXPECT_EQ(CodeOf(outputs->OnCredit({0, 139})), "unexpected_credit");
    EXPECT_TRUE(outputs->OnCredit({0, 138}).ok());
    EXPECT_EQ(CodeOf(outputs->OnCredit({0, 1})), "unexpected_credit");
  });
}

}  // namespace
}  // namespace millrace
