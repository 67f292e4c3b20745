// Networks with regularisers in them, trained, tested and resumed.
#include <filesystem>
#include <memory>

#include "caffe/sgd_solvers.hpp"
#include "caffe/util/io.hpp"
#include "testing/blob_util.hpp"
#include "testing/regularizer_util.hpp"

namespace metaperturb {
namespace {

using caffe::LayerParameter;
using caffe::NetParameter;
using std::string;

// Four images, of noise or all 0.5, of class 2.
NetParameter WithoutData(NetParameter net, const string& filler) {
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() != "Data") continue;
    layer.set_type("DummyData");
    caffe::DummyDataParameter* data = layer.mutable_dummy_data_param();
    for (const int dim : {4, 3, 32, 32}) {
      if (data->shape_size() == 0) data->add_shape();
      data->mutable_shape(0)->add_dim(dim);
    }
    data->add_shape()->add_dim(4);
    data->add_data_filler()->set_type(filler);
    data->mutable_data_filler(0)->set_value(0.5f);
    data->add_data_filler()->set_value(2);
  }
  return net;
}

std::unique_ptr<caffe::Net<float>> TestNet(NetParameter net, const NetParameter& weights) {
  net = WithoutData(net, "constant");
  net.mutable_state()->set_phase(caffe::TEST);
  std::unique_ptr<caffe::Net<float>> result(new caffe::Net<float>(net));
  result->CopyTrainedLayersFrom(weights);
  result->Forward();
  return result;
}

class TrainsTest : public ::testing::TestWithParam<string> {};

TEST_P(TrainsTest, LoadsTrainsAndTestsAsThePlainNetwork) {
  for (const string& model : {string("resnet20"), string("vgg9")}) {
    if (model == "vgg9" && GetParam() == "stochastic_depth") continue;
    SCOPED_TRACE(model);
    RegularizerOptions options = Options(GetParam());
    NetParameter net;
    InsertRegularizer(Model(model), options, &net);
    caffe::SolverParameter solver_param;
    *solver_param.mutable_net_param() = WithoutData(net, "gaussian");
    solver_param.set_base_lr(0.01f);
    solver_param.set_momentum(0.9f);
    solver_param.set_lr_policy("fixed");
    solver_param.set_random_seed(1);
    solver_param.set_solver_mode(caffe::SolverParameter::CPU);
    std::unique_ptr<caffe::Solver<float>> solver(
        caffe::SolverRegistry<float>::CreateSolver(solver_param));
    float first = 0, last = 0;
    solver->net()->Forward(&first);
    solver->Step(8);
    for (int i = 0; i < 4; ++i) {
      float loss = 0;
      solver->net()->Forward(&loss);
      last += loss / 4;
    }
    EXPECT_TRUE(std::isfinite(first) && std::isfinite(last)) << first << " " << last;
    EXPECT_LT(last, first);  // one class only
    NetParameter weights;
    solver->net()->ToProto(&weights);
    if (GetParam() == "stochastic_depth" || GetParam() == "information_dropout") {
      options.survival_prob = 1;  // the expected network is the plain one
      options.information_dropout.set_test_mean(false);
      InsertRegularizer(Model(model), options, &net);
    }
    const auto plain = TestNet(Model(model), weights), regularised = TestNet(net, weights);
    const caffe::Blob<float>&a = *plain->blob_by_name("fc"), &b = *regularised->blob_by_name("fc");
    ASSERT_EQ(a.count(), b.count());
    EXPECT_LT(caffe::testing::RelativeError(b.cpu_data(), a.cpu_data(), a.count()), 1e-4);
    EXPECT_GT(a.asum_data(), 0);
    EXPECT_NEAR(plain->blob_by_name("loss")->cpu_data()[0],
                regularised->blob_by_name("loss")->cpu_data()[0], 1e-4);
  }
}

#ifndef METAPERTURB_FOREIGN_HOST
// All at once: 6 iterations give the same, bit by bit, as 3, a snapshot, and 3 more.
TEST(InsertRegularizerTest, ResumedRunIsTheSame) {
  NetParameter net = Parse(R"(
    layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
              shape { dim: 6 dim: 3 dim: 8 dim: 8 } shape { dim: 6 }
              data_filler { type: "gaussian" } data_filler { value: 1 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
              num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "branch" type: "Convolution" bottom: "conv" top: "branch" convolution_param {
              num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
    layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "branch" top: "sum" }
    layer { name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }
    layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param {
              num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" })");
  for (const string& type : RegularizerNames()) {
    if (type == "mixup") continue;  // a part of manifold_mixup
    RegularizerOptions options = Options(type);
    options.cutout.set_length(3);
    options.dropblock.set_block_size(2);
    options.dropblock.set_anneal_iter(5);
    options.survival_prob = 0.6;
    const NetParameter before = net;
    InsertRegularizer(before, options, &net);
  }
  string directory;
  caffe::MakeTempDir(&directory);
  caffe::SolverParameter param;
  *param.mutable_net_param() = net;
  param.set_type("Adam");
  param.set_base_lr(0.01f);
  param.set_lr_policy("fixed");
  param.set_random_seed(1);
  param.set_snapshot(3);
  param.set_snapshot_prefix(directory + "/run");
  const auto make = [&param] {
    return std::unique_ptr<caffe::Solver<float>>(caffe::SolverRegistry<float>::CreateSolver(param));
  };
  const auto straight = make(), resumed = make();
  straight->Step(6);
  resumed->Restore((directory + "/run_iter_3.solverstate").c_str());
  resumed->Step(3);
  const auto &a = straight->net()->params(), &b = resumed->net()->params();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (int j = 0; j < a[i]->count(); ++j) {
      ASSERT_EQ(a[i]->cpu_data()[j], b[i]->cpu_data()[j]) << "parameter " << i;
    }
  }
  EXPECT_EQ(6, straight->net()->layer_by_name("sum_db")->blobs()[0]->cpu_data()[0]);
  std::filesystem::remove_all(directory);
}
#endif

INSTANTIATE_TEST_SUITE_P(All, TrainsTest, ::testing::ValuesIn(RegularizerNames()));

}  // namespace
}  // namespace metaperturb
