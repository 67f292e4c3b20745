#include "testing/convert_dataset_test.hpp"

namespace caffe {
namespace {

// Real images, where they lie beside a developer's checkout.
class RealDataset : public testing::ConvertDatasetTest {
 protected:
  // Converts; the number of images of every class in a part.
  std::map<int, int> Convert(const string& flags, const string& part, int channels) {
    EXPECT_EQ(Run("convert_dataset", flags + " --output=out"), 0) << output_;
    std::map<int, int> counts;
    for (const auto& record : testing::ReadDatums(Path("out/" + part + "_lmdb"))) {
      EXPECT_EQ(record.second.channels(), channels);
      ++counts[record.second.label()];
    }
    return counts;
  }
  static string Shared(const string& name) {
    return METAPERTURB_SOURCE_DIR "/../shared/data/" + name;
  }
};

#define SKIP_WITHOUT(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << (file) << " is not here"

TEST_F(RealDataset, TinyImagenet) {
  const string archive = Shared("tiny-imagenet-200.tar.gz");
  SKIP_WITHOUT(archive);
  const auto counts =
      Convert("--dataset=tiny_imagenet --per_class=20 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 200u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 20);
  EXPECT_EQ(testing::ReadDatums(Path("out/test_lmdb")).size(), 10000u);
}

TEST_F(RealDataset, Cifar10AsFolders) {
  const string archive = Shared("cifar10.tar");
  SKIP_WITHOUT(archive);
  const auto counts = Convert("--dataset=folder --per_class=50 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 50);
  EXPECT_EQ(testing::ReadDatums(Path("out/test_lmdb")).size(), 5000u);
}

TEST_F(RealDataset, TexturesAsFolders) {
  const string archive = Shared("dtd10-160.tar");
  SKIP_WITHOUT(archive);
  const auto counts = Convert("--dataset=folder --size=84 --pad=8 --source=" + archive, "train", 3);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 80);
}

TEST_F(RealDataset, Mnist) {
  SKIP_WITHOUT(Shared("mnist.tar"));
  Shell("tar xf " + Shared("mnist.tar"));
  const auto counts = Convert("--dataset=mnist --source=mnist", "test", 1);
  EXPECT_EQ(counts.at(0), 980);
  EXPECT_EQ(counts.at(1), 1135);
}

TEST_F(RealDataset, Omniglot) {
  SKIP_WITHOUT(Shared("omniglot-small.tar"));
  Shell("tar xf " + Shared("omniglot-small.tar"));
  const auto counts = Convert(
      "--dataset=omniglot --source=omniglot/images_background_small1.zip,"
      "omniglot/images_background_small2.zip",
      "train", 1);
  EXPECT_EQ(counts.size(), 242u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 15);
}

TEST_F(RealDataset, FashionMnist) {
  const string folder = "/usr/share/datasets/fashion-mnist";
  SKIP_WITHOUT(folder);
  const auto counts = Convert("--dataset=s_fashion_mnist --source=" + folder, "train", 1);
  ASSERT_EQ(counts.size(), 10u);
  for (const auto& count : counts) EXPECT_EQ(count.second, 500);
}

}  // namespace
}  // namespace caffe
