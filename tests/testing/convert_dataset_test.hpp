#ifndef METAPERTURB_TESTS_TESTING_CONVERT_DATASET_TEST_HPP_
#define METAPERTURB_TESTS_TESTING_CONVERT_DATASET_TEST_HPP_

#include <map>
#include <opencv2/imgcodecs.hpp>
#include <set>

#include "testing/data_util.hpp"

namespace caffe {
namespace testing {

/// Runs convert_dataset as a user does, on files in the formats of the publications.
class ConvertDatasetTest : public TempDirTest {
 protected:
  void WriteIn(const string& name, const string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    Write(name, bytes);
  }
  // An image of one colour; the value tells it apart.
  void WriteImage(const string& name, int value, int height = 12, int width = 10) {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    cv::imwrite(Path(name), cv::Mat(height, width, CV_8UC3, cv::Scalar(value, value, value)));
  }
  void Shell(const string& command) {
    ASSERT_EQ(std::system(("cd " + directory_ + " && " + command).c_str()), 0) << command;
  }
  // label -> values at the images' centres, of a part of "out".
  std::map<int, std::multiset<int>> Centres(const string& part, int size, int channels = 3,
                                            const string& output = "out") {
    std::map<int, std::multiset<int>> centres;
    for (const auto& record : ReadDatums(Path(output + "/" + part + "_lmdb"))) {
      const Datum& datum = record.second;
      EXPECT_EQ(datum.channels(), channels);
      EXPECT_EQ(datum.height(), size);
      EXPECT_EQ(datum.width(), size);
      centres[datum.label()].insert(
          static_cast<uint8_t>(datum.data()[size * (size / 2) + size / 2]));
    }
    return centres;
  }
  typedef std::map<int, std::multiset<int>> Expected;

  static string CifarRecord(const vector<int>& labels, int value) {
    return string(labels.begin(), labels.end()) + string(3072, static_cast<char>(value));
  }
  // Two training images of each class in five batches, one test image.
  void WriteCifar10() {
    for (int batch = 0; batch < 5; ++batch) {
      string bytes;
      for (int i = 0; i < 4; ++i) {
        const int label = (4 * batch + i) % 10;
        bytes += CifarRecord({label}, 20 * label + batch);
      }
      WriteIn("cifar-10-batches-bin/data_batch_" + std::to_string(batch + 1) + ".bin", bytes);
    }
    string test, names;
    for (int label = 0; label < 10; ++label) {
      test += CifarRecord({label}, 20 * label + 7);
      names += "class" + std::to_string(label) + "\n";
    }
    WriteIn("cifar-10-batches-bin/test_batch.bin", test);
    WriteIn("cifar-10-batches-bin/batches.meta.txt", names + "\n");
    Shell("tar czf cifar.tar.gz cifar-10-batches-bin");
  }
};

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_TESTING_CONVERT_DATASET_TEST_HPP_
