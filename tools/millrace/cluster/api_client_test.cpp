// Which server is asked, what is tried again, and what errors become: without a network.
#include "tools/millrace/cluster/api_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "proto/admin.pb.h"
#include "tools/millrace/cluster/job_goal.h"
#include "tools/millrace/cluster/job_name.h"
#include "tools/millrace/cluster/paged_reader.h"
#include "tools/millrace/cluster/waiting.h"
#include "tools/millrace/exit_codes.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

// Gives prepared answers in their order, and keeps what it was asked.
class FakeTransport final : public HttpTransport {
 public:
  explicit FakeTransport(ManualClock* clock) : clock_(clock) {}

  Result<HttpAnswer> Send(const ServerAddress& server, const HttpRequest& request,
                          Micros timeout) override {
    asked.push_back(request.method + " " + server.ToString() + request.path);
    requests.push_back(request);
    timeouts.push_back(timeout);
    if (answers.empty()) return ExternalError("unreachable", "none is prepared", Retry::kYes);
    Result<HttpAnswer> answer = std::move(answers.front());
    answers.pop_front();
    clock_->Advance(takes);
    return answer;
  }

  void Answer(int status, std::string body, std::string etag = "", int retry_after = 0) {
    answers.emplace_back(HttpAnswer{status, std::move(body), std::move(etag), retry_after});
  }
  void Fail(const char* code) { answers.emplace_back(ExternalError(code, code, Retry::kYes)); }

  std::deque<Result<HttpAnswer>> answers;
  std::vector<std::string> asked;
  std::vector<HttpRequest> requests;
  std::vector<Micros> timeouts;
  Micros takes{0};

 private:
  ManualClock* const clock_;
};

class ApiClientTest : public testing::Test {
 protected:
  ApiClient Client(const std::string& servers = "http://a:1", const std::string& token = "") {
    ApiClientOptions options;
    options.servers = *ParseServers(servers);
    options.token = token;
    return ApiClient(options, &transport, &clock, [this](Micros time) {
      pauses.push_back(time);
      clock.Advance(time);
    });
  }

  ManualClock clock;
  FakeTransport transport{&clock};
  std::vector<Micros> pauses;
  proto::JobStatus job;
};

TEST(ServerAddress, IsReadAndWritten) {
  const auto parse = [](const char* text) {
    std::string all;
    for (const ServerAddress& server : *ParseServers(text)) {
      all += (all.empty() ? "" : ",") + server.ToString();
    }
    return all;
  };
  EXPECT_EQ(parse("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
  EXPECT_EQ(parse("https://plant.example/millrace/"), "https://plant.example:443/millrace");
  EXPECT_EQ(parse("http://[::1]/"), "http://[::1]:80");
  EXPECT_EQ(parse("a:1, https://[fe80::1]:8443,b:2"),
            "http://a:1,https://[fe80::1]:8443,http://b:2");
}

TEST(ServerAddress, MistakesSayWhatIsExpected) {
  for (const char* const text :
       {"", "a", "ftp://a:1", "http://", "http://:8080", "http://a:0", "http://a:65536",
        "http://a:x", "http://a:", "http://[::1", "http://u:p@a:1", "http://a:1/x?y=1", "a:1,,b:2",
        "http://a b:1", "http://a:1\r\nX: y"}) {
    const auto parsed = ParseServers(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(CodeOf(parsed.status()), "bad_server") << text;
    EXPECT_THAT(parsed.status().message(), HasSubstr("http://HOST:PORT")) << text;
  }
}

TEST(ServerAddress, LoopbackIsThisMachine) {
  EXPECT_TRUE(ParseServers("http://localhost:1")->front().IsLoopback());
  EXPECT_TRUE(ParseServers("http://127.1.2.3:1")->front().IsLoopback());
  EXPECT_TRUE(ParseServers("http://[::1]:1")->front().IsLoopback());
  EXPECT_FALSE(ParseServers("http://10.0.0.1:1")->front().IsLoopback());
  // Names that begin as an address does are names.
  EXPECT_FALSE(ParseServers("http://127.example.com:1")->front().IsLoopback());
  EXPECT_FALSE(ParseServers("http://127.0.0.1.example.com:1")->front().IsLoopback());
  EXPECT_FALSE(ParseServers("http://localhost.example.com:1")->front().IsLoopback());
  EXPECT_FALSE(ParseServers("http://[::2]:1")->front().IsLoopback());
}

TEST_F(ApiClientTest, ARequestHasWhatTheApiWants) {
  transport.Answer(200, R"({"name":"x"})");
  ASSERT_TRUE(Client("http://a:1", "0123456789abcdef").Get(JobPath("x"), &job).ok());
  EXPECT_EQ(job.name(), "x");
  EXPECT_THAT(transport.asked, ElementsAre("GET http://a:1/api/v1/jobs/x"));
  EXPECT_THAT(transport.requests[0].headers, testing::Contains(std::pair<std::string, std::string>(
                                                 "Authorization", "Bearer 0123456789abcdef")));
  EXPECT_THAT(transport.timeouts, ElementsAre(kRequestTimeout));
}

TEST_F(ApiClientTest, NamesArePartsOfPaths) {
  EXPECT_EQ(JobPath("a/b c", "/logs"), "/jobs/a%2Fb%20c/logs");
  EXPECT_EQ(PathPart("x-1_y~.%?#°"), "x-1_y~%2E%25%3F%23%C2%B0");
}

TEST_F(ApiClientTest, AnUnchangedAnswerIsToldByItsTag) {
  ApiClient client = Client();
  transport.Answer(200, R"({"name":"x"})", "\"1\"");
  transport.Answer(304, "");
  transport.Answer(200, R"({"name":"y"})", "\"2\"");
  std::string etag;
  EXPECT_EQ(client.GetIfChanged("/jobs/x", &etag, &job), Result<bool>(true));
  EXPECT_EQ(etag, "\"1\"");
  EXPECT_EQ(client.GetIfChanged("/jobs/x", &etag, &job), Result<bool>(false));
  EXPECT_EQ(job.name(), "x");
  EXPECT_EQ(client.GetIfChanged("/jobs/x", &etag, &job), Result<bool>(true));
  EXPECT_EQ(job.name(), "y");
  EXPECT_EQ(etag, "\"2\"");
  EXPECT_THAT(transport.requests[1].headers,
              testing::Contains(std::pair<std::string, std::string>("If-None-Match", "\"1\"")));
}

TEST_F(ApiClientTest, ServersAreTriedInTurnAndTheLastGoodOneFirst) {
  ApiClient client = Client("http://a:1,http://b:2,http://c:3");
  transport.Fail("unreachable");
  transport.Answer(503, "");
  transport.Answer(200, "{}");
  ASSERT_TRUE(client.Get("/jobs", &job).ok());
  transport.Answer(200, "{}");
  ASSERT_TRUE(client.Get("/jobs", &job).ok());
  EXPECT_THAT(transport.asked,
              ElementsAre("GET http://a:1/api/v1/jobs", "GET http://b:2/api/v1/jobs",
                          "GET http://c:3/api/v1/jobs", "GET http://c:3/api/v1/jobs"));
  EXPECT_THAT(pauses, testing::IsEmpty());
}

TEST_F(ApiClientTest, WhereNoneCanBeReachedNobodyWaits) {
  transport.Fail("unreachable");
  transport.Fail("unreachable");
  const Status status = Client("http://a:1,http://b:2").Get("/jobs", &job);
  EXPECT_EQ(CodeOf(status), "unreachable");
  EXPECT_EQ(status.message(),
            "no coordinator answers (unreachable; unreachable): is it running? --server or "
            "MILLRACE_SERVER says where");
  EXPECT_EQ(ExitCodeOf(status), kExitError);
  EXPECT_THAT(pauses, testing::IsEmpty());
}

TEST_F(ApiClientTest, OneThatDoesNotLeadYetIsAskedAgain) {
  transport.Fail("unreachable");
  transport.Answer(503, "", "", 2);
  transport.Fail("unreachable");
  transport.Answer(200, R"({"name":"x"})");
  ASSERT_TRUE(Client("http://a:1,http://b:2").Post("/jobs/x/pause", nullptr, &job).ok());
  EXPECT_THAT(pauses, ElementsAre(Micros(seconds(2))));
}

TEST_F(ApiClientTest, ItIsAskedUntilTheTimeIsOver) {
  for (int i = 0; i < 20; ++i) transport.Answer(503, R"({"message":"busy: try again"})");
  const Status status = Client().Get("/jobs", &job);
  EXPECT_EQ(CodeOf(status), "busy");
  EXPECT_EQ(status.message(), "busy: try again");
  EXPECT_EQ(clock.Monotonic(), seconds(9));
}

TEST_F(ApiClientTest, OneThatTakesLongLeavesTheRestOfTheTime) {
  transport.takes = seconds(4);
  transport.Fail("unreachable");
  transport.Answer(200, "{}");
  ASSERT_TRUE(Client("http://a:1,http://b:2").Get("/jobs", &job).ok());
  EXPECT_THAT(transport.timeouts, ElementsAre(Micros(seconds(5)), Micros(seconds(6))));
}

TEST_F(ApiClientTest, AQuestionIsAskedElsewhereAndAChangeIsNot) {
  transport.Fail("connection_broken");
  transport.Answer(200, "{}");
  EXPECT_TRUE(Client("http://a:1,http://b:2").Get("/jobs", &job).ok());
  transport.Fail("no_answer");
  transport.Answer(200, "{}");
  EXPECT_TRUE(Client("http://a:1,http://b:2").Get("/jobs", &job).ok());
  transport.Fail("no_answer");
  transport.Fail("unreachable");
  EXPECT_EQ(ExitCodeOf(Client("http://a:1,http://b:2").Get("/jobs", &job)), kExitTimeout);
  transport.asked.clear();
  transport.Fail("connection_broken");
  const Status status = Client("http://a:1,http://b:2").Post("/jobs/x/cancel", nullptr, &job);
  EXPECT_EQ(CodeOf(status), "connection_broken");
  EXPECT_THAT(status.message(), HasSubstr("it may have been done all the same"));
  EXPECT_THAT(transport.asked, testing::SizeIs(1));
}

TEST_F(ApiClientTest, ErrorsAreToldAsTheCoordinatorTellsThem) {
  const auto error = [&](int http, const std::string& body) {
    transport.Answer(http, body);
    return Client().Get("/jobs/x", &job);
  };
  const std::string body = R"({"code":"job_unknown","message":"there is no job 'x'"})";
  Status status = error(404, body);
  EXPECT_EQ(status.message(), "there is no job 'x'");
  EXPECT_EQ(ExitCodeOf(status), kExitNotFound);
  EXPECT_EQ(ExitCodeOf(error(400, body)), kExitError);
  EXPECT_EQ(ExitCodeOf(error(403, body)), kExitNotAllowed);
  EXPECT_EQ(ExitCodeOf(error(409, body)), kExitConflict);
  EXPECT_EQ(ExitCodeOf(error(413, body)), kExitError);
  EXPECT_EQ(ExitCodeOf(error(500, body)), kExitError);
  status = error(401, R"({"code":"token_missing","message":"no token"})");
  EXPECT_EQ(ExitCodeOf(status), kExitNotAllowed);
  EXPECT_EQ(status.message(), "no token; --token-file or MILLRACE_TOKEN_FILE gives one");
}

TEST_F(ApiClientTest, OtherServersAnswersAreErrors) {
  transport.Answer(200, "<html>welcome</html>");
  EXPECT_EQ(CodeOf(Client().Get("/jobs", &job)), "bad_answer");
  transport.Answer(404, "nothing here");
  const Status status = Client().Get("/jobs", &job);
  EXPECT_EQ(
      status.message(),
      "the server has no /api/v1/jobs: it is an older coordinator, or none at all (--server)");
  transport.Answer(302, "");
  EXPECT_EQ(Client().Get("/jobs", &job).message(), "the coordinator failed: HTTP status 302");
  transport.Answer(502, "bad\x1b[2Jgateway");
  EXPECT_EQ(Client().Get("/jobs", &job).message(),
            "the coordinator failed: HTTP status 502: bad\\x1b[2Jgateway");
  transport.Answer(304, "");  // nobody asked for it
  EXPECT_EQ(CodeOf(Client().Get("/jobs", &job)), "server_failed");
}

TEST_F(ApiClientTest, PagesGoOnWhereTheLastOneEnded) {
  ApiClient client = Client();
  PagedReader<proto::LogPage> reader(&client, "/jobs/x/logs?limit=2");
  transport.Answer(200, R"({"lines":[{"sequence":"3"},{"sequence":"7"}],"next":"7"})", "\"a\"");
  transport.Answer(200, R"({"next":"7"})", "\"b\"");
  transport.Answer(304, "");
  transport.Answer(200, R"({"lines":[{"sequence":"2"}],"next":"2"})", "\"c\"");
  transport.Answer(200, R"({"lines":[{"sequence":"2"}],"next":"2"})", "\"c\"");
  EXPECT_EQ(reader.Read(), Result<bool>(true));
  EXPECT_EQ(reader.page().lines_size(), 2);
  EXPECT_EQ(reader.Read(), Result<bool>(false));
  EXPECT_EQ(reader.Read(), Result<bool>(false));
  EXPECT_EQ(reader.page().lines_size(), 0);
  EXPECT_FALSE(reader.began_anew());
  EXPECT_EQ(reader.Read(), Result<bool>(true));  // another coordinator's
  EXPECT_TRUE(reader.began_anew());
  EXPECT_EQ(CodeOf(reader.Read().status()), "bad_answer");  // it would never end
  EXPECT_EQ(transport.requests[0].path, "/api/v1/jobs/x/logs?limit=2&after=0");
  EXPECT_EQ(transport.requests[2].path, "/api/v1/jobs/x/logs?limit=2&after=7");
  const auto tag = [](const std::string& value) {
    return testing::Contains(std::pair<std::string, std::string>("If-None-Match", value));
  };
  EXPECT_THAT(transport.requests[1].headers, testing::Not(tag("\"a\"")));
  EXPECT_THAT(transport.requests[2].headers, tag("\"b\""));
}

// ---- waiting

proto::JobStatus JobIn(const std::string& state, int64_t attempt = 1) {
  proto::JobStatus status;
  status.set_name("x");
  status.set_state(state);
  status.set_attempt(attempt);
  return status;
}

TEST(JobGoal, IsReachedHopelessOrNeither) {
  const JobGoal running{.states = {"running"}};
  EXPECT_EQ(JudgeGoal(JobIn("running"), running), GoalVerdict::kReached);
  EXPECT_EQ(JudgeGoal(JobIn("deploying"), running), GoalVerdict::kNotYet);
  EXPECT_EQ(JudgeGoal(JobIn("paused"), running), GoalVerdict::kNotYet);  // somebody may resume it
  EXPECT_EQ(JudgeGoal(JobIn("failed"), running), GoalVerdict::kHopeless);
  EXPECT_EQ(JudgeGoal(JobIn("failed"), {.states = {"finished", "failed"}}), GoalVerdict::kReached);
  const JobGoal next{{"running"}, 3};
  EXPECT_EQ(JudgeGoal(JobIn("running", 3), next), GoalVerdict::kNotYet);
  EXPECT_EQ(JudgeGoal(JobIn("finished", 3), next), GoalVerdict::kNotYet);  // before the change
  EXPECT_EQ(JudgeGoal(JobIn("running", 4), next), GoalVerdict::kReached);
  proto::JobStatus rescaling = JobIn("running", 4);
  rescaling.set_rescaling(true);
  EXPECT_EQ(JudgeGoal(rescaling, next), GoalVerdict::kReached);
  EXPECT_EQ(JudgeGoal(rescaling, {{"running"}, 3, /*rescaled=*/true}), GoalVerdict::kNotYet);
  EXPECT_EQ(JudgeGoal(JobIn("finished", 4), next), GoalVerdict::kHopeless);
}

TEST(JobGoal, IsReadFromItsFlag) {
  EXPECT_THAT(ParseGoal("state=running")->states, ElementsAre("running"));
  EXPECT_EQ(GoalText(*ParseGoal("state=finished,failed")), "finished or failed");
  EXPECT_EQ(ParseGoal("state=runing").status().message(),
            "there is no state 'runing'; did you mean 'running'?");
  for (const char* const text : {"", "running", "state=", "state", "condition=ready"}) {
    const Status status = ParseGoal(text).status();
    EXPECT_EQ(ExitCodeOf(status), kExitUsage) << text;
  }
}

TEST(JobName, IsAFileByHowItIsWritten) {
  for (const char* const file : {"job.yaml", "jobs/smoke", "./x", "/x", "."}) {
    EXPECT_TRUE(IsJobFile(file)) << file;
    EXPECT_EQ(ExitCodeOf(CheckJobName(file)), kExitUsage) << file;
  }
  EXPECT_FALSE(IsJobFile("smoke-1"));
  EXPECT_TRUE(CheckJobName("smoke-1").ok());
  EXPECT_FALSE(CheckJobName("").ok());
}

TEST_F(ApiClientTest, AJobIsWaitedForWithGrowingPauses) {
  ApiClient client = Client();
  for (int i = 0; i < 7; ++i) transport.Answer(200, R"({"name":"x","state":"stopping"})");
  transport.Answer(200, R"({"name":"x","state":"paused"})");
  const auto status = WaitForJob(&client, "x", {.states = {"paused"}}, seconds(60));
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->state(), "paused");
  EXPECT_THAT(pauses, ElementsAre(milliseconds(50), milliseconds(100), milliseconds(200),
                                  milliseconds(400), milliseconds(800), seconds(1), seconds(1)));
}

TEST_F(ApiClientTest, WaitingEndsWithTheTime) {
  ApiClient client = Client();
  for (int i = 0; i < 99; ++i) {
    transport.Answer(200, R"({"name":"x","state":"waiting","why":"no worker is there"})");
  }
  const Status status = WaitForJob(&client, "x", {.states = {"running"}}, seconds(5)).status();
  EXPECT_EQ(ExitCodeOf(status), kExitTimeout);
  EXPECT_EQ(status.message(), "after 5s: job x is waiting (no worker is there), not running");
  EXPECT_EQ(clock.Monotonic(), seconds(5));
}

TEST_F(ApiClientTest, WaitingEndsWhereItIsHopeless) {
  ApiClient client = Client();
  transport.Answer(200, R"({"name":"x","state":"failed","last_failure":"disk_full"})");
  const Status status = WaitForJob(&client, "x", {.states = {"running"}}, seconds(5)).status();
  EXPECT_EQ(ExitCodeOf(status), kExitError);
  EXPECT_EQ(status.message(), "job x is failed (disk_full), and so will not be running");
}

TEST_F(ApiClientTest, WaitingOutlastsACoordinatorThatIsAway) {
  ApiClient client = Client();
  transport.Fail("unreachable");
  transport.Fail("connection_broken");
  transport.Answer(200, R"({"name":"x","state":"running"})");
  EXPECT_TRUE(WaitForJob(&client, "x", {.states = {"running"}}, seconds(5)).ok());
  transport.Answer(404, R"({"message":"there is no job 'x'"})");
  EXPECT_EQ(ExitCodeOf(WaitForJob(&client, "x", {.states = {"running"}}, seconds(5)).status()),
            kExitNotFound);
  const Status away = WaitForJob(&client, "x", {.states = {"running"}}, seconds(5)).status();
  EXPECT_EQ(away.message(), "after 5s: no coordinator has answered");
}

}  // namespace
}  // namespace millrace
