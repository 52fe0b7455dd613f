// Who may connect to whom over TLS, with certificates made here.
#include "engine/link/link_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <fstream>

#include "engine/link/link_network_testing.h"
#include "engine/link/link_testing.h"

namespace millrace {
namespace {

using testing::HasSubstr;

LinkBytes Bytes(std::string text) { return arrow::Buffer::FromString(std::move(text)); }

class LinkTlsTest : public testing::Test {
 protected:
  LinkOptions Coordinator() {
    LinkOptions options = LinkTestOptions(LinkRole::kCoordinator, "coordinator-0", true);
    options.tls = authority_.WriteFiles(folder_ / "coordinator",
                                        authority_.Issue("coordinator.prod.millrace"));
    return options;
  }
  LinkOptions Worker(const LinkTestAuthority::Pem& pem) {
    LinkOptions options = LinkTestOptions(LinkRole::kWorker, "worker-0", false);
    options.tls = authority_.WriteFiles(folder_ / "worker", pem);
    return options;
  }
  LinkOptions Worker() { return Worker(authority_.Issue("worker.prod.millrace")); }

  LinkTestFolder folder_;
  LinkTestAuthority authority_{"the cluster's CA"};
};

TEST_F(LinkTlsTest, FramesGoBothWays) {
  LinkTestNode a(Coordinator());
  LinkProxy proxy(a.network->port());
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(proxy.address(), LinkRole::kCoordinator).ok());
  const LinkSessionId at_a = a.told.WaitOpened();
  const LinkSessionId at_b = b.told.WaitOpened();
  // Sizes around those of a TLS record, one after the other and many at once; once broken.
  proxy.BreakAfter(3'000'000);
  std::vector<std::string> frames;
  for (const size_t size : {0, 1, 16359, 16360, 16361, 16383, 16384, 16385, 65536, 5'000'000}) {
    for (int i = 0; i < 20; ++i) frames.emplace_back(i * 7, 's');
    frames.emplace_back(size, char('a' + size % 26));
  }
  for (const std::string& frame : frames) {
    ASSERT_TRUE(b.network->Send(at_b, Bytes(frame)).ok());
    ASSERT_TRUE(a.network->Send(at_a, Bytes(frame)).ok());
  }
  EXPECT_TRUE(a.told.WaitFrames(at_a, frames.size()) == frames);
  EXPECT_TRUE(b.told.WaitFrames(at_b, frames.size()) == frames);
  EXPECT_EQ(a.network->counters().sessions_resumed, 1);
}

TEST_F(LinkTlsTest, CertificatesThatAreNotOfTheClusterAreRefused) {
  LinkTestNode a(Coordinator());
  const LinkTestAuthority other("another CA");
  const auto refused = [&](LinkOptions options, const std::string& code_there,
                           const std::string& code_here) {
    LinkTestNode b(std::move(options));
    EXPECT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
    const std::string there = a.told.WaitRefused(code_there);
    EXPECT_TRUE(b.told.WaitFor([&](const LinkRecorder::Told& told) {
      return told.WasRefused(code_here);
    })) << code_here;
    EXPECT_TRUE(b.told.told().opened.empty());
    return there;
  };
  EXPECT_THAT(refused(Worker(authority_.Issue("coordinator.prod.millrace")), "wrong_tls_name",
                      "wrong_tls_name"),
              HasSubstr("has a certificate for coordinator.prod.millrace; it must be for "
                        "worker.prod.millrace"));
  refused(Worker(authority_.Issue("worker.test.millrace")), "wrong_tls_name", "wrong_tls_name");
  refused(Worker(authority_.Issue("*.prod.millrace")), "wrong_tls_name", "wrong_tls_name");
  EXPECT_GE(a.network->counters().refused["wrong_tls_name"], 3);
  EXPECT_TRUE(a.told.told().opened.empty());
}

TEST_F(LinkTlsTest, CertificatesThatCannotBeVerifiedAreRefused) {
  const LinkTestAuthority other("another CA");
  const auto told = [&](const LinkTestAuthority::Pem& pem) {
    LinkTestNode a(Coordinator());
    LinkTestNode b(Worker(pem));
    EXPECT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
    const std::string there = a.told.WaitRefused("tls_failed");
    return there + " | " + b.told.WaitRefused("tls_failed");
  };
  EXPECT_THAT(told(authority_.Issue("worker.prod.millrace", /*expired=*/true)),
              testing::AllOf(HasSubstr("certificate has expired |"),
                             HasSubstr("alert certificate expired")));
  EXPECT_THAT(told(other.Issue("worker.prod.millrace")),
              testing::AllOf(HasSubstr("the peer's certificate is refused: "),
                             HasSubstr("alert unknown ca")));
}

// A server with another CA's certificate, or another name's, is refused by who dials it.
TEST_F(LinkTlsTest, TheSideThatDialsLooksToo) {
  const LinkTestAuthority other("another CA");
  LinkOptions options = LinkTestOptions(LinkRole::kCoordinator, "coordinator-0", true);
  options.tls = other.WriteFiles(folder_ / "other", other.Issue("coordinator.prod.millrace"));
  LinkTestNode a(options);
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  EXPECT_THAT(b.told.WaitRefused("tls_failed"), HasSubstr("the peer's certificate is refused"));
  options.tls = authority_.WriteFiles(folder_ / "named", authority_.Issue("worker.prod.millrace"));
  LinkTestNode c(options);
  ASSERT_TRUE(b.network->Connect(c.address(), LinkRole::kCoordinator).ok());
  EXPECT_THAT(b.told.WaitRefused("wrong_tls_name"),
              HasSubstr("it must be for coordinator.prod.millrace"));
  EXPECT_TRUE(b.told.told().opened.empty());
  EXPECT_TRUE(c.told.told().opened.empty());
}

TEST_F(LinkTlsTest, PlaintextAndTlsDoNotMeet) {
  const std::string why = "one of the two speaks TLS, the other one does not";
  LinkTestNode tls(Coordinator());
  LinkTestNode plain(LinkTestOptions(LinkRole::kWorker, "worker-1", true));
  ASSERT_TRUE(plain.network->Connect(tls.address(), LinkRole::kCoordinator).ok());
  EXPECT_EQ(tls.told.WaitRefused("tls_failed"), why);
  EXPECT_EQ(plain.told.WaitRefused("tls_failed"), "refused by the peer: this node " + why);
  LinkTestNode other(LinkTestOptions(LinkRole::kWorker, "worker-2", true));
  LinkTestNode worker(Worker());
  ASSERT_TRUE(worker.network->Connect(other.address(), LinkRole::kWorker).ok());
  EXPECT_EQ(other.told.WaitRefused("tls_failed"), why);
  EXPECT_EQ(worker.told.WaitRefused("tls_failed"), why);
}

// A node has a certificate in any case; this client has none.
TEST_F(LinkTlsTest, NobodyComesWithoutACertificate) {
  LinkTestNode a(Coordinator());
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  BIO* const client = BIO_new_ssl_connect(context);
  BIO_set_conn_hostname(client, a.address().ToString().c_str());
  EXPECT_EQ(BIO_do_connect(client), 1);
  char byte = 0;
  EXPECT_LE(BIO_read(client, &byte, 1), 0);
  BIO_free_all(client);
  SSL_CTX_free(context);
  EXPECT_THAT(a.told.WaitRefused("tls_failed"), HasSubstr("peer did not return a certificate"));
}

TEST_F(LinkTlsTest, FilesThatChangeAreReadAgain) {
  const LinkTestAuthority other("the next CA");
  LinkTestNode a(Coordinator());
  LinkTestNode b(Worker());
  ASSERT_TRUE(b.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  a.told.WaitOpened();
  // Files that are no good: told once, and what was there goes on.
  std::ofstream(folder_ / "coordinator/tls.crt") << "no certificate";
  LinkOptions options = Worker();
  options.self.node = "worker-1";
  LinkTestNode c(options);
  ASSERT_TRUE(c.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  a.told.WaitOpened(2);
  c.told.WaitOpened();
  ASSERT_EQ(a.told.told().warnings.size(), 1u);
  EXPECT_THAT(a.told.told().warnings[0].message(),
              HasSubstr("changed TLS files; the old ones go on: cannot use the certificate in"));
  // Another CA's files: who has the old ones is refused, who has the new ones is not.
  other.WriteFiles(folder_ / "coordinator", other.Issue("coordinator.prod.millrace"));
  options.self.node = "worker-2";
  LinkTestNode old(options);
  ASSERT_TRUE(old.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  old.told.WaitRefused("tls_failed");
  options.self.node = "worker-3";
  options.tls = other.WriteFiles(folder_ / "next", other.Issue("worker.prod.millrace"));
  LinkTestNode next(options);
  ASSERT_TRUE(next.network->Connect(a.address(), LinkRole::kCoordinator).ok());
  next.told.WaitOpened();
  // A connection that is there stays.
  EXPECT_TRUE(a.told.told().lost.empty());
  EXPECT_EQ(a.told.told().warnings.size(), 1u);
}

TEST_F(LinkTlsTest, FilesAreCheckedAtTheStart) {
  LinkRecorder told;
  LinkOptions options = Coordinator();
  const auto message = [&](const LinkTlsFiles& files) {
    options.tls = files;
    const Status status = LinkNetwork::Start(options, &told).status();
    EXPECT_EQ(LinkCodeOf(status), "tls_files");
    return status.message();
  };
  const LinkTlsFiles good = *options.tls;
  const LinkTlsFiles worker = *Worker().tls;
  EXPECT_THAT(message({"/none", good.certificate, good.key}),
              HasSubstr("CA certificates in /none"));
  EXPECT_THAT(message({good.ca, good.key, good.key}), HasSubstr("the certificate in"));
  EXPECT_THAT(message({good.ca, good.certificate, worker.key}), HasSubstr("cannot use the key in"));
}

}  // namespace
}  // namespace millrace
