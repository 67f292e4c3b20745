#include "caffe/filler.hpp"

#include "util/nearest_name.hpp"

namespace caffe {

namespace {

template <typename Dtype>
Dtype FanScale(const FillerParameter& param, const Blob<Dtype>& blob) {
  const Dtype fan_in = Dtype(blob.count()) / blob.shape(0);
  const Dtype fan_out = blob.num_axes() > 1 ? Dtype(blob.count()) / blob.shape(1) : blob.count();
  switch (param.variance_norm()) {
    case FillerParameter_VarianceNorm_FAN_OUT:
      return fan_out;
    case FillerParameter_VarianceNorm_AVERAGE:
      return (fan_in + fan_out) / 2;
    default:
      return fan_in;
  }
}

}  // namespace

template <typename Dtype>
void ConstantFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  if (blob->count() == 0) return;
  caffe_set(blob->count(), Dtype(this->filler_param_.value()), blob->mutable_cpu_data());
}

template <typename Dtype>
void UniformFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  const FillerParameter& param = this->filler_param_;
  if (blob->count() == 0) return;
  ENFORCE(param.min() <= param.max())
      << "uniform filler: min " << param.min() << " exceeds max " << param.max();
  caffe_rng_uniform(blob->count(), Dtype(param.min()), Dtype(param.max()),
                    blob->mutable_cpu_data());
}

template <typename Dtype>
void GaussianFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  const FillerParameter& param = this->filler_param_;
  if (blob->count() == 0) return;
  ENFORCE(param.std() >= 0) << "gaussian filler: std is " << param.std();
  Dtype* data = blob->mutable_cpu_data();
  if (param.std() == 0) {
    caffe_set(blob->count(), Dtype(param.mean()), data);
  } else {
    caffe_rng_gaussian(blob->count(), Dtype(param.mean()), Dtype(param.std()), data);
  }
  if (param.sparse() == -1) return;
  const int outputs = blob->shape(0);
  const Dtype keep = std::min(Dtype(1), Dtype(param.sparse()) / outputs);
  vector<int> kept(blob->count());
  caffe_rng_bernoulli(blob->count(), keep, kept.data());
  for (int i = 0; i < blob->count(); ++i) data[i] *= kept[i];
}

template <typename Dtype>
void PositiveUnitballFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  if (blob->count() == 0) return;
  Dtype* data = blob->mutable_cpu_data();
  caffe_rng_uniform(blob->count(), Dtype(0), Dtype(1), data);
  const int rows = blob->shape(0), size = blob->count() / rows;
  for (int i = 0; i < rows; ++i) {
    caffe_scal(size, 1 / caffe_cpu_asum(size, data + i * size), data + i * size);
  }
}

template <typename Dtype>
void XavierFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  const FillerParameter& param = this->filler_param_;
  if (blob->count() == 0) return;
  const Dtype bound = std::sqrt(Dtype(3) / FanScale(param, *blob));
  caffe_rng_uniform(blob->count(), -bound, bound, blob->mutable_cpu_data());
}

template <typename Dtype>
void MSRAFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  const FillerParameter& param = this->filler_param_;
  if (blob->count() == 0) return;
  const Dtype std = std::sqrt(Dtype(2) / FanScale(param, *blob));
  caffe_rng_gaussian(blob->count(), Dtype(0), std, blob->mutable_cpu_data());
}

template <typename Dtype>
void BilinearFiller<Dtype>::Fill(Blob<Dtype>* blob) {
  if (blob->count() == 0) return;
  ENFORCE(blob->num_axes() == 4 && blob->width() == blob->height())
      << "bilinear filler: takes a 4-D blob with square kernels, not " << blob->shape_string();
  const int size = blob->width(), half = (size + 1) / 2;
  const Dtype centre = Dtype(size - 1) / (2 * half);
  const auto weight = [&](int i) { return 1 - std::fabs(Dtype(i) / half - centre); };
  Dtype* data = blob->mutable_cpu_data();
  for (int i = 0; i < blob->count(); ++i) data[i] = weight(i % size) * weight(i / size % size);
}

namespace {

template <typename Dtype, template <typename> class Type>
Filler<Dtype>* Create(const FillerParameter& param) {
  return new Type<Dtype>(param);
}

template <typename Dtype>
const map<string, Filler<Dtype>* (*)(const FillerParameter&)>& Creators() {
  static const map<string, Filler<Dtype>* (*)(const FillerParameter&)> creators = {
      {"constant", Create<Dtype, ConstantFiller>},
      {"uniform", Create<Dtype, UniformFiller>},
      {"gaussian", Create<Dtype, GaussianFiller>},
      {"positive_unitball", Create<Dtype, PositiveUnitballFiller>},
      {"xavier", Create<Dtype, XavierFiller>},
      {"msra", Create<Dtype, MSRAFiller>},
      {"bilinear", Create<Dtype, BilinearFiller>}};
  return creators;
}

}  // namespace

template <typename Dtype>
Filler<Dtype>* GetFiller(const FillerParameter& param) {
  const auto& creators = Creators<Dtype>();
  const auto found = creators.find(param.type());
  if (found == creators.end()) {
    vector<string> known;
    for (const auto& entry : creators) known.push_back(entry.first);
    THROW_ERROR << "unknown filler type '" << param.type() << "'"
                << DidYouMean(param.type(), known);
  }
  ENFORCE(param.sparse() == -1 || (param.type() == "gaussian" && param.sparse() >= 0))
      << "filler '" << param.type() << "' with sparse " << param.sparse()
      << "; it is for 'gaussian', and not negative";
  return found->second(param);
}

INSTANTIATE_CLASS(ConstantFiller);
INSTANTIATE_CLASS(UniformFiller);
INSTANTIATE_CLASS(GaussianFiller);
INSTANTIATE_CLASS(PositiveUnitballFiller);
INSTANTIATE_CLASS(XavierFiller);
INSTANTIATE_CLASS(MSRAFiller);
INSTANTIATE_CLASS(BilinearFiller);
template Filler<float>* GetFiller(const FillerParameter&);
template Filler<double>* GetFiller(const FillerParameter&);

}  // namespace caffe
