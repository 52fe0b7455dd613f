// What the API gives a page at a time, each with where the next one begins: a job's log, its rows.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/status.h"
#include "proto/admin.pb.h"
#include "tools/millrace/cluster/api_client.h"

namespace millrace {

inline bool IsEmpty(const proto::LogPage& page) { return page.lines().empty(); }
inline bool IsEmpty(const proto::TailPage& page) { return page.rows().empty(); }

// Page: LogPage, TailPage.
template <typename Page>
class PagedReader {
 public:
  // `path` with its query, to which "after" is added. Reads from the oldest on.
  PagedReader(ApiClient* api, std::string path) : api_(api), path_(std::move(path)) {}

  // Asks for what follows. False: nothing does, for now, and page() is empty. A coordinator that
  // has not counted so far is another one than before: its numbers begin anew.
  Result<bool> Read() {
    const std::string path = path_ + (path_.find('?') == std::string::npos ? "?" : "&") +
                             "after=" + std::to_string(after_);
    Page page;
    ARROW_ASSIGN_OR_RAISE(const bool changed, api_->GetIfChanged(path, &etag_, &page));
    page_ = std::move(page);
    began_anew_ = changed && page_.next() < after_;
    if (!changed) return false;
    const bool empty = IsEmpty(page_);
    if (!empty && page_.next() == after_) {
      return ExternalError("bad_answer", "the coordinator's pages do not go on", Retry::kNo);
    }
    if (page_.next() != after_) etag_.clear();
    after_ = page_.next();
    return !empty;
  }

  const Page& page() const { return page_; }
  // Whether page() is of another coordinator than the page before.
  bool began_anew() const { return began_anew_; }

 private:
  ApiClient* const api_;
  const std::string path_;
  int64_t after_ = 0;
  std::string etag_;  // of the page after `after_`
  Page page_;
  bool began_anew_ = false;
};

}  // namespace millrace
