#include "engine/metrics/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/metrics/job_metric_families.h"

namespace millrace {
namespace {

using testing::HasSubstr;

class HttpServerTest : public testing::Test {
 protected:
  HttpServer::Reasons Ready() {
    return [this] { return reasons_; };
  }
  Metrics metrics_;
  std::vector<std::string> reasons_;
};

// A plain connection to the server that sends `text` and nothing more.
int ConnectAndSend(int port, const std::string& text) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(uint16_t(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::send(socket, text.data(), text.size(), 0), ssize_t(text.size()));
  return socket;
}

TEST_F(HttpServerTest, ServesMetricsHealthAndReadiness) {
  JobMetricFamilies(&metrics_, "fleet").RecordsIn("readings").Increment(7);
  HttpServer server({}, &metrics_, Ready());
  ASSERT_TRUE(server.Start().ok());
  ASSERT_GT(server.port(), 0);
  EXPECT_EQ(server.address(), "http://127.0.0.1:" + std::to_string(server.port()));
  httplib::Client client("127.0.0.1", server.port());

  auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->body, metrics_.Text());
  EXPECT_THAT(metrics->body,
              HasSubstr("millrace_records_in_total{job=\"fleet\",stream=\"readings\"} 7\n"));
  EXPECT_EQ(metrics->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");

  auto health = client.Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200);
  EXPECT_EQ(health->body, "ok\n");

  EXPECT_EQ(client.Get("/readyz")->status, 200);
  reasons_ = {"kafka: no broker answers", "job: starting"};
  auto ready = client.Get("/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 503);
  EXPECT_EQ(ready->body, "kafka: no broker answers\njob: starting\n");

  EXPECT_EQ(client.Get("/nothing")->status, 404);
  EXPECT_EQ(client.Post("/metrics", std::string(5000, 'x'), "text/plain")->status, 413);
}

TEST_F(HttpServerTest, AProcessThatHangsIsNotHealthy) {
  std::vector<std::string> hangs;
  HttpServer server({}, &metrics_, Ready(), [&hangs] { return hangs; });
  ASSERT_TRUE(server.Start().ok());
  httplib::Client client("127.0.0.1", server.port());
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  hangs = {"the thread that decides has stood still for 31 s"};
  const auto health = client.Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 503);
  EXPECT_EQ(health->body, "the thread that decides has stood still for 31 s\n");
  EXPECT_EQ(client.Get("/readyz")->status, 200);
}

TEST_F(HttpServerTest, SaysThatThePortIsTaken) {
  HttpServer first({}, &metrics_, Ready());
  ASSERT_TRUE(first.Start().ok());
  HttpServer second({.port = first.port()}, &metrics_, Ready());
  const Status status = second.Start();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "port_taken");
  EXPECT_THAT(status.message(), HasSubstr("127.0.0.1:" + std::to_string(first.port())));
}

TEST_F(HttpServerTest, SaysThatTheAddressIsNotOurs) {
  HttpServer server({.host = "192.0.2.1", .port = 18999}, &metrics_, Ready());
  const Status status = server.Start();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(ErrorDetail::Of(status)->code(), "bad_address");
}

TEST_F(HttpServerTest, ThePortIsFreeAgainAfterStop) {
  HttpServer first({}, &metrics_, Ready());
  ASSERT_TRUE(first.Start().ok());
  first.Stop();
  first.Stop();
  HttpServer second({.port = first.port()}, &metrics_, Ready());
  EXPECT_TRUE(second.Start().ok());
}

TEST_F(HttpServerTest, StopDoesNotWaitForSlowClients) {
  HttpServer server({}, &metrics_, Ready());
  ASSERT_TRUE(server.Start().ok());
  std::vector<int> sockets;
  for (int i = 0; i < 4; ++i) sockets.push_back(ConnectAndSend(server.port(), "GET /metr"));
  sockets.push_back(ConnectAndSend(server.port(), ""));
  const auto begin = std::chrono::steady_clock::now();
  server.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  for (int socket : sockets) ::close(socket);
}

}  // namespace
}  // namespace millrace
