#include "caffe/layers/channel_parameter.hpp"

#include <algorithm>

namespace caffe {

template <typename Dtype>
vector<int> SpreadShape(const Blob<Dtype>& x, int axis, int num_axes) {
  const int first = num_axes == 0 ? 0 : x.CanonicalAxisIndex(axis);
  ENFORCE(num_axes >= -1 && num_axes <= x.num_axes() - first)
      << "num_axes " << num_axes << " from axis " << first << " exceeds the bottom's shape "
      << x.shape_string();
  const auto begin = x.shape().begin() + first;
  return vector<int>(begin, num_axes == -1 ? x.shape().end() : begin + num_axes);
}

template <typename Dtype>
int SpreadAxis(const char* name, const Blob<Dtype>& x, const Blob<Dtype>& operand, int axis) {
  const int axes = operand.num_axes();
  const int first = axes == 0 ? 0 : x.CanonicalAxisIndex(axis);
  const bool fits =
      first + axes <= x.num_axes() &&
      std::equal(operand.shape().begin(), operand.shape().end(), x.shape().begin() + first);
  ENFORCE(fits) << name << " of shape " << operand.shape_string() << " does not fit the bottom's "
                << x.shape_string() << " from axis " << first;
  return first;
}

template <typename Dtype>
ChannelBlocks SpreadLayout(const Blob<Dtype>& x, const Blob<Dtype>& operand, int axis, int block) {
  ChannelBlocks layout;
  layout.block = block;
  // A scalar's sum is formed image by image too.
  if (operand.num_axes() == 0 && x.num_axes() > 0) axis = 1;
  layout.num = x.count(0, axis);
  layout.channels = operand.count();
  layout.spatial = x.count(axis + operand.num_axes());
  return layout;
}

template <typename Dtype>
vector<Dtype> SpreadLanes(const ChannelBlocks& layout, const Dtype* values, Dtype missing) {
  vector<Dtype> lanes(layout.groups() * layout.block, Dtype(0));
  for (int c = 0; c < layout.channels; ++c) lanes[c] = values ? values[c] : missing;
  return lanes;
}

#define INSTANTIATE_SPREAD(Dtype)                                                        \
  template vector<int> SpreadShape(const Blob<Dtype>&, int, int);                        \
  template int SpreadAxis(const char*, const Blob<Dtype>&, const Blob<Dtype>&, int);     \
  template ChannelBlocks SpreadLayout(const Blob<Dtype>&, const Blob<Dtype>&, int, int); \
  template vector<Dtype> SpreadLanes(const ChannelBlocks&, const Dtype*, Dtype)

INSTANTIATE_SPREAD(float);
INSTANTIATE_SPREAD(double);

}  // namespace caffe
