// The layers' GPU halves within a host: on its GPU, or, in one that was built without CUDA, on the
// emulated device (METAPERTURB_GPU=emulated), which works on the arrays of the CPU.

#include "layers/metaperturb_layer.hpp"
#include "testing/golden.hpp"
#include "testing/gradient_checker.hpp"
#include "testing/noise_util.hpp"

#ifdef METAPERTURB_GPU_HALVES
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

class HostGpu : public GpuTest {
 protected:
  // Of top and bottom gradient: on a GPU, logarithm, sine and cosine are not the CPU's to the last
  // bit.
  static double Tolerance() { return Device::Get().IsEmulated() ? 1e-9 : 1e-5; }

  template <typename Dtype>
  void ExpectEqualsTheCpu(const std::string& layer, const std::vector<int>& shape,
                          const std::vector<Blob<Dtype>*>& more = {}, double tolerance = 0) {
    SCOPED_TRACE(layer);
    Blob<Dtype> x(shape), dy(shape);
    FillGaussian(&x, 1, Dtype(0.5));
    FillGaussian(&dy, 2);
    std::vector<Blob<Dtype>*> bottom = {&x};
    bottom.insert(bottom.end(), more.begin(), more.end());
    std::vector<bool> propagate(bottom.size(), false);
    propagate[0] = true;
    std::vector<std::vector<Dtype>> results;
    for (const Caffe::Brew brew : {Caffe::CPU, Caffe::GPU}) {
      Caffe::set_mode(brew);
      Caffe::set_random_seed(9);
      LayerRun<Dtype> run(LayerFromText(layer), bottom);
      for (int pass = 0; pass < 2; ++pass) {
        run.Forward();
        SetDiff(dy, run.top[0]);
        std::fill_n(x.mutable_cpu_diff(), x.count(), Dtype(7));
        run.Backward(propagate);
      }
      results.push_back(DataOf(*run.top[0]));
      results.push_back(DiffOf(x));
    }
    Caffe::set_mode(Caffe::CPU);
    for (int i : {0, 1}) {
      EXPECT_LT(RelativeError(results[2 + i].data(), results[i].data(), x.count()),
                tolerance > 0 ? tolerance : Tolerance())
          << (i == 0 ? "top" : "gradient");
    }
  }
};

TEST_F(HostGpu, LayersEqualTheCpu) {
  const std::vector<int> shape = {4, 3, 6, 5};
  for (const std::string phase : {"TRAIN", "TEST"}) {
    const std::string end = " phase: " + phase;
    ExpectEqualsTheCpu<double>("name: 'l' type: 'MetaPerturb'" + end, shape);
    ExpectEqualsTheCpu<double>("name: 'l' type: 'Cutout' cutout_param { length: 3 }" + end, shape);
    ExpectEqualsTheCpu<double>(
        "name: 'l' type: 'DropBlock' dropblock_param { drop_prob: 0.3 block_size: 2 }" + end,
        shape);
    ExpectEqualsTheCpu<double>(
        "name: 'l' type: 'StochasticDepth' stochastic_depth_param { survival_prob: 0.5 "
        "per_image: true }" +
            end,
        shape);
    Blob<double> logits(shape);
    FillGaussian(&logits, 2);
    ExpectEqualsTheCpu<double>("name: 'l' type: 'InformationDropout'" + end, shape, {&logits});
  }
  ExpectEqualsTheCpu<float>("name: 'l' type: 'MetaPerturb'", shape, {}, 2e-4);
}

TEST_F(HostGpu, MixupEqualsTheCpu) {
  Blob<double> plan(std::vector<int>{3, 4});
  FillValues<double>(&plan, {2, 0.25, 0, 1, 0, 0.5, 0, 1, 1, 1, 0, 1});
  ExpectEqualsTheCpu<double>("name: 'l' type: 'Mixup'", {3, 2, 4, 4}, {&plan}, 1e-12);
}

TEST_F(HostGpu, SoftTargetLossEqualsTheCpu) {
  Blob<double> scores(std::vector<int>{5, 4}), labels(std::vector<int>{5});
  FillGaussian(&scores, 1);
  for (int n = 0; n < 5; ++n) labels.mutable_cpu_data()[n] = n % 4;
  const std::string layer =
      "name: 'l' type: 'SoftTargetLoss' loss_weight: 1 loss_weight: 0 "
      "soft_target_loss_param { label_smoothing: 0.1 }";
  std::vector<std::vector<double>> results;
  for (const Caffe::Brew brew : {Caffe::CPU, Caffe::GPU}) {
    Caffe::set_mode(brew);
    LayerRun<double> run(LayerFromText(layer), {&scores, &labels}, 2);
    run.Forward();
    run.top[0]->mutable_cpu_diff()[0] = 1;
    run.Backward({true, false});
    for (int i : {0, 1}) results.push_back(DataOf(*run.top[i]));
    results.push_back(DiffOf(scores));
    labels.mutable_cpu_data()[3] = 7;
    EXPECT_ERROR(run.Forward(), "layer 'l' (SoftTargetLoss): label 7 of image 3");
    labels.mutable_cpu_data()[3] = 3;
  }
  Caffe::set_mode(Caffe::CPU);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LT(RelativeError(results[i + 3].data(), results[i].data(),
                            static_cast<int>(results[i].size())),
              Tolerance());
  }
}

TEST_F(HostGpu, GradientsOfPhiAndX) {
  const GpuMode mode;
  Blob<double> x(3, 4, 5, 4), epsilon(3, 4, 5, 4);
  FillGaussian(&x, 1);
  FillGaussian(&epsilon, 2);
  LayerParameter param = LayerFromText("name: 'mp' type: 'MetaPerturb'");
  param.add_param()->set_name("phi");
  LayerRun<double> run(param, {&x, &epsilon});
  FillGaussian(run.layer->blobs()[0].get(), 3, 0.0, 0.3);
  GradientChecker<double> checker(1e-5, 1e-4);
  checker.CheckGradient(run.layer.get(), run.bottom, run.top, 0);
}

TEST_F(HostGpu, ErrorsNameTheLayer) {
  Blob<float> x(2, 3, 4, 5), epsilon(2, 3, 4, 5);
  FillGaussian(&x, 1);
  FillGaussian(&epsilon, 2);
  LayerRun<float> run(LayerFromText("name: 'mp' type: 'MetaPerturb' phase: TEST"), {&x, &epsilon});
  const auto expect_error = [&run] {
    run.Forward();
    EXPECT_ERROR(run.Backward({true, true}), "layer 'mp' (MetaPerturb): epsilon gets no gradient");
  };
  expect_error();
  const GpuMode mode;
  expect_error();
}

TEST_F(HostGpu, GoldenVectors) {
  const GpuMode mode;
  for (const char* name : kGoldenNames) {
    CheckGolden<float>(name, 1e-4);
    CheckGolden<double>(name, 1e-7);
  }
}

}  // namespace
}  // namespace testing
}  // namespace caffe

#endif  // METAPERTURB_GPU_HALVES
