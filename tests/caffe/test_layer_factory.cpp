#include "caffe/layer_factory.hpp"

#include "caffe/layers/input_layer.hpp"
#include "testing/blob_util.hpp"

namespace caffe {
namespace testing {
namespace {

template <typename Dtype>
class RegisteredByClassLayer : public InputLayer<Dtype> {
 public:
  explicit RegisteredByClassLayer(const LayerParameter& param) : InputLayer<Dtype>(param) {}
  const char* type() const override { return "RegisteredByClass"; }
};
REGISTER_LAYER_CLASS(RegisteredByClass);

// As a layer does that has several implementations.
template <typename Dtype>
shared_ptr<Layer<Dtype>> MakeEither(const LayerParameter& param) {
  if (param.name() == "input") return shared_ptr<Layer<Dtype>>(new InputLayer<Dtype>(param));
  return shared_ptr<Layer<Dtype>>(new RegisteredByClassLayer<Dtype>(param));
}
REGISTER_LAYER_CREATOR(RegisteredByFunction, MakeEither);

template <typename Dtype>
class LayerFactoryTest : public ::testing::Test {
 protected:
  static string TypeOf(const string& text) {
    return LayerRegistry<Dtype>::CreateLayer(LayerFromText(text))->type();
  }
};
typedef ::testing::Types<float, double> NumberTypes;
TYPED_TEST_SUITE(LayerFactoryTest, NumberTypes);

TYPED_TEST(LayerFactoryTest, ClassesAndFunctions) {
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByClass'"), "RegisteredByClass");
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByFunction'"), "RegisteredByClass");
  EXPECT_EQ(this->TypeOf("type: 'RegisteredByFunction' name: 'input'"), "Input");
}

TYPED_TEST(LayerFactoryTest, TheLayerGetsItsDefinition) {
  const LayerParameter param = LayerFromText("name: 'a' type: 'ReLU' phase: TEST");
  EXPECT_EQ(LayerRegistry<TypeParam>::CreateLayer(param)->layer_param().DebugString(),
            param.DebugString());
}

TYPED_TEST(LayerFactoryTest, EveryTypeMakesALayerOfThatType) {
  const vector<string> types = LayerRegistry<TypeParam>::LayerTypeList();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_EQ(std::adjacent_find(types.begin(), types.end()), types.end());
  for (const string& type : types) {
    if (type == "RegisteredByFunction") continue;
    EXPECT_EQ(this->TypeOf("type: '" + type + "'"), type);
  }
  // From both libraries.
  for (const char* type : {"Convolution", "Data", "MetaPerturb", "SoftmaxWithLoss", "Split"}) {
    EXPECT_TRUE(std::binary_search(types.begin(), types.end(), type)) << type;
  }
}

TYPED_TEST(LayerFactoryTest, UnknownTypes) {
  EXPECT_ERROR(this->TypeOf("type: 'Convolutoin'"),
               "unknown layer type 'Convolutoin' (did you mean 'Convolution'?)");
  EXPECT_ERROR(this->TypeOf("type: 'relu'"), "(did you mean 'ReLU'?)");
  EXPECT_ERROR(this->TypeOf("name: 'untyped'"), "unknown layer type ''");
  // Nothing is near.
  EXPECT_EQ(ErrorOf([&] { this->TypeOf("type: 'xxxxxxxxxxxxxxxxxxxx'"); }),
            "unknown layer type 'xxxxxxxxxxxxxxxxxxxx'");
}

TEST(LayerFactoryDeathTest, Twice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(LayerRegistry<float>::AddCreator("ReLU", MakeEither<float>),
               "Layer type ReLU already registered");
}

}  // namespace
}  // namespace testing
}  // namespace caffe
