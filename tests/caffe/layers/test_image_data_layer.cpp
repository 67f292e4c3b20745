#include "caffe/layers/image_data_layer.hpp"

#include <opencv2/imgcodecs.hpp>

#include <set>

#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace {

using testing::LayerFromText;
using testing::LayerRun;

class ImageDataLayerTest : public testing::TempDirTest {
 protected:
  typedef LayerRun<float> Run;
  // Image i is gray i everywhere, its label is i.
  void WriteImages(int count) {
    string list;
    for (int i = 0; i < count; ++i) {
      const string name = "image " + std::to_string(i) + ".png";
      cv::imwrite(Path(name), cv::Mat(4, 6, CV_8UC3, cv::Scalar(i, i, i)));
      list += name + " " + std::to_string(i) + "\n";
    }
    Write("list", list);
  }
  LayerParameter Param(int batch, const string& text = "", const string& transform = "") const {
    return LayerFromText("name: 'images' type: 'ImageData' phase: TRAIN transform_param { " +
                         transform + " } image_data_param { source: '" + Path("list") +
                         "' root_folder: '" + directory_ +
                         "/' batch_size: " + std::to_string(batch) + " " + text + " }");
  }
  static vector<int> Labels(Run* run) {
    run->Forward();
    const float* labels = run->top[1]->cpu_data();
    return vector<int>(labels, labels + run->top[1]->count());
  }
};

TEST_F(ImageDataLayerTest, ReadsInTheListsOrder) {
  WriteImages(3);
  Run run(Param(2), {}, 2);
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{2, 3, 4, 6}));
  EXPECT_EQ(Labels(&run), (vector<int>{0, 1}));
  EXPECT_EQ(Labels(&run), (vector<int>{2, 0}));
  EXPECT_EQ(run.top[0]->data_at(0, 2, 3, 5), 2);
}

TEST_F(ImageDataLayerTest, SolversShareTheList) {
  WriteImages(5);
  Caffe::set_solver_count(2);
  for (int rank = 0; rank < 2; ++rank) {
    Caffe::set_solver_rank(rank);
    Run run(Param(2), {}, 2);
    EXPECT_EQ(Labels(&run), (vector<int>{rank, 2 + rank}));
    EXPECT_EQ(Labels(&run), (vector<int>{(4 + rank) % 5, 1 + rank}));
  }
  Caffe::set_solver_count(1);
  Caffe::set_solver_rank(0);
}

TEST_F(ImageDataLayerTest, ImagesOfAnySizeOneAtATime) {
  WriteImages(2);
  cv::imwrite(Path("image 1.png"), cv::Mat(3, 2, CV_8UC3, cv::Scalar(1, 1, 1)));
  Run run(Param(1), {}, 2);
  EXPECT_EQ(Labels(&run), (vector<int>{0}));
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{1, 3, 4, 6}));
  EXPECT_EQ(Labels(&run), (vector<int>{1}));
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{1, 3, 3, 2}));
  EXPECT_EQ(run.top[0]->data_at(0, 2, 2, 1), 1);
}

TEST_F(ImageDataLayerTest, ResizeGrayTransform) {
  WriteImages(3);
  Run run(Param(2, "new_height: 8 new_width: 5 is_color: false", "mean_value: 1 scale: 2"), {}, 2);
  run.Forward();
  EXPECT_EQ(run.top[0]->shape(), (vector<int>{2, 1, 8, 5}));
  EXPECT_EQ(run.top[0]->data_at(0, 0, 7, 4), -2);
  EXPECT_EQ(run.top[0]->data_at(1, 0, 0, 0), 0);
}

TEST_F(ImageDataLayerTest, EveryEpochHasItsOrder) {
  WriteImages(12);
  Caffe::set_random_seed(3);
  Run run(Param(4, "shuffle: true"), {}, 2);
  vector<vector<int>> epochs(4), batches;
  for (auto& epoch : epochs) {
    for (int i = 0; i < 3; ++i) {
      batches.push_back(Labels(&run));
      epoch.insert(epoch.end(), batches.back().begin(), batches.back().end());
    }
    EXPECT_EQ(std::set<int>(epoch.begin(), epoch.end()).size(), 12u);
    EXPECT_FALSE(std::is_sorted(epoch.begin(), epoch.end()));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  // Any pass can be repeated, in another process too.
  Caffe::set_random_seed(3);
  Run other(Param(4, "shuffle: true"), {}, 2);
  for (const int pass : {7, 8, 1, 11}) {
    other.layer->set_next_pass(pass);
    EXPECT_EQ(Labels(&other), batches[pass]) << pass;
  }
}

TEST_F(ImageDataLayerTest, BadImagesAreNamed) {
  WriteImages(3);
  const string line = Path("list") + ":3: image '" + Path("image 2.png") + "'";
  const string bytes = Read("image 2.png");
  for (const string& content : {string("no image"), bytes.substr(0, bytes.size() / 2)}) {
    Write("image 2.png", content);
    Run run(Param(1), {}, 2);
    run.Forward();
    run.Forward();
    EXPECT_ERROR(run.Forward(),
                 line + " cannot be decoded (" + std::to_string(content.size()) + " bytes)");
  }
  std::filesystem::remove(Path("image 2.png"));
  const auto three = [this] {
    Run run(Param(3), {}, 2);
    run.Forward();
  };
  EXPECT_ERROR(three(), line + " cannot be read: No such file or directory");
  cv::imwrite(Path("image 2.png"), cv::Mat(5, 6, CV_8UC3, cv::Scalar(0)));
  EXPECT_ERROR(three(), Path("list") + ":3: image 'image 2.png': an image of 3x5x6");
  std::filesystem::remove(Path("image 0.png"));
  EXPECT_ERROR(three(), Path("list") + ":1: image");
}

TEST_F(ImageDataLayerTest, BadParameters) {
  const auto set_up = [](const LayerParameter& param) { Run run(param, {}, 2); };
  EXPECT_ERROR(set_up(Param(1)), Path("list") + ": cannot be opened");
  WriteImages(1);
  EXPECT_ERROR(set_up(Param(0)), "batch_size");
  EXPECT_ERROR(set_up(Param(1, "new_height: 3")), "new_height 3");
  EXPECT_ERROR(set_up(Param(1, "new_height: 60000 new_width: 5")), "must not exceed 16384");
  EXPECT_ERROR(set_up(Param(1, "", "crop_size: 5")),
               Path("list") + ":1: image 'image 0.png': crop_size 5 exceeds");
  Write("list", "image 0.png\n");
  EXPECT_ERROR(set_up(Param(1)), Path("list") + ":1: 'path label' is expected");
}

}  // namespace
}  // namespace caffe
