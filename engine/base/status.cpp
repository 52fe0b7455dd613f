#include "engine/base/status.h"

#include <cstring>
#include <new>

namespace millrace {
namespace {

std::string_view DomainName(ErrorDomain domain) {
  switch (domain) {
    case ErrorDomain::kUser:
      return "user";
    case ErrorDomain::kExternal:
      return "external";
    case ErrorDomain::kInternal:
      return "internal";
  }
  return "internal";
}

Status Make(arrow::StatusCode arrow_code, ErrorDomain domain, Retry retry, std::string_view code,
            std::string_view message) {
  return Status(arrow_code, std::string(message),
                std::make_shared<ErrorDetail>(domain, retry, std::string(code)));
}

}  // namespace

std::string ErrorDetail::ToString() const {
  std::string text(DomainName(domain_));
  text += "/" + code_;
  if (retry_ == Retry::kYes) text += " (may be retried)";
  return text;
}

const ErrorDetail* ErrorDetail::Of(const Status& status) {
  if (status.ok() || status.detail() == nullptr) return nullptr;
  if (std::strcmp(status.detail()->type_id(), kTypeId) != 0) return nullptr;
  return static_cast<const ErrorDetail*>(status.detail().get());
}

Status UserError(std::string_view code, std::string_view message) {
  return Make(arrow::StatusCode::Invalid, ErrorDomain::kUser, Retry::kNo, code, message);
}

Status ExternalError(std::string_view code, std::string_view message, Retry retry) {
  return Make(arrow::StatusCode::IOError, ErrorDomain::kExternal, retry, code, message);
}

Status InternalError(std::string_view code, std::string_view message) {
  return Make(arrow::StatusCode::UnknownError, ErrorDomain::kInternal, Retry::kNo, code, message);
}

Status FromException(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    return ExternalError("out_of_memory", "out of memory", Retry::kNo);
  } catch (const std::exception& error) {
    return InternalError("exception", error.what());
  } catch (...) {
    return InternalError("exception", "of an unknown type");
  }
}

Status WithContext(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return status.WithMessage(std::string(context), ": ", status.message());
}

}  // namespace millrace
