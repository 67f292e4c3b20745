// Net::ReuseMemory: less memory, the same numbers.
#include <gtest/gtest.h>

#include "caffe/net.hpp"
#include "testing/blob_util.hpp"
#include "testing/model_util.hpp"

namespace caffe {
namespace testing {
namespace {

// Losses and gradients of all parameters in three training steps of plain gradient descent.
template <typename Dtype>
vector<Dtype> Train(Net<Dtype>* net, int steps = 3) {
  vector<Dtype> numbers;
  for (int step = 0; step < steps; ++step) {
    net->ClearParamDiffs();
    numbers.push_back(net->ForwardBackward());
    for (Blob<Dtype>* param : net->learnable_params()) {
      numbers.insert(numbers.end(), param->cpu_diff(), param->cpu_diff() + param->count());
      param->scale_diff(Dtype(0.01));
    }
    net->Update();
  }
  return numbers;
}

void ExpectSameTraining(const NetParameter& param, double largest_share) {
  Caffe::set_random_seed(9);
  Net<float> net(param);
  Caffe::set_random_seed(9);
  Net<float> thrifty(param);
  thrifty.ReuseMemory();
  EXPECT_EQ(Train(&net), Train(&thrifty));
  EXPECT_LT(thrifty.memory_allocated(), largest_share * net.memory_allocated());
}

TEST(NetMemory, TrainingOfTheModelsIsBitwiseTheSame) {
  ExpectSameTraining(ModelWithoutData("resnet20/train_val.prototxt", TRAIN, 4), 0.6);
  ExpectSameTraining(ModelWithoutData("resnet20/train_val_mp.prototxt", TRAIN, 4), 0.6);
  ExpectSameTraining(ModelWithoutData("resnet20/meta_train_val.prototxt", TRAIN, 4), 0.6);
}

TEST(NetMemory, BranchesInPlaceLayersAndTwoLosses) {
  ExpectSameTraining(NetFromText(R"(
      layer { name: "in" type: "DummyData" top: "x" top: "t"
              dummy_data_param { shape { dim: 3 dim: 4 dim: 6 dim: 6 } shape { dim: 3 dim: 8 }
                                 data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
      layer { name: "c1" type: "Convolution" bottom: "x" top: "a"
              convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
      layer { name: "act" type: "Sigmoid" bottom: "a" top: "a" }
      layer { name: "c2" type: "Convolution" bottom: "a" top: "b"
              convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
      layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "s" }
      layer { name: "relu" type: "ReLU" bottom: "s" top: "s" }
      layer { name: "slice" type: "Slice" bottom: "s" top: "s1" top: "unused" slice_param { slice_point: 3 } }
      layer { name: "drop" type: "Dropout" bottom: "s1" top: "s1" }
      layer { name: "flat" type: "Flatten" bottom: "s1" top: "f" }
      layer { name: "cat" type: "Concat" bottom: "f" bottom: "f" top: "ff" }
      layer { name: "fc" type: "InnerProduct" bottom: "ff" top: "y"
              inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
      layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "l" }
      layer { name: "size" type: "Reduction" bottom: "f" top: "r" loss_weight: 0.1
              reduction_param { operation: SUMSQ } })"),
                     0.95);
}

// Two convolutions that both `more` and a loss read; c1 makes what c2 reads.
string NetWith(const string& more) {
  return R"(
      layer { name: "in" type: "DummyData" top: "x" top: "t"
              dummy_data_param { shape { dim: 3 dim: 4 dim: 6 dim: 6 } shape { dim: 3 dim: 4 dim: 6 dim: 6 }
                                 data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
      layer { name: "c0" type: "Convolution" bottom: "x" top: "c0"
              convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
      layer { name: "c1" type: "Convolution" bottom: "c0" top: "c1"
              convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
      layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2"
              convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
      )" +
         more + " layer { name: 'loss' type: 'EuclideanLoss' bottom: 'y' bottom: 't' top: 'l' }";
}

// What gives its bottom no gradient leaves the bottom's diff zero, which a Split or a Slice adds.
TEST(NetMemory, ReadersWithoutAGradient) {
  const string end =
      "layer { name: 'c3' type: 'Convolution' bottom: 'c2' top: 'c3'"
      "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }"
      "layer { name: 'c4' type: 'Convolution' bottom: 'c3' top: 'y'"
      "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }";
  for (const char* reader :
       {"layer { name: 'dead' type: 'Silence' bottom: 'c1' }",
        "layer { name: 'dead' type: 'ArgMax' bottom: 'c1' top: 'a' }",
        "layer { name: 'dead' type: 'Convolution' bottom: 'c1' top: 'a'"
        "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }",
        "layer { name: 'f' type: 'Convolution' bottom: 'c1' top: 'f' propagate_down: false"
        "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }"
        "layer { name: 'r' type: 'Reduction' bottom: 'f' top: 'r' loss_weight: 0.1"
        "  reduction_param { operation: SUMSQ } }",
        "layer { name: 's' type: 'Slice' bottom: 'c1' top: 's1' top: 's2' }"
        "layer { name: 'dead' type: 'Silence' bottom: 's1' }"
        "layer { name: 'r' type: 'Reduction' bottom: 's2' top: 'r' loss_weight: 0.1"
        "  reduction_param { operation: SUMSQ } }"}) {
    SCOPED_TRACE(reader);
    ExpectSameTraining(NetFromText(NetWith(reader + end)), 0.98);
    ExpectSameTraining(NetFromText(NetWith(end + reader)), 0.98);
  }
}

TEST(NetMemory, AnOutputThatALayerInPlaceEnds) {
  ExpectSameTraining(
      NetFromText(NetWith(
          "force_backward: true"
          " layer { name: 'side' type: 'Convolution' bottom: 'c1' top: 'side'"
          "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }"
          " layer { name: 'act' type: 'BNLL' bottom: 'side' top: 'side' }"
          " layer { name: 'c3' type: 'Convolution' bottom: 'c2' top: 'y'"
          "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } "
          "}")),
      0.98);
}

TEST(NetMemory, SumsOfSums) {
  const string conv =
      "layer { name: 'end' type: 'Convolution' bottom: 's' top: 'y'"
      "  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }";
  for (const char* sums :
       {"layer { name: 's1' type: 'Eltwise' bottom: 'c2' bottom: 'c0' top: 's1' }"
        "layer { name: 's2' type: 'Eltwise' bottom: 's1' bottom: 'c1' top: 's' }",
        "layer { name: 's1' type: 'Eltwise' bottom: 'c2' bottom: 'c0' top: 's1' }"
        "layer { name: 's2' type: 'Eltwise' bottom: 's1' bottom: 'c1' top: 's2' }"
        "layer { name: 's3' type: 'Eltwise' bottom: 's2' bottom: 'c0' top: 's3' }"
        "layer { name: 's4' type: 'Eltwise' bottom: 'c1' bottom: 's3' top: 's' }"}) {
    SCOPED_TRACE(sums);
    ExpectSameTraining(NetFromText(NetWith(sums + conv)), 0.98);
  }
}

TEST(NetMemory, NetsForTestingKeepTheirOutputsOnly) {
  // With the batch's statistics: untrained running ones would give a loss that is not a number.
  NetParameter param = ModelWithoutData("resnet20/train_val.prototxt", TEST, 8);
  for (LayerParameter& layer : *param.mutable_layer()) {
    if (layer.type() != "BatchNorm") continue;
    layer.mutable_batch_norm_param()->set_use_global_stats(false);
  }
  Caffe::set_random_seed(9);
  Net<float> net(param);
  Caffe::set_random_seed(9);
  Net<float> thrifty(param);
  thrifty.ReuseMemory(false);
  for (int pass = 0; pass < 2; ++pass) {
    net.Forward();
    thrifty.Forward();
    ASSERT_EQ(net.num_outputs(), 2);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(net.output_blobs()[i]->cpu_data()[0], thrifty.output_blobs()[i]->cpu_data()[0]);
    }
  }
  EXPECT_LT(thrifty.memory_allocated(), 0.5 * net.memory_allocated());
}

TEST(NetMemory, BatchMayGrow) {
  const char text[] = R"(
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
      layer { name: "c1" type: "Convolution" bottom: "x" top: "a"
              convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
      layer { name: "p" type: "Power" bottom: "a" top: "b" power_param { shift: 1 } }
      layer { name: "q" type: "Power" bottom: "b" top: "c" power_param { scale: 2 } }
      layer { name: "r" type: "Reduction" bottom: "c" top: "l" loss_weight: 1 })";
  Caffe::set_random_seed(1);
  Net<float> net(NetFromText(text));
  Caffe::set_random_seed(1);
  Net<float> thrifty(NetFromText(text));
  thrifty.ReuseMemory();
  for (const int batch : {2, 5, 3}) {
    for (Net<float>* each : {&net, &thrifty}) {
      each->input_blobs()[0]->Reshape(batch, 3, 4, 4);
      FillGaussian<float>(each->input_blobs()[0], batch);
    }
    EXPECT_EQ(Train(&net, 1), Train(&thrifty, 1)) << batch;
  }
}

TEST(NetMemory, BatchMayHaveBeenLarger) {
  Net<float> net(NetFromText(R"(
      layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 500 dim: 40 } } }
      layer { name: "p" type: "Power" bottom: "x" top: "a" power_param { shift: 1 } }
      layer { name: "q" type: "Power" bottom: "a" top: "b" power_param { scale: 2 } }
      layer { name: "r" type: "Reduction" bottom: "b" top: "l" })"));
  net.input_blobs()[0]->Reshape({2, 40});
  net.ReuseMemory(false);
  net.input_blobs()[0]->Reshape({500, 40});
  net.Reshape();
  for (const auto& blob : net.blobs()) {
    EXPECT_GE(blob->data()->size(), blob->count() * sizeof(float)) << blob->shape_string();
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe
