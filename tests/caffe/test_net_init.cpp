// How a net is built; test_net.cpp tests how it runs.
#include "caffe/net.hpp"
#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

const char kInput[] =
    "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }";
const char kTarget[] =
    "layer { name: 'target' type: 'Input' top: 't' input_param { shape { dim: 2 dim: 3 } } }";

/// An InnerProduct layer from 3 to 3 values.
string Fc(const string& name, const string& bottom, const string& more = "") {
  return "layer { name: '" + name + "' type: 'InnerProduct' bottom: '" + bottom + "' top: '" +
         name + "' inner_product_param { num_output: 3 weight_filler { type: 'gaussian' } } " +
         more + " }";
}
string Loss(const string& bottom) {
  return "layer { name: 'loss' type: 'EuclideanLoss' bottom: '" + bottom +
         "' bottom: 't' top: 'loss' }";
}
template <typename Dtype = double>
void Make(const string& text) {
  Net<Dtype> net(NetFromText(text));
}

/// Whether a layer with these rules stays in a net in this state.
bool Included(const string& state, const string& rules) {
  NetParameter filtered;
  Net<float>::FilterNet(
      NetFromText("state { " + state + " } layer { name: 'a' type: 'Silence' " + rules + " }"),
      &filtered);
  return filtered.layer_size() == 1;
}

TEST(NetFilter, Phase) {
  EXPECT_TRUE(Included("phase: TRAIN", ""));
  EXPECT_TRUE(Included("phase: TRAIN", "include { phase: TRAIN }"));
  EXPECT_FALSE(Included("phase: TEST", "include { phase: TRAIN }"));
  EXPECT_FALSE(Included("phase: TEST", "exclude { phase: TEST }"));
  EXPECT_TRUE(Included("phase: TRAIN", "exclude { phase: TEST }"));
  EXPECT_TRUE(Included("phase: TRAIN", "include { }"));
  EXPECT_FALSE(Included("phase: TRAIN", "exclude { }"));
}

TEST(NetFilter, Level) {
  const string range = "include { min_level: 2 max_level: 4 }";
  for (int level = 0; level < 7; ++level) {
    EXPECT_EQ(Included("level: " + std::to_string(level), range), level >= 2 && level <= 4)
        << level;
  }
  EXPECT_TRUE(Included("", "include { min_level: 0 }"));
  EXPECT_FALSE(Included("", "include { min_level: 1 }"));
  EXPECT_FALSE(Included("level: -2", "include { min_level: -1 }"));
  EXPECT_FALSE(Included("level: 5", "exclude { min_level: 3 }"));
}

TEST(NetFilter, Stages) {
  EXPECT_TRUE(Included("stage: 'a' stage: 'b'", "include { stage: 'b' }"));
  EXPECT_FALSE(Included("stage: 'a'", "include { stage: 'b' }"));
  EXPECT_FALSE(Included("", "include { stage: 'b' }"));
  // All stages of a rule are asked for, and none of its not_stages is allowed.
  EXPECT_FALSE(Included("stage: 'a'", "include { stage: 'a' stage: 'b' }"));
  EXPECT_TRUE(Included("stage: 'b' stage: 'a'", "include { stage: 'a' stage: 'b' }"));
  EXPECT_TRUE(Included("stage: 'a'", "include { not_stage: 'b' not_stage: 'c' }"));
  EXPECT_FALSE(Included("stage: 'c'", "include { not_stage: 'b' not_stage: 'c' }"));
  EXPECT_TRUE(Included("stage: 'c'", "exclude { not_stage: 'c' }"));
}

TEST(NetFilter, SeveralRulesAndConditions) {
  const string both = "include { phase: TEST stage: 'a' }";
  EXPECT_TRUE(Included("phase: TEST stage: 'a'", both));
  EXPECT_FALSE(Included("phase: TRAIN stage: 'a'", both));
  EXPECT_FALSE(Included("phase: TEST", both));
  // One rule of several is enough.
  const string either = " { stage: 'a' } ", other = " { min_level: 3 } ";
  for (const bool has_stage : {false, true}) {
    for (const int level : {2, 3}) {
      const string state =
          string(has_stage ? "stage: 'a'" : "") + " level: " + std::to_string(level);
      const bool any = has_stage || level == 3;
      EXPECT_EQ(Included(state, "include" + either + "include" + other), any) << state;
      EXPECT_EQ(Included(state, "exclude" + either + "exclude" + other), !any) << state;
    }
  }
  EXPECT_ERROR(Included("", "include { stage: 'a' } exclude { stage: 'b' }"),
               "layer 'a' (Silence): has both include and exclude rules");
}

TEST(NetFilter, TheRestStays) {
  const string text = "name: 'n' force_backward: true state { phase: TEST } layer { name: 'a' } ";
  NetParameter filtered;
  Net<float>::FilterNet(
      NetFromText(text + "layer { name: 'b' include { phase: TRAIN } } layer { name: 'c' }"),
      &filtered);
  EXPECT_EQ(filtered.DebugString(), NetFromText(text + "layer { name: 'c' }").DebugString());
}

class NetFileTest : public TempDirTest {};

TEST_F(NetFileTest, PhaseLevelAndStages) {
  const string file = Write("net.prototxt", string(kInput) + R"(
      layer { name: "train" type: "Silence" bottom: "x" include { phase: TRAIN } }
      layer { name: "level" type: "Silence" bottom: "x" include { min_level: 2 } }
      layer { name: "stage" type: "Silence" bottom: "x" include { stage: "a" stage: "b" } })");
  const Net<float> plain(file, TEST);
  EXPECT_EQ(plain.phase(), TEST);
  EXPECT_EQ(plain.layer_names(), vector<string>{"in"});
  const vector<string> stages = {"a", "b"};
  const Net<float> all(file, TRAIN, 2, &stages);
  EXPECT_TRUE(all.has_layer("train") && all.has_layer("level") && all.has_layer("stage"));
}

TEST_F(NetFileTest, ErrorsNameTheFile) {
  const string file = Write("net.prototxt", string(kInput) + Fc("fc", "y"));
  EXPECT_ERROR(Net<float>(file, TRAIN), file + ": layer 'fc' (InnerProduct): bottom 'y' is not");
  EXPECT_ERROR(Net<float>(Path("none"), TRAIN), Path("none"));
}

TEST(NetInit, LayersKnowThePhase) {
  const Net<float> net(
      NetFromText("state { phase: TEST } layer { name: 'a' type: 'Input' top: 'x' }"
                  "layer { name: 'b' type: 'Input' top: 'y' phase: TRAIN }"));
  EXPECT_EQ(net.layer_by_name("a")->layer_param().phase(), TEST);
  EXPECT_EQ(net.layer_by_name("b")->layer_param().phase(), TRAIN);
}

TEST(NetInit, NamesInputsAndOutputs) {
  const Net<float> net(NetFromText("name: 'tiny'" + string(kInput) + kTarget + Fc("b", "x") +
                                   Fc("a", "t") +
                                   "layer { name: 'act' type: 'ReLU' bottom: 'b' top: 'b' }"));
  EXPECT_EQ(net.name(), "tiny");
  EXPECT_EQ(net.phase(), TEST);  // what a NetState says that says nothing
  EXPECT_EQ(net.layer_names(), (vector<string>{"in", "target", "b", "a", "act"}));
  EXPECT_EQ(net.blob_names(), (vector<string>{"x", "t", "b", "a"}));
  EXPECT_EQ(net.num_inputs(), 2);
  EXPECT_EQ(net.input_blobs()[1], net.blob_by_name("t").get());
  EXPECT_EQ(net.input_blob_indices(), (vector<int>{0, 1}));
  // What nobody reads, sorted by name.
  EXPECT_EQ(net.num_outputs(), 2);
  EXPECT_EQ(net.output_blobs()[0], net.blob_by_name("a").get());
  EXPECT_EQ(net.output_blob_indices(), (vector<int>{3, 2}));
  // In place: the same blob.
  EXPECT_EQ(net.bottom_ids(4), vector<int>{2});
  EXPECT_EQ(net.top_ids(4), vector<int>{2});
  EXPECT_EQ(net.bottom_vecs()[4], net.top_vecs()[4]);
}

TEST(NetInit, AutomaticTops) {
  const Net<float> net(NetFromText(
      string(kInput) + kTarget +
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'x' bottom: 't' loss_weight: 2 }"));
  ASSERT_EQ(net.top_vecs()[2].size(), 1u);
  EXPECT_EQ(net.blob_loss_weights(), (vector<float>{0, 0, 2}));
  EXPECT_EQ(net.num_outputs(), 0);
}

TEST(NetInit, Multipliers) {
  const Net<float> net(NetFromText(string(kInput) + Fc("a", "x", "param { lr_mult: 3 }") +
                                   Fc("b", "a", "param { decay_mult: 2 } param { lr_mult: 0 }")));
  EXPECT_EQ(net.params_lr(), (vector<float>{3, 1, 1, 0}));
  EXPECT_EQ(net.has_params_lr(), (vector<bool>{true, false, false, true}));
  EXPECT_EQ(net.params_weight_decay(), (vector<float>{1, 1, 2, 1}));
  EXPECT_EQ(net.has_params_decay(), (vector<bool>{false, false, true, false}));
  EXPECT_EQ(net.param_owners(), (vector<int>{-1, -1, -1, -1}));
  EXPECT_EQ(net.param_display_names(), (vector<string>{"0", "1", "0", "1"}));
}

TEST(NetInit, SharedParameters) {
  const Net<float> net(NetFromText(
      string(kInput) + Fc("a", "x", "param { name: 'w' } param { name: 'b' lr_mult: 2 }") +
      Fc("b", "a", "param { name: 'w' decay_mult: 5 } param { name: 'own' }") +
      Fc("c", "b", "param { name: 'w' lr_mult: 3 decay_mult: 5 } param { name: 'b' lr_mult: 2 }")));
  EXPECT_EQ(net.param_owners(), (vector<int>{-1, -1, 0, -1, 0, 1}));
  EXPECT_EQ(net.param_display_names(), (vector<string>{"w", "b", "w", "own", "w", "b"}));
  EXPECT_EQ(net.param_names_index(), (std::map<string, int>{{"w", 0}, {"b", 1}, {"own", 3}}));
  ASSERT_EQ(net.params().size(), 6u);
  ASSERT_EQ(net.learnable_params().size(), 3u);
  EXPECT_EQ(net.learnable_params()[2], net.params()[3].get());
  // Whoever states a multiplier decides.
  EXPECT_EQ(net.params_lr(), (vector<float>{3, 2, 1}));
  EXPECT_EQ(net.params_weight_decay(), (vector<float>{5, 1, 1}));
  for (const int sharer : {2, 4}) {
    EXPECT_EQ(net.params()[0]->cpu_data(), net.params()[sharer]->cpu_data());
    EXPECT_EQ(net.params()[0]->cpu_diff(), net.params()[sharer]->cpu_diff());
  }
  EXPECT_NE(net.params()[1]->cpu_data(), net.params()[3]->cpu_data());
}

TEST(NetInit, SharersMustAgree) {
  const auto share = [](const string& first, const string& second) {
    Make(kInput + Fc("a", "x", "param { name: 'w' " + first + " }") +
         Fc("b", "a", "param { name: 'w' " + second + " }"));
  };
  EXPECT_EQ(ErrorOf([&] { share("lr_mult: 2", "lr_mult: 2"); }), "");
  EXPECT_ERROR(
      share("lr_mult: 2", "lr_mult: 3"),
      "layer 'b' (InnerProduct): parameter 'w' is shared with lr_mult 3 here and 2 before");
  // The second of three is the first to state it.
  EXPECT_ERROR(
      Make(kInput + Fc("a", "x", "param { name: 'w' }") +
           Fc("b", "a", "param { name: 'w' lr_mult: 2 }") +
           Fc("c", "b", "param { name: 'w' lr_mult: 3 }")),
      "layer 'c' (InnerProduct): parameter 'w' is shared with lr_mult 3 here and 2 before");
  EXPECT_ERROR(share("decay_mult: 0", "decay_mult: 1"),
               "layer 'b' (InnerProduct): parameter 'w' is shared with decay_mult 1 here");
  const string narrow = string(kInput) + Fc("a", "x", "param { name: 'w' }") +
                        "layer { name: 'b' type: 'InnerProduct' bottom: 'a' top: 'b' "
                        "inner_product_param { num_output: 2 } param { name: 'w' ";
  EXPECT_ERROR(Make(narrow + "} }"),
               "layer 'b' (InnerProduct): parameter 'w' has shape 2 3 (6) here and 3 3 (9) in "
               "layer 'a', which it is shared with");
  EXPECT_ERROR(Make(narrow + "share_mode: PERMISSIVE } }"), "parameter 'w' has shape 2 3 (6)");
}

TEST(NetInit, PermissiveSharersNeedTheSameCount) {
  const auto text = [](const string& mode) {
    return string(kInput) +
           "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' param { name: 'w' } "
           "inner_product_param { num_output: 2 weight_filler { type: 'gaussian' } } }"
           "layer { name: 'b' type: 'InnerProduct' bottom: 'a' top: 'b' "
           "inner_product_param { num_output: 3 } param { name: 'w' " +
           mode + " } }";
  };
  EXPECT_ERROR(Make(text("share_mode: STRICT")),
               "layer 'b' (InnerProduct): parameter 'w' has shape");
  const Net<float> net(NetFromText(text("share_mode: PERMISSIVE")));
  EXPECT_EQ(net.params()[0]->shape(), (vector<int>{2, 3}));
  EXPECT_EQ(net.params()[2]->shape(), (vector<int>{3, 2}));
  EXPECT_EQ(net.params()[0]->cpu_data(), net.params()[2]->cpu_data());
}

/// Which layers take part in the backward pass, in order: "00111".
string Backward(const Net<double>& net) {
  string result;
  for (const bool needed : net.layer_need_backward()) result += needed ? '1' : '0';
  return result;
}

TEST(NetBackward, StopsWhereNothingLearns) {
  const string frozen = "param { lr_mult: 0 } param { lr_mult: 0 }";
  const Net<double> net(NetFromText(string(kInput) + kTarget + Fc("a", "x", frozen) + Fc("b", "a") +
                                    Fc("c", "b", frozen) + Loss("c")));
  EXPECT_EQ(Backward(net), "000111");
  EXPECT_EQ(net.bottom_need_backward(),
            (vector<vector<bool>>{{}, {}, {false}, {false}, {true}, {true, false}}));
  EXPECT_TRUE(net.layer_by_name("b")->param_propagate_down(0));
  EXPECT_FALSE(net.layer_by_name("c")->param_propagate_down(0));
  EXPECT_FALSE(net.layer_by_name("c")->param_propagate_down(1));
  EXPECT_EQ(Backward(Net<double>(
                NetFromText(string(kInput) + kTarget + Fc("a", "x", frozen) + Loss("a")))),
            "0000");
}

TEST(NetBackward, StartsAtALoss) {
  const Net<double> none(NetFromText(string(kInput) + Fc("a", "x")));
  EXPECT_EQ(Backward(none), "00");
  // A branch without a loss: in, target, a, split, loss, b.
  const Net<double> branch(
      NetFromText(string(kInput) + kTarget + Fc("a", "x") + Loss("a") + Fc("b", "a")));
  EXPECT_EQ(branch.layer_names()[3], "a_a_0_split");
  EXPECT_EQ(Backward(branch), "001110");
  EXPECT_FALSE(branch.bottom_need_backward()[5][0]);
}

TEST(NetBackward, PropagateDown) {
  const Net<double> cut(NetFromText(string(kInput) + kTarget + Fc("a", "x") +
                                    Fc("b", "a", "propagate_down: false") + Loss("b")));
  EXPECT_EQ(Backward(cut), "00011");
  EXPECT_FALSE(cut.bottom_need_backward()[3][0]);
  // Also where no parameter asks for it: the gradient of an input.
  const Net<double> input(
      NetFromText(string(kInput) + kTarget + Fc("a", "x", "propagate_down: true") + Loss("a")));
  EXPECT_TRUE(input.bottom_need_backward()[2][0]);
  EXPECT_ERROR(Make(kInput + Fc("a", "x", "propagate_down: true propagate_down: false")),
               "layer 'a' (InnerProduct): propagate_down is given 2 times for 1 bottom(s)");
}

TEST(NetBackward, ForceBackward) {
  const string frozen = "param { lr_mult: 0 } param { lr_mult: 0 }";
  const Net<double> net(NetFromText(
      "force_backward: true " + string(kInput) +
      "layer { name: 'l' type: 'Input' top: 'l' input_param { shape { dim: 2 } } }" +
      Fc("a", "x", frozen) +
      "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'a' bottom: 'l' top: 'loss' }"));
  EXPECT_EQ(Backward(net), "1111");
  // Labels have no gradient.
  EXPECT_EQ(net.bottom_need_backward(), (vector<vector<bool>>{{}, {}, {true}, {true, false}}));
  EXPECT_TRUE(net.layer_by_name("a")->param_propagate_down(0));
}

TEST(NetInit, LayersThatCannotWorkInPlace) {
  for (const char* layer :
       {"type: 'Concat' bottom: 'x' bottom: 'x' top: 'x'", "type: 'Reduction' bottom: 'x' top: 'x'",
        "type: 'ArgMax' bottom: 'x' top: 'x'", "type: 'Accuracy' bottom: 'x' bottom: 'x' top: 'x'",
        "type: 'EuclideanLoss' bottom: 'x' bottom: 'x' top: 'x'",
        "type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'x' top: 'x'",
        "type: 'SoftTargetLoss' bottom: 'x' bottom: 'x' top: 'x'",
        "type: 'Slice' bottom: 'x' top: 'x' top: 'y'",
        "type: 'ReLU' bottom: 'x' top: 'x' relu_param { negative_slope: -1 }"}) {
    SCOPED_TRACE(layer);
    const LayerParameter param = LayerFromText("name: 'l' " + string(layer));
    Blob<float> x(2, 2, 1, 1), y;
    vector<Blob<float>*> bottom(param.bottom_size(), &x), top = {&x, &y};
    top.resize(param.top_size());
    EXPECT_ERROR(LayerRegistry<float>::CreateLayer(param)->SetUp(bottom, top), "work in place");
  }
}

// Of the lines that a net logs when it is made, those with `part`.
template <typename Dtype = double>
int Warnings(const string& layers, const string& part) {
  ::testing::internal::CaptureStderr();
  Make<Dtype>(kInput + Fc("a", "x") + layers + Fc("b", "a") +
              "layer { name: 'r' type: 'Reduction' bottom: 'b' top: 'r' loss_weight: 1 }");
  const string log = ::testing::internal::GetCapturedStderr();
  int count = 0;
  for (size_t at = 0; (at = log.find(part, at)) != string::npos; ++at) ++count;
  return count;
}

TEST(NetInit, OutputsThatALayerInPlaceTakesAway) {
  const auto in_place = [](const string& type) {
    return "layer { name: '" + type + "' type: '" + type + "' bottom: 'a' top: 'a' } ";
  };
  const string part = "wrote in place and needs for its gradient";
  EXPECT_EQ(Warnings(in_place("ReLU") + in_place("Scale"), part), 1);
  EXPECT_EQ(Warnings(in_place("TanH") + in_place("Dropout"), part), 1);
  EXPECT_EQ(Warnings(in_place("ReLU") + in_place("Dropout"), part), 0);
  EXPECT_EQ(Warnings(in_place("Scale") + in_place("ReLU"), part), 0);
  // Computed by the layer before: a sum reads what is behind the ReLU, BatchNorm what was before
  // it.
  const auto behind = [](const string& type) {
    return "layer { name: 'e" + type + "' type: '" + type + "' bottom: 'e' top: 'e' } ";
  };
  const string sum = "layer { name: 'e' type: 'Eltwise' bottom: 'a' bottom: 'a' top: 'e' } ";
  const string loss = "layer { name: 'q' type: 'Reduction' bottom: 'e' top: 'q' loss_weight: 1 } ";
  EXPECT_EQ(Warnings<float>(sum + behind("ReLU") + behind("Scale") + loss, part), 1);
  EXPECT_EQ(Warnings<float>(sum + behind("ReLU") + loss, part), 0);
  const string normalized = in_place("BatchNorm") + in_place("ReLU") + in_place("Scale");
  EXPECT_EQ(Warnings<float>(normalized, part), 0);
  EXPECT_EQ(Warnings<double>(normalized, part), 1);
  // Not in place themselves, most take the gradient from what they wrote, too.
  const auto apart = [](const string& type) {
    return "layer { name: 'p' type: '" + type +
           "' bottom: 'a' top: 'p' } "
           "layer { name: 's' type: 'Scale' bottom: 'p' top: 'p' } "
           "layer { name: 'z' type: 'Reduction' bottom: 'p' top: 'z' loss_weight: 1 } ";
  };
  EXPECT_EQ(Warnings(apart("Sigmoid"), "wrote and needs for its gradient"), 1);
  EXPECT_EQ(Warnings(apart("ReLU"), "wrote and needs for its gradient"), 0);
}

TEST(NetInit, Errors) {
  EXPECT_ERROR(Make("layer { name: 'c' type: 'Convolutoin' }"),
               "layer 'c' (Convolutoin): unknown layer type 'Convolutoin' (did you mean "
               "'Convolution'?)");
  EXPECT_ERROR(Make(kInput + Fc("a", "xx")),
               "layer 'a' (InnerProduct): bottom 'xx' is not the top of an earlier layer (did you "
               "mean 'x'?)");
  const string made = "is already made by an earlier layer, and is not this layer's bottom";
  EXPECT_ERROR(Make(kInput + Fc("a", "x") + "layer { name: 'q' type: 'Input' top: 'a' }"),
               "layer 'q' (Input): top 'a' " + made);
  EXPECT_ERROR(Make("layer { name: 'q' type: 'Input' top: 'a' top: 'a' }"),
               "layer 'q' (Input): top 'a' " + made);
  EXPECT_ERROR(Make(kInput + Fc("a", "x", "param { } param { } param { }")),
               "layer 'a' (InnerProduct): has 3 param entries for 2 parameter blob(s)");
  EXPECT_ERROR(Make(string(kInput) + "layer { name: 'r' type: 'ReLU' bottom: 'x' }"),
               "layer 'r' (ReLU): ReLU takes exactly 1 top blob(s), not 0");
  EXPECT_ERROR(
      Make(string(kInput) + "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' }"),
      "layer 'a' (InnerProduct): num_output is not given or 0");
  EXPECT_ERROR(Make(kInput + Fc("a", "x", "loss_weight: 1 loss_weight: 1")),
               "layer 'a' (InnerProduct): loss_weight is given 2 times for 1 top blob(s)");
  EXPECT_ERROR(Make(kInput + Fc("a", "x", "blobs { shape { dim: 2 } data: 1 }")),
               "layer 'a' (InnerProduct): ");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
