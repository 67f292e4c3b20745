#include "caffe/layer.hpp"

#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

/// y = x for as many blobs as there are; says what it was asked.
class ProbeLayer : public Layer<double> {
 public:
  explicit ProbeLayer(const LayerParameter& param) : Layer<double>(param) {}
  const char* type() const override { return "Probe"; }
  int ExactNumBottomBlobs() const override { return exact_bottom; }
  int MinBottomBlobs() const override { return min_bottom; }
  int MaxBottomBlobs() const override { return max_bottom; }
  int ExactNumTopBlobs() const override { return exact_top; }
  int MinTopBlobs() const override { return min_top; }
  int MaxTopBlobs() const override { return max_top; }
  bool EqualNumBottomTopBlobs() const override { return equal; }

  void LayerSetUp(const vector<Blob<double>*>&, const vector<Blob<double>*>&) override {
    calls += "S";
  }
  void Reshape(const vector<Blob<double>*>& bottom, const vector<Blob<double>*>& top) override {
    calls += "R";
    for (size_t i = 0; i < std::min(bottom.size(), top.size()); ++i)
      top[i]->ReshapeLike(*bottom[i]);
  }
  using Layer<double>::random_key;

  int exact_bottom = -1, min_bottom = -1, max_bottom = -1;
  int exact_top = -1, min_top = -1, max_top = -1;
  bool equal = false;
  string calls;
  uint64_t backward_pass = 99;

 protected:
  void Forward_cpu(const vector<Blob<double>*>& bottom, const vector<Blob<double>*>& top) override {
    calls += "F" + std::to_string(pass());
    for (size_t i = 0; i < top.size(); ++i) top[i]->CopyFrom(*bottom[i]);
  }
  void Backward_cpu(const vector<Blob<double>*>&, const vector<bool>&,
                    const vector<Blob<double>*>&) override {
    backward_pass = pass();
  }
};

class LayerTest : public ::testing::Test {
 protected:
  // The message of SetUp with so many blobs.
  string SetUpError(ProbeLayer* layer, int bottoms, int tops) {
    return ErrorOf([&] { Connect(layer, bottoms, tops); });
  }
  void Connect(ProbeLayer* layer, int bottoms, int tops) {
    for (auto* list : {&bottom_, &top_}) list->clear();
    for (int i = 0; i < bottoms + tops; ++i) {
      owned_.emplace_back(new Blob<double>(vector<int>{2, 3}));
      (i < bottoms ? bottom_ : top_).push_back(owned_.back().get());
    }
    layer->SetUp(bottom_, top_);
  }

  vector<shared_ptr<Blob<double>>> owned_;
  vector<Blob<double>*> bottom_, top_;
};

TEST_F(LayerTest, NumberOfBottoms) {
  ProbeLayer exact(LayerFromText("")), range(LayerFromText(""));
  exact.exact_bottom = 2;
  EXPECT_EQ(SetUpError(&exact, 1, 1), "Probe takes exactly 2 bottom blob(s), not 1");
  EXPECT_EQ(SetUpError(&exact, 3, 1), "Probe takes exactly 2 bottom blob(s), not 3");
  EXPECT_EQ(exact.calls, "");
  EXPECT_EQ(SetUpError(&exact, 2, 1), "");
  EXPECT_EQ(exact.calls, "SR");
  range.min_bottom = 1;
  range.max_bottom = 2;
  EXPECT_EQ(SetUpError(&range, 0, 1), "Probe takes at least 1 bottom blob(s), not 0");
  EXPECT_EQ(SetUpError(&range, 3, 1), "Probe takes at most 2 bottom blob(s), not 3");
  EXPECT_EQ(SetUpError(&range, 1, 1), "");
  EXPECT_EQ(SetUpError(&range, 2, 1), "");
}

TEST_F(LayerTest, NumberOfTops) {
  ProbeLayer exact(LayerFromText("")), range(LayerFromText(""));
  exact.exact_top = 0;
  EXPECT_EQ(SetUpError(&exact, 1, 1), "Probe takes exactly 0 top blob(s), not 1");
  EXPECT_EQ(SetUpError(&exact, 1, 0), "");
  range.min_top = 1;
  range.max_top = 2;
  EXPECT_EQ(SetUpError(&range, 2, 0), "Probe takes at least 1 top blob(s), not 0");
  EXPECT_EQ(SetUpError(&range, 2, 3), "Probe takes at most 2 top blob(s), not 3");
  EXPECT_EQ(SetUpError(&range, 2, 2), "");
}

TEST_F(LayerTest, AsManyTopsAsBottoms) {
  ProbeLayer layer(LayerFromText(""));
  EXPECT_EQ(SetUpError(&layer, 2, 1), "");
  layer.equal = true;
  EXPECT_EQ(SetUpError(&layer, 2, 1), "Probe takes as many tops as bottoms, not 1 for 2");
  EXPECT_EQ(SetUpError(&layer, 2, 2), "");
}

TEST_F(LayerTest, LossWeights) {
  ProbeLayer layer(LayerFromText("loss_weight: 3 loss_weight: 0 loss_weight: -0.5"));
  Connect(&layer, 3, 3);
  EXPECT_EQ(layer.loss(0), 3);
  EXPECT_EQ(layer.loss(1), 0);
  EXPECT_EQ(layer.loss(2), -0.5);
  EXPECT_EQ(layer.loss(3), 0);
  // Where backpropagation starts.
  EXPECT_EQ(top_[0]->cpu_diff()[5], 3);
  EXPECT_EQ(top_[1]->asum_diff(), 0);
  EXPECT_EQ(top_[2]->cpu_diff()[0], -0.5);
  FillValues<double>(bottom_[0], {1, 2, 3, 4, 5, 6});
  FillValues<double>(bottom_[1], {9, 9, 9, 9, 9, 9});
  FillValues<double>(bottom_[2], {4, 0, 0, 0, 0, 0});
  EXPECT_EQ(layer.Forward(bottom_, top_), 3 * 21 - 0.5 * 4);
}

// The weights are there again when the top has grown, or another layer has written its gradient.
TEST_F(LayerTest, LossWeightsOfEveryPass) {
  ProbeLayer layer(LayerFromText("loss_weight: 3"));
  Connect(&layer, 1, 1);
  bottom_[0]->Reshape(vector<int>{50, 20});
  std::fill_n(bottom_[0]->mutable_cpu_data(), 1000, 0.5);
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(layer.Forward(bottom_, top_), 1500);
    EXPECT_EQ(top_[0]->cpu_diff()[999], 3);
    std::fill_n(top_[0]->mutable_cpu_diff(), 1000, 7.0);
  }
}

TEST_F(LayerTest, NoLossWeights) {
  ProbeLayer layer(LayerFromText(""));
  Connect(&layer, 1, 1);
  FillValues<double>(bottom_[0], {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(layer.Forward(bottom_, top_), 0);
  EXPECT_EQ(layer.loss(0), 0);
  layer.set_loss(2, 5);
  EXPECT_EQ(layer.loss(2), 5);
  EXPECT_EQ(layer.loss(1), 0);
}

TEST_F(LayerTest, OneLossWeightPerTop) {
  ProbeLayer layer(LayerFromText("loss_weight: 1 loss_weight: 1"));
  EXPECT_EQ(SetUpError(&layer, 1, 1), "loss_weight is given 2 times for 1 top blob(s)");
}

TEST_F(LayerTest, ForwardReshapesFirst) {
  ProbeLayer layer(LayerFromText(""));
  Connect(&layer, 1, 1);
  bottom_[0]->Reshape(vector<int>{5, 4});
  layer.Forward(bottom_, top_);
  EXPECT_EQ(top_[0]->shape(), (vector<int>{5, 4}));
  EXPECT_EQ(layer.calls, "SRRF0");
}

TEST_F(LayerTest, PassesAreNumbered) {
  ProbeLayer layer(LayerFromText(""));
  Connect(&layer, 1, 1);
  layer.calls.clear();
  layer.Forward(bottom_, top_);
  layer.Forward(bottom_, top_);
  EXPECT_EQ(layer.calls, "RF0RF1");
  EXPECT_EQ(layer.next_pass(), 2u);
  layer.Backward(top_, {true}, bottom_);
  EXPECT_EQ(layer.backward_pass, 1u);
  layer.set_next_pass(7);
  // Backward still belongs to the forward pass that was made.
  layer.Backward(top_, {true}, bottom_);
  EXPECT_EQ(layer.backward_pass, 1u);
  layer.Forward(bottom_, top_);
  EXPECT_EQ(layer.calls, "RF0RF1RF7");
}

TEST_F(LayerTest, RandomKeyDependsOnSeedNameAndPhase) {
  Caffe::set_random_seed(4);
  const uint64_t key = ProbeLayer(LayerFromText("name: 'a'")).random_key();
  EXPECT_EQ(key, ProbeLayer(LayerFromText("name: 'a' type: 'x'")).random_key());
  EXPECT_NE(key, ProbeLayer(LayerFromText("name: 'b'")).random_key());
  EXPECT_NE(key, ProbeLayer(LayerFromText("name: 'a' phase: TEST")).random_key());
  Caffe::set_random_seed(5);
  EXPECT_NE(key, ProbeLayer(LayerFromText("name: 'a'")).random_key());
}

TEST_F(LayerTest, ParamPropagateDown) {
  ProbeLayer layer(LayerFromText(""));
  EXPECT_FALSE(layer.param_propagate_down(0));
  layer.set_param_propagate_down(2, false);
  EXPECT_TRUE(layer.param_propagate_down(0) && layer.param_propagate_down(1));
  EXPECT_FALSE(layer.param_propagate_down(2));
  EXPECT_FALSE(layer.param_propagate_down(3));
  layer.set_param_propagate_down(0, false);
  EXPECT_FALSE(layer.param_propagate_down(0));
}

TEST_F(LayerTest, StoredBlobsAreTheParameters) {
  const string stored = "blobs { shape { dim: 2 } data: 3 data: 4 diff: 1 diff: 2 } ";
  ProbeLayer layer(LayerFromText("name: 'a' " + stored));
  ASSERT_EQ(layer.blobs().size(), 1u);
  EXPECT_EQ(layer.blobs()[0]->shape(), vector<int>{2});
  EXPECT_EQ(layer.blobs()[0]->cpu_data()[1], 4);
  EXPECT_ERROR(ProbeLayer(LayerFromText("blobs { shape { dim: 3 } data: 3 }")),
               "1 data values where its shape asks for 3");

  // ToProto has the values of now in place of those.
  layer.blobs()[0]->mutable_cpu_data()[1] = 8;
  layer.blobs().emplace_back(new Blob<double>(vector<int>{1}));
  LayerParameter proto;
  proto.set_type("what was there is replaced");
  layer.ToProto(&proto);
  EXPECT_EQ(proto.name(), "a");
  EXPECT_EQ(proto.type(), "");
  ASSERT_EQ(proto.blobs_size(), 2);
  EXPECT_EQ(proto.blobs(0).double_data(0), 3);
  EXPECT_EQ(proto.blobs(0).double_data(1), 8);
  EXPECT_EQ(proto.blobs(0).double_diff_size(), 0);
  layer.ToProto(&proto, true);
  ASSERT_EQ(proto.blobs(0).double_diff_size(), 2);
  EXPECT_EQ(proto.blobs(0).double_diff(1), 2);
}

}  // namespace
}  // namespace testing
}  // namespace caffe
