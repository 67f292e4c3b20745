#include "caffe/layers/dummy_data_layer.hpp"

#include "caffe/util/rng.hpp"

namespace caffe {

template <typename Dtype>
void DummyDataLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>&,
                                       const vector<Blob<Dtype>*>& top) {
  const DummyDataParameter& param = this->layer_param_.dummy_data_param();
  const int tops = static_cast<int>(top.size());
  const auto check = [tops](const char* name, int given, bool none_is_fine) {
    ENFORCE((given == 0 && none_is_fine) || given == 1 || given == tops)
        << "dummy_data_param has " << given << " " << name << " entries for " << tops
        << " tops; give one, or one each";
  };
  check("data_filler", param.data_filler_size(), true);
  const bool old_form = param.shape_size() == 0;
  if (old_form) {
    check("num", param.num_size(), false);
    check("channels", param.channels_size(), false);
    check("height", param.height_size(), false);
    check("width", param.width_size(), false);
  } else {
    ENFORCE(param.num_size() + param.channels_size() + param.height_size() + param.width_size() ==
            0)
        << "dummy_data_param has shape together with num, channels, height or width; give one form";
    check("shape", param.shape_size(), false);
  }
  for (int i = 0; i < tops; ++i) {
    if (old_form) {
      const auto pick = [i](const auto& values) {
        return static_cast<int>(values.Get(values.size() == 1 ? 0 : i));
      };
      top[i]->Reshape(pick(param.num()), pick(param.channels()), pick(param.height()),
                      pick(param.width()));
    } else {
      top[i]->Reshape(param.shape(param.shape_size() == 1 ? 0 : i));
    }
  }
  for (int i = 0; i < std::max(1, param.data_filler_size()); ++i) {
    const FillerParameter filler =
        param.data_filler_size() ? param.data_filler(i) : FillerParameter();
    fillers_.emplace_back(GetFiller<Dtype>(filler));
    constant_.push_back(filler.type() == "constant");
  }
  // Constants are there before the first pass, too.
  for (int i = 0; i < tops; ++i) {
    const size_t f = fillers_.size() == 1 ? 0 : i;
    if (constant_[f]) fillers_[f]->Fill(top[i]);
  }
}

template <typename Dtype>
void DummyDataLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&,
                                        const vector<Blob<Dtype>*>& top) {
  // Fillers draw from the thread's stream: lend them one that depends on this pass alone.
  rng_t* stream = caffe_rng();
  const rng_t saved = *stream;
  *stream = rng_t(PhiloxKey(this->random_key(), this->pass()));
  for (size_t i = 0; i < top.size(); ++i) {
    const size_t f = fillers_.size() == 1 ? 0 : i;
    if (!filled_ || !constant_[f]) fillers_[f]->Fill(top[i]);
  }
  *stream = saved;
  filled_ = true;
}

INSTANTIATE_CLASS(DummyDataLayer);
REGISTER_LAYER_CLASS(DummyData);

}  // namespace caffe
