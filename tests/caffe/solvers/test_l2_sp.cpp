// What solver_test.hpp leaves of L2-SP, of which it checks the updates and the resumption for every
// solver: where the starting point comes from, and mistakes.
#include "caffe/solvers/solver_test.hpp"

namespace caffe {
namespace testing {
namespace {

const char kText[] = "regularization_type: 'L2-SP'";

class L2SpTest : public ::testing::Test {
 protected:
  L2SpTest() { MakeTempDir(&directory_); }
  ~L2SpTest() override { std::filesystem::remove_all(directory_); }

  // The pull on each parameter that a step of SGD without gradient makes at w = `value`.
  static std::vector<std::vector<double>> Pulls(const SolverParameter& param, double value) {
    struct NoGradient : Solver<double>::Callback {
      explicit NoGradient(Net<double>* net) : net(net) {}
      void on_start() override {}
      void on_gradients_ready() override { net->ClearParamDiffs(); }
      Net<double>* net;
    };
    const auto solver = MakeSolver<double>(param);
    NoGradient callback(solver->net().get());
    solver->add_callback(&callback);
    const auto& params = solver->net()->learnable_params();
    for (Blob<double>* blob : params) std::fill_n(blob->mutable_cpu_data(), blob->count(), value);
    solver->Step(1);
    std::vector<std::vector<double>> pulls;
    for (const Blob<double>* blob : params) {
      pulls.emplace_back();
      for (int i = 0; i < blob->count(); ++i) pulls.back().push_back(value - blob->cpu_data()[i]);
    }
    return pulls;
  }

  std::string directory_;
};

TEST_F(L2SpTest, PullsTowardsTheFileAndOthersTowardsZero) {
  SolverParameter param = SolverText(
      "regularization_type: 'L2-SP' l2_sp_decay: 0.5 weight_decay: 0.25 base_lr: 1", directory_);
  NetParameter stored;
  ReadProtoFromBinaryFileOrDie(param.weights(0), &stored);
  const auto pulls = Pulls(param, 3);
  for (const LayerParameter& layer : stored.layer()) {
    if (layer.name() != "fc1") continue;
    const BlobProto& weights = layer.blobs(0);
    ASSERT_EQ(weights.double_data_size(), static_cast<int>(pulls[0].size()));
    for (int i = 0; i < weights.double_data_size(); ++i) {
      ASSERT_NEAR(0.5 * (3 - weights.double_data(i)), pulls[0][i], 1e-12);
    }
  }
  for (const double pull : pulls[1]) EXPECT_EQ(0, pull);              // decay_mult 0
  for (const double pull : pulls[4]) EXPECT_NEAR(0.75, pull, 1e-12);  // fc2: 0.25 * 3
  for (const double pull : pulls[5]) EXPECT_NEAR(2.25, pull, 1e-12);  // decay_mult 3
}

// Two files in one entry; a parameter that two layers share is pulled, whichever the file names.
TEST_F(L2SpTest, SeveralFilesAndSharedParameters) {
  SolverParameter param =
      SolverText("regularization_type: 'L2-SP' l2_sp_decay: 1 weight_decay: 0 base_lr: 1");
  NetParameter* net = param.mutable_net_param();
  LayerParameter* frozen = nullptr;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (layer.name() == "frozen") frozen = &layer;
  }
  ASSERT_NE(nullptr, frozen);
  // Shares its weights with a layer behind it, which alone is stored.
  frozen->clear_param();
  frozen->add_param()->set_name("w");
  frozen->add_param()->set_lr_mult(0);
  LayerParameter* twin = net->add_layer();
  *twin = *frozen;
  twin->set_name("twin");
  twin->set_bottom(0, "h3");
  twin->set_top(0, "unused");
  NetParameter files[2];
  for (int f = 0; f < 2; ++f) {
    LayerParameter* layer = files[f].add_layer();
    layer->set_name(f == 0 ? "fc2" : "twin");
    const int rows = f == 0 ? 2 : 6;
    for (const std::vector<int>& shape : {std::vector<int>{rows, 6}, std::vector<int>{rows}}) {
      Blob<float> blob(shape);
      std::fill_n(blob.mutable_cpu_data(), blob.count(), 2.f);
      blob.ToProto(layer->add_blobs());
    }
    WriteProtoToBinaryFile(files[f], directory_ + "/" + std::to_string(f) + ".caffemodel");
  }
  param.add_weights(directory_ + "/0.caffemodel, " + directory_ + "/1.caffemodel");
  const auto pulls = Pulls(param, 5);
  for (const double pull : pulls[0]) EXPECT_EQ(0, pull);  // fc1
  for (const double pull : pulls[2]) EXPECT_EQ(3, pull);  // shared
  for (const double pull : pulls[4]) EXPECT_EQ(3, pull);  // fc2
  for (const double pull : pulls[5]) EXPECT_EQ(9, pull);
}

TEST_F(L2SpTest, Mistakes) {
  EXPECT_ERROR(MakeSolver<float>(SolverText(kText)),
               "regularization_type 'L2-SP' needs the weights that the training began with");
  SolverParameter param = SolverText(kText);
  param.add_weights(directory_ + "/none.caffemodel");
  EXPECT_ERROR(MakeSolver<float>(param), directory_ + "/none.caffemodel");
  param = SolverText("regularization_type: 'L2-SP' l2_sp_decay: -1", directory_);
  EXPECT_ERROR(MakeSolver<float>(param), "l2_sp_decay is -1");
  EXPECT_ERROR(MakeSolver<float>(SolverText("regularization_type: 'L3'")), "'L3'; L2, L1 or L2-SP");
  ::testing::internal::CaptureStderr();
  MakeSolver<float>(SolverText("l2_sp_decay: 0.1"));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("l2_sp_decay has no effect"),
            string::npos);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
