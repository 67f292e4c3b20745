// Which blobs of a Net can use the same memory: Net::ReuseMemory.

#include <algorithm>
#include <map>
#include <tuple>

#include "caffe/net.hpp"

namespace caffe {

/// Blobs that share one memory already, and the layers between which its values are needed.
template <typename Dtype>
struct Net<Dtype>::Interval {
  vector<int> blobs;
  int begin, end;
  size_t size;
};

// One interval for the blobs that share a memory already; none where one of them is to be kept.
template <typename Dtype>
template <class Memory>
vector<typename Net<Dtype>::Interval> Net<Dtype>::Merge(const vector<int>& begin,
                                                        const vector<int>& end,
                                                        const vector<bool>& keep,
                                                        const Memory& memory_of) const {
  map<const SyncedMemory*, vector<int>> sharers;
  for (size_t id = 0; id < blobs_.size(); ++id) {
    if (blobs_[id]->count() > 0) sharers[memory_of(id).get()].push_back(static_cast<int>(id));
  }
  vector<Interval> intervals;
  for (const auto& entry : sharers) {
    Interval interval = {entry.second, begin[entry.second[0]], -1, 0};
    bool kept = false;
    for (int id : entry.second) {
      kept = kept || keep[id];
      interval.begin = std::min(interval.begin, begin[id]);
      interval.end = std::max(interval.end, end[id]);
      interval.size = std::max(interval.size, blobs_[id]->count() * sizeof(Dtype));
    }
    if (!kept) intervals.push_back(interval);
  }
  return intervals;
}

// Layer by layer, an interval that begins gets a memory that is free: the smallest that is large
// enough, or else the largest, which grows.
template <typename Dtype>
void Net<Dtype>::AssignMemory(vector<Interval> intervals, UseMemory use) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) {
    return std::tie(a.begin, a.blobs[0]) < std::tie(b.begin, b.blobs[0]);
  });
  struct Slot {
    size_t size;
    int busy_until;
    vector<int> blobs;
  };
  vector<Slot> slots;
  for (const Interval& interval : intervals) {
    Slot* best = nullptr;
    for (Slot& slot : slots) {
      if (slot.busy_until >= interval.begin) continue;
      const bool fits = slot.size >= interval.size;
      const bool best_fits = best && best->size >= interval.size;
      if (!best || (fits && (!best_fits || slot.size < best->size)) ||
          (!fits && !best_fits && slot.size > best->size)) {
        best = &slot;
      }
    }
    if (!best) {
      slots.emplace_back();
      best = &slots.back();
      best->size = 0;
    }
    best->size = std::max(best->size, interval.size);
    best->busy_until = interval.end;
    best->blobs.insert(best->blobs.end(), interval.blobs.begin(), interval.blobs.end());
  }
  for (const Slot& slot : slots) {
    shared_ptr<SyncedMemory> memory(new SyncedMemory(slot.size));
    for (int id : slot.blobs) (blobs_[id].get()->*use)(memory);
  }
}

// Activations that nothing in the backward pass reads, from the layer that makes them to the last
// that reads them.
template <typename Dtype>
vector<typename Net<Dtype>::Interval> Net<Dtype>::DataIntervals(bool backward) const {
  const int count = static_cast<int>(blobs_.size()), layers = static_cast<int>(layers_.size());
  vector<bool> keep(count, false);
  vector<int> first(count, layers), last(count, -1);
  for (int id : net_input_blob_indices_) keep[id] = true;
  for (int id : net_output_blob_indices_) keep[id] = true;
  for (int i = 0; i < layers; ++i) {
    const bool reads = backward && layer_need_backward_[i] && computed_by_[i] == i;
    for (size_t j = 0; j < bottom_id_vecs_[i].size(); ++j) {
      const int id = bottom_id_vecs_[i][j];
      last[id] = i;
      if (reads && layers_[i]->BackwardReadsBottom(static_cast<int>(j))) keep[id] = true;
    }
    for (int id : top_id_vecs_[i]) {
      first[id] = std::min(first[id], i);
      last[id] = std::max(last[id], i);
      if (reads && layers_[i]->BackwardReadsTop()) keep[id] = true;
      if (bottom_id_vecs_[i].empty() || blob_loss_weights_[id] != 0) keep[id] = true;
    }
  }
  return Merge(first, last, keep, [this](int id) { return blobs_[id]->data(); });
}

// Gradients of activations, in the order of the backward pass: from the last layer that reads the
// blob, and so computes its gradient, back to the one that made it. A diff that stays zero, and
// that the layer before adds to others or takes as its top's, is kept: of an output, and of what a
// layer reads without giving it a gradient (Accuracy, Silence, propagate_down: false, a dead
// branch).
template <typename Dtype>
vector<typename Net<Dtype>::Interval> Net<Dtype>::DiffIntervals() const {
  const int count = static_cast<int>(blobs_.size()), layers = static_cast<int>(layers_.size());
  vector<int> begin(count, layers), end(count, -1);
  vector<bool> keep(count);
  for (int id = 0; id < count; ++id) {
    keep[id] = !blob_need_backward_[id] || blob_loss_weights_[id] != 0;
  }
  for (int i = layers - 1; i >= 0; --i) {
    for (size_t j = 0; j < bottom_id_vecs_[i].size(); ++j) {
      const int id = bottom_id_vecs_[i][j];
      begin[id] = std::min(begin[id], layers - 1 - i);
      if (!layer_need_backward_[i] || !bottom_need_backward_[i][j]) keep[id] = true;
    }
    for (int id : top_id_vecs_[i]) end[id] = layers - 1 - i;
  }
  for (int id : net_input_blob_indices_) keep[id] = true;
  for (int id : net_output_blob_indices_) keep[id] = true;
  return Merge(begin, end, keep, [this](int id) { return blobs_[id]->diff(); });
}

// Layers that let blobs share memory do so in Reshape, each as it finds its own blobs: where sums
// follow one another, the first shares what the second then replaces. What is shared in the end is
// there when a Reshape changes nothing.
template <typename Dtype>
void Net<Dtype>::ShareAll() {
  vector<const SyncedMemory*> before;
  for (size_t pass = 0; pass <= layers_.size(); ++pass) {
    Reshape();
    vector<const SyncedMemory*> now;
    for (const auto& blob : blobs_) {
      if (blob->count() == 0) continue;
      now.push_back(blob->data().get());
      now.push_back(blob->diff().get());
    }
    if (now == before) return;
    before.swap(now);
  }
}

template <typename Dtype>
void Net<Dtype>::ReuseMemory(bool backward) {
  ShareAll();
  AssignMemory(DataIntervals(backward), &Blob<Dtype>::UseDataMemory);
  AssignMemory(DiffIntervals(), &Blob<Dtype>::UseDiffMemory);
}

template void Net<float>::ReuseMemory(bool);
template void Net<double>::ReuseMemory(bool);

}  // namespace caffe
