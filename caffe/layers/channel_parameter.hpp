#ifndef CAFFE_LAYERS_CHANNEL_PARAMETER_HPP_
#define CAFFE_LAYERS_CHANNEL_PARAMETER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "util/channel_blocks.hpp"

namespace caffe {

// What Scale and Bias share: an operand whose axes are those of x from `axis` on, spread over the
// others.

/// The operand's shape: `num_axes` axes of x from `axis` on; -1: all that follow, 0: a scalar.
template <typename Dtype>
vector<int> SpreadShape(const Blob<Dtype>& x, int axis, int num_axes);

/// The first axis of x that the operand covers, from the front; an Error with both shapes when they
/// do not fit. `name` is what the message calls the operand.
template <typename Dtype>
int SpreadAxis(const char* name, const Blob<Dtype>& x, const Blob<Dtype>& operand, int axis);

/// The layout to work in: that of x's data or diff, which is in blocks of `block` channels, when
/// the operand has one value per channel; the plain one for other axes.
template <typename Dtype>
int SpreadBlock(const Blob<Dtype>& operand, int axis, int block) {
  return axis == 1 && operand.num_axes() == 1 ? block : 1;
}

/// x seen as num x channels x spatial, a channel being what shares one value of the operand.
template <typename Dtype>
ChannelBlocks SpreadLayout(const Blob<Dtype>& x, const Blob<Dtype>& operand, int axis, int block);

/// `channels` values (null: all `missing`), then zeros up to whole blocks.
template <typename Dtype>
vector<Dtype> SpreadLanes(const ChannelBlocks& layout, const Dtype* values, Dtype missing);

}  // namespace caffe

#endif  // CAFFE_LAYERS_CHANNEL_PARAMETER_HPP_
