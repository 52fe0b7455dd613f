// Messages without rows to Protobuf and back. Every member of a struct of messages.h is named by
// the encoder: one that is added does not compile until it is carried.
#pragma once

#include "engine/base/time.h"
#include "engine/wire/wire_message.h"
#include "proto/exchange.pb.h"

namespace millrace {

// An age: what `time` is on the sender's clock means nothing to the receiver. Times that are not
// known (0) stay so; one that lies after `now` is of now.
void EncodeAge(MonotonicTime time, MonotonicTime now, proto::ExchangeAge* age);
// Of a message that has one: 1 ns at least, since 0 is "not known".
MonotonicTime DecodeAge(const proto::ExchangeAge& age, MonotonicTime now);

// Everything but a ChannelFrame of rows or dead letters. `to` is empty. "unsendable_message"
// (internal): a pointer that must be set is not.
Status EncodeControl(const WireMessage& message, MonotonicTime now, proto::ExchangeMessage* to);
// As the encoder; what `from` holds may be moved out. "bad_message": no kind that is known, or
// numbers that cannot be.
Result<WireMessage> DecodeControl(proto::ExchangeMessage* from, MonotonicTime now);

// Also where what a failure says is from a newer build: an unknown domain is internal.
void EncodeStatus(const Status& status, proto::ExchangeStatus* to);
Status DecodeStatus(const proto::ExchangeStatus& from);

}  // namespace millrace
