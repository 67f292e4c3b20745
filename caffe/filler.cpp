#include "caffe/filler.hpp"

#include <functional>

#include "caffe/util/math_functions.hpp"
#include "util/nearest_name.hpp"

namespace caffe {

namespace {

template <typename Dtype>
using FillFunction = void (*)(const FillerParameter&, Blob<Dtype>*);

template <typename Dtype>
Dtype FanScale(const FillerParameter& param, const Blob<Dtype>& blob) {
  const Dtype fan_in = Dtype(blob.count()) / blob.num();
  const Dtype fan_out = blob.num_axes() > 1 ? Dtype(blob.count()) / blob.channels() : blob.count();
  switch (param.variance_norm()) {
    case FillerParameter_VarianceNorm_FAN_OUT:
      return fan_out;
    case FillerParameter_VarianceNorm_AVERAGE:
      return (fan_in + fan_out) / 2;
    default:
      return fan_in;
  }
}

template <typename Dtype>
void FillConstant(const FillerParameter& param, Blob<Dtype>* blob) {
  caffe_set(blob->count(), Dtype(param.value()), blob->mutable_cpu_data());
}

template <typename Dtype>
void FillUniform(const FillerParameter& param, Blob<Dtype>* blob) {
  ENFORCE(param.min() <= param.max())
      << "uniform filler: min " << param.min() << " exceeds max " << param.max();
  caffe_rng_uniform(blob->count(), Dtype(param.min()), Dtype(param.max()),
                    blob->mutable_cpu_data());
}

template <typename Dtype>
void FillGaussian(const FillerParameter& param, Blob<Dtype>* blob) {
  ENFORCE(param.std() >= 0) << "gaussian filler: std is " << param.std();
  Dtype* data = blob->mutable_cpu_data();
  if (param.std() == 0) {
    caffe_set(blob->count(), Dtype(param.mean()), data);
  } else {
    caffe_rng_gaussian(blob->count(), Dtype(param.mean()), Dtype(param.std()), data);
  }
  if (param.sparse() < 0) return;
  const int outputs = blob->shape(0);
  const Dtype keep = std::min(Dtype(1), Dtype(param.sparse()) / outputs);
  vector<int> kept(blob->count());
  caffe_rng_bernoulli(blob->count(), keep, kept.data());
  for (int i = 0; i < blob->count(); ++i) data[i] *= kept[i];
}

template <typename Dtype>
void FillPositiveUnitball(const FillerParameter&, Blob<Dtype>* blob) {
  Dtype* data = blob->mutable_cpu_data();
  caffe_rng_uniform(blob->count(), Dtype(0), Dtype(1), data);
  const int rows = blob->shape(0), size = blob->count() / rows;
  for (int i = 0; i < rows; ++i) {
    caffe_scal(size, 1 / caffe_cpu_asum(size, data + i * size), data + i * size);
  }
}

template <typename Dtype>
void FillXavier(const FillerParameter& param, Blob<Dtype>* blob) {
  const Dtype bound = std::sqrt(Dtype(3) / FanScale(param, *blob));
  caffe_rng_uniform(blob->count(), -bound, bound, blob->mutable_cpu_data());
}

template <typename Dtype>
void FillMsra(const FillerParameter& param, Blob<Dtype>* blob) {
  const Dtype std = std::sqrt(Dtype(2) / FanScale(param, *blob));
  caffe_rng_gaussian(blob->count(), Dtype(0), std, blob->mutable_cpu_data());
}

template <typename Dtype>
void FillBilinear(const FillerParameter&, Blob<Dtype>* blob) {
  ENFORCE(blob->num_axes() == 4 && blob->width() == blob->height())
      << "bilinear filler: takes a 4-D blob with square kernels, not " << blob->shape_string();
  const int size = blob->width(), half = (size + 1) / 2;
  const Dtype centre = (2 * half - 1 - half % 2) / Dtype(2 * half);
  const auto weight = [&](int i) { return 1 - std::fabs(Dtype(i) / half - centre); };
  Dtype* data = blob->mutable_cpu_data();
  for (int i = 0; i < blob->count(); ++i) data[i] = weight(i % size) * weight(i / size % size);
}

template <typename Dtype>
const map<string, FillFunction<Dtype>>& Fillers() {
  static const map<string, FillFunction<Dtype>> fillers = {
      {"constant", FillConstant<Dtype>}, {"uniform", FillUniform<Dtype>},
      {"gaussian", FillGaussian<Dtype>}, {"positive_unitball", FillPositiveUnitball<Dtype>},
      {"xavier", FillXavier<Dtype>},     {"msra", FillMsra<Dtype>},
      {"bilinear", FillBilinear<Dtype>}};
  return fillers;
}

template <typename Dtype>
class FunctionFiller : public Filler<Dtype> {
 public:
  FunctionFiller(const FillerParameter& param, FillFunction<Dtype> fill)
      : Filler<Dtype>(param), fill_(fill) {}
  void Fill(Blob<Dtype>* blob) override {
    if (blob->count() > 0) fill_(this->filler_param_, blob);
  }

 private:
  FillFunction<Dtype> fill_;
};

}  // namespace

template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param) {
  const auto& fillers = Fillers<Dtype>();
  const auto found = fillers.find(param.type());
  if (found == fillers.end()) {
    vector<string> known;
    for (const auto& entry : fillers) known.push_back(entry.first);
    THROW_ERROR << "unknown filler type '" << param.type() << "'"
                << DidYouMean(param.type(), known);
  }
  return new FunctionFiller<Dtype>(param, found->second);
}

template Filler<float>* GetFiller(const FillerParameter&);
template Filler<double>* GetFiller(const FillerParameter&);

}  // namespace caffe
