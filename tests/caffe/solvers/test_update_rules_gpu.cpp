// Update rules for many arrays that are started together.
#include "caffe/solvers/update_rules.hpp"

#include "caffe/util/device_workspace.hpp"
#include "testing/gpu_util.hpp"

namespace caffe {
namespace testing {
namespace {

template <typename Dtype>
class RulesTogetherGpu : public GpuTest {
 protected:
  // More arrays than one kernel takes; some are empty, some one block and more.
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    for (int k = 0; k < 300; ++k) {
      counts_.push_back(k % 7 == 3 ? 0 : k == 100 ? 1000 : k % 50);
      values_.emplace_back(counts_[k]);
      for (int i = 0; i < counts_[k]; ++i) values_[k][i] = Dtype(1 + k + 0.25 * i);
      arrays_.push_back(workspace_.Get<Dtype>(counts_[k]));
      Device::Get().CopyToDevice(arrays_[k], values_[k].data(), counts_[k] * sizeof(Dtype));
    }
  }
  std::vector<std::vector<Dtype>> OnDevice() const {
    std::vector<std::vector<Dtype>> values;
    for (size_t k = 0; k < arrays_.size(); ++k) {
      values.emplace_back(counts_[k]);
      Device::Get().CopyToHost(values[k].data(), arrays_[k], counts_[k] * sizeof(Dtype));
    }
    return values;
  }

  std::vector<int> counts_;
  std::vector<std::vector<Dtype>> values_;
  DeviceWorkspace workspace_;
  std::vector<Dtype*> arrays_;
};
typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_SUITE(RulesTogetherGpu, Dtypes);

TYPED_TEST(RulesTogetherGpu, AllArraysInTheOrderOfTheRules) {
  typedef TypeParam Dtype;
  auto expected = this->values_;
  RulesTogether together;
  for (size_t k = 0; k < this->arrays_.size(); ++k) {
    Dtype* array = this->arrays_[k];
    const int count = this->counts_[k];
    ApplyOnGpu(count, Scale<Dtype>{2, array});
    if (k % 60 == 5) ApplyOnGpu(count, Clear<Dtype>{array});
    // Two rules of one type on one array would be in one kernel: not done.
    if (k % 60 == 9) ApplyOnGpu(count, DecayL2<Dtype>{Dtype(0.5), array, array});
    for (Dtype& value : expected[k]) {
      value = k % 60 == 5 ? 0 : k % 60 == 9 ? 3 * value : 2 * value;
    }
  }
  EXPECT_NE(expected, this->OnDevice());  // some are kept
  together.Start();
  EXPECT_EQ(expected, this->OnDevice());
  together.Start();
  EXPECT_EQ(expected, this->OnDevice());
}

TYPED_TEST(RulesTogetherGpu, WithoutStartWhatIsKeptIsForgotten) {
  typedef TypeParam Dtype;
  {
    const RulesTogether together;
    ApplyOnGpu(this->counts_[1], Clear<Dtype>{this->arrays_[1]});
  }
  EXPECT_EQ(this->values_, this->OnDevice());
  ApplyOnGpu(this->counts_[2], Clear<Dtype>{this->arrays_[2]});  // at once again
  this->values_[2].assign(this->counts_[2], 0);
  EXPECT_EQ(this->values_, this->OnDevice());
}

}  // namespace
}  // namespace testing
}  // namespace caffe
