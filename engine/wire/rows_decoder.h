// Rows and dead letters out of the body of a message, on the receiver's side. body_parts.h says
// what a body is.
#pragma once

#include <arrow/buffer.h>

#include <memory>
#include <vector>

#include "engine/wire/frame.h"
#include "proto/exchange.pb.h"

namespace millrace {

// The rows as a receiver is to get them: of a window all selected in order, of a sink without
// selection. `metadata` and `body` lie at multiples of 8; the rows keep `body` alive. Fills `rows`,
// `hashes` and `selection` of `data`, whose other members are set before.
//
// Whom it trusts: peers prove who they are before a byte of theirs comes here, so this is no guard
// against one that means harm; but whatever the bytes, nothing that works with the rows later may
// read outside of them. So the sizes of all buffers, the order of all offsets, counts of nulls and
// numbers of rows are verified. Text is not verified to be UTF-8 (engine/operators/utf8.h never
// reads past it), and whether the columns are those that the receiver's node takes is for the
// receiver, who knows the plan. "bad_message".
Status DecodeRows(const proto::ExchangeRows& control, const std::shared_ptr<arrow::Schema>& schema,
                  const std::shared_ptr<arrow::Buffer>& metadata,
                  const std::shared_ptr<arrow::Buffer>& body, DataFrame* data);
Result<std::vector<DeadLetter>> DecodeLetters(const proto::ExchangeLetters& control,
                                              const std::shared_ptr<arrow::Buffer>& metadata,
                                              const std::shared_ptr<arrow::Buffer>& body);

}  // namespace millrace
