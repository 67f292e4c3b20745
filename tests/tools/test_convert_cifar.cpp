// Runs convert_cifar as a user does.
#include <set>

#include "testing/data_util.hpp"

namespace caffe {
namespace {

class ConvertCifar : public testing::TempDirTest {
 protected:
  // Red is r everywhere, green r + 1, blue r + 2.
  static string Record(const vector<int>& labels, int r) {
    string bytes(labels.begin(), labels.end());
    for (int c = 0; c < 3; ++c) bytes += string(1024, static_cast<char>(r + c));
    return bytes;
  }
};

TEST_F(ConvertCifar, Cifar10) {
  string one, two;
  for (int i = 0; i < 6; ++i) one += Record({i % 3}, 10 * i);
  for (int i = 6; i < 10; ++i) two += Record({i % 3}, 10 * i);
  Write("1.bin", one);
  Write("2.bin", two);
  ASSERT_EQ(Run("convert_cifar", "--input=1.bin,2.bin --output=db --pad=4"), 0) << output_;
  std::set<int> seen;
  for (const auto& record : testing::ReadDatums(Path("db"))) {
    const Datum& datum = record.second;
    ASSERT_EQ(datum.channels(), 3);
    ASSERT_EQ(datum.height(), 40);
    ASSERT_EQ(datum.width(), 40);
    const auto pixel = [&](int c, int y, int x) {
      return static_cast<int>(static_cast<uint8_t>(datum.data()[(c * 40 + y) * 40 + x]));
    };
    const int red = pixel(2, 4, 4);
    EXPECT_EQ(pixel(1, 35, 35), red + 1);
    EXPECT_EQ(pixel(0, 20, 20), red + 2);  // blue first, as in all of Caffe
    EXPECT_EQ(pixel(0, 3, 20), 0);
    EXPECT_EQ(datum.label(), red / 10 % 3);
    seen.insert(red);
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST_F(ConvertCifar, Cifar100) {
  string bytes;
  for (int i = 0; i < 8; ++i) bytes += Record({i % 20, 90 + i}, i);
  Write("train.bin", bytes);
  ASSERT_EQ(Run("convert_cifar", "--input=train.bin --label=fine --output=fine"), 0) << output_;
  for (const auto& record : testing::ReadDatums(Path("fine"))) {
    EXPECT_EQ(record.second.label(), 90 + record.second.data()[2048]);
  }
  ASSERT_EQ(Run("convert_cifar",
                "--input=train.bin --label=coarse --output=coarse --classes=7,2 --per_class=1"),
            0)
      << output_;
  const auto coarse = testing::ReadDatums(Path("coarse"));
  ASSERT_EQ(coarse.size(), 2u);
  for (const auto& record : coarse) {
    EXPECT_EQ(record.second.data()[2048], record.second.label() == 0 ? 7 : 2);
  }
}

TEST_F(ConvertCifar, Errors) {
  Write("a.bin", Record({3}, 0) + Record({10}, 0));
  ExpectToolError("convert_cifar", "--input=a.bin --output=db",
                  {"a.bin: record 1 has label 10 where 0 to 9 are expected"});
  Write("b.bin", Record({3}, 0).substr(1));
  ExpectToolError("convert_cifar", "--input=b.bin --output=db",
                  {"b.bin: is truncated", "3072 bytes are no multiple of 3073"});
  ExpectToolError("convert_cifar", "--input=a.bin --label=fine --output=db", {"3074"});
  ExpectToolError("convert_cifar", "--input=a.bin --label=x --output=db", {"--label=x"});
  ExpectToolError("convert_cifar", "--input=none.bin --output=db", {"none.bin: cannot be opened"});
  ExpectToolError("convert_cifar", "--output=db", {"--input"});
  EXPECT_FALSE(Exists("db"));
}

}  // namespace
}  // namespace caffe
