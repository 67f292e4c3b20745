// How a net runs; test_net_init.cpp tests how it is built.
#include "caffe/net.hpp"

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

// Layers 0 to 5: in, target, fc, act (in place), fc2, loss.
const char kNet[] = R"(name: "tiny"
    layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "target" type: "Input" top: "t" input_param { shape { dim: 2 dim: 2 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y"
            inner_product_param { num_output: 4 weight_filler { type: "gaussian" } } }
    layer { name: "act" type: "TanH" bottom: "y" top: "y" }
    layer { name: "fc2" type: "InnerProduct" bottom: "y" top: "z"
            inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "z" bottom: "t" top: "loss" })";

template <typename Dtype>
struct TinyNet : Net<Dtype> {
  explicit TinyNet(const string& text = kNet) : Net<Dtype>(NetFromText(text)) {
    for (size_t i = 0; i < this->input_blobs().size(); ++i) {
      FillGaussian<Dtype>(this->input_blobs()[i], i + 1);
    }
  }
  Blob<Dtype>& blob(const string& name) { return *this->blob_by_name(name); }
};

/// Puts 7 into every gradient, to see which are written.
void MarkDiffs(Net<double>* net) {
  for (const auto& blob : net->blobs()) {
    std::fill_n(blob->mutable_cpu_diff(), blob->count(), 7.0);
  }
}
bool Marked(const Blob<double>& blob) {
  return std::all_of(blob.cpu_diff(), blob.cpu_diff() + blob.count(),
                     [](double d) { return d == 7; });
}
vector<double> Data(const Blob<double>& blob) {
  return vector<double>(blob.cpu_data(), blob.cpu_data() + blob.count());
}
vector<double> Diff(const Blob<double>& blob) {
  return vector<double>(blob.cpu_diff(), blob.cpu_diff() + blob.count());
}

template <typename Dtype>
class NetTest : public ::testing::Test {};
typedef ::testing::Types<float, double> NumberTypes;
TYPED_TEST_SUITE(NetTest, NumberTypes);

// Against central differences of the loss, through the whole net.
TYPED_TEST(NetTest, GradientsOfAllParameters) {
  TinyNet<TypeParam> net;
  net.ClearParamDiffs();
  const TypeParam loss = net.ForwardBackward();
  EXPECT_EQ(loss, net.output_blobs()[0]->cpu_data()[0]);
  EXPECT_GT(loss, 0);
  ASSERT_EQ(net.learnable_params().size(), 4u);
  const double step = sizeof(TypeParam) == 4 ? 1e-2 : 1e-5;
  const double tolerance = sizeof(TypeParam) == 4 ? 2e-3 : 1e-8;
  for (Blob<TypeParam>* param : net.learnable_params()) {
    for (int i = 0; i < param->count(); ++i) {
      const TypeParam value = param->cpu_data()[i];
      TypeParam above, below;
      param->mutable_cpu_data()[i] = value + step;
      net.Forward(&above);
      param->mutable_cpu_data()[i] = value - step;
      net.ForwardPrefilled(&below);
      param->mutable_cpu_data()[i] = value;
      const double expected = (double(above) - below) / (2 * step);
      ASSERT_NEAR(param->cpu_diff()[i], expected, tolerance * (1 + std::fabs(expected)));
    }
  }
}

TYPED_TEST(NetTest, UpdateAndClear) {
  TinyNet<TypeParam> net;
  net.ForwardBackward();
  Blob<TypeParam>* weights = net.learnable_params()[2];
  const TypeParam before = weights->cpu_data()[3], gradient = weights->cpu_diff()[3];
  ASSERT_NE(gradient, 0);
  net.Update();
  EXPECT_EQ(weights->cpu_data()[3], before - gradient);
  net.ClearParamDiffs();
  for (const Blob<TypeParam>* param : net.learnable_params()) EXPECT_EQ(param->asum_diff(), 0);
  net.Update();
  EXPECT_EQ(weights->cpu_data()[3], before - gradient);
}

TEST(Net, GivenInputs) {
  TinyNet<double> net;
  Blob<double> x(vector<int>{2, 3}), large(vector<int>{3, 3});
  FillGaussian<double>(&x, 9);
  const vector<double> t = Data(net.blob("t"));
  double loss = -1;
  EXPECT_EQ(net.Forward({&x}, &loss)[0], &net.blob("loss"));
  EXPECT_EQ(Data(net.blob("x")), Data(x));
  EXPECT_EQ(Data(net.blob("t")), t);
  EXPECT_EQ(loss, net.blob("loss").cpu_data()[0]);
  EXPECT_ERROR(net.Forward({&x, &x, &x}), "3 blobs given to a net with 2 inputs");
  EXPECT_ERROR(net.Forward({&large}), "3x3");
}

TEST(Net, PartsOfTheForwardPass) {
  TinyNet<double> net, other;
  other.CopyTrainedLayersFrom([&] {
    NetParameter param;
    net.ToProto(&param);
    return param;
  }());
  const double loss = net.ForwardFrom(0);
  EXPECT_EQ(other.ForwardFromTo(0, 3), 0);
  EXPECT_EQ(Data(other.blob("y")), Data(net.blob("y")));
  EXPECT_EQ(other.blob("z").asum_data(), 0);
  EXPECT_EQ(other.ForwardFrom(4), loss);
  EXPECT_EQ(other.ForwardTo(5), loss);
  // Only what begins at the first layer is a new pass.
  EXPECT_EQ(net.next_pass(), 1u);
  EXPECT_EQ(other.next_pass(), 2u);
}

TEST(Net, PartsOfTheBackwardPass) {
  TinyNet<double> net;
  net.ForwardBackward();
  const vector<double> dz = Diff(net.blob("z")), dw = Diff(*net.learnable_params()[0]);
  net.ClearParamDiffs();
  MarkDiffs(&net);
  net.blob("loss").mutable_cpu_diff()[0] = 1;
  net.BackwardTo(5);
  EXPECT_EQ(Diff(net.blob("z")), dz);
  EXPECT_TRUE(Marked(net.blob("y")));
  net.BackwardFromTo(4, 3);
  EXPECT_FALSE(Marked(net.blob("y")));
  EXPECT_EQ(net.learnable_params()[0]->asum_diff(), 0);
  EXPECT_GT(net.learnable_params()[2]->asum_diff(), 0);
  net.BackwardFrom(2);
  EXPECT_EQ(Diff(*net.learnable_params()[0]), dw);
  // Nobody wants the gradients of the inputs.
  EXPECT_TRUE(Marked(net.blob("x")) && Marked(net.blob("t")));
}

TEST(Net, ForceBackwardReachesTheInputs) {
  TinyNet<double> net("force_backward: true " + string(kNet));
  net.ForwardBackward();
  const double gradient = net.blob("x").cpu_diff()[4], step = 1e-5;
  double* value = net.blob("x").mutable_cpu_data() + 4;
  *value += step;
  const double above = net.ForwardFrom(0);
  *value -= 2 * step;
  const double below = net.ForwardFrom(0);
  EXPECT_NEAR(gradient, (above - below) / (2 * step), 1e-8);
}

TEST(Net, ForceBackwardStopsAtLayersWithoutAGradient) {
  for (const string type : {"Accuracy", "ArgMax", "Threshold"}) {
    TinyNet<double> net(
        "force_backward: true " + string(kNet) +
        "layer { name: 'i' type: 'Input' top: 'i' input_param { shape { dim: 2 } } } "
        "layer { name: 'score' type: '" +
        type + "' bottom: 'z' " + (type == "Accuracy" ? "bottom: 'i' " : "") + "top: 'score' }");
    std::fill_n(net.blob("i").mutable_cpu_data(), 2, 1.0);
    net.ForwardBackward();
    EXPECT_GT(net.blob("x").asum_diff(), 0);
  }
}

// Stored parameters are found by their layer's name, which one without parameters may have, too.
TEST(Net, ANameThatALayerWithoutParametersHasToo) {
  string text = kNet;
  text.replace(text.find("\"act\""), 5, "\"fc\"");
  TinyNet<double> net(text), other(text);
  NetParameter stored;
  net.ToProto(&stored);
  other.CopyTrainedLayersFrom(stored);
  EXPECT_EQ(Data(*net.learnable_params()[0]), Data(*other.learnable_params()[0]));
  EXPECT_STREQ("InnerProduct", net.layer_by_name("fc")->type());
  TinyNet<double> sharing(text);
  sharing.ShareTrainedLayersWith(&net);
  EXPECT_EQ(net.learnable_params()[0]->cpu_data(), sharing.learnable_params()[0]->cpu_data());
}

TEST(Net, LayersWithRateZeroGetNoGradient) {
  string text = kNet;
  text.insert(text.find("inner_product_param { num_output: 2"),
              "param { lr_mult: 0 } param { lr_mult: 0 } ");
  TinyNet<double> net(text);
  const auto& params = net.learnable_params();
  ASSERT_EQ(params.size(), 4u);
  for (Blob<double>* param : params) std::fill_n(param->mutable_cpu_diff(), param->count(), 7.0);
  net.ForwardBackward();
  EXPECT_TRUE(Marked(*params[2]) && Marked(*params[3]));
  EXPECT_FALSE(Marked(*params[0]) || Marked(*params[1]));
}

TEST(Net, SharedParametersAddUpTheirGradients) {
  const auto text = [](const string& w, const string& b) {
    string net =
        "layer { name: 'in' type: 'Input' top: 'x0' top: 't' input_param { shape { dim: 2 "
        "dim: 3 } } }";
    for (const string i : {"0", "1"}) {
      net += "layer { name: 'fc" + i + "' type: 'InnerProduct' bottom: 'x" + i + "' top: 'x" +
             (i == "0" ? "1" : "2") + "' param { name: '" + (i == "0" ? "w" : w) +
             "' } param { name: '" + (i == "0" ? "b" : b) +
             "' } inner_product_param { num_output: 3 weight_filler { type: 'gaussian' } } }";
    }
    return net + "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'x2' bottom: 't' }";
  };
  TinyNet<double> shared(text("w", "b")), apart(text("w1", "b1"));
  ASSERT_EQ(shared.learnable_params().size(), 2u);
  ASSERT_EQ(apart.learnable_params().size(), 4u);
  for (int i = 0; i < 4; ++i) {
    apart.learnable_params()[i]->CopyFrom(*shared.learnable_params()[i % 2]);
  }
  EXPECT_EQ(shared.ForwardBackward(), apart.ForwardBackward());
  for (int i = 0; i < 2; ++i) {
    Blob<double>* param = shared.learnable_params()[i];
    const vector<double> before = Data(*param);
    for (int k = 0; k < param->count(); ++k) {
      ASSERT_NEAR(param->cpu_diff()[k],
                  apart.learnable_params()[i]->cpu_diff()[k] +
                      apart.learnable_params()[i + 2]->cpu_diff()[k],
                  1e-12);
    }
    if (i == 0) continue;
    // One update, seen by both.
    shared.Update();
    for (int k = 0; k < param->count(); ++k) {
      EXPECT_EQ(param->cpu_data()[k], before[k] - param->cpu_diff()[k]);
      EXPECT_EQ(shared.layers()[2]->blobs()[i]->cpu_data()[k], param->cpu_data()[k]);
    }
  }
  EXPECT_LT(shared.memory_allocated(), apart.memory_allocated());
}

TEST(Net, LossWeights) {
  // loss = 3 s + 2 s where s = sum of x, and s is read by the layer that doubles it.
  TinyNet<double> net(R"(force_backward: true
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
      layer { name: "s" type: "Reduction" bottom: "x" top: "s" loss_weight: 3 }
      layer { name: "twice" type: "Power" bottom: "s" top: "d" power_param { scale: 2 }
              loss_weight: 1 })");
  FillValues<double>(&net.blob("x"), {1, 2, 3, 4, 5, 6});
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(net.ForwardBackward(), 5 * 21);
    for (const double gradient : Diff(net.blob("x"))) EXPECT_EQ(gradient, 5);
  }
  EXPECT_EQ(net.blob("s").cpu_data()[0], 21);
}

TEST(Net, NewBatchSize) {
  TinyNet<double> net;
  net.ForwardBackward();
  const vector<double> y = Data(net.blob("y"));
  net.blob("x").Reshape(vector<int>{5, 3});
  net.blob("t").Reshape(vector<int>{5, 2});
  net.Reshape();
  EXPECT_EQ(net.blob("y").shape(), (vector<int>{5, 4}));
  EXPECT_EQ(net.blob("z").shape(), (vector<int>{5, 2}));
  // Forward reshapes by itself; images do not depend on each other.
  net.blob("x").Reshape(vector<int>{3, 3});
  net.blob("t").Reshape(vector<int>{3, 2});
  FillGaussian<double>(&net.blob("x"), 1);
  net.ForwardBackward();
  EXPECT_EQ(net.blob("z").shape(), (vector<int>{3, 2}));
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(net.blob("y").cpu_data()[i], y[i], 1e-12);

  net.blob("x").Reshape(vector<int>{3, 4});
  EXPECT_ERROR(net.Reshape(), "layer 'fc' (InnerProduct): the bottom's shape 3 4 (12) gives 4");
  EXPECT_ERROR(net.Forward(), "layer 'fc' (InnerProduct): the bottom's shape");
}

TEST(Net, LossOfALargerBatch) {
  TinyNet<double> net(R"(force_backward: true
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
      layer { name: "s" type: "Reduction" bottom: "x" top: "s" reduction_param { axis: 1 }
              loss_weight: 2 })");
  for (const int batch : {2, 40, 3}) {
    net.blob("x").Reshape(vector<int>{batch, 3});
    std::fill_n(net.blob("x").mutable_cpu_data(), 3 * batch, 1.0);
    EXPECT_EQ(net.ForwardBackward(), 2 * 3 * batch);
    EXPECT_EQ(Diff(net.blob("x")), vector<double>(3 * batch, 2));
  }
}

TEST(Net, ErrorsWhileRunningNameTheLayer) {
  TinyNet<double> net(R"(
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
      layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 2 } } }
      layer { name: "cost" type: "SoftmaxWithLoss" bottom: "x" bottom: "l" top: "loss" })");
  FillValues<double>(&net.blob("l"), {0, 3});
  EXPECT_ERROR(net.Forward(), "layer 'cost' (SoftmaxWithLoss): label 3 of image 1");
}

TEST(Net, PassesCanBeRepeated) {
  TinyNet<double> net(R"(state { phase: TRAIN }
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 64 } } }
      layer { name: "drop" type: "Dropout" bottom: "x" top: "y" })");
  std::vector<vector<double>> passes;
  for (int i = 0; i < 3; ++i) {
    net.Forward();
    passes.push_back(Data(net.blob("y")));
  }
  EXPECT_NE(passes[0], passes[1]);
  net.set_next_pass(1);
  EXPECT_EQ(net.next_pass(), 1u);
  for (int i = 1; i < 3; ++i) {
    net.Forward();
    EXPECT_EQ(Data(net.blob("y")), passes[i]);
  }
}

class Recorder : public Net<double>::Callback {
 public:
  Recorder(char mark, string* calls) : mark_(mark), calls_(calls) {}

 protected:
  void run(int layer) override { *calls_ += mark_ + std::to_string(layer) + " "; }

 private:
  char mark_;
  string* calls_;
};

TEST(Net, Callbacks) {
  TinyNet<double> net;
  string calls;
  Recorder before('<', &calls), after('>', &calls), back('[', &calls), behind(']', &calls);
  net.add_before_forward(&before);
  net.add_after_forward(&after);
  net.add_before_backward(&back);
  net.add_after_backward(&behind);
  net.Forward();
  EXPECT_EQ(calls, "<0 >0 <1 >1 <2 >2 <3 >3 <4 >4 <5 >5 ");
  calls.clear();
  // Also for the layers that have nothing to do.
  net.Backward();
  EXPECT_EQ(calls, "[5 ]5 [4 ]4 [3 ]3 [2 ]2 [1 ]1 [0 ]0 ");
  calls.clear();
  net.ForwardFromTo(2, 3);
  net.BackwardFromTo(1, 1);
  EXPECT_EQ(calls, "<2 >2 <3 >3 [1 ]1 ");
  EXPECT_EQ(net.before_forward(), vector<Net<double>::Callback*>{&before});
  EXPECT_EQ(net.after_backward(), vector<Net<double>::Callback*>{&behind});
}

TEST(Net, FindsByName) {
  TinyNet<double> net;
  EXPECT_TRUE(net.has_blob("y") && net.has_layer("fc"));
  EXPECT_FALSE(net.has_blob("fc") || net.has_layer("y"));
  EXPECT_EQ(net.blob_by_name("z"), net.blobs()[3]);
  EXPECT_EQ(net.layer_by_name("fc2"), net.layers()[4]);
  ::testing::internal::CaptureStderr();
  EXPECT_FALSE(net.blob_by_name("los"));
  EXPECT_FALSE(net.layer_by_name("fc3"));
  const string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("Unknown blob name los (did you mean 'loss'?)"), string::npos) << log;
  EXPECT_NE(log.find("Unknown layer name fc3 (did you mean 'fc"), string::npos) << log;
}

TEST(Net, DebugInfoShowsMagnitudes) {
  TinyNet<double> net;
  net.set_debug_info(true);
  ::testing::internal::CaptureStderr();
  net.ForwardBackward();
  const string log = ::testing::internal::GetCapturedStderr();
  ostringstream y, dw;
  y << "[Forward] Layer act, blob y data: " << net.blob("y").asum_data() / 8 << "\n";
  dw << "[Backward] Layer fc2, param blob 0 diff: " << net.learnable_params()[2]->asum_diff() / 8
     << "\n";
  EXPECT_NE(log.find(y.str()), string::npos) << y.str() << log;
  EXPECT_NE(log.find(dw.str()), string::npos) << dw.str() << log;
}

}  // namespace
}  // namespace testing
}  // namespace caffe
