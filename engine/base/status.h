// Errors as values. Every fallible function returns arrow::Status or arrow::Result, so that Arrow's
// own errors need no translation; what Arrow's codes cannot say (whose fault, whether a retry can
// help, where) is an ErrorDetail attached to the status. See docs/architecture.md, "Errors".
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <exception>
#include <string>
#include <string_view>

namespace millrace {

using arrow::Result;
using arrow::Status;

// Who can put it right.
enum class ErrorDomain {
  kUser,      // the job file, a flag, a query: told with its place, never retried
  kExternal,  // Kafka, a disk, a network
  kInternal,  // a defect of ours
};

enum class Retry { kNo, kYes };

class ErrorDetail : public arrow::StatusDetail {
 public:
  ErrorDetail(ErrorDomain domain, Retry retry, std::string code)
      : domain_(domain), retry_(retry), code_(std::move(code)) {}

  const char* type_id() const override { return kTypeId; }
  std::string ToString() const override;

  ErrorDomain domain() const { return domain_; }
  Retry retry() const { return retry_; }
  // Stable, lower_snake_case: what a program may compare ("topic_missing", "disk_full").
  const std::string& code() const { return code_; }

  // Null where `status` is OK or carries no detail of ours.
  static const ErrorDetail* Of(const Status& status);

 private:
  static constexpr const char* kTypeId = "millrace::ErrorDetail";
  ErrorDomain domain_;
  Retry retry_;
  std::string code_;
};

Status UserError(std::string_view code, std::string_view message);
Status ExternalError(std::string_view code, std::string_view message, Retry retry);
Status InternalError(std::string_view code, std::string_view message);

// What a third-party library threw, where it enters: "out_of_memory" (external) or "exception"
// (internal) with what it says.
Status FromException(const std::exception_ptr& thrown);

// `status` with "context: " before its message; code and detail are kept. OK stays OK.
Status WithContext(const Status& status, std::string_view context);

}  // namespace millrace
