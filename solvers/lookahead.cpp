#include "solvers/lookahead.hpp"

#include <cmath>

#include "solvers/host.hpp"
#include "solvers/task_nets.hpp"

namespace caffe {

namespace {

template <typename Dtype>
vector<Blob<Dtype>*> PassCounters(const Net<Dtype>& net) {
  vector<Blob<Dtype>*> result;
  for (const auto& layer : net.layers()) {
    const int counter = PassCounter(layer.get());
    if (counter >= 0) result.push_back(layer->blobs()[counter].get());
  }
  return result;
}

}  // namespace

template <typename Dtype>
Lookahead<Dtype>::Lookahead(Net<Dtype>* theta_net, Net<Dtype>* val_net, const NetParameter& replay,
                            const string& phi_param, int64_t seed)
    : theta_net_(theta_net) {
  const int layers = static_cast<int>(theta_net->layers().size());
  while (sources_ < layers && theta_net->bottom_ids(sources_).empty()) ++sources_;
  for (int i = sources_; i < layers; ++i) {
    ENFORCE(!theta_net->bottom_ids(i).empty())
        << "layer '" << theta_net->layer_names()[i] << "' (" << theta_net->layers()[i]->type()
        << ") must come before layer '" << theta_net->layer_names()[sources_]
        << "': LOOKAHEAD runs the layers behind the data several times";
  }
  Caffe::set_random_seed(static_cast<unsigned int>(seed));
  replay_.reset(new Net<Dtype>(replay));
  for (int i = sources_; i < layers; ++i) {
    const string type = theta_net->layers()[i]->type();
    const auto& from = theta_net->layers()[i]->blobs();
    const auto& to = replay_->layers()[i]->blobs();
    // Statistics stay apart: what is only tried must leave no trace in them. Those that BatchNorm
    // only reads are shared.
    const BatchNormParameter& norm = theta_net->layers()[i]->layer_param().batch_norm_param();
    if (type == "BatchNorm" && !norm.use_global_stats()) continue;
    const int counter = PassCounter(theta_net->layers()[i].get());
    for (int j = 0; j < static_cast<int>(from.size()); ++j) {
      const bool statistic = type == "MetaPerturb" && j > 0;
      if (!statistic && j != counter) to[j]->ShareData(*from[j]);
    }
  }
  const auto& learnable = theta_net->learnable_params();
  for (size_t j = 0; j < learnable.size(); ++j) {
    if (theta_net->params_lr()[j] == 0) continue;
    theta_.push_back({learnable[j],
                      val_net->learnable_params()[j],
                      static_cast<Dtype>(theta_net->params_lr()[j]),
                      {}});
  }
  phi_ = replay_->params()[replay_->param_names_index().at(phi_param)].get();
}

template <typename Dtype>
double Lookahead<Dtype>::TrainPass(int batches, uint64_t pass) {
  first_pass_ = pass;
  counts_.clear();
  for (const Blob<Dtype>* count : PassCounters(*theta_net_)) {
    counts_.emplace_back(1, count->cpu_data()[0]);
  }
  batches_.resize(std::max(batches_.size(), static_cast<size_t>(batches)));
  kept_ = batches;
  double loss = 0;
  for (int b = 0; b < batches; ++b) {
    size_t at = 0;
    for (int i = 0; i < sources_; ++i) {
      loss += theta_net_->ForwardFromTo(i, i);
      for (const Blob<Dtype>* top : theta_net_->top_vecs()[i]) {
        if (at == batches_[b].size()) batches_[b].emplace_back(new Blob<Dtype>);
        batches_[b][at++]->CopyFrom(*top, false, true);
      }
    }
    loss += theta_net_->ForwardFrom(sources_);
    theta_net_->Backward();
  }
  return loss;
}

template <typename Dtype>
void Lookahead<Dtype>::Advance(Dtype rate) {
  rate_ = rate;
  for (Weights& weights : theta_) {
    const int count = weights.blob->count();
    const Dtype* gradient = weights.blob->cpu_diff();
    Dtype* theta = weights.blob->mutable_cpu_data();
    weights.start.assign(theta, theta + count);
    const Dtype step = rate * weights.rate / static_cast<Dtype>(kept_);
    for (int i = 0; i < count; ++i) theta[i] -= step * gradient[i];
  }
}

template <typename Dtype>
vector<double> Lookahead<Dtype>::TrainGradient(double step) {
  for (Weights& weights : theta_) {
    Dtype* theta = weights.blob->mutable_cpu_data();
    const Dtype* v = weights.val->cpu_diff();
    const double scale = step * weights.rate;
    for (size_t i = 0; i < weights.start.size(); ++i) {
      theta[i] = static_cast<Dtype>(weights.start[i] + scale * v[i]);
    }
  }
  caffe_set(phi_->count(), Dtype(0), phi_->mutable_cpu_diff());
  const vector<Blob<Dtype>*> counters = PassCounters(*replay_);
  for (int b = 0; b < kept_; ++b) {
    SetNextPass(replay_.get(), first_pass_ + b);
    for (size_t m = 0; m < counters.size(); ++m) {
      counters[m]->mutable_cpu_data()[0] = counts_[m][0] + static_cast<Dtype>(b);
    }
    size_t at = 0;
    for (int i = 0; i < sources_; ++i) {
      for (Blob<Dtype>* top : replay_->top_vecs()[i])
        top->CopyFrom(*batches_[b][at++], false, true);
    }
    replay_->ForwardBackward();
  }
  return vector<double>(phi_->cpu_diff(), phi_->cpu_diff() + phi_->count());
}

template <typename Dtype>
void Lookahead<Dtype>::AddImplicitTerm(vector<double>* gradient) {
  double squares = 0;
  for (const Weights& weights : theta_) {
    const Dtype* v = weights.val->cpu_diff();
    for (int i = 0; i < weights.val->count(); ++i) {
      squares += std::pow(static_cast<double>(weights.rate) * v[i], 2);
    }
  }
  if (squares > 0 && std::isfinite(squares)) {
    const double step = (sizeof(Dtype) == 4 ? 1e-2 : 1e-5) / std::sqrt(squares);
    const vector<double> above = TrainGradient(step), below = TrainGradient(-step);
    for (size_t i = 0; i < gradient->size(); ++i) {
      (*gradient)[i] -= rate_ * (above[i] - below[i]) / (2 * step * kept_);
    }
  }
  for (Weights& weights : theta_) {
    std::copy(weights.start.begin(), weights.start.end(), weights.blob->mutable_cpu_data());
  }
}

INSTANTIATE_CLASS(Lookahead);

}  // namespace caffe
