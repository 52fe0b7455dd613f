#include "coordinator/bounded_sequence.h"

#include <gtest/gtest.h>

#include <string>

namespace millrace {
namespace {

std::string Text(const BoundedSequence<int>::Page& page) {
  std::string text;
  for (const auto& entry : page.entries) {
    text += std::to_string(entry.sequence) + ":" + std::to_string(entry.value) + " ";
  }
  return text + "next " + std::to_string(page.next) + " dropped " + std::to_string(page.dropped);
}

constexpr auto kAll = [](int) { return true; };

TEST(BoundedSequenceTest, PagesFollowEachOther) {
  BoundedSequence<int> numbers(10);
  EXPECT_EQ(Text(numbers.After(0, 2, kAll)), "next 0 dropped 0");
  for (int i = 10; i < 15; ++i) numbers.Add(i);
  EXPECT_EQ(Text(numbers.After(0, 2, kAll)), "1:10 2:11 next 2 dropped 0");
  EXPECT_EQ(Text(numbers.After(2, 2, kAll)), "3:12 4:13 next 4 dropped 0");
  EXPECT_EQ(Text(numbers.After(4, 2, kAll)), "5:14 next 5 dropped 0");
  EXPECT_EQ(Text(numbers.After(5, 2, kAll)), "next 5 dropped 0");
}

TEST(BoundedSequenceTest, WhatIsGoneIsCounted) {
  BoundedSequence<int> numbers(3);
  for (int i = 1; i <= 8; ++i) numbers.Add(i);
  EXPECT_EQ(Text(numbers.After(2, 10, kAll)), "6:6 7:7 8:8 next 8 dropped 3");
  EXPECT_EQ(Text(numbers.After(2, 1, kAll)), "6:6 next 6 dropped 3");
  EXPECT_EQ(Text(numbers.After(6, 10, kAll)), "7:7 8:8 next 8 dropped 0");
  numbers.Skip(5);
  numbers.Add(9);
  EXPECT_EQ(Text(numbers.After(8, 10, kAll)), "14:9 next 14 dropped 5");
}

TEST(BoundedSequenceTest, WhatIsNotWantedIsPassedOver) {
  BoundedSequence<int> numbers(10);
  for (int i = 1; i <= 6; ++i) numbers.Add(i);
  const auto even = [](int value) { return value % 2 == 0; };
  EXPECT_EQ(Text(numbers.After(0, 2, even)), "2:2 4:4 next 4 dropped 0");
  EXPECT_EQ(Text(numbers.After(4, 2, even)), "6:6 next 6 dropped 0");
}

TEST(BoundedSequenceTest, ANumberFromElsewhereBeginsAnew) {
  BoundedSequence<int> numbers(10);
  numbers.Add(7);
  EXPECT_EQ(Text(numbers.After(99, 10, kAll)), "1:7 next 1 dropped 0");
}

}  // namespace
}  // namespace millrace
