#ifndef METAPERTURB_TESTS_CAFFE_SOLVERS_SOLVER_TEST_HPP_
#define METAPERTURB_TESTS_CAFFE_SOLVERS_SOLVER_TEST_HPP_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "caffe/sgd_solvers.hpp"
#include "caffe/util/io.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {

typedef ::testing::Types<float, double> NumberTypes;

/// Random data and targets, dropout, and parameters with every kind of multiplier: 'fc1' (weights:
/// 1, 1; bias: 2, 0), 'frozen' (0, 0), 'fc2' (1, 1; 1, 3).
inline NetParameter RegressionNet() {
  NetParameter net;
  CHECK(google::protobuf::TextFormat::ParseFromString(R"(
    name: "regression"
    layer { name: "data" type: "DummyData" top: "x" top: "target"
            dummy_data_param { shape { dim: 4 dim: 5 } shape { dim: 4 dim: 2 }
                               data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
    layer { name: "fc1" type: "InnerProduct" bottom: "x" top: "h1"
            param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "drop" type: "Dropout" bottom: "h1" top: "h2" }
    layer { name: "frozen" type: "InnerProduct" bottom: "h2" top: "h3"
            param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 }
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "fc2" type: "InnerProduct" bottom: "h3" top: "y" param { } param { decay_mult: 3 }
            inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "target" top: "loss" })",
                                                      &net));
  return net;
}

/// Writes weights of that net, but for 'fc2'; returns the file.
inline std::string WriteWeights(const std::string& directory) {
  Caffe::set_random_seed(99);
  NetParameter all, stored;
  Net<double>(RegressionNet()).ToProto(&all);
  for (const LayerParameter& layer : all.layer()) {
    if (layer.name() != "fc2") *stored.add_layer() = layer;
  }
  const std::string file = directory + "/start.caffemodel";
  WriteProtoToBinaryFile(stored, file);
  return file;
}

/// For L2-SP `directory` gets the weights to begin with.
inline SolverParameter SolverText(const std::string& text, const std::string& directory = "") {
  SolverParameter param;
  param.set_lr_policy("fixed");
  param.set_base_lr(0.1f);
  param.set_random_seed(11);
  param.set_snapshot_after_train(false);
  *param.mutable_net_param() = RegressionNet();
  SolverParameter more;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &more)) << text;
  if (more.has_net() || more.has_train_net()) param.clear_net_param();
  param.MergeFrom(more);
  if (!directory.empty() && param.regularization_type() == "L2-SP") {
    param.add_weights(WriteWeights(directory));
  }
  return param;
}

template <typename Dtype>
std::unique_ptr<SGDSolver<Dtype>> MakeSolver(const SolverParameter& param) {
  return std::unique_ptr<SGDSolver<Dtype>>(
      static_cast<SGDSolver<Dtype>*>(SolverRegistry<Dtype>::CreateSolver(param)));
}

/// A solver as a user may write it: it works on what ours has left in the gradient, by itself.
template <typename Dtype>
class HalfStepsSolver : public SGDSolver<Dtype> {
 public:
  explicit HalfStepsSolver(const SolverParameter& param) : SGDSolver<Dtype>(param) {}

 protected:
  void ComputeUpdateValue(int param_id, Dtype rate) override {
    SGDSolver<Dtype>::ComputeUpdateValue(param_id, rate);
    this->net_->learnable_params()[param_id]->scale_diff(Dtype(0.5));
  }
};

/// What is subtracted from one weight: of its gradient g, its learning rate r, the iteration t from
/// 1 and its two memories, zero at first.
typedef std::function<double(double g, double r, int t, double* memory)> UpdateRule;

/// Makes `iterations` and compares every parameter with the same in double by `rule`, which is
/// given gradients that were clipped, normalised and regularised here.
template <typename Dtype>
void CheckUpdates(const std::string& text, const UpdateRule& rule, int iterations = 5) {
  SCOPED_TRACE(text);
  std::string directory;
  MakeTempDir(&directory);
  const SolverParameter param = SolverText(text, directory);
  const auto solver = MakeSolver<Dtype>(param);
  struct Gradients : Solver<Dtype>::Callback {
    explicit Gradients(Net<Dtype>* net) : net(net) {}
    void on_start() override {}
    void on_gradients_ready() override {
      values.clear();
      for (const Blob<Dtype>* blob : net->learnable_params()) {
        values.emplace_back(blob->cpu_diff(), blob->cpu_diff() + blob->count());
      }
    }
    Net<Dtype>* net;
    std::vector<std::vector<double>> values;
  } gradients(solver->net().get());
  solver->add_callback(&gradients);

  const auto& params = solver->net()->learnable_params();
  ASSERT_EQ(params.size(), 6u);
  const double lr_mult[] = {1, 2, 0, 0, 1, 1};
  const double decay_mult[] = {1, 0, 0, 1, 1, 3};
  std::vector<std::vector<double>> weights;
  std::vector<std::vector<double>> memory;
  for (const Blob<Dtype>* blob : params) {
    weights.emplace_back(blob->cpu_data(), blob->cpu_data() + blob->count());
    memory.emplace_back(2 * blob->count(), 0.0);
  }
  const std::vector<std::vector<double>> start = weights;
  for (int t = 1; t <= iterations; ++t) {
    solver->Step(1);
    double norm = 0;
    for (const auto& g : gradients.values) {
      for (const double value : g) norm += value * value;
    }
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 0);
    const double clip = param.clip_gradients();
    const double scale = (clip >= 0 && norm > clip ? clip / norm : 1) / param.iter_size();
    for (size_t p = 0; p < params.size(); ++p) {
      for (size_t i = 0; i < weights[p].size(); ++i) {
        double& w = weights[p][i];
        const bool pulled = param.regularization_type() == "L2-SP" && p < 4;  // not 'fc2'
        const double decay =
            double(pulled ? param.l2_sp_decay() : param.weight_decay()) * decay_mult[p];
        const double slope = pulled                                ? w - start[p][i]
                             : param.regularization_type() == "L1" ? (w > 0) - (w < 0)
                                                                   : w;
        const double g = gradients.values[p][i] * scale + decay * slope;
        if (lr_mult[p] > 0) w -= rule(g, param.base_lr() * lr_mult[p], t, &memory[p][2 * i]);
        const double tolerance = sizeof(Dtype) == 4 ? 2e-5 : 1e-12;
        ASSERT_NEAR(params[p]->cpu_data()[i], w, tolerance * (1 + std::fabs(w)))
            << "parameter " << p << ", element " << i << ", iteration " << t;
      }
    }
  }
  std::filesystem::remove_all(directory);
}

/// The variations that are common to all solvers.
template <typename Dtype>
void CheckUpdatesInAllSettings(const std::string& text, const UpdateRule& rule) {
  for (const char* more :
       {"", "weight_decay: 0.3", "weight_decay: 0.2 regularization_type: 'L1'", "iter_size: 3",
        "clip_gradients: 0.05", "clip_gradients: 0.05 iter_size: 2 weight_decay: 0.1",
        "regularization_type: 'L2-SP' l2_sp_decay: 0.4 weight_decay: 0.1",
        "regularization_type: 'L2-SP' clip_gradients: 0.05 iter_size: 2"}) {
    CheckUpdates<Dtype>(text + " " + more, rule);
  }
}

template <typename Dtype>
void ExpectBitwiseEqual(const Blob<Dtype>& a, const Blob<Dtype>& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  for (int i = 0; i < a.count(); ++i) {
    ASSERT_EQ(a.cpu_data()[i], b.cpu_data()[i]) << what << ", element " << i;
  }
}

/// 9 iterations without a stop give the same, bit by bit, as 4, a snapshot, and 5 more.
template <typename Dtype>
void CheckResumeWith(const std::string& text) {
  SCOPED_TRACE(text);
  std::string directory;
  MakeTempDir(&directory);
  SolverParameter param =
      SolverText(text +
                     " iter_size: 2 weight_decay: 0.01 average_loss: 3 test_iter: 2"
                     " test_interval: 2 lr_policy: 'multistep' gamma: 0.5 stepvalue: 3"
                     " stepvalue: 6 snapshot: 4",
                 directory);
  param.set_snapshot_prefix(directory + "/run");
  const auto straight = MakeSolver<Dtype>(param);
  straight->Step(9);
  const auto resumed = MakeSolver<Dtype>(param);
  resumed->Restore((directory + "/run_iter_4.solverstate").c_str());
  EXPECT_EQ(resumed->iter(), 4);
  resumed->Step(5);
  EXPECT_EQ(resumed->iter(), 9);
  EXPECT_EQ(straight->GetLearningRate(), resumed->GetLearningRate());
  const auto& a = straight->net()->learnable_params();
  const auto& b = resumed->net()->learnable_params();
  for (size_t i = 0; i < a.size(); ++i) ExpectBitwiseEqual(*a[i], *b[i], "weights");
  for (size_t i = 0; i < straight->history().size(); ++i) {
    ExpectBitwiseEqual(*straight->history()[i], *resumed->history()[i], "history");
  }
  ExpectBitwiseEqual(*straight->test_nets()[0]->output_blobs()[0],
                     *resumed->test_nets()[0]->output_blobs()[0], "test loss");
  // The last snapshots hold everything that a run remembers, the recent losses included.
  SolverState states[2];
  straight->Snapshot();
  ReadProtoFromBinaryFile(directory + "/run_iter_9.solverstate", &states[0]);
  resumed->Snapshot();
  ReadProtoFromBinaryFile(directory + "/run_iter_9.solverstate", &states[1]);
  EXPECT_EQ(states[0].run_state().losses_size(), 3);
  EXPECT_EQ(states[0].run_state().test_passes(0), 10u);
  EXPECT_EQ(states[0].SerializeAsString(), states[1].SerializeAsString());
  std::filesystem::remove_all(directory);
}

template <typename Dtype>
void CheckResume(const std::string& text) {
  CheckResumeWith<Dtype>(text);
  CheckResumeWith<Dtype>(text + " regularization_type: 'L2-SP' clip_gradients: 0.5");
}

}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_TESTS_CAFFE_SOLVERS_SOLVER_TEST_HPP_
