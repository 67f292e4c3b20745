// The host's own `caffe` tool with the plugin preloaded.

#include "host/host_tools.hpp"

namespace {

using host_tools::Outcome;
using host_tools::RunShell;
using std::string;

class StockToolTest : public host_tools::HostToolTest {
 protected:
  void WriteNet(const string& param) {
    Write("net.prototxt",
          "layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param {"
          "  shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 }"
          "  data_filler { type: 'gaussian' } data_filler { value: 1 } } }"
          "layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' convolution_param {"
          "  num_output: 12 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } }"
          "layer { name: 'mp' type: 'MetaPerturb' bottom: 'c' top: 'mp' " +
              (real_field_ ? "metaperturb_param { " + param + " } }"
                           : "python_param { param_str: \"" + param + "\" } }") +
              "layer { name: 'r' type: 'ReLU' bottom: 'mp' top: 'mp' }"
              "layer { name: 'f' type: 'InnerProduct' bottom: 'mp' top: 'f' inner_product_param {"
              "  num_output: 3 weight_filler { type: 'xavier' } } }"
              "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'f' bottom: 'label' top: "
              "'loss' }");
    Write("solver.prototxt", "net: '" + folder_ +
                                 "/net.prototxt' base_lr: 0.1 lr_policy: 'fixed' display: 1 "
                                 "max_iter: 5 random_seed: 1 test_iter: 1 test_interval: 5 "
                                 "snapshot_prefix: '" +
                                 folder_ + "/run' solver_mode: CPU");
  }
  bool real_field_ = false;
};

TEST_F(StockToolTest, TrainsTestsAndResumes) {
  WriteNet("anneal_iter: 3");
  const Outcome train = Tool("train --solver=" + folder_ + "/solver.prototxt");
  EXPECT_EQ(0, train.code) << train.text;
  EXPECT_NE(string::npos, train.text.find("Optimization Done")) << train.text;
  const Outcome test =
      Tool("test --model=" + folder_ + "/net.prototxt --iterations=2 --weights=" + folder_ +
           "/run_iter_5.caffemodel");
  EXPECT_EQ(0, test.code) << test.text;
  EXPECT_NE(string::npos, test.text.find("Loss: ")) << test.text;
  const Outcome resumed =
      Tool("train --solver=" + folder_ + "/solver.prototxt --snapshot=" + folder_ +
           "/run_iter_5.solverstate");
  EXPECT_EQ(0, resumed.code) << resumed.text;
}

TEST_F(StockToolTest, TheRealFieldWhereTheHostHasIt) {
  real_field_ = true;
  WriteNet("anneal_iter: 3");
  const Outcome train = Tool("train --solver=" + folder_ + "/solver.prototxt");
#ifdef METAPERTURB_HAS_FIELD
  EXPECT_EQ(0, train.code) << train.text;
  WriteNet("anneal_itr: 3");
  EXPECT_NE(0, Tool("train --solver=" + folder_ + "/solver.prototxt").code);
#else
  EXPECT_NE(0, train.code) << train.text;
  EXPECT_NE(string::npos, train.text.find("metaperturb_param")) << train.text;
#endif
}

TEST_F(StockToolTest, WithoutThePluginTheTypeIsUnknown) {
  WriteNet("");
  EXPECT_NE(0, RunShell(tool_ + " train --solver=" + folder_ + "/solver.prototxt").code);
}

TEST_F(StockToolTest, AMistakeIsOneLineAndExitCode1) {
  for (const char* param : {"anneal_itr: 3", "phi: '/no/such.caffemodel'", "noise_coeff: 2"}) {
    WriteNet(param);
    const Outcome outcome = Tool("train --solver=" + folder_ + "/solver.prototxt");
    EXPECT_EQ(1, outcome.code) << outcome.text;
    EXPECT_NE(string::npos, outcome.text.find("ERROR: layer 'mp' (MetaPerturb): ")) << outcome.text;
    EXPECT_EQ(string::npos, outcome.text.find("terminate")) << outcome.text;
  }
}

}  // namespace
