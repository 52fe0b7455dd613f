#include "engine/exchange/exchange_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::HasSubstr;

TEST(ExchangeMetrics, CountersAreThereFromTheStart) {
  Metrics metrics;
  const ExchangeMetrics shown(&metrics);
  shown.Show(LinkCounters());
  shown.Show(ExchangeCounters());
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("millrace_link_refused_total{reason=\"wrong_cluster\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_refused_total{reason=\"other\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_bytes_total{direction=\"in\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_sessions 0\n"));
}

TEST(ExchangeMetrics, WhatTheLinkHasCountedIsShown) {
  Metrics metrics;
  const ExchangeMetrics shown(&metrics);
  LinkCounters link;
  link.refused["garbage"] = 3;
  link.sessions_opened = 5;
  link.sessions_lost = 2;
  link.bytes_in = 100;
  link.bytes_out = 200;
  link.frames_in = 7;
  link.resent_frames = 1;
  shown.Show(link);
  link.refused["garbage"] = 4;
  link.bytes_in = 150;
  shown.Show(link);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("millrace_link_refused_total{reason=\"garbage\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_sessions 3\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_session_events_total{event=\"opened\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_bytes_total{direction=\"in\"} 150\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_bytes_total{direction=\"out\"} 200\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_frames_total{event=\"in\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("millrace_link_frames_total{event=\"resent\"} 1\n"));
}

TEST(ExchangeMetrics, MessagesThatNobodyWaitsForAreShown) {
  Metrics metrics;
  const ExchangeMetrics shown(&metrics);
  shown.Show(ExchangeCounters{10, 20, 3, 1});
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("millrace_exchange_messages_total{direction=\"in\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("millrace_exchange_messages_total{direction=\"out\"} 20\n"));
  EXPECT_THAT(text,
              HasSubstr("millrace_exchange_dropped_messages_total{reason=\"attempt_ended\"} 3\n"));
  EXPECT_THAT(text,
              HasSubstr("millrace_exchange_dropped_messages_total{reason=\"unreadable\"} 1\n"));
}

}  // namespace
}  // namespace millrace
