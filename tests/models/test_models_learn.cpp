// Every network of models/, plain and with MetaPerturb, trained for some iterations on real images:
// slow. Few images, which each must fit; MetaPerturb's share rises as at the start of a training.
#include <gtest/gtest.h>

#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

class ModelLearns : public TempDirTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // The losses that a log displays.
  vector<double> Losses() const {
    const string key = "iters), loss = ";
    vector<double> losses;
    for (size_t at = output_.find(key); at != string::npos; at = output_.find(key, at + 1)) {
      losses.push_back(std::stod(output_.substr(at + key.size())));
    }
    return losses;
  }
};

TEST_P(ModelLearns, RealImages) {
  const string images = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(images)) GTEST_SKIP() << images << " is not here";
  const string model = GetParam();
  const bool large = model == "resnet18" || model == "resnet34" || model == "resnet50";
  const string size = large ? "84" : "32";
  ASSERT_EQ(Run("convert_dataset", "--dataset=fashion_mnist --source=" + images +
                                       " --output=data --classes=1,5,8 --pad=0 --per_class=" +
                                       (large ? "2" : "4") + " --size=" + size),
            0)
      << output_;
  const int iterations = large ? 12 : 16;
  ASSERT_EQ(Run("metaperturb",
                "generate --model=" + model + " --classes=3 --batch=" + (large ? "6" : "12") +
                    " --crop=" + size +
                    " --train_source=data/train_lmdb --test_source=data/test_lmdb --output=net"
                    " --test_images=100 --tests=1 --seed=1 --max_iter=200"),
            0)
      << output_;
  for (const char* kind : {"", "_mp"}) {
    const string name = string("net/solver") + kind + ".prototxt";
    SolverParameter solver;
    ReadProtoFromTextFileOrDie(Path(name), &solver);
    solver.set_max_iter(iterations);
    solver.set_display(1);
    solver.set_average_loss(1);
    solver.clear_test_iter();
    solver.clear_test_interval();
    solver.clear_test_initialization();
    WriteProtoToTextFile(solver, Path(name));
    ASSERT_EQ(Run("caffe", "train --solver=" + name), 0) << output_;
    const vector<double> losses = Losses();
    ASSERT_EQ(losses.size(), static_cast<size_t>(iterations)) << output_;
    const double before = losses[0], after = losses.back();
    std::printf("%s%s: %.3f -> %.3f\n", model.c_str(), kind, before, after);
    EXPECT_LT(after, 0.5 * before) << model << kind;
  }
}

INSTANTIATE_TEST_SUITE_P(Slow, ModelLearns,
                         ::testing::Values("resnet20", "resnet32", "resnet44", "resnet56",
                                           "resnet18", "resnet34", "resnet50", "wrn28_2", "vgg9",
                                           "vgg16", "conv4", "conv6", "mobilenet", "mobilenet_v2"),
                         [](const auto& info) { return string(info.param); });

}  // namespace
}  // namespace testing
}  // namespace caffe
