// Snapshots that move between the host and our own framework, in both directions: with the noise at
// its mean and without augmentation, both tools get the same accuracy and loss from the same
// .caffemodel, and train on from the same .solverstate to the same loss.

#include "host/host_tools.hpp"

#include <cmath>

namespace {

using host_tools::Outcome;
using host_tools::RunShell;
using std::string;

class ExchangeTest : public host_tools::HostToolTest {
 protected:
  void SetUp() override {
    HostToolTest::SetUp();
    if (tool_.empty()) return;
    own_ = METAPERTURB_OWN_BIN "/caffe";
    if (!std::filesystem::exists(own_)) {
      GTEST_SKIP() << own_ << " is not there: build our own framework, or name its build with "
                   << "-DMETAPERTURB_OWN_BUILD";
    }
    WriteImages();
    const Outcome made = RunShell(METAPERTURB_OWN_BIN "/convert_idx --images=" + Path("images") +
                                  " --labels=" + Path("labels") + " --output=" + Path("db"));
    ASSERT_EQ(0, made.code) << made.text;
    Write("net.prototxt", Net());
  }
  string Path(const string& name) const { return folder_ + "/" + name; }

  // 96 images of 8x8: class k has a bright 4x4 corner k, under noise.
  void WriteImages() {
    const int count = 96, size = 8;
    string images("\0\0\x08\x03\0\0\0\x60\0\0\0\x08\0\0\0\x08", 16),
        labels("\0\0\x08\x01\0\0\0\x60", 8);
    unsigned int state = 1;
    for (int n = 0; n < count; ++n) {
      const int label = n % 4;
      labels += static_cast<char>(label);
      for (int y = 0; y < size; ++y) {
        for (int x = 0; x < size; ++x) {
          state = state * 1664525u + 1013904223u;
          const bool bright = y / 4 * 2 + x / 4 == label;
          images += static_cast<char>((state >> 24) / 2 + (bright ? 60 : 0));
        }
      }
    }
    Write("images", images);
    Write("labels", labels);
  }

  string Net() const {
    string net;
    for (const char* phase : {"TRAIN", "TEST"}) {
      net += "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: " +
             string(phase) +
             " } transform_param { scale: 0.01 mean_value: 80 }"
             " data_param { source: '" +
             Path("db") + "' batch_size: 24 backend: LMDB } }\n";
    }
    return net +
           "layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' convolution_param {"
           "  num_output: 12 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: 'msra' } "
           "} }\n"
           "layer { name: 'bn' type: 'BatchNorm' bottom: 'c' top: 'bn'"
           "  batch_norm_param { moving_average_fraction: 0.9 } }\n"
           "layer { name: 'scale' type: 'Scale' bottom: 'bn' top: 'bn' scale_param { bias_term: "
           "true } }\n"
           "layer { name: 'mp' type: 'MetaPerturb' bottom: 'bn' top: 'mp' python_param {"
           "  param_str: \"noise: MEAN anneal_iter: 4\" } }\n"
           "layer { name: 'r' type: 'ReLU' bottom: 'mp' top: 'mp' }\n"
           "layer { name: 'p' type: 'Pooling' bottom: 'mp' top: 'p'"
           "  pooling_param { pool: AVE kernel_size: 4 stride: 4 } }\n"
           "layer { name: 'f' type: 'InnerProduct' bottom: 'p' top: 'f' inner_product_param {"
           "  num_output: 4 weight_filler { type: 'xavier' } } }\n"
           "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'f' bottom: 'label' top: 'loss' "
           "}\n"
           "layer { name: 'accuracy' type: 'Accuracy' bottom: 'f' bottom: 'label' top: 'accuracy'"
           "  include { phase: TEST } }\n";
  }

  // `caffe train` of the host or of our own, up to `max_iter`; its last training loss.
  double Train(bool host, const string& name, int max_iter, const string& flags = "") {
    Write(name + ".prototxt",
          "net: '" + Path("net.prototxt") +
              "' base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9"
              " weight_decay: 0.001 display: 1 random_seed: 3 solver_mode: CPU max_iter: " +
              std::to_string(max_iter) + " snapshot_prefix: '" + Path(name) + "'");
    const string arguments = "train --solver=" + Path(name + ".prototxt") + " " + flags;
    const Outcome outcome = host ? Tool(arguments) : RunShell(own_ + " " + arguments);
    EXPECT_EQ(0, outcome.code) << outcome.text;
    return Number(outcome.text, ", loss = ");
  }
  struct Result {
    double accuracy, loss;
  };
  Result Test(bool host, const string& weights) {
    const string arguments =
        "test --model=" + Path("net.prototxt") + " --iterations=4 --weights=" + weights;
    const Outcome outcome = host ? Tool(arguments) : RunShell(own_ + " " + arguments);
    EXPECT_EQ(0, outcome.code) << outcome.text;
    return {Number(outcome.text, "] accuracy = "), Number(outcome.text, "] loss = ")};
  }
  // The number after the last place of `before`.
  static double Number(const string& text, const string& before) {
    const size_t at = text.rfind(before);
    EXPECT_NE(string::npos, at) << "no '" << before << "' in " << text;
    return at == string::npos ? NAN : std::atof(text.c_str() + at + before.size());
  }

  void Exchange(bool from_host) {
    Train(from_host, "first", 32);
    const Result host = Test(true, Path("first_iter_32.caffemodel"));
    const Result own = Test(false, Path("first_iter_32.caffemodel"));
    EXPECT_GT(host.accuracy, 0.5);  // has learned: chance is 0.25
    EXPECT_EQ(host.accuracy, own.accuracy);
    EXPECT_NEAR(host.loss, own.loss, 1e-4 * host.loss);
    const string flags = "--snapshot=" + Path("first_iter_32.solverstate");
    // After 8 epochs both read on from the first image.
    const double host_loss = Train(true, "on_in_host", 40, flags);
    const double own_loss = Train(false, "on_in_own", 40, flags);
    EXPECT_NEAR(host_loss, own_loss, 2e-3 * host_loss);
  }

  string own_;
};

TEST_F(ExchangeTest, FromTheHostToOurs) {
  Exchange(true);
}
TEST_F(ExchangeTest, FromOursToTheHost) {
  Exchange(false);
}

}  // namespace
