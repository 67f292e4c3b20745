#ifndef METAPERTURB_LAYERS_HOST_HPP_
#define METAPERTURB_LAYERS_HOST_HPP_

// What the layers need beyond the public API of Caffe 1.0. In this project they ask its framework;
// built against a Caffe of the user's own (cmake -DMETAPERTURB_HOST=...), the plugin makes up for
// what that lacks. Both files define the same names:
//
//   BlockedInput, BlockedOutput   a blob's array in channel blocks (util/channel_blocks.hpp)
//   DataBlock(blob), DiffBlock(blob)   the block in which that array lies now
//   HostLayer                     caffe::Layer with resumable random numbers
//   ComputesOnGpu()               whether layers run their GPU halves
//   InLayer(layer, work)          runs `work`; its errors name the layer
//   ReadProto(file, text, message)   reads a text or binary message, or throws caffe::Error
#ifdef METAPERTURB_FOREIGN_HOST
#include "layers/host_foreign.hpp"
#else
#include "layers/host_own.hpp"
#endif

namespace metaperturb {

/// The blob, of at least one axis, as N x C x the rest in channel blocks.
template <typename Dtype>
caffe::ChannelBlocks LayoutOf(const caffe::Blob<Dtype>& blob, int block) {
  caffe::ChannelBlocks layout;
  layout.block = block;
  layout.num = blob.shape(0);
  layout.channels = blob.num_axes() > 1 ? blob.shape(1) : 1;
  layout.spatial = blob.num_axes() > 2 ? blob.count(2) : 1;
  return layout;
}

}  // namespace metaperturb

#endif  // METAPERTURB_LAYERS_HOST_HPP_
