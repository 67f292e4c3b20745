#include <cmath>
#include <cstdlib>

#include "testing/convert_dataset_test.hpp"
#include "testing/mat_file_writer.hpp"

namespace caffe {
namespace {

using testing::Numbers;
using testing::WriteMat;

class ArrayDatasets : public testing::ConvertDatasetTest {};

TEST_F(ArrayDatasets, Cifar10FromArchive) {
  WriteCifar10();
  ASSERT_EQ(Run("convert_dataset", "--dataset=cifar10 --source=cifar.tar.gz --output=out"), 0)
      << output_;
  const auto train = Centres("train", 40), test = Centres("test", 40);
  ASSERT_EQ(train.size(), 10u);
  for (int label = 0; label < 10; ++label) {
    ASSERT_EQ(train.at(label).size(), 2u);
    for (const int value : train.at(label)) EXPECT_EQ(value / 20, label);
    EXPECT_EQ(test.at(label), (std::multiset<int>{20 * label + 7}));
  }
  EXPECT_EQ(Read("out/labels.txt").substr(0, 14), "class0\nclass1\n");
  EXPECT_NE(output_.find("out/train_lmdb: Processed 20 of 20 files. 100%"), string::npos)
      << output_;

  // A second run does nothing, other settings are an error, a part that is missing is made.
  const string command = "--dataset=cifar10 --source=cifar.tar.gz --output=out";
  ASSERT_EQ(Run("convert_dataset", command), 0);
  EXPECT_NE(output_.find("is complete already"), string::npos) << output_;
  EXPECT_EQ(output_.find("Processed"), string::npos) << output_;
  ExpectToolError("convert_dataset", command + " --size=16",
                  {"out/settings.txt", "'size: 32' was asked for before, now 'size: 16'"});
  std::filesystem::remove_all(Path("out/train_lmdb"));
  std::filesystem::remove(Path("out/labels.txt"));
  ASSERT_EQ(Run("convert_dataset", command), 0) << output_;
  EXPECT_NE(output_.find("out/test_lmdb: is there already"), string::npos) << output_;
  EXPECT_EQ(Centres("train", 40), train);
}

TEST_F(ArrayDatasets, SubsetsOfCifar100) {
  string train, test, names;
  for (int label = 0; label < 100; ++label) {
    names += "name" + std::to_string(label) + "\n";
    for (int i = 0; i < 60; ++i) train += CifarRecord({0, label}, (label + i) % 256);
    test += CifarRecord({0, label}, label);
  }
  WriteIn("c/train.bin", train);
  WriteIn("c/test.bin", test);
  WriteIn("c/fine_label_names.txt", names);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=s_cifar100 --source=c --output=out --pad=0 --val_per_class=5"),
            0)
      << output_;
  const auto chosen = Centres("train", 32), val = Centres("val", 32);
  ASSERT_EQ(chosen.size(), 100u);
  for (int label = 0; label < 100; ++label) {
    EXPECT_EQ(chosen.at(label).size(), 50u);
    EXPECT_EQ(val.at(label).size(), 5u);
    for (const int value : val.at(label)) EXPECT_EQ(chosen.at(label).count(value), 0u);
  }
  EXPECT_EQ(Centres("test", 32).size(), 100u);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=s_cifar100 --source=c --output=b --pad=0 --seed=2 --classes=7,3"),
            0)
      << output_;
  const auto other = Centres("train", 32, 3, "b");
  EXPECT_EQ(other.size(), 2u);
  EXPECT_NE(other.at(0), chosen.at(7));
  EXPECT_EQ(Centres("test", 32, 3, "b"), (Expected{{0, {7}}, {1, {3}}}));
  EXPECT_EQ(Read("b/labels.txt"), "name7\nname3\n");
  ASSERT_EQ(
      Run("convert_dataset", "--dataset=cifar100 --source=c --output=f --per_class=61 --classes=5"),
      0);
  EXPECT_NE(output_.find("class 'name5' has 60 images to train on; --per_class is 61"),
            string::npos)
      << output_;
  ExpectToolError("convert_dataset", "--dataset=cifar100 --source=c --output=e --classes=100",
                  {"--classes=100", "classes 0 to 99"});
  EXPECT_FALSE(Exists("e"));
}

TEST_F(ArrayDatasets, Stl10LiesInColumns) {
  // Pixel (y, x) of channel c is c * 80 + x in image 0, and c * 80 + y in image 1.
  string images;
  for (int image = 0; image < 2; ++image) {
    for (int c = 0; c < 3; ++c) {
      for (int x = 0; x < 96; ++x) {
        for (int y = 0; y < 96; ++y) {
          images.push_back(static_cast<char>(c * 80 + (image == 0 ? x : y) / 2));
        }
      }
    }
  }
  string names;
  for (int i = 0; i < 10; ++i) names += "n" + std::to_string(i) + "\n";
  for (const char* part : {"train", "test"}) {
    WriteIn("stl10_binary/" + string(part) + "_X.bin", images);
    WriteIn("stl10_binary/" + string(part) + "_y.bin", "\x01\x0a");
  }
  WriteIn("stl10_binary/class_names.txt", names);
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=stl10 --source=stl10_binary --output=out --size=96 --pad=0"),
            0)
      << output_;
  for (const auto& record : testing::ReadDatums(Path("out/train_lmdb"))) {
    const Datum& datum = record.second;
    ASSERT_EQ(datum.height(), 96);
    const int image = datum.label() == 9;
    for (int c = 0; c < 3; ++c) {
      const int value = static_cast<uint8_t>(datum.data()[(c * 96 + 30) * 96 + 50]);
      EXPECT_EQ(value, (2 - c) * 80 + (image == 0 ? 50 : 30) / 2);  // blue first
    }
  }
  WriteIn("stl10_binary/train_y.bin", "\x01\x0b");
  ExpectToolError("convert_dataset", "--dataset=stl10 --source=stl10_binary --output=e",
                  {"train_y.bin", "image 1 has label 11 where 1 to 10"});
  WriteIn("stl10_binary/train_X.bin", images.substr(1));
  ExpectToolError("convert_dataset", "--dataset=stl10 --source=stl10_binary --output=e",
                  {"train_X.bin: is truncated"});
}

TEST_F(ArrayDatasets, Svhn) {
  // Column by column, red first: pixel (y, x) of image n is 40 * n + c * 10 + (x == 3).
  size_t extent[4] = {32, 32, 3, 3};
  string images;
  for (int n = 0; n < 3; ++n) {
    for (int c = 0; c < 3; ++c) {
      for (int x = 0; x < 32; ++x) {
        images += string(32, static_cast<char>(40 * n + c * 10 + (x == 3)));
      }
    }
  }
  for (const char* part : {"train", "test"}) {
    WriteMat(Path(string(part) + "_32x32.mat"),
             {Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, extent, &images[0], 0),
              Numbers("y", {10, 1, 9})});
  }
  ASSERT_EQ(Run("convert_dataset",
                "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=out --pad=0"),
            0)
      << output_;
  const auto records = testing::ReadDatums(Path("out/train_lmdb"));
  ASSERT_EQ(records.size(), 3u);
  for (const auto& record : records) {
    const Datum& datum = record.second;
    const std::map<int, int> image_of = {{0, 0}, {1, 1}, {9, 2}};
    const int n = image_of.at(datum.label());
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(datum.data()[(c * 32 + 8) * 32 + 3], 40 * n + (2 - c) * 10 + 1);
      EXPECT_EQ(datum.data()[(c * 32 + 3) * 32 + 8], 40 * n + (2 - c) * 10);
    }
  }
  for (const double no_label : {3.7, 11.0, std::nan("")}) {
    WriteMat(Path("test_32x32.mat"),
             {Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, extent, &images[0], 0),
              Numbers("y", {1, no_label, 9})});
    ExpectToolError("convert_dataset",
                    "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=e",
                    {"test_32x32.mat: image 1 has label ", " where 1 to 10 are expected"});
  }
  // A sparse y, whose values are not all there.
  double value = 1;
  mat_uint32_t row = 2, columns[2] = {0, 1};
  mat_sparse_t sparse = {1, &row, 1, columns, 2, 1, &value};
  size_t column[2] = {3, 1};
  WriteMat(Path("test_32x32.mat"),
           {Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, extent, &images[0], 0),
            Mat_VarCreate("y", MAT_C_SPARSE, MAT_T_DOUBLE, 2, column, &sparse, 0)});
  ExpectToolError("convert_dataset",
                  "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=e",
                  {"test_32x32.mat: 'y' holds no numbers"});
  setenv("TMPDIR", Path("none").c_str(), 1);
  ExpectToolError("convert_dataset",
                  "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=e",
                  {"there is no folder for temporary files"});
  unsetenv("TMPDIR");
  Write("train_32x32.mat", Read("train_32x32.mat").substr(0, 200));
  ExpectToolError("convert_dataset",
                  "--dataset=svhn --source=train_32x32.mat,test_32x32.mat --output=e",
                  {"train_32x32.mat:", "damaged"});
  WriteMat(Path("test_32x32.mat"), {Numbers("X", {1}), Numbers("y", {1})});
  ExpectToolError("convert_dataset", "--dataset=svhn --source=test_32x32.mat --output=e",
                  {"there is no file 'train_32x32.mat'"});
}

}  // namespace
}  // namespace caffe
