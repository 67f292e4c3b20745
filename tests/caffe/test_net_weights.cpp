// Parameters that come from other nets and from files (caffe/net.cpp).
#include "caffe/net.hpp"
#include "caffe/util/io.hpp"
#include "testing/blob_util.hpp"
#include "testing/data_util.hpp"

namespace caffe {
namespace testing {
namespace {

/// InnerProduct layers `names`, all from and to `width` values.
string Text(const vector<string>& names, int width = 3, const string& more = "") {
  const string n = std::to_string(width);
  string text =
      "name: 'n' layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 "
      "dim: " +
      n + " } } }";
  string bottom = "x";
  for (const string& name : names) {
    text += "layer { name: '" + name + "' type: 'InnerProduct' bottom: '" + bottom + "' top: '" +
            name + "' inner_product_param { num_output: " + n +
            " weight_filler { type: 'gaussian' } " + more + " } }";
    bottom = name;
  }
  return text;
}

template <typename Dtype>
NetParameter Stored(const Net<Dtype>& net, bool diffs = false) {
  NetParameter param;
  param.set_name("what was there is replaced");
  net.ToProto(&param, diffs);
  return param;
}

template <typename Dtype>
vector<Dtype> Weights(const Net<Dtype>& net, const string& layer) {
  const Blob<Dtype>& blob = *net.layer_by_name(layer)->blobs()[0];
  return vector<Dtype>(blob.cpu_data(), blob.cpu_data() + blob.count());
}

/// What `work` logs.
template <class Work>
string LogOf(const Work& work) {
  ::testing::internal::CaptureStderr();
  work();
  return ::testing::internal::GetCapturedStderr();
}

template <typename Dtype>
class NetWeightsTest : public TempDirTest {
 protected:
  NetWeightsTest() : net_(NetFromText(Text({"a", "b"}))), other_(NetFromText(Text({"a", "b"}))) {}

  Net<Dtype> net_, other_;
};
typedef ::testing::Types<float, double> NumberTypes;
TYPED_TEST_SUITE(NetWeightsTest, NumberTypes);

TYPED_TEST(NetWeightsTest, CopyFromProtoAndFile) {
  ASSERT_NE(Weights(this->net_, "a"), Weights(this->other_, "a"));
  this->other_.CopyTrainedLayersFrom(Stored(this->net_));
  EXPECT_EQ(Weights(this->net_, "a"), Weights(this->other_, "a"));
  EXPECT_EQ(Weights(this->net_, "b"), Weights(this->other_, "b"));

  Net<TypeParam> third(NetFromText(Text({"a", "b"})));
  WriteProtoToBinaryFile(Stored(this->net_), this->Path("w.caffemodel"));
  third.CopyTrainedLayersFrom(this->Path("w.caffemodel"));
  EXPECT_EQ(Weights(this->net_, "b"), Weights(third, "b"));
  EXPECT_NE(this->net_.params()[0]->cpu_data(), third.params()[0]->cpu_data());
}

// Snapshots of one number type are read as the other.
TYPED_TEST(NetWeightsTest, CopyToTheOtherType) {
  const Net<float> floats(NetFromText(Text({"a"})));
  this->net_.CopyTrainedLayersFrom(Stored(floats));
  const vector<float> stored = Weights(floats, "a");
  EXPECT_EQ(Weights(this->net_, "a"), vector<TypeParam>(stored.begin(), stored.end()));
}

TYPED_TEST(NetWeightsTest, ProtoMakesTheSameNet) {
  const string text =
      Text({"a", "b"}) + R"(layer { name: "again" type: "ReLU" bottom: "a" top: "c" }
      layer { name: "loss" type: "EuclideanLoss" bottom: "b" bottom: "c" top: "loss" })";
  Net<TypeParam> net(NetFromText(text));
  const NetParameter stored = Stored(net);
  Net<TypeParam> copy(stored);
  EXPECT_EQ(copy.name(), "n");
  EXPECT_EQ(copy.layer_names(), net.layer_names());
  EXPECT_EQ(copy.blob_names(), net.blob_names());
  for (Net<TypeParam>* each : {&net, &copy}) FillGaussian<TypeParam>(each->input_blobs()[0], 1);
  const TypeParam loss = net.ForwardBackward();
  EXPECT_GT(loss, 0);
  EXPECT_EQ(loss, copy.ForwardBackward());
  for (size_t i = 0; i < net.params().size(); ++i) {
    EXPECT_EQ(net.params()[i]->asum_diff(), copy.params()[i]->asum_diff());
  }
  EXPECT_EQ(Stored(copy).SerializeAsString(), stored.SerializeAsString());
  EXPECT_EQ(Stored(copy, true).SerializeAsString(), Stored(net, true).SerializeAsString());
  EXPECT_NE(Stored(copy, true).SerializeAsString(), stored.SerializeAsString());
}

TYPED_TEST(NetWeightsTest, LayersOnOneSideAreNamed) {
  const Net<TypeParam> source(NetFromText(Text({"b", "conv1"})));
  Net<TypeParam> target(NetFromText(Text({"b", "conv2"})));
  const vector<TypeParam> before = Weights(target, "conv2");
  const string log = LogOf([&] { target.CopyTrainedLayersFrom(Stored(source)); });
  EXPECT_NE(log.find("Stored layer 'conv1' is not in the net (did you mean 'conv2'?)"),
            string::npos)
      << log;
  EXPECT_NE(log.find("Layer 'conv2' is not stored; it keeps its initial values"), string::npos)
      << log;
  EXPECT_EQ(log.find("'b'"), string::npos) << log;
  EXPECT_EQ(Weights(target, "b"), Weights(source, "b"));
  EXPECT_EQ(Weights(target, "conv2"), before);
}

TYPED_TEST(NetWeightsTest, NothingFits) {
  const Net<TypeParam> source(NetFromText(Text({"p", "q"})));
  EXPECT_ERROR(
      this->net_.CopyTrainedLayersFrom(Stored(source)),
      "none of the 2 stored layers with parameters has the name of one in net 'n' (stored: "
      "'p', ...)");
  Net<TypeParam> empty(NetFromText(Text({})));
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(Stored(empty)), "holds no layer with parameters");
  // A net without parameters asks for nothing.
  EXPECT_EQ(ErrorOf([&] { empty.CopyTrainedLayersFrom(Stored(empty)); }), "");
}

TYPED_TEST(NetWeightsTest, ShapesMustFit) {
  const Net<TypeParam> wide(NetFromText(Text({"a", "b"}, 4)));
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(Stored(wide)),
               "layer 'a' (InnerProduct): parameter 0: stored shape 4x4 where 3x3 is expected; to "
               "train this layer anew, give it another name");
  const Net<TypeParam> bare(NetFromText(Text({"a"}, 3, "bias_term: false")));
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(Stored(bare)),
               "layer 'a' (InnerProduct): 1 stored parameter blobs where the net has 2");
}

TYPED_TEST(NetWeightsTest, FileErrorsNameTheFile) {
  const Net<TypeParam> wide(NetFromText(Text({"a"}, 4)));
  const string file = this->Path("w.caffemodel");
  WriteProtoToBinaryFile(Stored(wide), file);
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(file), file + ": layer 'a' (InnerProduct): ");
  WriteProtoToBinaryFile(Stored(this->net_), file);
  const string bytes = this->Read("w.caffemodel");
  for (const size_t size : {bytes.size() - 1, bytes.size() / 2, size_t(5)}) {
    this->Write("w.caffemodel", bytes.substr(0, size));
    EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(file), file + ": is truncated");
  }
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom(this->Path("none")), this->Path("none"));
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom("w.h5"), "w.h5: HDF5 weights are not supported");
  EXPECT_ERROR(this->net_.CopyTrainedLayersFrom("w.caffemodel.h5"),
               "HDF5 weights are not supported");
  EXPECT_ERROR(this->net_.ToHDF5("w.h5"), "w.h5: HDF5 weights are not supported");
}

TYPED_TEST(NetWeightsTest, SharedParametersAreCopied) {
  const string shared =
      "param { name: 'w' } inner_product_param { num_output: 3 bias_term: false } }";
  Net<TypeParam> net(NetFromText(
      Text({}) + "layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'a' " + shared +
      "layer { name: 'b' type: 'InnerProduct' bottom: 'a' top: 'b' " + shared));
  FillGaussian<TypeParam>(net.params()[0].get(), 3);
  const vector<TypeParam> stored = Weights(net, "a");
  const NetParameter proto = Stored(net);
  net.params()[0]->scale_data(0);
  net.CopyTrainedLayersFrom(proto);
  EXPECT_EQ(Weights(net, "b"), stored);
  EXPECT_EQ(net.params()[0]->cpu_data(), net.params()[1]->cpu_data());
}

TYPED_TEST(NetWeightsTest, ShareWithAnotherNet) {
  Net<TypeParam> test(NetFromText(Text({"b", "more"})));
  const vector<TypeParam> more = Weights(test, "more");
  test.ShareTrainedLayersWith(&this->net_);
  EXPECT_EQ(Weights(test, "b"), Weights(this->net_, "b"));
  EXPECT_EQ(Weights(test, "more"), more);
  // Values are shared, now and later; gradients are not.
  auto& mine = this->net_.layer_by_name("b")->blobs()[0];
  mine->mutable_cpu_data()[1] = 42;
  mine->mutable_cpu_diff()[1] = 43;
  EXPECT_EQ(Weights(test, "b")[1], 42);
  EXPECT_EQ(test.layer_by_name("b")->blobs()[0]->cpu_diff()[1], 0);

  const Net<TypeParam> wide(NetFromText(Text({"a"}, 4)));
  EXPECT_ERROR(this->net_.ShareTrainedLayersWith(&wide),
               "layer 'a': parameter 0 of shape 4 4 (16) cannot be shared with one of shape 3 3");
  const Net<TypeParam> bare(NetFromText(Text({"a"}, 3, "bias_term: false")));
  EXPECT_ERROR(this->net_.ShareTrainedLayersWith(&bare),
               "layer 'a': 1 parameter blobs to share with 2");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
