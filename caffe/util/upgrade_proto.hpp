#ifndef CAFFE_UTIL_UPGRADE_PROTO_H_
#define CAFFE_UTIL_UPGRADE_PROTO_H_

#include <string>

#include "caffe/common.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

// Reading definitions and weights that may be in an older form. Errors name the file; for text
// files that do not parse, also line and column.

void ReadNetParamsFromTextFileOrDie(const string& param_file, NetParameter* param);
void ReadNetParamsFromBinaryFileOrDie(const string& param_file, NetParameter* param);
/// Also completes snapshot_prefix: not set, the solver file without its extension; a directory, the
/// solver file's name in that directory.
void ReadSolverParamsFromTextFileOrDie(const string& param_file, SolverParameter* param);

bool NetNeedsUpgrade(const NetParameter& net_param);
/// Brings `param` to today's form, in place. `param_file` is for messages. An Error when it cannot
/// be done; always returns true.
bool UpgradeNetAsNeeded(const string& param_file, NetParameter* param);

/// Layers nested in `layers { layer { } }` (2013): refused with an Error.
bool NetNeedsV0ToV1Upgrade(const NetParameter& net_param);

/// scale, mean_file, crop_size and mirror in a data layer's own message -> transform_param.
bool NetNeedsDataUpgrade(const NetParameter& net_param);
void UpgradeNetDataTransformation(NetParameter* net_param);

/// `layers { type: CONVOLUTION }` -> `layer { type: "Convolution" }`; blobs_lr and weight_decay ->
/// param.
bool NetNeedsV1ToV2Upgrade(const NetParameter& net_param);
bool UpgradeV1Net(const NetParameter& v1_net_param, NetParameter* net_param);
bool UpgradeV1LayerParameter(const V1LayerParameter& v1_layer_param, LayerParameter* layer_param);
const char* UpgradeV1LayerType(V1LayerParameter_LayerType type);

/// input with input_shape or input_dim -> an Input layer; input alone is dropped.
bool NetNeedsInputUpgrade(const NetParameter& net_param);
void UpgradeNetInput(NetParameter* net_param);

/// A BatchNorm layer's three `param` entries get lr_mult 0 and decay_mult 0.
bool NetNeedsBatchNormUpgrade(const NetParameter& net_param);
void UpgradeNetBatchNorm(NetParameter* net_param);

/// solver_type: ADAM -> type: "Adam".
bool SolverNeedsTypeUpgrade(const SolverParameter& solver_param);
bool UpgradeSolverType(SolverParameter* solver_param);
bool UpgradeSolverAsNeeded(const string& param_file, SolverParameter* param);

}  // namespace caffe

#endif  // CAFFE_UTIL_UPGRADE_PROTO_H_
