#include "engine/metrics/http_server.h"

#include <httplib.h>

namespace millrace {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text.append(line).append("\n");
  return text;
}

void AnswerWith(const std::vector<std::string>& reasons, httplib::Response* response) {
  response->status = reasons.empty() ? 200 : 503;
  response->set_content(reasons.empty() ? "ok\n" : Join(reasons), "text/plain; charset=utf-8");
}

}  // namespace

HttpServer::HttpServer(HttpServerOptions options, const Metrics* metrics, Reasons readiness,
                       Reasons hangs)
    : service_({options.host, options.port}),
      metrics_(metrics),
      readiness_(std::move(readiness)),
      hangs_(std::move(hangs)) {}

void HttpServer::Route(httplib::Server* server) {
  server->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_->Text(), kMetricsType);
  });
  server->Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
    AnswerWith(hangs_ ? hangs_() : std::vector<std::string>(), &response);
  });
  server->Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
    AnswerWith(readiness_(), &response);
  });
}

Status HttpServer::Start() {
  return service_.Start([this](httplib::Server* server) { Route(server); });
}

}  // namespace millrace
