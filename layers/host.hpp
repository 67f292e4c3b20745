#ifndef METAPERTURB_LAYERS_HOST_HPP_
#define METAPERTURB_LAYERS_HOST_HPP_

// What the layers need beyond the public API of Caffe 1.0. In this project they ask its framework;
// built against a Caffe of the user's own (cmake -DMETAPERTURB_HOST=...), the plugin makes up for
// what that lacks. Both files define the same names:
//
//   BlockedInput, BlockedOutput   a blob's array in channel blocks (util/channel_blocks.hpp)
//   HostLayer                     caffe::Layer with resumable random numbers
//   InLayer(layer, work)          runs `work`; its errors name the layer
//   ReadProto(file, text, message)   reads a text or binary message, or throws caffe::Error
#ifdef METAPERTURB_FOREIGN_HOST
#include "layers/host_foreign.hpp"
#else
#include "layers/host_own.hpp"
#endif

#endif  // METAPERTURB_LAYERS_HOST_HPP_
