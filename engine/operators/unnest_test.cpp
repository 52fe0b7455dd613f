// Unfolding over batches: bounds, pieces, what is known of each row. Meaning: tests/sql/cases.
#include "engine/operators/unnest.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/operators/expression_test_batch.h"

namespace millrace {
namespace {

using namespace testing_batch;  // NOLINT: a vocabulary for this file

Expr Cast(Expr expr, Type type) { return Make(Expr::Kind::kCast, type, {std::move(expr)}); }

// id, item and n of every item of `array`.
ProjectNode Unfold(const TestBatch& input, bool keeps_empty = false) {
  ProjectNode node;
  node.unnest =
      Unnest{std::nullopt, input["array"], {"item", Type::kJson, "", false}, "n", keeps_empty};
  const int added = int(input.schema.fields.size());
  node.columns = {input["id"], input["array"], input["id"]};
  node.columns[1].column = added;
  node.columns[2].column = added + 1;
  node.columns[2].type = Type::kBigint;
  return node;
}

const Schema kOutput{{{"id", Type::kText, "", false},
                      {"item", Type::kJson, "", false},
                      {"n", Type::kBigint, "", false}}};

TestBatch Arrays(const Cells<std::string>& ids, const Cells<std::string>& arrays) {
  return TestBatch({{"id", Type::kText, Texts(ids)}, {"array", Type::kJson, Texts(arrays)}});
}

struct Unfolded {
  std::vector<Projected> pieces;
  std::vector<std::string> rows;  // "id item n"
  std::vector<int32_t> source_rows;
  std::vector<RowError> errors;
  std::vector<uint64_t> items;
  int64_t filtered_out = 0;
};

Unfolded RunOver(UnnestOperator* unnest, const Rows& input,
                 const std::vector<int32_t>& readings = {}) {
  Unfolded run;
  EXPECT_TRUE(unnest->Begin(input, readings).ok());
  for (;;) {
    std::optional<Projected> piece = unnest->Next().ValueOrDie();
    if (!piece.has_value()) return run;
    EXPECT_TRUE(piece->rows.batch->ValidateFull().ok());
    EXPECT_EQ(int64_t(piece->source_rows.size()), piece->rows.size());
    for (int64_t row = 0; row < piece->rows.size(); ++row) {
      std::string text;
      for (const auto& column : piece->rows.batch->columns()) {
        text += (text.empty() ? "" : " ") + column->GetScalar(row).ValueOrDie()->ToString();
      }
      run.rows.push_back(std::move(text));
      run.items.push_back((*piece->rows.items)[size_t(row)]);
      run.source_rows.push_back(piece->source_rows[size_t(row)]);
    }
    for (const RowError& error : piece->errors) run.errors.push_back(error);
    run.filtered_out += piece->filtered_out;
    run.pieces.push_back(std::move(*piece));
  }
}

Unfolded RunOver(const ProjectNode& node, const TestBatch& input) {
  auto origins = std::make_shared<Origins>();
  origins->source = {"readings", 3};
  for (int64_t row = 0; row < input.batch->num_rows(); ++row) {
    origins->offsets.push_back(100 + row);
  }
  const auto unnest = UnnestOperator::Make(node, input.schema, kOutput).ValueOrDie();
  return RunOver(unnest.get(), Rows{input.batch, origins});
}

TEST(UnnestTest, EveryItemIsARowThatKnowsItsReading) {
  const TestBatch input = Arrays({"a", "b", "c", "d"}, {"[1,[2]]", "[]", std::nullopt, "[null]"});
  const Unfolded run = RunOver(Unfold(input), input);
  EXPECT_EQ(run.rows, (std::vector<std::string>{"a 1 1", "a [2] 2", "d null 1"}));
  EXPECT_EQ(run.source_rows, (std::vector<int32_t>{0, 0, 3}));
  EXPECT_EQ(run.items, (std::vector<uint64_t>{1, 2, 1}));
  ASSERT_EQ(run.pieces.size(), 1u);
  EXPECT_EQ(run.pieces[0].rows.origins->offsets, (std::vector<int64_t>{100, 100, 103}));
  EXPECT_EQ(run.pieces[0].rows.origins->source.partition, 3);
  EXPECT_EQ(run.filtered_out, 2);
  EXPECT_TRUE(run.errors.empty());
}

TEST(UnnestTest, RowsWithoutItemsAreKeptWhereThatIsAsked) {
  const TestBatch input = Arrays({"a", "b", "c"}, {"[]", std::nullopt, "null"});
  const Unfolded run = RunOver(Unfold(input, /*keeps_empty=*/true), input);
  EXPECT_EQ(run.rows, (std::vector<std::string>{"a null null", "b null null", "c null null"}));
  EXPECT_EQ(run.items, (std::vector<uint64_t>{0, 0, 0}));
  EXPECT_EQ(run.filtered_out, 0);
}

// c fails in the filter, e in a column; b is left out by the filter before, d by that of items.
TEST(UnnestTest, WhatFailsOnAnItemFailsItsReading) {
  const TestBatch input =
      Arrays({"a", "b", "c", "d", "e"}, {"[1,20,3]", "{}", "[4,0,5]", "[30,40]", "[6,7,2]"});
  ProjectNode node = Unfold(input);
  const Expr number = Cast(node.columns[1], Type::kInteger);
  node.unnest->filter = Call("<>", {input["id"], Text("b")});
  node.filter = Call(">", {Call("/", {Int(19), number}), Int(0)});
  node.columns[2] = Cast(Call("/", {Int(84), Call("-", {number, Int(2)})}), Type::kBigint);
  const Unfolded run = RunOver(node, input);
  EXPECT_EQ(run.rows, (std::vector<std::string>{"a 1 -84", "a 3 84"}));
  EXPECT_EQ(run.filtered_out, 2);
  ASSERT_EQ(run.errors.size(), 2u);
  EXPECT_EQ(run.errors[0].row, 2);
  EXPECT_EQ(run.errors[0].reason, "division_by_zero");
  EXPECT_TRUE(run.errors[0].message.ends_with("(element 2)")) << run.errors[0].message;
  EXPECT_EQ(run.errors[1].row, 4);
  EXPECT_TRUE(run.errors[1].message.ends_with("(element 3)")) << run.errors[1].message;
}

std::string ArrayOf(size_t count, const std::string& item = "1") {
  std::string array = "[";
  for (size_t i = 0; i < count; ++i) array += (i == 0 ? "" : ",") + item;
  return array + "]";
}

TEST(UnnestTest, AnArrayHasABound) {
  const TestBatch input =
      Arrays({"a", "b", "c"}, {ArrayOf(kUnnestItemsMax + 1), ArrayOf(kUnnestItemsMax), "[7]"});
  const Unfolded run = RunOver(Unfold(input), input);
  ASSERT_EQ(run.errors.size(), 1u);
  EXPECT_EQ(run.errors[0].row, 0);
  EXPECT_EQ(run.errors[0].reason, "too_many_elements");
  EXPECT_EQ(run.errors[0].message, "more than 100000 elements in array");
  EXPECT_EQ(run.rows.size(), kUnnestItemsMax + 1);
  EXPECT_EQ(run.rows.back(), "c 7 1");
}

// Texts that are selected beside the items are there once for each.
TEST(UnnestTest, WhatStandsBesideItemsHasABound) {
  const std::string long_text(20'000, 'x');
  const TestBatch input = Arrays({long_text, "b", long_text}, {ArrayOf(1000), "[2]", "[3]"});
  const Unfolded run = RunOver(Unfold(input), input);
  ASSERT_EQ(run.errors.size(), 1u);
  EXPECT_EQ(run.errors[0].row, 0);
  EXPECT_EQ(run.errors[0].reason, "too_large");
  EXPECT_EQ(run.rows, (std::vector<std::string>{"b 2 1", long_text + " 3 1"}));
  // Where the text is not selected it is not there.
  ProjectNode narrow = Unfold(input);
  narrow.columns[0] = Text("b");
  EXPECT_EQ(RunOver(narrow, input).rows.size(), 1002u);
}

TEST(UnnestTest, PiecesAreBoundedAndHoldReadingsWhole) {
  Cells<std::string> ids;
  Cells<std::string> arrays;
  for (int i = 0; i < 40; ++i) {
    ids.push_back("d" + std::to_string(i));
    arrays.push_back(i % 7 == 3 ? "[]" : ArrayOf(1500, std::to_string(i)));
  }
  ids.push_back("last");
  arrays.push_back("5");
  const TestBatch input = Arrays(ids, arrays);
  const Unfolded run = RunOver(Unfold(input), input);
  EXPECT_GT(run.pieces.size(), 2u);
  std::map<int32_t, size_t> piece_of;
  for (size_t i = 0; i < run.pieces.size(); ++i) {
    EXPECT_LE(run.pieces[i].rows.size(), 16'384);
    for (const int32_t row : run.pieces[i].source_rows) {
      EXPECT_EQ(piece_of.emplace(row, i).first->second, i);
    }
  }
  EXPECT_EQ(run.rows.size(), 34u * 1500);
  EXPECT_EQ(run.filtered_out, 6);
  ASSERT_EQ(run.errors.size(), 1u);
  EXPECT_EQ(run.errors[0].row, 40);
  for (size_t i = 0; i < run.rows.size(); ++i) {
    const std::string id = std::to_string(run.source_rows[i]);
    EXPECT_EQ(run.rows[i], "d" + id + " " + id + " " + std::to_string(i % 1500 + 1));
  }
}

// Items of arrays in arrays are told apart, too.
TEST(UnnestTest, ItemsOfUnfoldedRowsHaveNumbersOfTheirOwn) {
  const TestBatch input = Arrays({"a", "b"}, {"[1,2]", "[3]"});
  const auto unnest = UnnestOperator::Make(Unfold(input), input.schema, kOutput).ValueOrDie();
  Rows rows{input.batch, nullptr};
  rows.items = std::make_shared<std::vector<uint64_t>>(std::vector<uint64_t>{1, 2});
  EXPECT_EQ(RunOver(unnest.get(), rows).items, (std::vector<uint64_t>{100'002, 100'003, 200'003}));
}

// Rows of one reading that is unfolded already: b fails as an array, e as a number.
TEST(UnnestTest, RowsOfAReadingFailTogether) {
  const TestBatch input =
      Arrays({"a", "b", "c", "d", "e", "f"}, {"[1]", "{}", "[2]", "[3,4]", "[5,\"x\"]", "[]"});
  ProjectNode node = Unfold(input);
  node.columns[2] = Cast(node.columns[1], Type::kBigint);
  const auto unnest = UnnestOperator::Make(node, input.schema, kOutput).ValueOrDie();
  const auto errors = [](const Unfolded& run) {
    std::vector<std::string> texts;
    texts.reserve(run.errors.size());
    for (const RowError& error : run.errors) {
      texts.push_back(std::to_string(error.row) + " " + error.message.substr(0, 16));
    }
    return texts;
  };
  const Rows rows{input.batch, nullptr};
  const Unfolded alone = RunOver(unnest.get(), rows);
  EXPECT_EQ(alone.rows, (std::vector<std::string>{"a 1 1", "c 2 2", "d 3 3", "d 4 4"}));
  EXPECT_EQ(errors(alone), (std::vector<std::string>{"1 cannot extract e", "4 not a JSON numbe"}));
  EXPECT_EQ(alone.filtered_out, 1);
  const Unfolded together = RunOver(unnest.get(), rows, {3, 3, 7, 8, 8, 8});
  EXPECT_EQ(together.rows, (std::vector<std::string>{"c 2 2"}));
  EXPECT_EQ(errors(together),
            (std::vector<std::string>{"0 ", "1 cannot extract e", "3 ", "4 not a JSON numbe"}));
  EXPECT_EQ(together.filtered_out, 1);
}

TEST(UnnestTest, ABatchMayBeEmptyAndTheNextOneIsNotTouchedByTheLast) {
  const TestBatch input = Arrays({"a", "b"}, {"[1]", "7"});
  const auto unnest = UnnestOperator::Make(Unfold(input), input.schema, kOutput).ValueOrDie();
  EXPECT_EQ(RunOver(unnest.get(), Rows{input.batch->Slice(0, 0), nullptr}).pieces.size(), 0u);
  ASSERT_TRUE(unnest->Begin(Rows{input.batch, nullptr}, {}).ok());
  const Unfolded run = RunOver(unnest.get(), Rows{input.batch->Slice(1, 1), nullptr});
  EXPECT_TRUE(run.rows.empty());
  EXPECT_EQ(run.errors.size(), 1u);
}

TEST(UnnestTest, AReadingOfWhichOneRowFailsFails) {
  const TestBatch input = Arrays({"a", "b", "c", "d", "e"}, {"1", "2", "3", "4", "5"});
  Projected projected;
  projected.rows = Rows{input.batch, nullptr};
  projected.rows.batch = input.batch->Slice(0, 4);
  projected.source_rows = {0, 2, 3, 4};
  projected.errors = {{1, "division_by_zero", "division by zero"}};
  ASSERT_TRUE(FailWholeReadings({7, 7, 7, 8, 8}, &projected).ok());
  EXPECT_EQ(projected.source_rows, (std::vector<int32_t>{3, 4}));
  EXPECT_TRUE(projected.rows.batch->column(0)->Equals(Texts({"c", "d"})));
  ASSERT_EQ(projected.errors.size(), 3u);
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_EQ(projected.errors[size_t(row)].row, row);
    EXPECT_EQ(projected.errors[size_t(row)].reason, "division_by_zero");
    EXPECT_EQ(projected.errors[size_t(row)].message, row == 1 ? "division by zero" : "");
  }
}

}  // namespace
}  // namespace millrace
