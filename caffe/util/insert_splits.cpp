#include "caffe/util/insert_splits.hpp"

#include <map>
#include <vector>

#include "caffe/common.hpp"
#include "util/nearest_name.hpp"

namespace caffe {

namespace {

// One version of a blob: what one layer's top holds until an in-place layer overwrites it.
struct Version {
  int layer;
  int top;
  int readers = 0;
  bool has_loss = false;
  int given = 0;  // copies handed out so far
};

}  // namespace

string SplitLayerName(const string& layer_name, const string& blob_name, int blob_idx) {
  return blob_name + "_" + layer_name + "_" + std::to_string(blob_idx) + "_split";
}

string SplitBlobName(const string& layer_name, const string& blob_name, int blob_idx,
                     int split_idx) {
  return SplitLayerName(layer_name, blob_name, blob_idx) + "_" + std::to_string(split_idx);
}

void InsertSplits(const NetParameter& param, NetParameter* param_split) {
  vector<Version> versions;
  // version_of[i][j]: what bottom j of layer i reads; made_by[i][j]: what its top j makes.
  vector<vector<int>> version_of(param.layer_size()), made_by(param.layer_size());
  map<string, int> current;
  for (int i = 0; i < param.layer_size(); ++i) {
    const LayerParameter& layer = param.layer(i);
    for (const string& bottom : layer.bottom()) {
      const auto found = current.find(bottom);
      if (found == current.end()) {
        vector<string> known;
        for (const auto& entry : current) known.push_back(entry.first);
        THROW_ERROR << "layer '" << layer.name() << "' (" << layer.type() << "): bottom '" << bottom
                    << "' is not the top of an earlier layer" << DidYouMean(bottom, known);
      }
      ++versions[found->second].readers;
      version_of[i].push_back(found->second);
    }
    for (int j = 0; j < layer.top_size(); ++j) {
      Version version{i, j};
      version.has_loss = j < layer.loss_weight_size() && layer.loss_weight(j) != 0;
      version.readers = version.has_loss ? 1 : 0;
      current[layer.top(j)] = static_cast<int>(versions.size());
      made_by[i].push_back(static_cast<int>(versions.size()));
      versions.push_back(version);
    }
  }

  *param_split = param;
  param_split->clear_layer();
  const auto add_split = [&](const LayerParameter& maker, const string& blob, const Version& v) {
    LayerParameter* split = param_split->add_layer();
    split->set_name(SplitLayerName(maker.name(), blob, v.top));
    split->set_type("Split");
    split->add_bottom(blob);
    for (int k = 0; k < v.readers; ++k) {
      split->add_top(SplitBlobName(maker.name(), blob, v.top, k));
      // The first copy takes over the loss weight.
      if (v.has_loss) split->add_loss_weight(k == 0 ? maker.loss_weight(v.top) : 0);
    }
  };
  for (int i = 0; i < param.layer_size(); ++i) {
    LayerParameter* layer = param_split->add_layer();
    *layer = param.layer(i);
    for (int j = 0; j < layer->bottom_size(); ++j) {
      Version& v = versions[version_of[i][j]];
      if (v.readers < 2) continue;
      const int copy = v.given++ + (v.has_loss ? 1 : 0);
      layer->set_bottom(j,
                        SplitBlobName(param.layer(v.layer).name(), layer->bottom(j), v.top, copy));
    }
    const int index = param_split->layer_size() - 1;
    for (int j = 0; j < param.layer(i).top_size(); ++j) {
      const Version& v = versions[made_by[i][j]];
      if (v.readers < 2) continue;
      add_split(param.layer(i), param.layer(i).top(j), v);
      if (v.has_loss) param_split->mutable_layer(index)->set_loss_weight(j, 0);
    }
  }
}

}  // namespace caffe
